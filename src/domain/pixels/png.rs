//! Reads a PNG row by row. Only the chunks that its pixels need reach the decoder: no text and no colour profile is ever unpacked.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use image::metadata::Orientation;
use png::{BitDepth, ColorType, Decoder, Transformations};

use super::plane::{Channel, Plane, Side};

const SIGNATURE: usize = 8;

/// A chunk of a PNG.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
    /// The whole chunk, with its length and checksum.
    bytes: &'a [u8],
}

/// Returns the first chunk; `None` when it is not whole.
fn chunk(file: &[u8]) -> Option<Chunk<'_>> {
    let (length, rest) = file.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let bytes = file.get(..length.checked_add(12)?)?;
    Some(Chunk { kind: *rest.first_chunk()?, data: &bytes[8..8 + length], bytes })
}

fn chunks(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = file.get(SIGNATURE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let found = chunk(rest)?;
        rest = &rest[found.bytes.len()..];
        Some(found)
    })
}

/// Returns width and height in pixels; `None` when the header cannot be.
#[must_use]
pub fn dimensions(file: &[u8]) -> Option<(u32, u32)> {
    let header = chunks(file).next().filter(|chunk| chunk.kind == *b"IHDR")?;
    let (sides, [depth, colours, compression, filter, interlacing]) =
        (header.data.first_chunk::<8>()?, *header.data.last_chunk::<5>()?);
    let [width, height] =
        [0, 4].map(|at| u32::from_be_bytes([sides[at], sides[at + 1], sides[at + 2], sides[at + 3]]));
    let depths: &[u8] = match colours {
        0 => &[1, 2, 4, 8, 16],
        3 => &[1, 2, 4, 8],
        2 | 4 | 6 => &[8, 16],
        _ => &[],
    };
    let is_sane = header.data.len() == 13
        && depths.contains(&depth)
        && interlacing < 2
        && (compression, filter) == (0, 0);
    let side = 1..=i32::MAX as u32;
    (is_sane && side.contains(&width) && side.contains(&height)).then_some((width, height))
}

/// Returns the offset behind the end chunk; `None` without one.
#[must_use]
pub fn end(file: &[u8]) -> Option<usize> {
    let mut at = SIGNATURE;
    chunks(file).find_map(|chunk| {
        at += chunk.bytes.len();
        (chunk.kind == *b"IEND").then_some(at)
    })
}

/// Returns the orientation of the EXIF data; none where it is missing or invalid.
#[must_use]
pub fn orientation(file: &[u8]) -> Orientation {
    let mut before_end = chunks(file).take_while(|chunk| chunk.kind != *b"IEND");
    let exif = before_end.find(|chunk| chunk.kind == *b"eXIf");
    exif.and_then(|chunk| Orientation::from_exif_chunk(chunk.data)).unwrap_or(Orientation::NoTransforms)
}

/// Reads a PNG's pixels into planes of `cells`: one for brightness, or three for red, green and blue.
///
/// # Errors
/// When the pixels cannot be decoded.
pub fn read(
    file: &[u8],
    (width, height): (usize, usize),
    cells: (usize, usize),
    colour: bool,
) -> Result<Vec<Plane>, String> {
    let mut decoder = Decoder::new(Needed::of(file));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| plain(&error))?;
    let (colours, depth) = reader.output_color_type();
    let channels = match (colours, depth) {
        (ColorType::Grayscale, BitDepth::Eight) => 1,
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => 2,
        (ColorType::Rgb, BitDepth::Eight) => 3,
        (ColorType::Rgba, BitDepth::Eight) => 4,
        _ => return Err("its colours are of a kind that cannot be".to_owned()),
    };
    let plane = || Plane::new(Side::of_pixels(width), Side::of_pixels(height), cells);
    let mut planes: Vec<_> = (0..if colour { 3 } else { 1 }).map(|_| plane()).collect();
    let mut row = vec![0; reader.output_line_size(width as u32).ok_or("its rows are too long")?];
    let mut samples = vec![0; width];
    let is_interlaced = reader.info().interlaced;
    for line in lines(width, height, is_interlaced) {
        let is_there = reader.read_row(&mut row).map_err(|error| plain(&error))?.is_some();
        if !is_there {
            return Err("its pixels end too early".to_owned());
        }
        for (number, plane) in planes.iter_mut().enumerate() {
            if is_interlaced {
                samples.fill(0);
            }
            let channel = match (channels, colour) {
                (1 | 2, _) => Channel::Byte(0),
                (_, true) => Channel::Byte(number),
                (_, false) => Channel::Luma,
            };
            channel.take(&row[..line.count * channels], channels, &mut samples, (line.first, line.step));
            plane.add(line.y, &samples);
        }
    }
    // What is behind the pixels is not unpacked, but its checksum is compared.
    reader.read_row(&mut row).map_err(|error| plain(&error))?;
    Ok(planes)
}

/// A row as it is in the file: a part of the picture's row `y`, from a first column on.
struct Line {
    y: usize,
    first: usize,
    step: usize,
    count: usize,
}

/// The passes of an interlaced PNG (Adam7): first column and row, and the steps to the next.
const PASSES: [(usize, usize, usize, usize); 7] =
    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)];

/// Returns the rows in the file's order.
fn lines(width: usize, height: usize, is_interlaced: bool) -> impl Iterator<Item = Line> {
    let passes = if is_interlaced { &PASSES[..] } else { &[(0, 0, 1, 1)] };
    passes.iter().filter(move |(first, ..)| *first < width).flat_map(move |&(first, top, step, down)| {
        let count = (width - first).div_ceil(step);
        (top..height).step_by(down).map(move |y| Line { y, first, step, count })
    })
}

/// What is wrong, in plain words, and behind it in the decoder's.
fn plain(error: &png::DecodingError) -> String {
    let words = error.to_string();
    let cause = if words.contains("CRC") {
        "a checksum (CRC) is wrong, so bytes of the file were changed"
    } else if words.contains("deflate") {
        "its compressed pixels (IDAT) are damaged"
    } else if words.contains("end of file") || matches!(error, png::DecodingError::IoError(_)) {
        "its pixels end too early"
    } else {
        return words;
    };
    format!("{cause} ({words})")
}

/// The chunks that pixels need, one after the other.
struct Needed<'a> {
    current: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Needed<'a> {
    fn of(file: &'a [u8]) -> Needed<'a> {
        let (current, rest) = file.split_at(SIGNATURE.min(file.len()));
        Needed { current, rest }
    }
}

impl BufRead for Needed<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty()
            && let Some(chunk) = chunk(self.rest)
        {
            self.rest = if chunk.kind == *b"IEND" { &[] } else { &self.rest[chunk.bytes.len()..] };
            if [*b"IHDR", *b"PLTE", *b"tRNS", *b"IDAT", *b"IEND"].contains(&chunk.kind) {
                self.current = chunk.bytes;
            }
        }
        Ok(self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current = &self.current[amount..];
    }
}

impl Read for Needed<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(out)?;
        self.consume(length);
        Ok(length)
    }
}

/// The decoder asks for it, and does not use it.
impl Seek for Needed<'_> {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
