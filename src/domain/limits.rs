//! `[limits]` of `simulator.toml`: resource limits for requests, connections, customers and caches.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::duration::DurationText;
use crate::base::size::Size;

/// Resource limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Max size of an image file, in bytes.
    pub image_bytes: Size,
    /// Max pixels of an image: width times height.
    #[schemars(example = 50_000_000)]
    pub image_pixels: u64,
    /// Max width and max height of an image, in pixels.
    pub image_side: u32,
    /// Max concurrent connections to the endpoint.
    #[schemars(example = 20_000)]
    pub connections: usize,
    /// Max concurrent connections of one peer; no limit by default.
    #[schemars(example = 100)]
    pub connections_per_peer: Option<usize>,
    /// Max counters of a customer's rules, per transaction_id and so on; beyond it the oldest is evicted.
    #[schemars(example = 100_000)]
    pub rule_counters: usize,
    /// Max characters of a request's text that the conditions of rules look at, and that requests are counted by.
    #[schemars(example = 256)]
    pub condition_chars: usize,
    /// Max rules of a customer, and max rules that are put over the admin API for it.
    #[schemars(example = 1000)]
    pub rules: usize,
    /// Max memory of regexes, approximately: in rules of all customers of the admin API, in all rules put one by one, and in the `match` of
    /// all calls that wait.
    pub regexes: Size,
    /// Max customers that one customer extends, directly or not.
    #[schemars(example = 100)]
    pub extends: usize,
    /// Max customers: those of the fixtures and those created over the admin API together.
    #[schemars(example = 10_000)]
    pub customers: usize,
    /// Max elements of a request at `/api/nik`.
    #[schemars(example = 100_000)]
    pub niks: usize,
    /// Max cached ciphertexts; a cache hit saves the private-key operation. 0 disables the cache.
    #[schemars(example = 10_000)]
    pub remembered_ciphertexts: usize,
    /// Max cached photos; a cache hit saves hashing. 0 disables the cache.
    #[schemars(example = 4096)]
    pub remembered_photos: usize,
    /// Processor time of each second that may be spent on finding out why ciphertexts do not open; beyond it, a reason is "not examined".
    /// No code of an answer depends on it. 0: never.
    pub diagnosis: DurationText,
}

impl Limits {
    /// No limits: for photos that a user adds to the gallery.
    pub const NONE: Limits = Limits {
        image_bytes: Size(u64::MAX),
        image_pixels: u64::MAX,
        image_side: u32::MAX,
        connections: usize::MAX,
        connections_per_peer: None,
        rule_counters: usize::MAX,
        condition_chars: usize::MAX,
        rules: usize::MAX,
        regexes: Size(u64::MAX),
        extends: usize::MAX,
        customers: usize::MAX,
        niks: usize::MAX,
        remembered_ciphertexts: 0,
        remembered_photos: 0,
        diagnosis: DurationText(Duration::MAX),
    };
}

/// Assumed: photos of 1 to 3 MB were observed; the limits of the real endpoint are unknown.
impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // Its base64 fits into the default --max-body, so an image just above the limit fails the image check, not the body limit.
            image_bytes: Size(7 << 20),
            image_pixels: 50_000_000,
            image_side: 16_384,
            connections: 20_000,
            connections_per_peer: None,
            rule_counters: 100_000,
            condition_chars: 256,
            rules: 1000,
            regexes: Size(64 << 20),
            extends: 100,
            customers: 10_000,
            niks: 100_000,
            remembered_ciphertexts: 10_000,
            remembered_photos: 4096,
            diagnosis: DurationText(Duration::from_millis(500)),
        }
    }
}
