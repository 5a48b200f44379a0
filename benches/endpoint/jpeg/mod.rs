//! JPEG encoder for the photos of the benchmark: colour at half resolution (4:2:0), as phones write it, baseline or progressive.
//!
//! Written here, because the crate `image` writes neither, and the licence of `jpeg-encoder` (IJG) is not among those in `deny.toml`. The
//! progressive files have the ten scans of libjpeg's default, but no runs of empty blocks, because the standard code tables have none.

use std::ops::RangeInclusive;

use image::RgbImage;

mod tables;

use tables::{AC, Codes, DC, QUANTIZATION, ZIGZAG};

/// 64 coefficients, lowest frequency first.
type Block = [i16; 64];

/// How the coefficients are ordered in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Baseline,
    Progressive,
}

/// A colour component: its blocks, row by row.
struct Component {
    /// Blocks of an MCU (16 x 16 pixels) along one side: 2 for brightness, 1 for colour.
    side: usize,
    columns: usize,
    blocks: Vec<Block>,
}

/// One pass over the blocks.
struct Scan {
    components: RangeInclusive<usize>,
    frequencies: RangeInclusive<usize>,
    /// Number of low bits that an earlier scan left out; `None` in the first scan of these frequencies.
    earlier: Option<u8>,
    /// Number of low bits that this scan leaves out.
    left_out: u8,
}

impl Scan {
    const fn new(
        components: RangeInclusive<usize>,
        frequencies: RangeInclusive<usize>,
        (earlier, left_out): (Option<u8>, u8),
    ) -> Scan {
        Scan { components, frequencies, earlier, left_out }
    }

    fn all(mode: Mode) -> Vec<Scan> {
        match mode {
            Mode::Baseline => vec![Scan::new(0..=2, 0..=63, (None, 0))],
            Mode::Progressive => vec![
                Scan::new(0..=2, 0..=0, (None, 1)),
                Scan::new(0..=0, 1..=5, (None, 2)),
                Scan::new(2..=2, 1..=63, (None, 1)),
                Scan::new(1..=1, 1..=63, (None, 1)),
                Scan::new(0..=0, 6..=63, (None, 2)),
                Scan::new(0..=0, 1..=63, (Some(2), 1)),
                Scan::new(0..=2, 0..=0, (Some(1), 0)),
                Scan::new(2..=2, 1..=63, (Some(1), 0)),
                Scan::new(1..=1, 1..=63, (Some(1), 0)),
                Scan::new(0..=0, 1..=63, (Some(1), 0)),
            ],
        }
    }
}

/// Encodes a picture; `quality` is 1 to 100, on libjpeg's scale. Progressive pictures must consist of whole MCUs.
pub fn encode(picture: &RgbImage, quality: u8, mode: Mode) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    assert!(mode == Mode::Baseline || (width % 16, height % 16) == (0, 0), "whole MCUs");
    let steps = QUANTIZATION.map(|steps| scaled(&steps, quality));
    let components = components(picture, &steps);
    let mut file = vec![0xFF, 0xD8];
    segment(&mut file, 0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    for (number, steps) in steps.iter().enumerate() {
        let steps = ZIGZAG.map(|at| steps[at] as u8);
        segment(&mut file, 0xDB, &[&[number as u8], &steps[..]].concat());
    }
    let [width, height] = [width, height].map(|length| (length as u16).to_be_bytes());
    let frame = [&[8], &height[..], &width[..], &[3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]].concat();
    segment(&mut file, if mode == Mode::Baseline { 0xC0 } else { 0xC2 }, &frame);
    for (class, tables) in [DC, AC].iter().enumerate() {
        for (number, (lengths, values)) in tables.iter().enumerate() {
            segment(&mut file, 0xC4, &[&[(class << 4 | number) as u8], &lengths[..], values].concat());
        }
    }
    for scan in Scan::all(mode) {
        write_scan(&mut file, &components, &scan);
    }
    file.extend([0xFF, 0xD9]);
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend([0xFF, marker]);
    file.extend((data.len() as u16 + 2).to_be_bytes());
    file.extend(data);
}

fn scaled(steps: &[u16; 64], quality: u8) -> [u16; 64] {
    let quality = u16::from(quality);
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    steps.map(|step| ((step * percent + 50) / 100).clamp(1, 255))
}

