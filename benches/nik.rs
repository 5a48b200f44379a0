//! NIKs parsed per second on one core, with region names and ages.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::domain::nik::{Generator, Nik, NikContext, NikCriteria, read};
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

const TERMS: NikContext = NikContext { today: jiff::civil::date(2026, 11, 21), min_age: 17 };

/// More than the caches of a core hold.
const NIKS: usize = 1_000_000;

fn main() {
    let texts = texts();
    report(
        "read, names included",
        per_second(&texts, |text| {
            let reading = read(text, &TERMS);
            let names = reading.as_ref().ok().and_then(|reading| reading.district.as_ref().ok());
            names.map_or(0, |district| district.name.len() + district.regency.len() + district.province.len())
        }),
    );
    report("parsed as a value", per_second(&texts, |text| usize::from(text.parse::<Nik>().is_ok())));
}

/// Returns valid NIKs from all districts.
fn texts() -> Vec<String> {
    let generator = Generator::new(&NikCriteria::default(), &TERMS).expect("a generator");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    (0..NIKS).map(|_| generator.next(&mut rng).to_string()).collect()
}

/// Returns the rate of the best of several rounds: other programs only slow it down.
fn per_second(texts: &[String], work: impl Fn(&str) -> usize) -> f64 {
    let round = || {
        let started = Instant::now();
        for text in texts {
            assert!(black_box(work(black_box(text))) > 0, "{text} must be valid");
        }
        started.elapsed()
    };
    let best = (0..5).map(|_| round()).min().unwrap_or(Duration::MAX);
    texts.len() as f64 / best.as_secs_f64()
}

fn report(what: &str, per_second: f64) {
    println!("{what:<24} {:>6.2} million NIKs per second on one core", per_second / 1e6);
}
