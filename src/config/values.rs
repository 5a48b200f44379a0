//! The small values of fixtures, each parsed where it stands, so that what is wrong is reported with line and column.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::domain::matcher::score;

macro_rules! from_text {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// Id of a customer: 1 to 64 ASCII letters, digits, `-`, `_` and `.`; not starting with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CustomerId(String);

from_text!(CustomerId);

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
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// So that maps are asked with a text.
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

/// One part of a path: a methode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Methode(pub String);

from_text!(Methode);

impl std::str::FromStr for Methode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('/') || text.len() > 64 || text.chars().any(char::is_control) {
            return Err("a methode is one part of a path, such as CALL_FN".to_owned());
        }
        Ok(Methode(text.to_owned()))
    }
}

/// Where the endpoint is found, such as `/api/face-recognition`. Kept decoded: `%20` is a blank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathPrefix(pub String);

from_text!(PathPrefix);

impl std::str::FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let decoded =
            percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| "not UTF-8".to_owned())?;
        let path = decoded.trim_end_matches('/');
        if !path.starts_with('/') || path.contains("//") || path.contains(['?', '#']) {
            return Err(format!("{text:?} is no prefix: write a path, such as \"/api/face-recognition\""));
        }
        Ok(PathPrefix(path.to_owned()))
    }
}

/// Everywhere the endpoint is found: one prefix at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PathPrefix>")]
pub struct PathPrefixes(pub Vec<PathPrefix>);

impl TryFrom<Vec<PathPrefix>> for PathPrefixes {
    type Error = String;

    fn try_from(prefixes: Vec<PathPrefix>) -> Result<PathPrefixes, String> {
        if prefixes.is_empty() {
            return Err("no prefix is left: the endpoint would be nowhere".to_owned());
        }
        Ok(PathPrefixes(prefixes))
    }
}

/// A number of people: 0 to ten billion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Population(pub u64);

impl Population {
    /// More than live on earth.
    pub const MOST: u64 = 10_000_000_000;
}

impl TryFrom<u64> for Population {
    type Error = String;

    fn try_from(people: u64) -> Result<Population, String> {
        if people <= Population::MOST {
            return Ok(Population(people));
        }
        Err(format!("a population is at most {}", Population::MOST))
    }
}

/// The score of a planted look-alike: above 0, at most 20.
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
        Err(format!("{score} is no score: it is above 0 and at most {}", score::TOP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_kept_decoded_and_without_a_slash_at_the_end() {
        assert_eq!("/api%20/face-recognition/".parse(), Ok(PathPrefix("/api /face-recognition".to_owned())));
        for text in ["", "api", "//", "/a//b", "/a?b"] {
            assert!(text.parse::<PathPrefix>().is_err() || text == "/", "{text}");
        }
    }

    #[test]
    fn customer_ids_are_plain() {
        assert!("always-6018".parse::<CustomerId>().is_ok());
        for text in ["", ".x", "a b", "a/b", "é", &"a".repeat(65)] {
            assert!(text.parse::<CustomerId>().is_err(), "{text}");
        }
    }
}
