//! Perceptual hash: 256 bits of a small greyscale image, and the Hamming distance between two pictures.
//!
//! Half of the bits are signs of low frequencies (a cosine transform); half compare the brightness of neighbouring grid cells. The
//! sums use integer arithmetic, so every machine computes the same hash. `docs/explanation/matching.md` has the measurements.
//!
//! Some of a picture's sums are so near 0 that a copy has another sign. These bits say nothing, so an eighth of a gallery picture's bits,
//! those with the smallest sums, are not compared: copies come nearer, strangers hardly.
//!
//! dHash alone, on the full frame, fails under crops of 5 %. So a gallery picture has two hashes, of its full frame and of its
//! inner 90 %. The inner part is searched in the probe at the 81 positions where crops of 0, 2.5 or 5 % per side would leave it. This is
//! done only for pictures whose full frames are near, and 16 coarse crops are tried before the others: a search among 10,000
//! pictures takes a fraction of a millisecond, and a few only if all of them look like the probe.

use std::cmp::Reverse;
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

/// Number of bits, and how many each half of them has.
const BITS: usize = 256;
const HALF: usize = BITS / 2;
/// How many bits of each half are compared, those with the largest sums.
const FIRM: usize = 112;

/// Max distance between full frames at which no crop is tried: it could not raise the score by more than two.
const NEAR: u32 = 4;

/// Max distance between full frames at which crops are tried: the measured crops stay below 58.
const MAX_DISTANCE_FOR_CROPS: u32 = 64;

/// Max distance of the nearest coarse crop at which finer crops are tried: the measured crops stay below 21.
const MAX_DISTANCE_FOR_FINE_CROPS: u32 = 40;

/// Crop amounts that are tried at each side, as fractions of the picture.
const CROPS: [f64; 3] = [0.0, 0.025, 0.05];
/// Maximum of [`CROPS`]: every probe contains the area inside this margin.
const MARGIN: f64 = 0.05;

/// 256-bit hash of a picture, or of an area of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u64; 4]);

impl Hash {
    /// Returns the signs of sums: a bit is set where it is positive.
    fn of_signs(sums: &Sums) -> Hash {
        Hash::of_bits(|bit| sums[bit] > 0)
    }

    fn of_bits(is_set: impl Fn(usize) -> bool) -> Hash {
        let mut words = [0; BITS / 64];
        for bit in 0..BITS {
            words[bit / 64] |= u64::from(is_set(bit)) << (bit % 64);
        }
        Hash(words)
    }
}

/// Hash of a gallery picture, or of an area of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FirmHash {
    hash: Hash,
    /// The bits that are compared.
    firm: Hash,
}

impl FirmHash {
    fn of(sums: &Sums) -> FirmHash {
        let mut is_firm = [false; BITS];
        for half in 0..2 {
            let mut bits: [usize; HALF] = std::array::from_fn(|bit| half * HALF + bit);
            bits.sort_by_key(|bit| Reverse(sums[*bit].unsigned_abs()));
            bits[..FIRM].iter().for_each(|bit| is_firm[*bit] = true);
        }
        FirmHash { hash: Hash::of_signs(sums), firm: Hash::of_bits(|bit| is_firm[bit]) }
    }

    /// Returns the number of firm bits that differ: 0 to 224; about 108 for unrelated pictures.
    fn distance(&self, probe: &Hash) -> u32 {
        let words = self.hash.0.iter().zip(&self.firm.0).zip(&probe.0);
        words.map(|((own, firm), other)| ((own ^ other) & firm).count_ones()).sum()
    }
}

/// Hashes of a gallery picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    full: FirmHash,
    /// Hash of the area inside the margin that a probe may lack.
    inner: FirmHash,
}

/// Hashes of a probe.
#[derive(Clone, Debug)]
pub struct ProbeHash {
    small: Box<GreyImage>,
    full: Hash,
    /// Hash of the picture's inner area, for each way the probe may have been cropped. Computed lazily, when a picture is near
    /// enough for it to matter.
    coarse: OnceLock<Box<[Hash]>>,
    fine: OnceLock<Box<[Hash]>>,
}

