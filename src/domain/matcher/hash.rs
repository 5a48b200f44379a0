//! Perceptual hash: 256 bits of a small greyscale image, and the Hamming distance between two pictures.
//!
//! Half of the bits are signs of low frequencies (a cosine transform); half compare the brightness of neighbouring grid cells. The
//! sums use integer arithmetic, so every machine computes the same hash. `docs/matching.md` has the measurements.
//!
//! dHash alone, on the full frame, fails under crops of 5 %. So a gallery picture has two hashes, of its full frame and of its
//! inner 90 %. The inner part is searched in the probe at the 81 positions where crops of 0, 2.5 or 5 % per side would leave it. This is
//! done only for pictures within 96 bits of the full frame, and 16 coarse crops are tried before the others: a search among 10,000
//! pictures takes 0.1 ms, and a few milliseconds only if all of them look like the probe.

use std::f64::consts::PI;
use std::sync::{LazyLock, OnceLock};

/// Width and height of the small image, in pixels.
pub const SIDE: usize = 48;

/// Small image: grey values, row by row.
pub type GreyImage = [u8; SIDE * SIDE];

/// Min difference between the lightest and the darkest pixel; a picture with less contrast has no hash.
const MIN_CONTRAST: u8 = 16;

/// Number of frequencies along one side: 0 to 12.
const FREQUENCIES: usize = 13;
/// Grid cells along one side, which makes eight pairs of neighbours to compare.
const CELLS: usize = 9;
/// Fixed-point scale of weights: this is 1.0.
const WEIGHT_SCALE: f64 = 65536.0;

/// Max distance between full frames at which crops are tried.
const MAX_DISTANCE_FOR_CROPS: u32 = 96;

/// Max distance of the nearest coarse crop at which finer crops are tried.
const MAX_DISTANCE_FOR_FINE_CROPS: u32 = 72;

/// Crop amounts that are tried at each side, as fractions of the picture.
const CROPS: [f64; 3] = [0.0, 0.025, 0.05];
/// Number of coarse crops: nothing or the maximum is cut from each side. They come first.
const COARSE_CROPS: usize = 2_usize.pow(4);
/// Maximum of [`CROPS`]: every probe contains the area inside this margin.
const MARGIN: f64 = 0.05;

/// 256-bit hash of a picture, or of an area of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u64; 4]);

impl Hash {
    /// Returns the Hamming distance: 0 to 256; about 128 for unrelated pictures.
    #[must_use]
    pub fn distance(&self, other: &Hash) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// Hashes of a gallery picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    full: Hash,
    /// Hash of the area inside the margin that a probe may lack.
    inner: Hash,
}

/// Hashes of a probe.
#[derive(Clone, Debug)]
pub struct ProbeHash {
    small: Box<GreyImage>,
    full: Hash,
    /// Hash of the picture's inner area, for each way the probe may have been cropped. Computed lazily, when a picture is near
    /// enough for it to matter.
    inner: OnceLock<Box<[Hash]>>,
}

impl Template {
    /// Computes the template of a picture; `None` for one without contrast, such as a black one.
    #[must_use]
    pub fn of(small: &GreyImage) -> Option<Template> {
        let tables = &*TABLES;
        let hash = |axis: &Axis| hash(&rows(small, axis), axis);
        has_contrast(small).then(|| Template { full: hash(&tables.full), inner: hash(&tables.inner) })
    }
}

impl ProbeHash {
    /// Computes the hash of a probe; `None` for one without contrast.
    #[must_use]
    pub fn of(small: &GreyImage) -> Option<ProbeHash> {
        let full = &TABLES.full;
        has_contrast(small).then(|| ProbeHash {
            full: hash(&rows(small, full), full),
            small: Box::new(*small),
            inner: OnceLock::new(),
        })
    }

    /// Returns the distance to a gallery picture: that of the full frames, or that of the best-fitting crop if it is smaller. Tries
    /// crops only when the full frames are near enough.
    #[must_use]
    pub fn distance(&self, template: &Template) -> u32 {
        let full = self.full.distance(&template.full);
        if full == 0 || full > MAX_DISTANCE_FOR_CROPS {
            return full;
        }
        let nearest = |inner: &[Hash]| {
            inner.iter().map(|inner| inner.distance(&template.inner)).min().unwrap_or(u32::MAX)
        };
        let (coarse, fine) = self.inner().split_at(COARSE_CROPS);
        let crop = nearest(coarse);
        if crop > MAX_DISTANCE_FOR_FINE_CROPS { full.min(crop) } else { full.min(crop).min(nearest(fine)) }
    }

