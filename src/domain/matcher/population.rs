//! Look-alikes: generates the strangers that a search in a large population returns.
//!
//! The matcher's score is -log10 of its false accept rate. So among N people, N * 10^-T strangers reach the score T on average, and
//! their excess over T is exponential with mean 1/ln 10 (FIELD-NOTES, "Scores"). That is a Poisson process along the scale. Its
//! points are drawn from the top, so another threshold truncates the same sequence elsewhere.
//!
//! The look-alikes are seeded by the file (its SHA-256) and the seed, not by the face: the same photo in another encoding has other
//! look-alikes. A hash of the content is not stable to the last bit, so it cannot be a seed.

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

/// Reference day for the ages of look-alikes. Fixed, so that the same photo always has the same look-alikes, whatever the clock says.
const TODAY: Date = date(2026, 1, 1);

/// Generator of look-alikes' NIKs: any district, age and sex.
static NIKS: LazyLock<Option<Generator>> =
    LazyLock::new(|| Generator::new(&NikCriteria::default(), &NikContext { today: TODAY, min_age: 17 }).ok());

/// Returns the look-alikes of a photo among `population` people: those that reach `threshold`, best first, at most `max_results`.
/// A pure function: the same seed and file return the same NIKs and scores, and a lower threshold only adds more.
#[must_use]
pub fn look_alikes(
    seed: u64,
    sha256: &[u8; 32],
    population: u64,
    threshold: f64,
    max_results: usize,
) -> Vec<Candidate> {
    let (Some(generator), true) = (&*NIKS, population > 0) else { return Vec::new() };
    let mut rng = rng_for(seed, sha256);
    let mut used = BTreeSet::new();
    // Points of a Poisson process have exponential gaps: N * 10^-s runs through them as s falls.
    let mut expected_above = 0.0;
    let mut look_alikes = Vec::new();
    while look_alikes.len() < max_results {
        expected_above -= (1.0 - uniform(&mut rng)).ln();
        let score = (population as f64 / expected_above).log10().clamp(0.0, f64::from(TOP)) as f32;
        if f64::from(score) < threshold || score <= 0.0 {
            break;
        }
        let nik = next_unused(&mut used, || generator.next(&mut rng));
        look_alikes.push(Candidate { nik: nik.to_string(), score, by: None });
    }
    look_alikes
}

/// Returns a random NIK; `None` only if the region data is empty.
pub fn random_nik(rng: &mut ChaCha8Rng) -> Option<Nik> {
    NIKS.as_ref().map(|generator| generator.next(rng))
}

/// Draws until the NIK is unused, so that two look-alikes never share one.
fn next_unused(used: &mut BTreeSet<String>, mut next: impl FnMut() -> Nik) -> Nik {
    loop {
        let nik = next();
        if used.insert(nik.to_string()) {
            return nik;
        }
    }
}

fn rng_for(seed: u64, sha256: &[u8; 32]) -> ChaCha8Rng {
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
            seed: u64, image: [u8; 32], population in 0_u64..2_000_000_000,
            low in 4.0_f64..12.0, step in 0.0_f64..3.0, max_results in 0_usize..40,
        ) {
            let at = |threshold: f64| look_alikes(seed, &image, population, threshold, max_results);
            let (few, many) = (at(low + step), at(low));
            prop_assert_eq!(&many[..few.len()], &few[..]);
            prop_assert!(few.len() == max_results || many[few.len()..].iter().all(|found| f64::from(found.score) < low + step));
            prop_assert!(many.windows(2).all(|pair| pair[0].score >= pair[1].score));
            prop_assert!(many.iter().all(|found| f64::from(found.score) >= low && found.score <= TOP));
        }

        #[test]
        fn niks_are_valid_and_unique(seed: u64, image: [u8; 32]) {
            let people = look_alikes(seed, &image, INDONESIA, 1.0, 200);
            let context = NikContext { today: TODAY, min_age: 17 };
            for person in &people {
                let reading = read(&person.nik, &context).unwrap();
                prop_assert!(reading.is_valid() && reading.serial.unwrap() >= 9000, "{}", person.nik);
            }
            let unique: BTreeSet<_> = people.iter().map(|person| &person.nik).collect();
            prop_assert_eq!((people.len(), unique.len()), (200, 200));
        }
    }

    /// N * 10^-T: 28.5 and 2.85 among 285 million, with a standard error of 0.27 and 0.084 over 400 photos.
    #[test]
    fn the_mean_number_of_look_alikes_is_as_expected() {
        for (threshold, expected, error) in [(7.0, 28.5, 0.27), (8.0, 2.85, 0.084)] {
            let found = mean((0..400).map(|photo| all(photo, threshold).len() as f64));
            assert!((found - expected).abs() < 4.0 * error, "{threshold}: {found}");
        }
    }

    /// The variance of a Poisson distribution equals its mean.
    #[test]
    fn the_number_of_look_alikes_is_poisson_distributed() {
        let counts: Vec<f64> = (0..400).map(|photo| all(photo, 7.0).len() as f64).collect();
        let mean_count = mean(counts.iter().copied());
        let variance = mean(counts.iter().map(|count| (count - mean_count).powi(2)));
        assert!((20.0..38.0).contains(&variance), "{variance}");
    }

    #[test]
    fn the_excess_over_the_threshold_is_exponential_with_mean_0_434() {
        let excess = |photo| all(photo, 7.0).into_iter().map(|found| f64::from(found.score) - 7.0);
        let found = mean((0..400).flat_map(excess));
        assert!((found - std::f64::consts::LOG10_E).abs() < 0.02, "{found}");
    }

    #[test]
    fn only_seed_and_image_affect_the_result() {
        let of = |seed, photo| look_alikes(seed, &digest(photo), INDONESIA, 7.0, 10);
        assert_eq!(of(1, 1), of(1, 1));
        assert_ne!(of(1, 1), of(2, 1));
        assert_ne!(of(1, 1), of(1, 2));
        assert!(look_alikes(1, &digest(1), 0, 1.0, 10).is_empty());
    }
}
