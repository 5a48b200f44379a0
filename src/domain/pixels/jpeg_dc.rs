//! Reads the mean of every 8 x 8 samples of a JPEG: the first of the block's 64 coefficients (DC), which needs neither the others nor
//! their transform. They are a picture at an eighth of the size, in a fifth of the time and in no memory worth naming.
//!
//! Sequential files have all coefficients of a block together, so the others are passed code by code. Progressive files have the first
//! ones in scans of their own; the other scans are passed marker by marker. Every block takes at least a bit of the file: what a head
//! promises costs nothing until its bits come.

use std::sync::Arc;

use super::huffman::{Bits, Codes};
use super::jpeg::{self, Frame, Segment};
use super::plane::{Plane, Side};
use super::standard_codes::{self, CodeTable};

/// The means of a JPEG, shrunk.
#[derive(Debug)]
pub struct Means {
    /// A plane for each channel that was asked for: grey levels times 8, less 128 of them.
    pub planes: Vec<Plane>,
    /// Meaning of the channels.
    pub colours: Colours,
    /// Groups of blocks (MCUs) that were read, and that should be there.
    pub read: (usize, usize),
}

/// Meaning of a JPEG's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    Grey,
    YCbCr,
    Rgb,
    /// Inverted, as Adobe's programs write it.
    Cmyk,
    /// As [`Colours::Cmyk`], with the first three as YCbCr.
    Ycck,
}

/// DC coefficients of a block whose samples are 0 and 255, less 128: what a decoder shows is between them.
const SHOWN: std::ops::RangeInclusive<i64> = -1024..=1016;

/// A channel of the frame, while it is read.
struct Component {
    id: u8,
    /// Blocks of an MCU.
    across: usize,
    down: usize,
    /// Blocks of the channel itself, without those that only fill MCUs.
    columns: usize,
    rows: usize,
    /// Number of its table of steps, and the step of the first coefficient, once a scan begins.
    quantization: usize,
    step: i64,
    plane: Option<Plane>,
    /// One row of MCUs: its means, as many lines of `width` as there are blocks down.
    lines: Vec<i32>,
    width: usize,
    predicted: i32,
    /// Number of low bits that the scans so far left out; `None` before the first.
    missing_bits: Option<u8>,
}

/// A scan over some channels.
struct Scan {
    /// Numbers of the channels, each with the numbers of its tables.
    channels: Vec<(usize, usize, usize)>,
    /// First coefficient.
    first: u8,
    /// Number of low bits that the scan before left out; `None` in the first scan.
    earlier: Option<u8>,
    /// Number of low bits that this scan leaves out.
    left_out: u8,
    /// Offset of the image data.
    data: usize,
}

/// Number of codes of each length, and their symbols.
type RawCodes<'a> = (&'a [u8; 16], &'a [u8]);

