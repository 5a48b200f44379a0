//! Every kind of JPEG and PNG gives the picture that was written, and no file costs more than it has.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use proptest::prelude::*;

use super::*;

/// The level of a block of a channel.
type Level = fn(usize, usize) -> i32;

const SLOPE: Level = |x, y| (40 + x * 17 + y * 9) as i32;
const CHESS: Level = |x, y| if (x + y).is_multiple_of(2) { 40 } else { 200 };
const FLAT: Level = |_, _| 90;

/// A JPEG whose blocks are of one colour each, with steps of 8.
struct Flat {
    marker: u8,
    width: usize,
    height: usize,
    ids: &'static [u8],
    /// Blocks across and down of each channel in an MCU, and its levels.
    channels: Vec<(usize, usize, Level)>,
    restart_interval: usize,
    has_codes: bool,
    adobe: Option<u8>,
    wide_steps: bool,
    interleaved: bool,
    /// Bits that the first scan of a progressive file leaves out, and later scans add.
    left_out: u8,
}

fn flat(channels: &[(usize, usize, Level)]) -> Flat {
    Flat {
        marker: jpeg::SOF0,
        width: 80,
        height: 48,
        ids: &[1, 2, 3, 4],
        channels: channels.to_vec(),
        restart_interval: 0,
        has_codes: true,
        adobe: None,
        wide_steps: false,
        interleaved: true,
        left_out: 0,
    }
}

#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl BitWriter {
    fn put(&mut self, bits: u32, count: u32) {
        for at in (0..count).rev() {
            self.pending = self.pending << 1 | bits >> at & 1;
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.pending as u8);
                if self.pending as u8 == 0xFF {
                    self.bytes.push(0);
                }
                (self.pending, self.count) = (0, 0);
            }
        }
    }

    fn end(&mut self) {
        while self.count > 0 {
            self.put(1, 1);
        }
    }

    /// Writes the code of a symbol.
    fn symbol(&mut self, (counts, symbols): &standard_codes::CodeTable, symbol: u8) {
        let (mut code, mut index) = (0, 0);
        for (length, count) in (1..).zip(counts) {
            for _ in 0..*count {
                if symbols[index] == symbol {
                    return self.put(code, length);
                }
                (code, index) = (code + 1, index + 1);
            }
            code <<= 1;
        }
        panic!("no code for {symbol}");
    }

    fn difference(&mut self, difference: i32) {
        let size = 32 - difference.unsigned_abs().leading_zeros();
        self.symbol(&standard_codes::DC[0], size as u8);
        let bits = if difference < 0 { difference + (1 << size) - 1 } else { difference };
        self.put(bits as u32, size);
    }
}

fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    [&[0xFF, marker], &(data.len() as u16 + 2).to_be_bytes()[..], data].concat()
}

impl Flat {
    fn most(&self) -> (usize, usize) {
        let most = |of: fn(&(usize, usize, Level)) -> usize| self.channels.iter().map(of).max().unwrap();
        (most(|channel| channel.0), most(|channel| channel.1))
    }

