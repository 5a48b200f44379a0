//! Durations as users write them: `"250ms"`, `"2m 30s"`.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::from_text::deserialize_from_text;
use super::text::quoted;

/// A duration as text, such as `"250ms"` or `"2m 30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct DurationText(pub Duration);

impl std::str::FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<DurationText, String> {
        // "0" needs no unit.
        if text.trim() == "0" {
            return Ok(DurationText(Duration::ZERO));
        }
        humantime::parse_duration(text).map(DurationText).map_err(|_| {
            let negative = if text.trim().starts_with('-') { ": it cannot be negative" } else { "" };
            format!("{} is not a duration{negative}; write \"250ms\", \"2s\", \"1m 30s\"", quoted(text))
        })
    }
}

deserialize_from_text!(DurationText, Ttl);

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

/// Time to live of something created over the admin API: longer than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(pub Duration);

impl std::str::FromStr for Ttl {
    type Err = String;

    fn from_str(text: &str) -> Result<Ttl, String> {
        match text.parse()? {
            DurationText(time) if time.is_zero() => {
                Err("a ttl must be longer than 0, such as \"5m\"".to_owned())
            }
            DurationText(time) => Ok(Ttl(time)),
        }
    }
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DurationText(self.0).serialize(serializer)
    }
}
