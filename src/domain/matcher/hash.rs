//! The perceptual hash: 256 bits of a small grey picture, and the distance between two pictures.
//!
//! Half of the bits are signs of low frequencies (a cosine transform), half say which of two neighbouring parts is lighter. All of it
//! is integer arithmetic, so that every machine computes the same. What was measured stands in `docs/matching.md`.

use std::f64::consts::PI;
use std::sync::{LazyLock, OnceLock};

/// Width and height of the small picture.
pub const SIDE: usize = 48;

/// Shades of grey, row by row.
pub type GreyImage = [u8; SIDE * SIDE];

/// A picture whose lightest and darkest part differ by less has nothing to be recognised by.
const LEAST_CONTRAST: u8 = 16;

/// Frequencies along one side: 0 to 12.
const FREQUENCIES: usize = 13;
/// Parts along one side; eight neighbours to compare.
const PARTS: usize = 9;
/// Weights are fractions of this.
const ONE: f64 = 65536.0;

/// Beyond this distance of the whole frames, crops are not looked for.
const NEAR: u32 = 96;

/// Beyond this distance of the nearest coarse crop, finer ones are not looked for.
const NEAR_CROP: u32 = 72;

/// What a probe may have lost at each side, in parts of the picture.
const CROPS: [f64; 3] = [0.0, 0.025, 0.05];
/// So many of all combinations have nothing or the most cut from each side: they come first.
const COARSE: usize = 2_usize.pow(4);
/// The most of [`CROPS`]: what lies farther inside is in every probe.
const MARGIN: f64 = 0.05;

/// 256 bits of a picture, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u64; 4]);

impl Hash {
    /// In how many bits two hashes differ: 0 to 256; about 128 for pictures that have nothing in common.
    #[must_use]
    pub fn distance(&self, other: &Hash) -> u32 {
        self.0.iter().zip(&other.0).map(|(a, b)| (a ^ b).count_ones()).sum()
    }
}

/// What a picture of the gallery is compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    whole: Hash,
    /// Without the margin that a probe may lack.
    inner: Hash,
}

/// What a probe is compared by.
#[derive(Clone, Debug)]
pub struct ProbeHash {
    small: Box<GreyImage>,
    whole: Hash,
    /// Where the inner part of the picture lies, for each way in which the probe may have been cropped. Made when a picture is near
    /// enough for it to matter.
    inner: OnceLock<Box<[Hash]>>,
}

impl Template {
    /// The template of a picture; `None` for one without contrast, such as a black one.
    #[must_use]
    pub fn of(small: &GreyImage) -> Option<Template> {
        let tables = &*TABLES;
        let hash = |axis: &Axis| hash(&rows(small, axis), axis);
        has_contrast(small).then(|| Template { whole: hash(&tables.whole), inner: hash(&tables.inner) })
    }
}

impl ProbeHash {
    /// The print of a probe; `None` for one without contrast.
    #[must_use]
    pub fn of(small: &GreyImage) -> Option<ProbeHash> {
        let whole = &TABLES.whole;
        has_contrast(small).then(|| ProbeHash {
            whole: hash(&rows(small, whole), whole),
            small: Box::new(*small),
            inner: OnceLock::new(),
        })
    }

    /// The distance to a picture of the gallery: of the whole frames, or that of the crop which explains the probe best where the
    /// frames are near enough for one.
    #[must_use]
    pub fn distance(&self, template: &Template) -> u32 {
        let whole = self.whole.distance(&template.whole);
        if whole == 0 || whole > NEAR {
            return whole;
        }
        let nearest = |inner: &[Hash]| {
            inner.iter().map(|inner| inner.distance(&template.inner)).min().unwrap_or(u32::MAX)
        };
        let (coarse, fine) = self.inner().split_at(COARSE);
        let crop = nearest(coarse);
        if crop > NEAR_CROP { whole.min(crop) } else { whole.min(crop).min(nearest(fine)) }
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
    lightest.zip(darkest).is_some_and(|(lightest, darkest)| lightest - darkest >= LEAST_CONTRAST)
}

/// How each shade along a side weighs in each frequency and each part.
struct Axis([[i32; SIDE]; FREQUENCIES + PARTS]);

impl Axis {
    /// For the part of the side from `start` to `end`, of 0 to 1.
    fn new(start: f64, end: f64) -> Axis {
        let mut weights = [[0; SIDE]; FREQUENCIES + PARTS];
        for shade in 0..SIDE {
            let place = |at: usize| ((at as f64 / SIDE as f64).clamp(start, end) - start) / (end - start);
            let (from, to) = (place(shade), place(shade + 1));
            for (number, row) in weights.iter_mut().enumerate() {
                let weight = match number {
                    0 => to - from,
                    1..FREQUENCIES => {
                        let angle = PI * number as f64;
                        ((angle * to).sin() - (angle * from).sin()) / angle
                    }
                    _ => {
                        let bound = |part: usize| part as f64 / PARTS as f64;
                        let part = number - FREQUENCIES;
                        let within = |at: f64| at.clamp(bound(part), bound(part + 1));
                        within(to) - within(from)
                    }
                };
                row[shade] = (weight * ONE).round() as i32;
            }
        }
        Axis(weights)
    }
}

/// What is the same for all pictures.
struct Tables {
    whole: Axis,
    inner: Axis,
    /// Where the inner part lies in a probe, along one side; and whether nothing or the most is cut at both ends.
    cropped: Vec<(bool, Axis)>,
    /// Pairs of frequencies, the lowest first.
    frequencies: Vec<(usize, usize)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let crops = CROPS.iter().flat_map(|before| CROPS.iter().map(move |behind| (before, behind)));
    let cropped = crops.map(|(before, behind)| {
        let left = 1.0 - before - behind;
        let coarse = [before, behind].iter().all(|crop| **crop == 0.0 || **crop == MARGIN);
        (coarse, Axis::new((MARGIN - before) / left, 1.0 - (MARGIN - behind) / left))
    });
    let mut frequencies: Vec<_> =
        (0..FREQUENCIES).flat_map(|y| (0..FREQUENCIES).map(move |x| (y, x))).skip(1).collect();
    frequencies.sort_by_key(|(y, x)| (y * y + x * x, *y));
    frequencies.truncate(128);
    Tables {
        whole: Axis::new(0.0, 1.0),
        inner: Axis::new(MARGIN, 1.0 - MARGIN),
        cropped: cropped.collect(),
        frequencies,
    }
});