impl Template {
    /// Computes the template of a picture; `None` for one without contrast, such as a black one.
    #[must_use]
    pub fn of(small: &GreyImage) -> Option<Template> {
        let (tables, columns) = (&*TABLES, columns(small));
        let reference = |axis: &Axis| FirmHash::of(&sums(&rows(&columns, axis), axis));
        has_contrast(small)
            .then(|| Template { full: reference(&tables.full), inner: reference(&tables.inner) })
    }
}

impl ProbeHash {
    /// Computes the hash of a probe; `None` for one without contrast.
    #[must_use]
    pub fn of(small: &GreyImage) -> Option<ProbeHash> {
        let full = &TABLES.full;
        has_contrast(small).then(|| ProbeHash {
            full: Hash::of_signs(&sums(&rows(&columns(small), full), full)),
            small: Box::new(*small),
            coarse: OnceLock::new(),
            fine: OnceLock::new(),
        })
    }

    /// Returns the distance to a gallery picture: that of the full frames, or that of the best-fitting crop if it is smaller. Tries
    /// crops only when the full frames are near, but not as near as an uncropped copy.
    #[must_use]
    pub fn distance(&self, template: &Template) -> u32 {
        let full = template.full.distance(&self.full);
        if full <= NEAR || full > MAX_DISTANCE_FOR_CROPS {
            return full;
        }
        let nearest = |inner: &[Hash]| {
            inner.iter().map(|inner| template.inner.distance(inner)).min().unwrap_or(u32::MAX)
        };
        let crop = nearest(self.coarse.get_or_init(|| self.crops(true)));
        if crop > MAX_DISTANCE_FOR_FINE_CROPS {
            return full.min(crop);
        }
        full.min(crop).min(nearest(self.fine.get_or_init(|| self.crops(false))))
    }

    /// Computes the hashes of the coarse crops, or of all others.
    fn crops(&self, coarse: bool) -> Box<[Hash]> {
        let (tables, columns) = (&*TABLES, columns(&self.small));
        let mut hashes = Vec::new();
        for (vertical_is_coarse, vertical) in &tables.cropped {
            if coarse && !vertical_is_coarse {
                continue;
            }
            let rows = rows(&columns, vertical);
            for (horizontal_is_coarse, horizontal) in &tables.cropped {
                if (*vertical_is_coarse && *horizontal_is_coarse) == coarse {
                    hashes.push(Hash::of_signs(&sums(&rows, horizontal)));
                }
            }
        }
        hashes.into()
    }
}

fn has_contrast(small: &GreyImage) -> bool {
    let (darkest, lightest) = (small.iter().min(), small.iter().max());
    lightest.zip(darkest).is_some_and(|(lightest, darkest)| lightest - darkest >= MIN_CONTRAST)
}

/// Weight of each pixel along a side, for each frequency and each grid cell.
///
/// Each is at most a 43rd of [`WEIGHT_SCALE`].
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
    frequencies.truncate(HALF);
    Tables {
        full: Axis::new(0.0, 1.0),
        inner: Axis::new(MARGIN, 1.0 - MARGIN),
        cropped: cropped.collect(),
        frequencies,
    }
});

type Rows = [[i16; SIDE]; FREQUENCIES + CELLS];

/// The columns of a small image.
type Columns = [[i16; SIDE]; SIDE];

fn columns(small: &GreyImage) -> Columns {
    std::array::from_fn(|x| std::array::from_fn(|y| small[y * SIDE + x] as i16))
}

/// Sum of products: of 16 bits, as every processor multiplies many of at once.
fn dot(values: &[i16; SIDE], weights: &[i16; SIDE]) -> i32 {
    // Indices instead of iterators: five times faster in a debug build, in which tests run.
    let (mut sum, mut pixel) = (0, 0);
    while pixel < SIDE {
        sum += values[pixel] as i32 * weights[pixel] as i32;
        pixel += 1;
    }
    sum
}

