//! `[limits]` of `simulator.toml`: bounds on what requests and customers may take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::size::Size;

/// Limits of what a request may hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest image file, in bytes.
    pub image_bytes: Size,
    /// Most pixels of an image: width times height.
    pub image_pixels: u64,
    /// Most connections to the endpoint at once.
    pub connections: usize,
    /// Most connections of one peer; none by default.
    pub connections_per_peer: Option<usize>,
    /// Most counters that a customer's rules keep, per transaction_id and so on; the oldest goes.
    pub rule_counters: usize,
    /// Most customers, those of the fixtures and those put over the admin API together.
    pub customers: usize,
    /// Most ciphertexts that are known again, so that they cost no private-key operation; 0: none.
    pub remembered_ciphertexts: usize,
    /// Most photos that are known again, so that they need not be hashed; 0: none.
    pub remembered_photos: usize,
}

impl Limits {
    /// No limit: for what a user puts into the gallery.
    pub const NONE: Limits = Limits {
        image_bytes: Size(u64::MAX),
        image_pixels: u64::MAX,
        connections: usize::MAX,
        connections_per_peer: None,
        rule_counters: usize::MAX,
        customers: usize::MAX,
        remembered_ciphertexts: 0,
        remembered_photos: 0,
    };
}

/// Assumed: originals of 1 to 3 MB were observed, nobody knows where the endpoint stops.
impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // What fits into the default --max-body once it is base64, so that the finding is seen.
            image_bytes: Size(7 << 20),
            image_pixels: 50_000_000,
            connections: 20_000,
            connections_per_peer: None,
            rule_counters: 100_000,
            customers: 10_000,
            remembered_ciphertexts: 10_000,
            remembered_photos: 4096,
        }
    }
}