    fn write(&self) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8];
        if let Some(transform) = self.adobe {
            file.extend(segment(jpeg::APP14, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat()));
        }
        let steps = if self.wide_steps {
            [&[0x10][..], &[0, 8].repeat(64)].concat()
        } else {
            [&[0][..], &[8; 64]].concat()
        };
        file.extend(segment(jpeg::DQT, &steps));
        if self.has_codes {
            for (class, (counts, symbols)) in [(0, standard_codes::DC[0]), (0x10, standard_codes::AC[0])] {
                file.extend(segment(jpeg::DHT, &[&[class], &counts[..], symbols].concat()));
            }
        }
        if self.restart_interval > 0 {
            file.extend(segment(jpeg::DRI, &(self.restart_interval as u16).to_be_bytes()));
        }
        let channels = self.channels.iter().zip(self.ids);
        let channels = channels.flat_map(|((across, down, _), id)| [*id, (across << 4 | down) as u8, 0]);
        let sides = [self.height, self.width].map(|side| (side as u16).to_be_bytes()).concat();
        file.extend(segment(
            self.marker,
            &[&[8], &sides[..], &[self.channels.len() as u8], &channels.collect::<Vec<_>>()].concat(),
        ));
        let all: Vec<usize> = (0..self.channels.len()).collect();
        let scans: Vec<Vec<usize>> =
            if self.interleaved { vec![all] } else { all.into_iter().map(|one| vec![one]).collect() };
        let first = (0, self.left_out);
        let later = (0..self.left_out).rev().map(|left| (left + 1, left));
        for (earlier, left_out) in [first].into_iter().chain(later) {
            for scan in &scans {
                self.write_scan(&mut file, scan, earlier, left_out);
            }
        }
        file.extend([0xFF, jpeg::EOI]);
        file
    }

    fn write_scan(&self, file: &mut Vec<u8>, scan: &[usize], earlier: u8, left_out: u8) {
        let channels = scan.iter().flat_map(|number| [self.ids[*number], 0]);
        let last = if self.marker == jpeg::SOF2 { 0 } else { 63 };
        let tail = [0, last, earlier << 4 | left_out];
        file.extend(segment(
            jpeg::SOS,
            &[&[scan.len() as u8], &channels.collect::<Vec<_>>()[..], &tail].concat(),
        ));
        let (most_across, most_down) = self.most();
        let mut bits = BitWriter::default();
        let mut last = [0; 4];
        let (across, down, _) = self.channels[scan[0]];
        let (columns, rows) = if scan.len() > 1 {
            (self.width.div_ceil(8 * most_across), self.height.div_ceil(8 * most_down))
        } else {
            ((self.width * across).div_ceil(8 * most_across), (self.height * down).div_ceil(8 * most_down))
        };
        for mcu in 0..columns * rows {
            if self.restart_interval > 0 && mcu > 0 && mcu % self.restart_interval == 0 {
                bits.end();
                bits.bytes.extend([0xFF, 0xD0 + ((mcu / self.restart_interval - 1) % 8) as u8]);
                last = [0; 4];
            }
            for number in scan {
                let (across, down, level) = self.channels[*number];
                let (across, down) = if scan.len() > 1 { (across, down) } else { (1, 1) };
                for line in 0..down {
                    for column in 0..across {
                        let value = level(mcu % columns * across + column, mcu / columns * down + line) - 128;
                        if earlier > 0 {
                            bits.put((value >> left_out & 1) as u32, 1);
                            continue;
                        }
                        let value = value >> left_out;
                        bits.difference(value - last[*number]);
                        last[*number] = value;
                        if self.marker != jpeg::SOF2 {
                            // Two coefficients and an end of block.
                            bits.symbol(&standard_codes::AC[0], 0x21);
                            bits.put(0, 1);
                            bits.symbol(&standard_codes::AC[0], 0xF0);
                            bits.symbol(&standard_codes::AC[0], 0x00);
                        }
                    }
                }
            }
        }
        bits.end();
        file.extend(bits.bytes);
    }

    /// Reads it, a cell for each block of 8 x 8 pixels.
    fn read(&self, colour: bool) -> Vec<u8> {
        let means = jpeg_dc::read(&self.write(), (self.width / 8, self.height / 8), colour).unwrap();
        assert_eq!(means.read.0, means.read.1);
        colours(&means, colour)
    }

    fn expected(&self, level: Level) -> Vec<u8> {
        let (columns, rows) = (self.width / 8, self.height / 8);
        (0..columns * rows).map(|at| level(at % columns, at / columns) as u8).collect()
    }
}