struct MeansReader<'a> {
    file: &'a [u8],
    frame: Frame,
    components: Vec<Component>,
    quantization: [Option<i64>; 4],
    /// Huffman tables as the file has them: read only when a scan needs them, because a file may have thousands.
    dc: [Option<RawCodes<'a>>; 4],
    ac: [Option<RawCodes<'a>>; 4],
    restart_interval: usize,
    adobe: Option<u8>,
    read: (usize, usize),
}

/// Reads a JPEG's means into planes of `cells`: those of the channels that are its brightness, or of all.
///
/// # Errors
/// When the kind of JPEG is not one that decoders read, or nothing of its image data can be read. What is damaged further behind
/// only shows in [`Means::read`].
pub fn read(file: &[u8], cells: (usize, usize), all: bool) -> Result<Means, String> {
    let frame = jpeg::frame(file).ok_or("its header cannot be read")?;
    check(&frame)?;
    let components = frame.components.iter().map(|component| Component::new(&frame, *component)).collect();
    let mut reader = MeansReader {
        file,
        frame,
        components,
        quantization: [None; 4],
        dc: Default::default(),
        ac: Default::default(),
        restart_interval: 0,
        adobe: None,
        read: (0, 0),
    };
    reader.run(cells, all)?;
    let colours = reader.colours();
    let is_missing = |component: &Component| component.plane.is_some() && component.missing_bits.is_none();
    if reader.read.0 == 0 || reader.components.iter().any(is_missing) {
        return Err("none of its image data can be read".to_owned());
    }
    let planes = reader.components.into_iter().filter_map(|component| component.plane).collect();
    Ok(Means { planes, colours, read: reader.read })
}

/// Whether it is a kind of JPEG that is in use.
fn check(frame: &Frame) -> Result<(), String> {
    let kind = match frame.marker {
        jpeg::SOF0 | jpeg::SOF1 | jpeg::SOF2 => None,
        0xC3 | 0xC7 | 0xCB | 0xCF => Some("a lossless JPEG"),
        0xC9..=0xCB => Some("a JPEG with arithmetic coding"),
        _ => Some("a hierarchical JPEG"),
    };
    if let Some(kind) = kind {
        return Err(format!("it is {kind}, which hardly any program reads"));
    }
    if frame.precision != 8 {
        return Err(format!(
            "it has {} bits a sample, and hardly any program reads others than 8",
            frame.precision
        ));
    }
    let is_sane = |component: &jpeg::FrameComponent| {
        (1..=4).contains(&component.across) && (1..=4).contains(&component.down) && component.quantization < 4
    };
    if frame.components.len() > 4 || !frame.components.iter().all(is_sane) {
        return Err("its header describes colour channels that cannot be".to_owned());
    }
    Ok(())
}

impl Frame {
    /// Samples of the widest and the highest channel.
    fn most(&self) -> (usize, usize) {
        let most = |of: fn(&jpeg::FrameComponent) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        (most(|component| component.across), most(|component| component.down))
    }

    /// Columns and rows of MCUs.
    fn mcus(&self) -> (usize, usize) {
        let (across, down) = self.most();
        (self.width.div_ceil(8 * across), self.height.div_ceil(8 * down))
    }
}

impl Component {
    fn new(frame: &Frame, component: jpeg::FrameComponent) -> Component {
        let jpeg::FrameComponent { id, across, down, quantization } = component;
        let (most_across, most_down) = frame.most();
        Component {
            id,
            across,
            down,
            columns: (frame.width * across).div_ceil(8 * most_across),
            rows: (frame.height * down).div_ceil(8 * most_down),
            quantization,
            step: 1,
            plane: None,
            lines: vec![0; frame.mcus().0 * across * down],
            width: frame.mcus().0 * across,
            predicted: 0,
            missing_bits: None,
        }
    }

    fn sides(&self, frame: &Frame) -> (Side, Side) {
        let (across, down) = frame.most();
        let length = |pixels: usize, own: usize, most: usize| (pixels * own) as f64 / (8 * most) as f64;
        (
            Side { samples: self.columns, length: length(frame.width, self.across, across) },
            Side { samples: self.rows, length: length(frame.height, self.down, down) },
        )
    }

    /// Hands a row of MCUs, or of blocks, to the plane, and clears it.
    fn flush(&mut self, row: usize, lines: usize) {
        if let Some(plane) = &mut self.plane {
            for line in 0..lines {
                plane.add(row * lines + line, &self.lines[line * self.width..][..self.columns]);
            }
        }
        self.lines.fill(0);
    }
}

impl<'a> MeansReader<'a> {
    fn run(&mut self, cells: (usize, usize), all: bool) -> Result<(), String> {
        let mut at = 2;
        while let Some(segment) = jpeg::segment(self.file, at) {
            at = segment.end;
            match segment.marker {
                jpeg::EOI => break,
                jpeg::DHT => self.note_codes(segment.data),
                jpeg::DQT => self.read_quantization(segment.data),
                jpeg::DRI => {
                    let interval = segment.data.first_chunk().copied().unwrap_or_default();
                    self.restart_interval = usize::from(u16::from_be_bytes(interval));
                }
                jpeg::APP14 if segment.data.starts_with(b"Adobe") => {
                    self.adobe = segment.data.get(11).copied()
                }
                jpeg::SOS => {
                    self.plan(cells, all);
                    at = jpeg::next_marker(self.file, self.scan(segment)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the planes, before the first scan.
    fn plan(&mut self, cells: (usize, usize), all: bool) {
        if self.components.iter().any(|component| component.plane.is_some()) {
            return;
        }
        let only_first = !all && matches!(self.colours(), Colours::Grey | Colours::YCbCr);
        let count = if only_first { 1 } else { self.components.len() };
        for component in &mut self.components[..count] {
            let (width, height) = component.sides(&self.frame);
            component.plane = Some(Plane::new(width, height, cells));
        }
    }

    fn colours(&self) -> Colours {
        let ids: Vec<u8> = self.components.iter().map(|component| component.id).collect();
        match (ids.len(), self.adobe) {
            (3, Some(0)) => Colours::Rgb,
            (3, None) if ids == *b"RGB" => Colours::Rgb,
            (3, _) => Colours::YCbCr,
            (4, Some(2)) => Colours::Ycck,
            (4, _) => Colours::Cmyk,
            _ => Colours::Grey,
        }
    }

    fn note_codes(&mut self, mut data: &'a [u8]) {
        while let Some((head, rest)) = data.split_first() {
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else { return };
            let length = counts.iter().map(|count| usize::from(*count)).sum();
            let Some((symbols, rest)) = rest.split_at_checked(length) else { return };
            let tables = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            if let Some(table) = tables.get_mut(usize::from(head & 15)) {
                *table = Some((counts, symbols));
            }
            data = rest;
        }
    }

    /// Returns the step of the first coefficient of each table.
    fn read_quantization(&mut self, mut data: &[u8]) {
        while let [head, rest @ ..] = data {
            let (step, length) = match (head >> 4, rest) {
                (0, [step, ..]) => (i64::from(*step), 64),
                (_, [high, low, ..]) => (i64::from(u16::from_be_bytes([*high, *low])), 128),
                _ => return,
            };
            if let Some(table) = self.quantization.get_mut(usize::from(head & 15)) {
                *table = Some(step);
            }
            data = rest.get(length..).unwrap_or_default();
        }
    }

    /// Reads a scan, if it has what is asked for. Returns an offset in its image data, or behind it.
    fn scan(&mut self, segment: Segment<'_>) -> Result<usize, String> {
        let scan = self.parse_scan(segment).ok_or("the header of its image data cannot be read")?;
        let asked = |(number, ..): &(usize, usize, usize)| self.components[*number].plane.is_some();
        // Each bit comes once. So a file cannot have more scans to read than there are bits, whatever number it has.
        let is_next = |(number, ..): &(usize, usize, usize)| {
            let missing = self.components[*number].missing_bits;
            missing == scan.earlier && missing.is_none_or(|bits| scan.left_out + 1 == bits)
        };
        if scan.first != 0 || !scan.channels.iter().any(asked) || !scan.channels.iter().all(is_next) {
            return Ok(scan.data);
        }
        for (number, ..) in &scan.channels {
            let component = &mut self.components[*number];
            component.missing_bits = Some(scan.left_out);
            let step = self.quantization[component.quantization];
            component.step = step.ok_or("a table that its pixels need is missing (DQT)")?;
        }
        if scan.earlier.is_some() {
            return Ok(self.read_blocks(&scan, |bits, _, _| Some((bits.bit() << scan.left_out, 0))));
        }
        let is_progressive = self.frame.marker == jpeg::SOF2;
        let table = |own: &[Option<RawCodes<'_>>; 4], standard: &[CodeTable; 2], number: usize, is_ac| {
            // Without a table, the standard one is meant: webcams leave it out.
            let (counts, symbols) =
                own[number].or(standard.get(number).map(|(counts, symbols)| (counts, *symbols)))?;
            let build = || {
                let codes = Codes::new(counts, symbols)?;
                Some(Arc::new(if is_ac { codes.with_runs() } else { codes }))
            };
            standard_codes::find(counts, symbols, is_ac).or_else(build)
        };
        let tables = scan.channels.iter().map(|(_, dc, ac)| {
            let dc = table(&self.dc, &standard_codes::DC, *dc, false)?;
            let ac =
                if is_progressive { None } else { Some(table(&self.ac, &standard_codes::AC, *ac, true)?) };
            Some((dc, ac))
        });
        let tables =
            tables.collect::<Option<Vec<_>>>().ok_or("a table of codes is missing or damaged (DHT)")?;
        Ok(self.read_blocks(&scan, |bits, channel, predicted| {
            let (dc, ac) = &tables[channel];
            let value = bits.difference(dc)?.wrapping_add(predicted);
            if let Some(ac) = ac {
                bits.skip_block(ac)?;
            }
            Some((value.wrapping_shl(u32::from(scan.left_out)), value))
        }))
    }

    fn parse_scan(&self, segment: Segment<'_>) -> Option<Scan> {
        let (count, rest) = segment.data.split_first()?;
        let (channels, rest) = rest.split_at_checked(usize::from(*count) * 2)?;
        let [first, _, approximation, ..] = *rest else { return None };
        let channel = |fields: &[u8]| {
            let number = self.components.iter().position(|component| component.id == fields[0])?;
            let (dc, ac) = (usize::from(fields[1] >> 4), usize::from(fields[1] & 15));
            (dc < 4 && ac < 4).then_some((number, dc, ac))
        };
        let channels = channels.chunks_exact(2).map(channel).collect::<Option<Vec<_>>>()?;
        let (earlier, left_out) =
            if self.frame.marker == jpeg::SOF2 { (approximation >> 4, approximation & 15) } else { (0, 0) };
        ((1..=4).contains(&channels.len()) && left_out < 14).then_some(Scan {
            channels,
            first,
            earlier: (earlier > 0).then_some(earlier),
            left_out,
            data: segment.end,
        })
    }

    /// Reads the blocks of a scan. `block` reads one of a channel of the scan, given the value before it; it returns what the block adds to
    /// its mean, and its value for the next one. What is damaged is left out, up to the next restart marker. Returns the offset behind.
    fn read_blocks(
        &mut self,
        scan: &Scan,
        mut block: impl FnMut(&mut Bits<'_>, usize, i32) -> Option<(i32, i32)>,
    ) -> usize {
        let is_interleaved = scan.channels.len() > 1;
        let only = &self.components[scan.channels[0].0];
        let (columns, rows) = if is_interleaved { self.frame.mcus() } else { (only.columns, only.rows) };
        let count = columns * rows;
        let interval = if self.restart_interval > 0 { self.restart_interval } else { count };
        let mut bits = Bits::new(self.file, scan.data);
        self.forget_last(scan);
        let (mut row, mut column, mut left, mut read) = (0, 0, interval, 0);
        while row < rows {
            if left == 0 {
                let Some(at) = restart(self.file, bits.offset()) else { break };
                bits = Bits::new(self.file, at);
                self.forget_last(scan);
                left = interval;
            }
            let is_read = self.read_mcu(scan, (column, is_interleaved), &mut bits, &mut block).is_some();
            read += usize::from(is_read);
            let passed = if is_read { 1 } else { left };
            left -= passed;
            column += passed;
            if column >= columns {
                self.flush(scan, row, is_interleaved);
                row += column / columns;
                column %= columns;
            }
        }
        self.flush(scan, row, is_interleaved);
        if scan.earlier.is_none() {
            self.read = (self.read.0 + read, self.read.1 + count);
        }
        bits.offset()
    }

    /// The first block of a restart interval has no block before it.
    fn forget_last(&mut self, scan: &Scan) {
        for (number, ..) in &scan.channels {
            self.components[*number].predicted = 0;
        }
    }

    /// Reads an MCU, which is a block in a scan over one channel. `None` when it is damaged.
    #[inline(always)]
    fn read_mcu<'b>(
        &mut self,
        scan: &Scan,
        (column, is_interleaved): (usize, bool),
        bits: &mut Bits<'b>,
        block: &mut impl FnMut(&mut Bits<'b>, usize, i32) -> Option<(i32, i32)>,
    ) -> Option<()> {
        for (channel, (number, ..)) in scan.channels.iter().enumerate() {
            let component = &mut self.components[*number];
            let (across, down) = if is_interleaved { (component.across, component.down) } else { (1, 1) };
            for line in 0..down {
                for x in column * across..(column + 1) * across {
                    let (mean, value) = block(bits, channel, component.predicted)?;
                    if bits.is_overrun() {
                        return None;
                    }
                    component.predicted = value;
                    let mean = (i64::from(mean) * component.step).clamp(*SHOWN.start(), *SHOWN.end());
                    component.lines[line * component.width + x] = mean as i32;
                }
            }
        }
        Some(())
    }

    fn flush(&mut self, scan: &Scan, row: usize, is_interleaved: bool) {
        for (number, ..) in &scan.channels {
            let component = &mut self.components[*number];
            component.flush(row, if is_interleaved { component.down } else { 1 });
        }
    }
}

/// Returns the offset behind the next restart marker; `None` when another marker comes before, or none at all.
fn restart(file: &[u8], at: usize) -> Option<usize> {
    let behind = file.get(at..)?;
    let next =
        memchr::memchr_iter(0xFF, behind).find(|found| !matches!(behind.get(found + 1), Some(0 | 0xFF)))?;
    matches!(behind.get(next + 1), Some(0xD0..=0xD7)).then_some(at + next + 2)
}
