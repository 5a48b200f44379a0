//! Shrinks one channel of a picture while its rows arrive, so that the picture itself is never in memory.
//!
//! Each cell of the small picture is the mean of the area that it covers. A cell rarely ends where a sample ends, and a sample may be the
//! mean of 8 x 8 pixels: so a cubic curve runs through the sums at the samples' ends, which are exact, and says how much of a sample is
//! before a cell's end. The sums are integers. Rows may arrive in any order and in parts.

use std::ops::Range;

/// Weight of a sample that is inside a cell.
const ONE: f64 = 4096.0;

/// The samples of one cell, along one side.
#[derive(Debug)]
struct Cell {
    /// Samples that count fully.
    inner: Range<usize>,
    /// Samples around the cell's ends, with their weights.
    edges: Vec<(usize, i64)>,
    /// Sum of all weights.
    total: i64,
}

impl Cell {
    /// The cell between two positions, in samples of which there are `count`.
    fn new(from: f64, to: f64, count: usize) -> Cell {
        let last = count - 1;
        let (first, end) = ((from as usize).min(last), (to as usize).min(last));
        let weight = |at: usize| {
            let whole = if (first..end).contains(&at) { 1.0 } else { 0.0 };
            whole + part(end, to - end as f64, last, at) - part(first, from - first as f64, last, at)
        };
        let mut near: Vec<usize> =
            [first, end].iter().flat_map(|at| at.saturating_sub(1)..=(at + 1).min(last)).collect();
        near.sort_unstable();
        near.dedup();
        let weights = near.into_iter().map(|at| (at, (weight(at) * ONE).round() as i64));
        let edges: Vec<_> = weights.filter(|(_, weight)| *weight != 0).collect();
        let inner = (first + 2).min(end.saturating_sub(1))..end.saturating_sub(1);
        let total = edges.iter().map(|(_, weight)| weight).sum::<i64>() + inner.len() as i64 * ONE as i64;
        Cell { inner, edges, total: total.max(1) }
    }

    fn weight(&self, sample: usize) -> i64 {
        if self.inner.contains(&sample) {
            return ONE as i64;
        }
        self.edges.iter().find(|(at, _)| *at == sample).map_or(0, |(_, weight)| *weight)
    }

    /// The weighted sum of a row.
    fn sum(&self, row: &[i32]) -> i64 {
        // Indices instead of iterators: several times faster in a debug build, in which tests run.
        let row = &row[..self.inner.end.max(self.edges.last().map_or(0, |(at, _)| at + 1))];
        let (mut inner, mut at) = (0, self.inner.start);
        while at < self.inner.end {
            inner += row[at] as i64;
            at += 1;
        }
        let mut sum = inner * ONE as i64;
        for (at, weight) in &self.edges {
            sum += row[*at] as i64 * weight;
        }
        sum
    }
}

/// Weight of the sample `at` in the area from the beginning of the sample `k` to `k + t`: the slope of the curve of sums is, at each end of
/// a sample, the mean of the two samples beside it.
fn part(k: usize, t: f64, last: usize, at: usize) -> f64 {
    let (rise, fall, step) = (t * (1.0 - t) * (1.0 - t), t * t * (t - 1.0), t * t * (3.0 - 2.0 * t));
    let weights =
        [(k.saturating_sub(1), rise / 2.0), (k, (rise + fall) / 2.0 + step), ((k + 1).min(last), fall / 2.0)];
    weights.iter().filter(|(sample, _)| *sample == at).map(|(_, weight)| weight).sum()
}

/// One channel of a picture that is being shrunk.
#[derive(Debug)]
pub struct Plane {
    across: Vec<Cell>,
    down: Vec<Cell>,
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

    fn cells(self, cells: usize) -> Vec<Cell> {
        let at = |cell: usize| self.length * cell as f64 / cells as f64;
        (0..cells).map(|cell| Cell::new(at(cell), at(cell + 1), self.samples)).collect()
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
        let mut is_summed = false;
        for (cell, sums) in self.down.iter().zip(self.sums.chunks_exact_mut(self.across.len())) {
            let weight = cell.weight(y);
            if weight == 0 {
                continue;
            }
            if !is_summed {
                self.row.iter_mut().zip(&self.across).for_each(|(sum, cell)| *sum = cell.sum(samples));
                is_summed = true;
            }
            sums.iter_mut().zip(&self.row).for_each(|(sum, row)| *sum += row * weight);
        }
    }

    /// Returns the mean of each cell, divided by `divisor`, row by row.
    #[must_use]
    pub fn means(&self, divisor: i64) -> Vec<i32> {
        let totals =
            self.down.iter().flat_map(|down| self.across.iter().map(|across| across.total * down.total));
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
