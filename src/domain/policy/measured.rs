//! What `calibrate` found out about the keys: the file of `--preset measured:FILE`, beside its `[policy]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a key was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The key, such as `not_found` or `shape.5001`.
    pub key: String,
    /// Instant of the last call that tells, RFC 3339.
    #[serde(default)]
    pub at: String,
    /// Name of the endpoint, or a token of it.
    #[serde(default)]
    pub target: String,
    /// The run, or the file of a recording.
    #[serde(default)]
    pub run: String,
    /// The cases whose answers tell.
    #[serde(default)]
    pub cases: Vec<String>,
    /// Number of answers that tell.
    #[serde(default)]
    pub calls: u32,
    /// Version of the cases.
    #[serde(default)]
    pub suite: u32,
}

/// Why a key was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undetermined {
    pub key: String,
    #[serde(default)]
    pub why: String,
}

impl Measurement {
    /// Whether the measurement is of a key of [`super::KEYS`]: `shape.5001` is of `shape`.
    #[must_use]
    pub fn is_of(&self, key: &str) -> bool {
        self.key.split('.').next() == Some(key)
    }
}
