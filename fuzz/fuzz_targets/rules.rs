//! Fuzzes rules: they are refused with a reason, or decide requests. The first byte chooses a good rule; the others edit it.

#![no_main]

use std::sync::LazyLock;

#[path = "../inputs.rs"]
mod inputs;
#[path = "../rules.rs"]
mod rules;

static RULES: LazyLock<rules::Rules> = LazyLock::new(rules::Rules::start);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    RULES.check(bytes);
    if let Some((which, edits)) = bytes.split_first() {
        let good = rules::GOOD[usize::from(*which) % rules::GOOD.len()];
        RULES.check(&inputs::edited(good.as_bytes(), edits));
    }
});
