//! What the fuzz targets `rules`, `fixtures` and `admin` check, with some hundred seeded inputs and without a fuzzer.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

#[path = "../../fuzz/admin.rs"]
mod admin;
#[path = "../../fuzz/fixtures.rs"]
mod fixtures;
#[path = "../../fuzz/inputs.rs"]
mod inputs;
#[path = "../../fuzz/rules.rs"]
mod rules;

/// Returns up to five edits.
fn edits(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut edits = vec![0; 3 * random.random_range(0..=5)];
    random.fill_bytes(&mut edits);
    // Mostly what a text may have.
    edits.iter_mut().skip(2).step_by(3).for_each(|byte| *byte = b' ' + *byte % 95);
    edits
}

#[test]
fn rules_are_refused_or_decide_whatever_they_say() {
    let (rules, mut random) = (rules::Rules::start(), ChaCha8Rng::seed_from_u64(0));
    let mut accepted = 0;
    for good in rules::GOOD {
        assert!(rules.check(good.as_bytes()), "{good}");
        for _ in 0..100 {
            accepted += usize::from(rules.check(&inputs::edited(good.as_bytes(), &edits(&mut random))));
        }
    }
    assert!((50..650).contains(&accepted), "{accepted}");
}

#[test]
fn fixture_files_are_loaded_or_refused_with_problems() {
    let directory = tempfile::tempdir().unwrap();
    let files = fixtures::FixtureFiles::start(directory.path().join("fixtures"));
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut valid = 0;
    for (name, good) in &files.good {
        assert!(files.check(name, good), "{name}");
        for _ in 0..6 {
            valid += usize::from(files.check(name, &inputs::edited(good, &edits(&mut random))));
        }
    }
    assert!((10..120).contains(&valid), "{valid}");
}

#[test]
fn every_admin_call_is_answered_without_a_failure_of_the_server() {
    let (api, mut random) = (admin::AdminApi::start(), ChaCha8Rng::seed_from_u64(0));
    let mut refused = 0;
    for number in 0..64 {
        let example = api.example(number);
        for _ in 0..6 {
            let status = api.check(number, &inputs::edited(example.as_bytes(), &edits(&mut random)));
            refused += usize::from(status >= 400);
        }
        api.reset();
    }
    assert!(refused > 60, "{refused}");
}