/// Transforms and quantizes the picture. Pixels beyond its edges repeat the last ones.
fn components(picture: &RgbImage, steps: &[[u16; 64]; 2]) -> [Component; 3] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (mcu_columns, mcu_rows) = (width.div_ceil(16), height.div_ceil(16));
    let bytes = picture.as_raw();
    let pixel = |x: usize, y: usize| {
        let at = (y.min(height - 1) * width + x.min(width - 1)) * 3;
        [bytes[at], bytes[at + 1], bytes[at + 2]].map(f32::from)
    };
    let cosines = cosines();
    std::array::from_fn(|number| {
        let side = if number == 0 { 2 } else { 1 };
        let columns = mcu_columns * side;
        let sample = |x: usize, y: usize| match number {
            0 => mix(pixel(x, y), WEIGHTS[0]) - 128.0,
            _ => {
                let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
                let sum: f32 =
                    corners.map(|(dx, dy)| mix(pixel(2 * x + dx, 2 * y + dy), WEIGHTS[number])).iter().sum();
                sum / 4.0
            }
        };
        let block = |at: usize| {
            let (left, top) = (at % columns * 8, at / columns * 8);
            let samples = std::array::from_fn(|at| sample(left + at % 8, top + at / 8));
            let frequencies = transform(&samples, &cosines);
            let steps = &steps[number.min(1)];
            ZIGZAG.map(|at| (frequencies[at] / f32::from(steps[at])).round() as i16)
        };
        Component { side, columns, blocks: (0..columns * mcu_rows * side).map(block).collect() }
    })
}

/// Weights of red, green and blue in each component.
const WEIGHTS: [[f32; 3]; 3] = [[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]];

fn mix(pixel: [f32; 3], weights: [f32; 3]) -> f32 {
    pixel[0] * weights[0] + pixel[1] * weights[1] + pixel[2] * weights[2]
}

type Matrix = [[f32; 8]; 8];

/// Returns the matrix of the cosine transform, one row per frequency.
fn cosines() -> Matrix {
    std::array::from_fn(|frequency| {
        let scale = if frequency == 0 { 0.125_f32 } else { 0.25 };
        std::array::from_fn(|at| {
            let angle = (2 * at + 1) as f32 * frequency as f32 * std::f32::consts::PI / 16.0;
            scale.sqrt() * angle.cos()
        })
    })
}

fn transform(samples: &[f32; 64], cosines: &Matrix) -> [f32; 64] {
    let mut rows = [0.0; 64];
    for y in 0..8 {
        for (u, cosines) in cosines.iter().enumerate() {
            rows[y * 8 + u] = (0..8).map(|x| samples[y * 8 + x] * cosines[x]).sum();
        }
    }
    let mut all = [0.0; 64];
    for (v, cosines) in cosines.iter().enumerate() {
        for u in 0..8 {
            all[v * 8 + u] = (0..8).map(|y| rows[y * 8 + u] * cosines[y]).sum();
        }
    }
    all
}

fn write_scan(file: &mut Vec<u8>, components: &[Component; 3], scan: &Scan) {
    let chosen = scan.components.clone();
    let mut header = vec![chosen.clone().count() as u8];
    for number in chosen.clone() {
        let table = number.min(1) as u8;
        header.extend([number as u8 + 1, table << 4 | table]);
    }
    let earlier = scan.earlier.unwrap_or(0);
    header.extend([*scan.frequencies.start() as u8, *scan.frequencies.end() as u8]);
    header.push(earlier << 4 | scan.left_out);
    segment(file, 0xDA, &header);

    let codes: [_; 2] = std::array::from_fn(|number| [Codes::of(&DC[number]), Codes::of(&AC[number])]);
    let mut bits = Bits { out: file, waiting: 0, count: 0 };
    let mut last = [0; 3];
    let mut write = |number: usize, at: usize| {
        let [dc, ac] = &codes[number.min(1)];
        let block = &components[number].blocks[at];
        if scan.frequencies.contains(&0) {
            write_first(&mut bits, dc, block[0], scan, &mut last[number]);
        }
        let frequencies = (*scan.frequencies.start()).max(1)..=*scan.frequencies.end();
        if !frequencies.is_empty() {
            match scan.earlier {
                None => write_others(&mut bits, ac, &block[frequencies], scan.left_out),
                Some(_) => refine_others(&mut bits, ac, &block[frequencies], scan.left_out),
            }
        }
    };
    if chosen.start() == chosen.end() {
        (0..components[*chosen.start()].blocks.len()).for_each(|at| write(*chosen.start(), at));
    } else {
        let (mcu_columns, mcus) = (components[1].columns, components[1].blocks.len());
        for mcu in 0..mcus {
            let (column, row) = (mcu % mcu_columns, mcu / mcu_columns);
            for number in chosen.clone() {
                let Component { side, columns, .. } = components[number];
                for part in 0..side * side {
                    let (x, y) = (column * side + part % side, row * side + part / side);
                    write(number, y * columns + x);
                }
            }
        }
    }
    bits.finish();
}