    fn inner(&self) -> &[Hash] {
        self.inner.get_or_init(|| {
            let cropped = &TABLES.cropped;
            let hashes = |(vertical_is_coarse, vertical): &(bool, Axis)| {
                let rows = rows(&self.small, vertical);
                let vertical_is_coarse = *vertical_is_coarse;
                cropped.iter().map(move |(is_coarse, horizontal)| {
                    (vertical_is_coarse && *is_coarse, hash(&rows, horizontal))
                })
            };
            let (coarse, fine): (Vec<_>, Vec<_>) =
                cropped.iter().flat_map(hashes).partition(|(is_coarse, _)| *is_coarse);
            coarse.into_iter().chain(fine).map(|(_, hash)| hash).collect()
        })
    }
}

fn has_contrast(small: &GreyImage) -> bool {
    let (darkest, lightest) = (small.iter().min(), small.iter().max());
    lightest.zip(darkest).is_some_and(|(lightest, darkest)| lightest - darkest >= MIN_CONTRAST)
}

/// Weight of each pixel along a side, for each frequency and each grid cell.
///
/// Each is at most a 43rd of [`WEIGHT_SCALE`]. Products of 16 bits are what every processor multiplies many of at once.
struct Axis([[i16; SIDE]; FREQUENCIES + CELLS]);

impl Axis {
    /// Computes the weights for the section of the side from `start` to `end`, each 0 to 1.
    fn new(start: f64, end: f64) -> Axis {
        let mut weights = [[0; SIDE]; FREQUENCIES + CELLS];
        for pixel in 0..SIDE {
            let position = |at: usize| ((at as f64 / SIDE as f64).clamp(start, end) - start) / (end - start);
            let (from, to) = (position(pixel), position(pixel + 1));
            for (number, row) in weights.iter_mut().enumerate() {
                let weight = match number {
                    0 => to - from,
                    1..FREQUENCIES => {
                        let angle = PI * number as f64;
                        ((angle * to).sin() - (angle * from).sin()) / angle
                    }
                    _ => {
                        let bound = |cell: usize| cell as f64 / CELLS as f64;
                        let cell = number - FREQUENCIES;
                        let within = |at: f64| at.clamp(bound(cell), bound(cell + 1));
                        within(to) - within(from)
                    }
                };
                row[pixel] = (weight * WEIGHT_SCALE).round() as i16;
            }
        }
        Axis(weights)
    }
}

/// Constants for all pictures, computed once.
struct Tables {
    full: Axis,
    inner: Axis,
    /// Position of the inner area in a probe, along one side; and whether the crop is coarse: nothing or the maximum at both ends.
    cropped: Vec<(bool, Axis)>,
    /// Pairs of frequencies (vertical, horizontal), lowest first.
    frequencies: Vec<(usize, usize)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let crops = CROPS.iter().flat_map(|before| CROPS.iter().map(move |after| (before, after)));
    let cropped = crops.map(|(before, after)| {
        let remaining = 1.0 - before - after;
        let coarse = [before, after].iter().all(|crop| **crop == 0.0 || **crop == MARGIN);
        (coarse, Axis::new((MARGIN - before) / remaining, 1.0 - (MARGIN - after) / remaining))
    });
    let mut frequencies: Vec<_> =
        (0..FREQUENCIES).flat_map(|y| (0..FREQUENCIES).map(move |x| (y, x))).skip(1).collect();
    frequencies.sort_by_key(|(y, x)| (y * y + x * x, *y));
    frequencies.truncate(128);
    Tables {
        full: Axis::new(0.0, 1.0),
        inner: Axis::new(MARGIN, 1.0 - MARGIN),
        cropped: cropped.collect(),
        frequencies,
    }
});

type Rows = [[i16; SIDE]; FREQUENCIES + CELLS];

/// Computes the first half of the transform: weighted sums of each column. Values stay below 2^14.
fn rows(small: &GreyImage, vertical: &Axis) -> Rows {
    // Indices instead of iterators: five times faster in a debug build, in which tests run.
    let mut out = [[0; SIDE]; FREQUENCIES + CELLS];
    for (row, weights) in out.iter_mut().zip(&vertical.0) {
        let mut sums = [0; SIDE];
        for y in 0..SIDE {
            let weight = weights[y] as i32;
            if weight == 0 {
                continue;
            }
            for x in 0..SIDE {
                sums[x] += weight * small[y * SIDE + x] as i32;
            }
        }
        for x in 0..SIDE {
            row[x] = (sums[x] >> 10) as i16;
        }
    }
    out
}

