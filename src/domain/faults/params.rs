//! Parameters of a fault, validated.

use std::time::Duration;

use super::{End, Offset};

/// Validated parameters of a fault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    pub at: Option<Offset>,
    pub end: Option<End>,
    pub(super) time: Option<Duration>,
    pub(super) after: Option<Duration>,
    pub bytes: Option<u32>,
    /// Bytes that `raw` sends.
    pub raw: Vec<u8>,
    pub by: Option<i64>,
    pub chunks: Option<u32>,
    pub bytes_per_second: Option<u64>,
    pub bits: Option<u32>,
    pub status: Option<u16>,
}

impl Params {
    /// Returns `for`; the default is `seconds`.
    #[must_use]
    pub fn time_or(&self, seconds: u64) -> Duration {
        self.time.unwrap_or(Duration::from_secs(seconds))
    }

    /// Returns `after`; the default is `millis`.
    #[must_use]
    pub fn after_or(&self, millis: u64) -> Duration {
        self.after.unwrap_or(Duration::from_millis(millis))
    }
}