#[test]
fn every_kind_of_jpeg_is_read_from_its_first_coefficients() {
    let grey = [(1, 1, CHESS)];
    let colour = [(1, 1, SLOPE), (1, 1, FLAT), (1, 1, FLAT)];
    let sampled = |across, down| flat(&[(across, down, SLOPE), (1, 1, FLAT), (1, 1, FLAT)]);
    let progressive = |left_out, channels| Flat { marker: jpeg::SOF2, left_out, ..flat(channels) };
    for (what, file) in [
        ("grey", flat(&grey)),
        ("grey, of 2 x 2 samples", flat(&[(2, 2, CHESS)])),
        ("4:4:4", flat(&colour)),
        ("4:2:0", sampled(2, 2)),
        ("4:2:2", sampled(2, 1)),
        ("4:4:0", sampled(1, 2)),
        ("4:1:1", sampled(4, 1)),
        ("extended", Flat { marker: jpeg::SOF1, ..flat(&colour) }),
        ("not interleaved", Flat { interleaved: false, ..sampled(2, 2) }),
        ("restart markers", Flat { restart_interval: 1, ..sampled(2, 2) }),
        ("restart markers across rows", Flat { restart_interval: 7, ..flat(&colour) }),
        ("without tables of codes", Flat { has_codes: false, ..flat(&colour) }),
        ("steps of 16 bits", Flat { wide_steps: true, ..flat(&colour) }),
        ("progressive", progressive(0, &colour)),
        ("progressive, a bit later", progressive(1, &colour)),
        ("progressive, three bits later", progressive(3, &grey)),
        ("progressive, not interleaved", Flat { interleaved: false, ..progressive(1, &colour) }),
        ("progressive, restart markers", Flat { restart_interval: 4, ..progressive(2, &colour) }),
        ("two channels", flat(&[(1, 1, SLOPE), (1, 1, FLAT)])),
    ] {
        assert_eq!(file.read(false), file.expected(file.channels[0].2), "{what}");
    }
}

#[test]
fn colours_are_those_of_the_whole_picture() {
    let three = [(1, 1, SLOPE), (1, 1, FLAT), (1, 1, CHESS)];
    let four = [(1, 1, SLOPE), (1, 1, FLAT), (1, 1, CHESS), (1, 1, SLOPE)];
    for (what, file) in [
        ("YCbCr", flat(&three)),
        ("YCbCr by Adobe", Flat { adobe: Some(1), ..flat(&three) }),
        ("RGB by Adobe", Flat { adobe: Some(0), ..flat(&three) }),
        ("CMYK", flat(&four)),
        ("CMYK by Adobe", Flat { adobe: Some(0), ..flat(&four) }),
        ("YCCK", Flat { adobe: Some(2), ..flat(&four) }),
    ] {
        let bytes = Flat { ids: &[1, 2, 3, 4], ..file }.write();
        // The decoder needs the coefficients that are passed here: they are 0, or hardly visible.
        let whole = shrink_whole(&bytes, (10, 6), true).unwrap();
        let means = jpeg_dc::read(&bytes, (10, 6), true).unwrap();
        let worst = whole.iter().zip(&colours(&means, true)).map(|(one, other)| one.abs_diff(*other)).max();
        assert!(worst.unwrap() <= 4, "{what}: {worst:?}");
    }
    // Without Adobe's segment, the ids say so. The other decoder does not know it.
    let named = Flat { ids: b"RGB", ..flat(&three) }.read(true);
    assert_eq!(named, Flat { adobe: Some(0), ..flat(&three) }.read(true));
}

#[test]
fn kinds_that_nobody_reads_are_refused_by_name() {
    let file = flat(&[(1, 1, SLOPE)]);
    let frame = |marker| Flat { marker, ..flat(&[(1, 1, SLOPE)]) }.write();
    let at_frame = file.write().windows(2).position(|two| two == [0xFF, jpeg::SOF0]).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = file.write();
        bytes[at_frame + at] = to;
        bytes
    };
    let mut without_steps = file.write();
    without_steps[3] = 0xFE;
    for (bytes, expected) in [
        (frame(0xC3), "a lossless JPEG"),
        (frame(0xC5), "a hierarchical JPEG"),
        (frame(0xC9), "arithmetic coding"),
        (frame(0xCA), "arithmetic coding"),
        (frame(0xCB), "a lossless JPEG"),
        (changed(4, 12), "12 bits a sample"),
        (changed(11, 0x51), "channels that cannot be"),
        (changed(12, 4), "channels that cannot be"),
        (without_steps, "missing (DQT)"),
        (changed(10, 9), "the header of its image data cannot be read"),
        ([&file.write()[..at_frame + 13], b"\xFF\xD9"].concat(), "none of its image data"),
    ] {
        let said = shrink(&bytes, PhotoFormat::Jpeg, (10, 6), false).unwrap_err();
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(dimensions(&bytes, PhotoFormat::Jpeg).is_some());
    }
}

