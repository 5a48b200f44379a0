//! Verification: how many entries match, how many were expected, and the near misses.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Match, NearMiss};

/// Expected number of entries: an exact count, or a range with a lower bound, an upper bound or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1))]
pub struct ExpectedCount {
    pub exactly: Option<u64>,
    pub at_least: Option<u64>,
    pub at_most: Option<u64>,
}

impl ExpectedCount {
    /// Returns the range of expected counts.
    ///
    /// # Errors
    /// When no count is set, or the counts contradict each other.
    pub fn counts(&self) -> Result<RangeInclusive<u64>, String> {
        match *self {
            ExpectedCount { exactly: None, at_least: None, at_most: None } => {
                Err("no count is set: use exactly, at_least or at_most".to_owned())
            }
            ExpectedCount { exactly: Some(count), at_least: None, at_most: None } => Ok(count..=count),
            ExpectedCount { exactly: Some(_), .. } => {
                Err("exactly cannot be combined with at_least or at_most".to_owned())
            }
            ExpectedCount { at_least: Some(min), at_most: Some(max), .. } if min > max => {
                Err(format!("at_least {min} is greater than at_most {max}"))
            }
            ExpectedCount { at_least, at_most, .. } => {
                Ok(at_least.unwrap_or_default()..=at_most.unwrap_or(u64::MAX))
            }
        }
    }
}

impl fmt::Display for ExpectedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = [("exactly", self.exactly), ("at least", self.at_least), ("at most", self.at_most)];
        let texts: Vec<_> =
            bounds.iter().filter_map(|(name, count)| Some(format!("{name} {}", (*count)?))).collect();
        f.write_str(&texts.join(" and "))
    }
}

/// Matching entries of a journal, and near misses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatchReport {
    /// Number of matching entries.
    pub count: u64,
    /// Ids of the matching entries, newest first, at most [`MatchReport::MATCHED`].
    pub matched: Vec<u64>,
    /// Nearest entries that do not match, at most [`MatchReport::NEAREST`].
    pub nearest: Vec<NearMiss>,
}

impl MatchReport {
    /// Max. reported ids.
    pub const MATCHED: usize = 10;
    /// Max. reported near misses.
    pub const NEAREST: usize = 5;

    /// Matches `entries`, which are ordered newest first, against `filter`.
    #[must_use]
    pub fn of(entries: &[Arc<Entry>], filter: &Match) -> MatchReport {
        let matched: Vec<_> =
            entries.iter().filter(|entry| filter.matches(entry)).map(|entry| entry.id).collect();
        MatchReport {
            count: matched.len() as u64,
            matched: matched.into_iter().take(MatchReport::MATCHED).collect(),
            nearest: filter.nearest(entries, MatchReport::NEAREST),
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
