//! Value types of the fixtures. Each validates while it is deserialized, so that errors carry line and column.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::base::from_text::deserialize_from_text;
use crate::domain::matcher::score;

deserialize_from_text!(CustomerId, Methode, PathPrefix);

/// Customer id: 1 to 64 ASCII letters, digits, `-`, `_` and `.`; not starting with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CustomerId(String);

impl std::str::FromStr for CustomerId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('.') {
            return Ok(CustomerId(text.to_owned()));
        }
        Err("a customer_id has 1 to 64 letters, digits, - _ or ., and does not start with a dot".to_owned())
    }
}

impl CustomerId {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// Allows map look-ups by `&str`.
impl std::borrow::Borrow<str> for CustomerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A methode: one path segment of at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Methode(pub String);

impl std::str::FromStr for Methode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('/') || text.len() > 64 || text.chars().any(char::is_control) {
            return Err("a methode is one path segment, such as CALL_FN".to_owned());
        }
        Ok(Methode(text.to_owned()))
    }
}

/// Path prefix of the endpoint, such as `/api/face-recognition`. Stored percent-decoded: `%20` is a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathPrefix(pub String);

impl std::str::FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let decoded =
            percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| "not UTF-8".to_owned())?;
        let path = decoded.trim_end_matches('/');
        if !path.starts_with('/') || path.contains("//") || path.contains(['?', '#']) {
            return Err(format!(
                "{text:?} is not a path prefix: write a path, such as \"/api/face-recognition\""
            ));
        }
        Ok(PathPrefix(path.to_owned()))
    }
}

/// All path prefixes of the endpoint, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PathPrefix>")]
pub struct PathPrefixes(pub Vec<PathPrefix>);

impl TryFrom<Vec<PathPrefix>> for PathPrefixes {
    type Error = String;

    fn try_from(prefixes: Vec<PathPrefix>) -> Result<PathPrefixes, String> {
        if prefixes.is_empty() {
            return Err("prefixes is empty: the endpoint would have no path".to_owned());
        }
        Ok(PathPrefixes(prefixes))
    }
}

/// Number of people, from 0 to ten billion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Population(pub u64);

impl Population {
    /// Maximum; more people than live on earth.
    pub const MAX: u64 = 10_000_000_000;
}

impl TryFrom<u64> for Population {
    type Error = String;

    fn try_from(people: u64) -> Result<Population, String> {
        if people <= Population::MAX {
            return Ok(Population(people));
        }
        Err(format!("a population is at most {}", Population::MAX))
    }
}

/// Score of a planted look-alike: above 0, at most 20.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct PlantedScore(pub f32);

impl TryFrom<f64> for PlantedScore {
    type Error = String;

    fn try_from(score: f64) -> Result<PlantedScore, String> {
        let narrow = score as f32;
        if narrow > 0.0 && narrow <= score::TOP {
            return Ok(PlantedScore(narrow));
        }
        Err(format!("{score} is not a score: a score is above 0 and at most {}", score::TOP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_stored_decoded_and_without_a_trailing_slash() {
        assert_eq!("/api%20/face-recognition/".parse(), Ok(PathPrefix("/api /face-recognition".to_owned())));
        for text in ["", "api", "/", "//", "/a//b", "/a?b"] {
            assert!(text.parse::<PathPrefix>().is_err(), "{text}");
        }
    }

    #[test]
    fn customer_ids_allow_plain_ascii_only() {
        assert!("always-6018".parse::<CustomerId>().is_ok());
        for text in ["", ".x", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(text.parse::<CustomerId>().is_err(), "{text}");
        }
    }
}