/// The share that is said to be readable, and the picture.
fn damaged(bytes: &[u8]) -> (usize, Vec<u8>) {
    let means = jpeg_dc::read(bytes, (10, 6), false).unwrap();
    (means.read.0 * 100 / means.read.1, colours(&means, false))
}

#[test]
fn what_is_before_damage_is_read_and_so_is_what_is_behind_a_restart_marker() {
    let whole = flat(&[(1, 1, SLOPE)]);
    let bytes = whole.write();
    let data = bytes.windows(2).position(|two| two == [0xFF, jpeg::SOS]).unwrap() + 10;
    let half = data + (bytes.len() - data) / 2;
    let (percent, picture) = damaged(&[&bytes[..half], b"\xFF\xD9"].concat());
    assert!((40..60).contains(&percent), "{percent}");
    let expected = whole.expected(SLOPE);
    assert!(picture[..20] == expected[..20] && picture[59] == 128, "{picture:?}");

    let restarted = Flat { restart_interval: 10, ..flat(&[(1, 1, SLOPE)]) };
    let mut bytes = restarted.write();
    let at = bytes.windows(2).position(|two| two == [0xFF, 0xD0]).unwrap();
    bytes[at + 3..at + 9].fill(0xFE);
    let (percent, picture) = damaged(&bytes);
    assert!((80..100).contains(&percent), "{percent}");
    assert!(picture[..10] == expected[..10] && picture[20..] == expected[20..], "{picture:?}");
}

#[test]
fn a_head_that_lies_costs_nothing() {
    let file = flat(&[(1, 1, SLOPE)]);
    let said = |width, height| {
        let file = Flat { width: 80, height: 48, ..flat(&[(1, 1, SLOPE)]) };
        let mut bytes = file.write();
        let at = bytes.windows(2).position(|two| two == [0xFF, jpeg::SOF0]).unwrap() + 5;
        bytes[at..at + 4].copy_from_slice(&[u16::to_be_bytes(height), u16::to_be_bytes(width)].concat());
        shrink(&bytes, PhotoFormat::Jpeg, (48, 48), false)
    };
    assert!(file.write().len() < 700);
    assert!(said(65_535, 65_535).unwrap_err().contains("4294836225 pixels"));
    let large = said(14_000, 14_000).unwrap();
    assert!(large.damage.unwrap().contains(" 0 % of it"));
}

/// Scans that come again, or belong to nothing, are passed: a file has as many scans to read as a coefficient has bits.
#[test]
fn a_thousand_scans_are_not_read() {
    let file = Flat { marker: jpeg::SOF2, left_out: 2, ..flat(&[(1, 1, SLOPE)]) };
    let bytes = file.write();
    let end = bytes.len() - 2;
    let first = bytes.windows(2).position(|two| two == [0xFF, jpeg::SOS]).unwrap();
    let bomb = [&bytes[..end], &bytes[first..end].repeat(1000), &bytes[end..]].concat();
    let read = |bytes: &[u8]| jpeg_dc::read(bytes, (10, 6), false).unwrap();
    assert_eq!(read(&bomb).read, read(&bytes).read);
    assert_eq!(colours(&read(&bomb), false), file.expected(SLOPE));
}

/// Broken tables that no scan uses do no harm, so nothing looked at them.
#[test]
fn tables_that_no_scan_needs_are_not_built() {
    let file = flat(&[(1, 1, SLOPE)]);
    let bytes = file.write();
    let [counts, symbols] = [[255; 16], [0; 16]].map(|counts| counts.to_vec());
    let broken = segment(jpeg::DHT, &[&[3][..], &counts, &[7; 4080]].concat());
    let empty = segment(jpeg::DHT, &[&[0x13][..], &symbols].concat());
    let bomb = [&bytes[..2], &broken.repeat(20), &empty.repeat(1000), &bytes[2..]].concat();
    let read = jpeg_dc::read(&bomb, (10, 6), false).unwrap();
    assert_eq!(colours(&read, false), file.expected(SLOPE));
}

