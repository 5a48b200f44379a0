//! Segments of a JPEG: what its head says, without its image data.

use image::metadata::Orientation;

/// What a JPEG says of the picture, before the image data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The marker SOF0 to SOF15.
    pub marker: u8,
    /// Bits of a sample.
    pub precision: u8,
    pub width: usize,
    pub height: usize,
    pub components: Vec<FrameComponent>,
}

/// A channel: its id, and its samples for each one of the widest and the highest channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameComponent {
    pub id: u8,
    pub across: usize,
    pub down: usize,
    pub quantization: usize,
}

/// A marker with its data, and where its data ends.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub marker: u8,
    pub data: &'a [u8],
    pub end: usize,
}

pub const SOF0: u8 = 0xC0;
pub const SOF1: u8 = 0xC1;
pub const SOF2: u8 = 0xC2;
pub const DHT: u8 = 0xC4;
pub const EOI: u8 = 0xD9;
pub const SOS: u8 = 0xDA;
pub const DQT: u8 = 0xDB;
pub const DRI: u8 = 0xDD;
pub const APP1: u8 = 0xE1;
pub const APP14: u8 = 0xEE;

/// Returns the first segment at or behind an offset. Between two segments may be fill bytes and markers without data, which are passed;
/// `None` when something else is there, or the end.
#[must_use]
pub fn segment(file: &[u8], mut at: usize) -> Option<Segment<'_>> {
    loop {
        let marker = *file.get(at..at + 2)?.strip_prefix(b"\xFF")?.first()?;
        match marker {
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            EOI => return Some(Segment { marker, data: &[], end: at + 2 }),
            _ => {
                let length = file.get(at + 2..at + 4)?;
                let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                return Some(Segment { marker, data: file.get(at + 4..end)?, end });
            }
        }
    }
}

/// Returns the segments up to the start of the first scan, which is the last one.
fn head(file: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut next = Some(2);
    std::iter::from_fn(move || {
        let found = segment(file, next?)?;
        next = (found.marker != SOS && found.marker != EOI).then_some(found.end);
        Some(found)
    })
}

/// Returns what the head says of the picture; `None` when it says nothing that can be.
#[must_use]
pub fn frame(file: &[u8]) -> Option<Frame> {
    head(file).find_map(|segment| match segment.marker {
        DHT | 0xC8 | 0xCC => None,
        marker @ 0xC0..=0xCF => Some(parse_frame(marker, segment.data)),
        _ => None,
    })?
}

fn parse_frame(marker: u8, data: &[u8]) -> Option<Frame> {
    let (fields, components) = data.split_at_checked(6)?;
    let side = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    let (height, width) = (side(fields[1], fields[2]), side(fields[3], fields[4]));
    let count = usize::from(fields[5]);
    let components: Vec<_> = components
        .chunks_exact(3)
        .take(count)
        .map(|fields| FrameComponent {
            id: fields[0],
            across: usize::from(fields[1] >> 4),
            down: usize::from(fields[1] & 15),
            quantization: usize::from(fields[2]),
        })
        .collect();
    let is_whole = components.len() == count && count > 0 && width > 0 && height > 0;
    is_whole.then_some(Frame { marker, precision: fields[0], width, height, components })
}

/// Returns the orientation of the EXIF data; none where it is missing or invalid.
#[must_use]
pub fn orientation(file: &[u8]) -> Orientation {
    let exif = |segment: Segment<'_>| match segment.marker {
        APP1 => segment.data.strip_prefix(b"Exif\0\0").and_then(Orientation::from_exif_chunk),
        _ => None,
    };
    head(file).find_map(exif).unwrap_or(Orientation::NoTransforms)
}

/// Returns the offset behind the image data's end marker; `None` without one. Cameras write a small picture with an end of its own before
/// the image data, and other data behind the end.
#[must_use]
pub fn end(file: &[u8]) -> Option<usize> {
    let scan = head(file).find(|segment| segment.marker == SOS)?;
    Some(scan.end + memchr::memmem::find(&file[scan.end..], b"\xFF\xD9")? + 2)
}

/// Returns the offset of the first marker at or behind an offset within image data, but for restart markers; the file's end, if none is.
#[must_use]
pub fn next_marker(file: &[u8], at: usize) -> usize {
    let behind = file.get(at..).unwrap_or_default();
    let is_marker = |found: &usize| !matches!(behind.get(found + 1), None | Some(0 | 0xFF | 0xD0..=0xD7));
    memchr::memchr_iter(0xFF, behind).find(is_marker).map_or(file.len(), |found| at + found)
}
