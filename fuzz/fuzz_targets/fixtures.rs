//! Fuzzes fixture files: they are loaded, or problems say why not. The first byte chooses a built-in file; the others edit it.

#![no_main]

use std::sync::LazyLock;

#[path = "../fixtures.rs"]
mod fixtures;
#[path = "../inputs.rs"]
mod inputs;

static FILES: LazyLock<fixtures::FixtureFiles> = LazyLock::new(|| {
    let name = format!("frsim-fuzz-{}", std::process::id());
    fixtures::FixtureFiles::start(std::env::temp_dir().join(name))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((which, edits)) = bytes.split_first() {
        let (name, good) = &FILES.good[usize::from(*which) % FILES.good.len()];
        FILES.check(name, &inputs::edited(good, edits));
    }
});