/// Computes the first half of the transform: weighted sums of each column. Values stay below 2^14.
fn rows(columns: &Columns, vertical: &Axis) -> Rows {
    let mut out = [[0; SIDE]; FREQUENCIES + CELLS];
    for (row, weights) in out.iter_mut().zip(&vertical.0) {
        for (value, column) in row.iter_mut().zip(columns) {
            *value = (dot(column, weights) >> 10) as i16;
        }
    }
    out
}

/// What the bits are the signs of: frequencies, then the differences of each cell to the one at its right, and to the one below.
type Sums = [i32; BITS];

/// Computes the second half of the transform.
fn sums(rows: &Rows, horizontal: &Axis) -> Sums {
    let at = |y: usize, x: usize| dot(&rows[y], &horizontal.0[x]);
    let cells: [[i32; CELLS]; CELLS] =
        std::array::from_fn(|y| std::array::from_fn(|x| at(FREQUENCIES + y, FREQUENCIES + x)));
    let mut out = [0; BITS];
    for (sum, (y, x)) in out.iter_mut().zip(&TABLES.frequencies) {
        *sum = at(*y, *x);
    }
    for pair in 0..HALF / 2 {
        let (y, x) = (pair / (CELLS - 1), pair % (CELLS - 1));
        out[HALF + pair] = cells[y][x + 1] - cells[y][x];
        out[HALF + HALF / 2 + pair] = cells[y + 1][x] - cells[y][x];
    }
    out
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
        assert!(Template::of(&picture).unwrap().full.distance(&full(&negative)) > 216);
    }

    #[test]
    fn a_crop_within_the_margin_is_near_and_another_picture_is_not() {
        let picture = waves(11.0, [0.0; 4]);
        for crop in [[0.05, 0.0, 0.0, 0.0], [0.0, 0.05, 0.025, 0.0], [0.05; 4], [0.012, 0.0, 0.037, 0.05]] {
            let distance = distance(&waves(11.0, crop), &picture);
            assert!(distance <= 10, "{crop:?}: {distance}");
        }
        assert!(distance(&waves(17.0, [0.0; 4]), &picture) > 70);
    }

    #[test]
    fn the_smallest_sums_of_each_half_are_not_compared() {
        let picture = waves(11.0, [0.0; 4]);
        let axis = &TABLES.full;
        let sums = sums(&rows(&columns(&picture), axis), axis);
        let reference = FirmHash::of(&sums);
        let is_firm = |bit: usize| reference.firm.0[bit / 64] >> (bit % 64) & 1 == 1;
        for half in [0..HALF, HALF..BITS] {
            let (firm, weak): (Vec<_>, Vec<_>) = half.partition(|bit| is_firm(*bit));
            assert_eq!((firm.len(), weak.len()), (112, 16));
            let size = |bit: &usize| sums[*bit].abs();
            assert!(weak.iter().map(size).max() <= firm.iter().map(size).min());
        }
        // Another sign of a weak bit is no difference, and each of a firm one is.
        let turned = |firm| Hash::of_bits(|bit| (sums[bit] > 0) != (is_firm(bit) == firm));
        assert_eq!((reference.distance(&turned(false)), reference.distance(&turned(true))), (0, 224));
    }

    #[test]
    fn brightness_and_contrast_barely_affect_the_hash() {
        let picture = waves(11.0, [0.0; 4]);
        assert!(distance(&picture.map(|grey| grey / 2 + 10), &picture) <= 2);
        assert!(distance(&picture.map(|grey| grey / 2 + 100), &picture) <= 2);
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
        let probe = ProbeHash::of(&waves(11.0, [0.0; 4])).unwrap();
        let [coarse, fine] = [true, false].map(|coarse| probe.crops(coarse).len());
        assert_eq!((coarse, coarse + fine), (2_usize.pow(4), 3_usize.pow(4)));
    }
}
