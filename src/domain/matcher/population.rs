//! Look-alikes: the strangers that a search among many people finds.
//!
//! The matcher's score is -log10 of its false accept rate, so among N people N * 10^-T strangers reach the score T on average, and
//! what they exceed it by is exponential with mean 1/ln 10 (FIELD-NOTES, "Scores"). That is a Poisson process along the scale; its
//! points are drawn from the top, so that another threshold cuts the same sequence elsewhere.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::civil::{Date, date};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::score::TOP;
use crate::base::random::uniform;
use crate::domain::nik::{Generator, Nik, NikContext, NikCriteria};
use crate::protocol::Candidate;

/// Look-alikes are as old as identity cards allow on this day, whatever the clock says: the same photo has the same ones always.
const TODAY: Date = date(2026, 1, 1);

/// Who look-alikes are: of any district, age and sex.
static EVERYBODY: LazyLock<Option<Generator>> =
    LazyLock::new(|| Generator::new(&NikCriteria::default(), &NikContext { today: TODAY, min_age: 17 }).ok());

/// The look-alikes of a photo among `population` people: those who reach `threshold`, best first, at most `most`. A pure function:
/// the same seed and the same file give the same people with the same scores, and a lower threshold only adds to them.
#[must_use]
pub fn look_alikes(
    seed: u64,
    sha256: &[u8; 32],
    population: u64,
    threshold: f64,
    most: usize,
) -> Vec<Candidate> {
    let (Some(everybody), true) = (&*EVERYBODY, population > 0) else { return Vec::new() };
    let mut chance = source(seed, sha256);
    let mut taken = BTreeSet::new();
    // Points of a Poisson process have exponential gaps: N * 10^-s runs through them as s falls.
    let mut expected_above = 0.0;
    let mut people = Vec::new();
    while people.len() < most {
        expected_above -= (1.0 - uniform(&mut chance)).ln();
        let score = (population as f64 / expected_above).log10().clamp(0.0, f64::from(TOP)) as f32;
        if f64::from(score) < threshold || score <= 0.0 {
            break;
        }
        let nik = unlike(&mut taken, || everybody.next(&mut chance));
        people.push(Candidate { nik: nik.to_string(), score });
    }
    people
}

/// The NIK of anybody; `None` only if the regions' data were empty.
pub fn anybody(chance: &mut ChaCha8Rng) -> Option<Nik> {
    EVERYBODY.as_ref().map(|everybody| everybody.next(chance))
}

/// One that nobody before has: two people never share a NIK.
fn unlike(taken: &mut BTreeSet<String>, mut next: impl FnMut() -> Nik) -> Nik {
    loop {
        let nik = next();
        if taken.insert(nik.to_string()) {
            return nik;
        }
    }
}

fn source(seed: u64, sha256: &[u8; 32]) -> ChaCha8Rng {
    let hash =
        Sha256::new().chain_update(b"population").chain_update(seed.to_le_bytes()).chain_update(sha256);
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::nik::read;
    use proptest::prelude::*;

    const INDONESIA: u64 = 285_000_000;

    fn digest(number: u64) -> [u8; 32] {
        Sha256::digest(number.to_le_bytes()).into()
    }

    fn all(number: u64, threshold: f64) -> Vec<Candidate> {
        look_alikes(0, &digest(number), INDONESIA, threshold, usize::MAX)
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
        sum / f64::from(count)
    }

    proptest! {
        #[test]
        fn a_lower_threshold_only_adds(
            seed: u64, image: [u8; 32], population in 0_u64..2_000_000_000, low in 4.0_f64..12.0, step in 0.0_f64..3.0, most in 0_usize..40,
        ) {
            let at = |threshold: f64| look_alikes(seed, &image, population, threshold, most);
            let (few, many) = (at(low + step), at(low));
            prop_assert_eq!(&many[..few.len()], &few[..]);
            prop_assert!(few.len() == most || many[few.len()..].iter().all(|found| f64::from(found.score) < low + step));
            prop_assert!(many.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert!(many.iter().all(|found| f64::from(found.score) >= low && found.score <= TOP));
        }

        #[test]
        fn niks_are_plausible_and_different(seed: u64, image: [u8; 32]) {
            let people = look_alikes(seed, &image, INDONESIA, 1.0, 200);
            let terms = NikContext { today: TODAY, min_age: 17 };
            for person in &people {
                let reading = read(&person.nik, &terms).unwrap();
                prop_assert!(reading.is_valid() && reading.serial.unwrap() >= 9000, "{}", person.nik);
            }
            let different: BTreeSet<_> = people.iter().map(|person| &person.nik).collect();
            prop_assert_eq!((people.len(), different.len()), (200, 200));
        }
    }

    /// N * 10^-T: 28.5 and 2.85 of 285 million, with a standard error of 0.27 and 0.084 over 400 photos.
    #[test]
    fn as_many_reach_a_threshold_as_the_law_says() {
        for (threshold, expected, error) in [(7.0, 28.5, 0.27), (8.0, 2.85, 0.084)] {
            let found = mean((0..400).map(|photo| all(photo, threshold).len() as f64));
            assert!((found - expected).abs() < 4.0 * error, "{threshold}: {found}");
        }
    }

    /// The variance of a Poisson number is its mean.
    #[test]
    fn the_number_of_look_alikes_varies_as_a_poisson_number_does() {
        let counts: Vec<f64> = (0..400).map(|photo| all(photo, 7.0).len() as f64).collect();
        let mean_count = mean(counts.iter().copied());
        let variance = mean(counts.iter().map(|count| (count - mean_count).powi(2)));
        assert!((20.0..38.0).contains(&variance), "{variance}");
    }

    #[test]
    fn what_they_exceed_the_threshold_by_is_exponential_with_mean_0_434() {
        let excess = |photo| all(photo, 7.0).into_iter().map(|found| f64::from(found.score) - 7.0);
        let found = mean((0..400).flat_map(excess));
        assert!((found - std::f64::consts::LOG10_E).abs() < 0.02, "{found}");
    }

    #[test]
    fn seed_and_image_decide_and_nothing_else() {
        let of = |seed, photo| look_alikes(seed, &digest(photo), INDONESIA, 7.0, 10);
        assert_eq!(of(1, 1), of(1, 1));
        assert_ne!(of(1, 1), of(2, 1));
        assert_ne!(of(1, 1), of(1, 2));
        assert!(look_alikes(1, &digest(1), 0, 1.0, 10).is_empty());
    }
}