/// Writes the lowest frequency: its difference to the block before, or one more bit of it.
fn write_first(bits: &mut Bits, codes: &Codes, value: i16, scan: &Scan, last: &mut i16) {
    let value = value >> scan.left_out;
    if scan.earlier.is_some() {
        bits.put(value as u16 & 1, 1);
        return;
    }
    let difference = value - *last;
    *last = value;
    let size = size(difference);
    bits.put_code(codes, size);
    bits.put_value(difference, size);
}

/// Writes the other frequencies: the number of zeros before each value, and the value.
fn write_others(bits: &mut Bits, codes: &Codes, values: &[i16], left_out: u8) {
    let mut zeros = 0;
    for value in values {
        // Rounds towards zero.
        let value = value / (1 << left_out);
        if value == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 {
            bits.put_code(codes, SIXTEEN_ZEROS);
            zeros -= 16;
        }
        let size = size(value);
        bits.put_code(codes, zeros << 4 | size);
        bits.put_value(value, size);
        zeros = 0;
    }
    if zeros > 0 {
        bits.put_code(codes, END_OF_BLOCK);
    }
}

/// Writes one more bit of each value: those that become 1 or -1 by it as in [`write_others`], and behind them the bits of the others.
fn refine_others(bits: &mut Bits, codes: &Codes, values: &[i16], left_out: u8) {
    let magnitude = |value: &i16| value.unsigned_abs() >> left_out;
    let last_new = values.iter().rposition(|value| magnitude(value) == 1);
    let (mut zeros, mut corrections) = (0, Vec::new());
    for (at, value) in values.iter().enumerate() {
        let size = magnitude(value);
        if size == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 && last_new.is_some_and(|last| at <= last) {
            bits.put_code(codes, SIXTEEN_ZEROS);
            bits.put_each(&mut corrections);
            zeros -= 16;
        }
        if size > 1 {
            corrections.push(size & 1);
            continue;
        }
        bits.put_code(codes, zeros << 4 | 1);
        bits.put(u16::from(*value > 0), 1);
        bits.put_each(&mut corrections);
        zeros = 0;
    }
    if zeros > 0 || !corrections.is_empty() {
        bits.put_code(codes, END_OF_BLOCK);
        bits.put_each(&mut corrections);
    }
}

const END_OF_BLOCK: u8 = 0x00;
const SIXTEEN_ZEROS: u8 = 0xF0;

/// Returns the number of bits of a value without its sign.
fn size(value: i16) -> u8 {
    (16 - value.unsigned_abs().leading_zeros()) as u8
}

/// Writes bits, and a zero behind each byte that could begin a marker.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    waiting: u32,
    count: u8,
}

impl Bits<'_> {
    fn put(&mut self, bits: u16, count: u8) {
        self.waiting = self.waiting << count | u32::from(bits);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.waiting >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
    }

    fn put_code(&mut self, codes: &Codes, symbol: u8) {
        let (code, length) = codes.0[usize::from(symbol)];
        assert_ne!(length, 0, "a code for {symbol:#x}");
        self.put(code, length);
    }

    /// Writes the low bits of a value; a negative one less 1.
    fn put_value(&mut self, value: i16, size: u8) {
        let value = if value < 0 { value - 1 } else { value };
        self.put(value as u16 & ((1_u32 << size) - 1) as u16, size);
    }

    fn put_each(&mut self, bits: &mut Vec<u16>) {
        bits.drain(..).for_each(|bit| self.put(bit, 1));
    }

    fn finish(mut self) {
        let missing = (8 - self.count) % 8;
        self.put((1 << missing) - 1, missing);
    }
}