fn png_of(picture: impl Into<DynamicImage>) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.into().write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

fn png_small(file: &[u8], colour: bool) -> Vec<u8> {
    shrink(file, PhotoFormat::Png, (5, 3), colour).unwrap().bytes
}

/// A picture of 10 x 6 pixels with pairs of equal ones, and what it is at half the size.
fn pairs() -> (RgbImage, Vec<u8>) {
    let pixel = |x: u32, y: u32| [(x * 50) as u8, (y * 80) as u8, 30];
    let small = (0..15).flat_map(|at| pixel(at % 5, at / 5)).collect();
    (RgbImage::from_fn(10, 6, |x, y| Rgb(pixel(x / 2, y / 2))), small)
}

#[test]
fn every_kind_of_png_is_read() {
    let (picture, small) = pairs();
    let grey: Vec<u8> = small.chunks(3).map(|pixel| plane::luma(pixel[0], pixel[1], pixel[2])).collect();
    let picture = DynamicImage::from(picture);
    for (what, file) in [
        ("8 bits", png_of(picture.clone())),
        ("16 bits", png_of(picture.to_rgb16())),
        ("transparent", png_of(picture.to_rgba8())),
        ("transparent, 16 bits", png_of(picture.to_rgba16())),
    ] {
        assert_eq!(png_small(&file, true), small, "{what}");
        assert_eq!(png_small(&file, false), grey, "{what}");
    }
    let levels = GrayImage::from_fn(10, 6, |x, y| Luma([grey[(y / 2 * 5 + x / 2) as usize]]));
    let levels = DynamicImage::from(levels);
    for (what, file) in [
        ("grey", png_of(levels.clone())),
        ("grey, 16 bits", png_of(levels.to_luma16())),
        ("grey, transparent", png_of(levels.to_luma_alpha8())),
    ] {
        assert_eq!(png_small(&file, false), grey, "{what}");
        assert_eq!(
            png_small(&file, true),
            grey.iter().flat_map(|level| [*level; 3]).collect::<Vec<_>>(),
            "{what}"
        );
    }
    // Palette and interlaced: the files in tests/it/pictures, which tests/it/pixels.rs compares.
}

/// A chunk with its checksum.
fn png_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let bytes = [kind, data].concat();
    let checksum = !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    [&(data.len() as u32).to_be_bytes()[..], &bytes, &checksum.to_be_bytes()].concat()
}

#[test]
fn chunks_that_the_pixels_do_not_need_never_reach_the_decoder() {
    let file = png_of(pairs().0);
    let expected = png_small(&file, false);
    // Neither is a chunk that a decoder accepts: the data is no zlib, the palette is too long, the checksum is wrong.
    let broken_profile = png_chunk(b"iCCP", b"x\0\0not zlib");
    let broken_text = png_chunk(b"zTXt", b"x\0\0not zlib");
    let mut wrong_checksum = png_chunk(b"eXIf", b"II*\0");
    wrong_checksum[12] ^= 1;
    for chunk in [broken_profile, broken_text, wrong_checksum] {
        let file = [&file[..33], &chunk, &file[33..]].concat();
        assert_eq!(png_small(&file, false), expected);
        assert_eq!(
            (dimensions(&file, PhotoFormat::Png), end(&file, PhotoFormat::Png)),
            (Some((10, 6)), Some(file.len()))
        );
    }
}

/// Compressed data of a block that is stored as it is.
fn stored(data: &[u8], is_last: bool) -> Vec<u8> {
    let length = data.len() as u16;
    [&[u8::from(is_last)][..], &length.to_le_bytes(), &(!length).to_le_bytes(), data].concat()
}

