//! Shrinks one channel of a picture while its rows arrive, so that the picture itself is never in memory.
//!
//! Each cell of the small picture is the mean of the area that it covers. A cell rarely ends where a sample ends, and a sample may be the
//! mean of 8 x 8 pixels: so a cubic curve runs through the sums at the samples' ends, which are exact, and says how much of a sample is
//! before a cell's end. The sums are integers. Rows may arrive in any order and in parts.

use std::ops::Range;

/// Weight of a sample that is inside a cell.
const ONE: i64 = 4096;

/// An end of a cell, along one side.
#[derive(Debug)]
struct CellEnd {
    /// The sample that it is in.
    at: usize,
    /// Weights of the samples around it, in what is before it: the one before, its own, the one behind. At the picture's ends the
    /// sample itself stands for the missing one.
    around: [(usize, i64); 3],
}

impl CellEnd {
    /// The end at a position, in samples of which there are `count`.
    fn new(position: f64, count: usize) -> CellEnd {
        let last = count - 1;
        let at = (position as usize).min(last);
        let t = position - at as f64;
        // The slope of the curve of sums is, at each end of a sample, the mean of the two samples beside it.
        let (rise, fall, step) = (t * (1.0 - t) * (1.0 - t), t * t * (t - 1.0), t * t * (3.0 - 2.0 * t));
        let weight = |share: f64| (share * ONE as f64).round() as i64;
        let around = [
            (at.saturating_sub(1), weight(rise / 2.0)),
            (at, weight((rise + fall) / 2.0 + step)),
            ((at + 1).min(last), weight(fall / 2.0)),
        ];
        CellEnd { at, around }
    }

    /// Weight of a sample in what is before the end.
    fn weight(&self, sample: usize) -> i64 {
        let [before, own, behind] = self.around.map(|(at, weight)| if at == sample { weight } else { 0 });
        before + own + behind + if sample < self.at { ONE } else { 0 }
    }
}

/// The ends of all cells along one side: where the first begins, and where each ends.
#[derive(Debug)]
struct CellEnds(Vec<CellEnd>);

impl CellEnds {
    fn cells(&self) -> usize {
        self.0.len() - 1
    }

    /// The cells that a sample may be a part of.
    fn around(&self, sample: usize) -> Range<usize> {
        let passed = self.0.partition_point(|end| end.at + 1 < sample);
        let reached = self.0.partition_point(|end| end.at <= sample + 1);
        passed.saturating_sub(1)..reached.min(self.cells())
    }

    fn weight(&self, cell: usize, sample: usize) -> i64 {
        self.0[cell + 1].weight(sample) - self.0[cell].weight(sample)
    }

    /// Sums the samples of each cell, weighted.
    fn sum(&self, samples: &[i32], sums: &mut [i64]) {
        // Indices instead of iterators: several times faster in a debug build, in which tests run.
        let (mut whole, mut at, mut last) = (0, 0, 0);
        for (number, end) in self.0.iter().enumerate() {
            while at < end.at {
                whole += samples[at] as i64;
                at += 1;
            }
            let [before, own, behind] = end.around.map(|(at, weight)| samples[at] as i64 * weight);
            let sum = whole * ONE + before + own + behind;
            if number > 0 {
                sums[number - 1] = sum - last;
            }
            last = sum;
        }
    }

    /// The sum of the weights of each cell.
    fn totals(&self) -> Vec<i64> {
        let before =
            |end: &CellEnd| end.at as i64 * ONE + end.around.iter().map(|(_, weight)| weight).sum::<i64>();
        self.0.windows(2).map(|ends| (before(&ends[1]) - before(&ends[0])).max(1)).collect()
    }
}

/// One channel of a picture that is being shrunk.
#[derive(Debug)]
pub struct Plane {
    across: CellEnds,
    down: CellEnds,
    /// Weighted sums of the cells, row by row.
    sums: Vec<i64>,
    /// Sums of one row of samples.
    row: Vec<i64>,
}

/// A side of a picture in samples: their number, and how far the picture reaches. The last sample may end behind the picture.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub samples: usize,
    pub length: f64,
}

impl Side {
    /// A side whose samples are pixels.
    #[must_use]
    pub fn of_pixels(pixels: usize) -> Side {
        Side { samples: pixels, length: pixels as f64 }
    }

    fn cells(self, cells: usize) -> CellEnds {
        let at = |cell: usize| self.length * cell as f64 / cells as f64;
        CellEnds((0..=cells).map(|cell| CellEnd::new(at(cell), self.samples)).collect())
    }
}

impl Plane {
    /// Returns a plane of `width` x `height` cells, of a picture that has at least one sample on each side.
    #[must_use]
    pub fn new(width: Side, height: Side, cells: (usize, usize)) -> Plane {
        Plane {
            across: width.cells(cells.0),
            down: height.cells(cells.1),
            sums: vec![0; cells.0 * cells.1],
            row: vec![0; cells.0],
        }
    }

