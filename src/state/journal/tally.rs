//! How many entries are meant, how many were expected, and what comes near when that differs.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Match, NearMiss};

/// How many entries are expected: exactly so many, or a range with one end or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct ExpectedCount {
    pub exactly: Option<u64>,
    pub at_least: Option<u64>,
    pub at_most: Option<u64>,
}

impl ExpectedCount {
    /// The counts that are right.
    ///
    /// # Errors
    /// When nothing is expected, or what contradicts itself.
    pub fn counts(&self) -> Result<RangeInclusive<u64>, String> {
        match *self {
            ExpectedCount { exactly: None, at_least: None, at_most: None } => {
                Err("no count is given".to_owned())
            }
            ExpectedCount { exactly: Some(count), at_least: None, at_most: None } => Ok(count..=count),
            ExpectedCount { exactly: Some(_), .. } => Err("exactly stands alone".to_owned()),
            ExpectedCount { at_least: Some(least), at_most: Some(most), .. } if least > most => {
                Err(format!("no count is at least {least} and at most {most}"))
            }
            ExpectedCount { at_least, at_most, .. } => {
                Ok(at_least.unwrap_or_default()..=at_most.unwrap_or(u64::MAX))
            }
        }
    }
}

impl fmt::Display for ExpectedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = [("exactly", self.exactly), ("at least", self.at_least), ("at most", self.at_most)];
        let said: Vec<_> =
            ends.iter().filter_map(|(words, count)| Some(format!("{words} {}", (*count)?))).collect();
        f.write_str(&said.join(" and "))
    }
}

/// What a journal has of what is meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchReport {
    /// How many entries are meant.
    pub count: u64,
    /// The ids of those, the newest first, at most [`MatchReport::MATCHED`].
    pub matched: Vec<u64>,
    /// Those that come nearest without being meant, at most [`MatchReport::NEAREST`].
    pub nearest: Vec<NearMiss>,
}

impl MatchReport {
    /// So many ids are told.
    pub const MATCHED: usize = 10;
    /// So many near misses are told.
    pub const NEAREST: usize = 5;

    /// Counts. The entries stand newest first.
    #[must_use]
    pub fn of(entries: &[Arc<Entry>], wanted: &Match) -> MatchReport {
        let taken: Vec<_> =
            entries.iter().filter(|entry| wanted.matches(entry)).map(|entry| entry.id).collect();
        MatchReport {
            count: taken.len() as u64,
            matched: taken.into_iter().take(MatchReport::MATCHED).collect(),
            nearest: wanted.nearest(entries, MatchReport::NEAREST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_or_a_range() {
        let expected = |exactly, at_least, at_most| ExpectedCount { exactly, at_least, at_most };
        assert_eq!(expected(Some(2), None, None).counts(), Ok(2..=2));
        assert_eq!(expected(None, Some(2), None).counts(), Ok(2..=u64::MAX));
        assert_eq!(expected(None, None, Some(2)).counts(), Ok(0..=2));
        assert_eq!(expected(None, Some(1), Some(2)).counts(), Ok(1..=2));
        for wrong in [
            expected(None, None, None),
            expected(Some(1), Some(1), None),
            expected(Some(1), None, Some(1)),
            expected(None, Some(3), Some(2)),
        ] {
            assert!(wrong.counts().is_err(), "{wrong:?}");
        }
        assert_eq!(expected(None, Some(1), Some(2)).to_string(), "at least 1 and at most 2");
    }
}