/// Behind the pixels is more than the decoder's buffer takes, and behind that, data that nobody unpacks without an error.
#[test]
fn pixels_behind_the_last_row_are_not_unpacked() {
    let header = [&10_u32.to_be_bytes()[..], &6_u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let rows: Vec<u8> = (0..6).flat_map(|row| [0, 100 + row].into_iter().chain([100 + row; 9])).collect();
    let file = |behind: &[u8]| {
        let data = [b"\x78\x01", &stored(&rows, false)[..], behind].concat();
        let chunks =
            [png_chunk(b"IHDR", &header), png_chunk(b"IDAT", &data), png_chunk(b"IEND", b"")].concat();
        [b"\x89PNG\r\n\x1A\n", &chunks[..]].concat()
    };
    let clean = png_small(&file(&stored(&[], true)), false);
    assert_eq!(clean[..5], [101; 5]);
    let behind = [stored(&[0; 60_000], false).repeat(10), vec![0xFF; 50]].concat();
    assert_eq!(png_small(&file(&behind), false), clean);
    let broken = shrink(&file(&[0xFF; 50]), PhotoFormat::Png, (5, 3), false).unwrap_err();
    assert!(broken.contains("InvalidBlockType"), "it is an error where it is reached: {broken}");
}

#[test]
fn damaged_pngs_are_refused_in_plain_words() {
    let file = png_of(pairs().0);
    let idat = file.windows(4).position(|four| four == b"IDAT").unwrap();
    let with = |change: fn(&mut Vec<u8>, usize)| {
        let mut file = file.clone();
        change(&mut file, idat);
        file
    };
    let short = with(|file, idat| {
        let end = png_chunk(b"IEND", b"");
        file.truncate(idat - 4);
        file.extend(end);
    });
    for (file, expected) in [
        (with(|file, idat| file[idat + 20] ^= 0x55), "its compressed pixels (IDAT) are damaged"),
        (with(|file, _| *file.iter_mut().nth_back(12).unwrap() ^= 1), "a checksum (CRC) is wrong"),
        (with(|file, _| file[30] ^= 1), "a checksum (CRC) is wrong"),
        (short, "IDAT"),
        (with(|file, idat| file.truncate(idat + 30)), "too early"),
    ] {
        let said = shrink(&file, PhotoFormat::Png, (5, 3), false).unwrap_err();
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn headers_that_cannot_be_have_no_dimensions() {
    let file = png_of(pairs().0);
    let with = |at: usize, to: u8| {
        let mut file = file.clone();
        file[at] = to;
        file
    };
    for at in [16, 24, 25, 26, 27, 28, 11, 12] {
        assert_eq!(dimensions(&with(at, 0x83), PhotoFormat::Png), None, "byte {at}");
    }
    assert_eq!(dimensions(&file[..30], PhotoFormat::Png), None);
    let jpeg = flat(&[(1, 1, SLOPE)]).write();
    assert_eq!(dimensions(&jpeg, PhotoFormat::Jpeg), Some((80, 48)));
    assert_eq!(dimensions(&jpeg[..100], PhotoFormat::Jpeg), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes a file has, it is read or refused.
    #[test]
    fn no_file_is_too_broken(
        kind in 0..4_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        kept in any::<prop::sample::Index>(),
    ) {
        let channels = [(2, 2, SLOPE), (1, 1, FLAT), (1, 1, CHESS)];
        let mut file = match kind {
            0 => flat(&channels).write(),
            1 => Flat { restart_interval: 3, ..flat(&channels) }.write(),
            2 => Flat { marker: jpeg::SOF2, left_out: 2, ..flat(&channels[1..]) }.write(),
            _ => png_of(pairs().0),
        };
        changes.iter().for_each(|(at, byte)| { let at = at.index(file.len()); file[at] = *byte; });
        let kept = if changes.is_empty() { kept.index(file.len()) } else { file.len() };
        file.truncate(kept);
        let format = if kind == 3 { PhotoFormat::Png } else { PhotoFormat::Jpeg };
        let small = dimensions(&file, format).is_some_and(|(width, height)| width.max(height) < 3000);
        if small {
            for colour in [false, true] {
                if let Ok(shrunk) = shrink(&file, format, (7, 5), colour) {
                    prop_assert_eq!(shrunk.bytes.len(), if colour { 105 } else { 35 });
                }
            }
        }
        prop_assert!(end(&file, format).is_none_or(|end| end <= file.len()));
        let _ = orientation(&file, format);
    }
}