    /// Adds a row of samples, or to a row: samples that arrive later are 0 here. A row that is not the picture's is ignored.
    pub fn add(&mut self, y: usize, samples: &[i32]) {
        let cells = self.down.around(y);
        if cells.is_empty() {
            return;
        }
        self.across.sum(samples, &mut self.row);
        for cell in cells {
            let weight = self.down.weight(cell, y);
            let sums = &mut self.sums[cell * self.row.len()..][..self.row.len()];
            sums.iter_mut().zip(&self.row).for_each(|(sum, row)| *sum += row * weight);
        }
    }

    /// Returns the mean of each cell, divided by `divisor`, row by row.
    #[must_use]
    pub fn means(&self, divisor: i64) -> Vec<i32> {
        let (across, down) = (self.across.totals(), self.down.totals());
        let totals = down.iter().flat_map(|down| across.iter().map(move |across| across * down));
        self.sums.iter().zip(totals).map(|(sum, total)| rounded(*sum, total * divisor)).collect()
    }
}

/// What is taken of each pixel of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The byte at this place.
    Byte(usize),
    /// The brightness of red, green and blue, as a JPEG has it (BT.601).
    Luma,
}

impl Channel {
    /// Takes a sample of each pixel of `stride` bytes into every `step`-th place from `first` on, until there are no more pixels.
    pub fn take(self, row: &[u8], stride: usize, samples: &mut [i32], (first, step): (usize, usize)) {
        // Indices, as above.
        let (mut at, mut place) = (0, first);
        while at + stride <= row.len() && place < samples.len() {
            samples[place] = match self {
                Channel::Byte(number) => row[at + number] as i32,
                Channel::Luma => luma(row[at], row[at + 1], row[at + 2]) as i32,
            };
            at += stride;
            place += step;
        }
    }
}

/// Brightness of a pixel, as a JPEG has it (BT.601).
#[must_use]
#[inline]
pub fn luma(red: u8, green: u8, blue: u8) -> u8 {
    ((red as u32 * 19595 + green as u32 * 38470 + blue as u32 * 7471 + 32768) >> 16) as u8
}

fn rounded(sum: i64, divisor: i64) -> i32 {
    (sum + divisor / 2).div_euclid(divisor) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrink(samples: &[i32], length: f64, cells: usize) -> Vec<i32> {
        let mut plane = Plane::new(Side { samples: samples.len(), length }, Side::of_pixels(1), (cells, 1));
        plane.add(0, samples);
        plane.means(1)
    }

    #[test]
    fn a_cell_is_the_mean_of_its_area() {
        for (samples, length, cells, expected) in [
            (&[10, 20, 30, 40][..], 4.0, 4, &[10, 20, 30, 40][..]),
            (&[10, 20, 30, 40], 4.0, 2, &[15, 35]),
            (&[10, 20, 30, 40], 4.0, 1, &[25]),
            (&[10, 20, 30, 40, 1000], 4.0, 2, &[15, 35]),
            (&[7], 1.0, 3, &[7, 7, 7]),
            (&[100; 5], 4.3, 3, &[100; 3]),
        ] {
            assert_eq!(shrink(samples, length, cells), expected, "{samples:?} in {cells}");
        }
    }

    #[test]
    fn a_slope_stays_one_at_any_size() {
        let slope: Vec<i32> = (0..50).map(|at| at * 100).collect();
        for cells in [3, 7, 23, 48, 50, 64, 200] {
            let small = shrink(&slope, 50.0, cells);
            for (cell, mean) in small.iter().enumerate().skip(cells.div_ceil(50)).take(cells * 9 / 10) {
                let exact = (cell as f64 + 0.5) * 5000.0 / cells as f64 - 50.0;
                assert!((f64::from(*mean) - exact).abs() < 4.0, "{cell} of {cells}: {mean}, not {exact}");
            }
        }
    }

    #[test]
    fn the_order_of_rows_and_parts_of_rows_do_not_matter() {
        let rows: Vec<Vec<i32>> =
            (0..37).map(|y| (0..61).map(|x| (x * 7 + y * y * 3) % 256).collect()).collect();
        let plane = || Plane::new(Side::of_pixels(61), Side::of_pixels(37), (48, 48));
        let (mut whole, mut parts) = (plane(), plane());
        rows.iter().enumerate().for_each(|(y, row)| whole.add(y, row));
        for odd in [1, 0] {
            for (y, row) in rows.iter().enumerate().rev() {
                let part: Vec<i32> = row
                    .iter()
                    .enumerate()
                    .map(|(x, sample)| if x % 2 == odd { *sample } else { 0 })
                    .collect();
                parts.add(y, &part);
            }
        }
        whole.add(37, &rows[0]);
        assert_eq!(whole.means(1), parts.means(1));
    }
}