type Rows = [[i32; SIDE]; FREQUENCIES + PARTS];

/// The picture with its columns weighed: first half of the transform. Below 2^14.
fn rows(small: &GreyImage, vertical: &Axis) -> Rows {
    // Indices instead of iterators: a debug build, in which everybody's tests run, is five times faster with them.
    let mut out = [[0; SIDE]; FREQUENCIES + PARTS];
    for (row, weights) in out.iter_mut().zip(&vertical.0) {
        for y in 0..SIDE {
            let weight = weights[y];
            if weight == 0 {
                continue;
            }
            for x in 0..SIDE {
                row[x] += weight * small[y * SIDE + x] as i32;
            }
        }
        for sum in row {
            *sum >>= 10;
        }
    }
    out
}

fn hash(rows: &Rows, horizontal: &Axis) -> Hash {
    let at = |y: usize, x: usize| {
        let (row, weights) = (&rows[y], &horizontal.0[x]);
        let (mut sum, mut place) = (0, 0);
        while place < SIDE {
            sum += row[place] * weights[place];
            place += 1;
        }
        sum
    };
    let parts: [[i32; PARTS]; PARTS] =
        std::array::from_fn(|y| std::array::from_fn(|x| at(FREQUENCIES + y, FREQUENCIES + x)));
    let frequencies = TABLES.frequencies.iter().map(|(y, x)| at(*y, *x) > 0);
    let places = (0..64).map(|place| (place / 8, place % 8));
    let to_the_right = places.clone().map(|(y, x)| parts[y][x + 1] > parts[y][x]);
    let below = places.map(|(y, x)| parts[y + 1][x] > parts[y][x]);
    let mut words = [0; 4];
    for (bit, set) in frequencies.chain(to_the_right).chain(below).enumerate() {
        words[bit / 64] |= u64::from(set) << (bit % 64);
    }
    Hash(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves that cross, a little like a photo: `across` tells pictures apart.
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
    fn the_same_picture_has_no_distance_and_the_negative_has_the_greatest() {
        let picture = waves(11.0, [0.0; 4]);
        assert_eq!(distance(&picture, &picture), 0);
        let negative = picture.map(|grey| 255 - grey);
        let whole = |small: &GreyImage| ProbeHash::of(small).unwrap().whole;
        assert!(whole(&picture).distance(&whole(&negative)) > 240);
    }

    #[test]
    fn a_crop_within_the_margin_is_near_and_another_picture_is_not() {
        let picture = waves(11.0, [0.0; 4]);
        for crop in [[0.05, 0.0, 0.0, 0.0], [0.0, 0.05, 0.025, 0.0], [0.05; 4], [0.012, 0.0, 0.037, 0.05]] {
            let apart = distance(&waves(11.0, crop), &picture);
            assert!(apart <= 24, "{crop:?}: {apart}");
        }
        assert!(distance(&waves(17.0, [0.0; 4]), &picture) > 80);
    }

    #[test]
    fn brightness_and_contrast_change_little() {
        let picture = waves(11.0, [0.0; 4]);
        assert!(distance(&picture.map(|grey| grey / 2 + 10), &picture) <= 8);
        assert!(distance(&picture.map(|grey| grey / 2 + 100), &picture) <= 8);
    }

    #[test]
    fn a_picture_without_contrast_has_no_template() {
        for grey in [0, 128, 255] {
            assert_eq!(Template::of(&[grey; SIDE * SIDE]), None);
            assert!(ProbeHash::of(&[grey; SIDE * SIDE]).is_none());
        }
    }

    #[test]
    fn every_way_to_crop_is_looked_for() {
        assert_eq!(ProbeHash::of(&waves(11.0, [0.0; 4])).unwrap().inner().len(), 3_usize.pow(4));
        let coarse = TABLES.cropped.iter().filter(|(is_coarse, _)| *is_coarse).count();
        assert_eq!((coarse * coarse, TABLES.frequencies.len()), (COARSE, 128));
    }
}