/// Computes the second half of the transform, and the hash of its sums.
fn hash(rows: &Rows, horizontal: &Axis) -> Hash {
    let at = |y: usize, x: usize| {
        let (row, weights) = (&rows[y], &horizontal.0[x]);
        let (mut sum, mut pixel) = (0, 0);
        while pixel < SIDE {
            sum += row[pixel] as i32 * weights[pixel] as i32;
            pixel += 1;
        }
        sum
    };
    let cells: [[i32; CELLS]; CELLS] =
        std::array::from_fn(|y| std::array::from_fn(|x| at(FREQUENCIES + y, FREQUENCIES + x)));
    let frequencies = TABLES.frequencies.iter().map(|(y, x)| at(*y, *x) > 0);
    let pairs = (0..64).map(|pair| (pair / 8, pair % 8));
    let right = pairs.clone().map(|(y, x)| cells[y][x + 1] > cells[y][x]);
    let below = pairs.map(|(y, x)| cells[y + 1][x] > cells[y][x]);
    let mut words = [0; 4];
    for (bit, set) in frequencies.chain(right).chain(below).enumerate() {
        words[bit / 64] |= u64::from(set) << (bit % 64);
    }
    Hash(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Crossing waves, a little like a photo; each value of `across` makes a different picture.
    fn waves(across: f64, crop: [f64; 4]) -> GreyImage {
        let [left, top, right, bottom] = crop;
        std::array::from_fn(|at| {
            let x = left + (at % SIDE) as f64 / SIDE as f64 * (1.0 - left - right);
            let y = top + (at / SIDE) as f64 / SIDE as f64 * (1.0 - top - bottom);
            let wave = (x * across).sin() + (y * across * 0.7 + x).sin() + (x * y * 9.0).cos();
            (127.0 + 40.0 * wave) as u8
        })
    }

    fn distance(probe: &GreyImage, picture: &GreyImage) -> u32 {
        ProbeHash::of(probe).unwrap().distance(&Template::of(picture).unwrap())
    }

    #[test]
    fn identical_pictures_have_distance_zero_and_a_negative_nearly_the_maximum() {
        let picture = waves(11.0, [0.0; 4]);
        assert_eq!(distance(&picture, &picture), 0);
        let negative = picture.map(|grey| 255 - grey);
        let full = |small: &GreyImage| ProbeHash::of(small).unwrap().full;
        assert!(full(&picture).distance(&full(&negative)) > 240);
    }

    #[test]
    fn a_crop_within_the_margin_is_near_and_another_picture_is_not() {
        let picture = waves(11.0, [0.0; 4]);
        for crop in [[0.05, 0.0, 0.0, 0.0], [0.0, 0.05, 0.025, 0.0], [0.05; 4], [0.012, 0.0, 0.037, 0.05]] {
            let distance = distance(&waves(11.0, crop), &picture);
            assert!(distance <= 24, "{crop:?}: {distance}");
        }
        assert!(distance(&waves(17.0, [0.0; 4]), &picture) > 80);
    }

    #[test]
    fn brightness_and_contrast_barely_affect_the_hash() {
        let picture = waves(11.0, [0.0; 4]);
        assert!(distance(&picture.map(|grey| grey / 2 + 10), &picture) <= 8);
        assert!(distance(&picture.map(|grey| grey / 2 + 100), &picture) <= 8);
    }

    #[test]
    fn a_picture_without_contrast_has_no_hash() {
        for grey in [0, 128, 255] {
            assert_eq!(Template::of(&[grey; SIDE * SIDE]), None);
            assert!(ProbeHash::of(&[grey; SIDE * SIDE]).is_none());
        }
    }

    #[test]
    fn every_crop_is_tried() {
        assert_eq!(ProbeHash::of(&waves(11.0, [0.0; 4])).unwrap().inner().len(), 3_usize.pow(4));
        let coarse = TABLES.cropped.iter().filter(|(is_coarse, _)| *is_coarse).count();
        assert_eq!((coarse * coarse, TABLES.frequencies.len()), (COARSE_CROPS, 128));
    }
}
