//! Patterns in conditions: a glob with `*` and `?` over the whole value, or `/regex/`.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wildmatch::WildMatch;

/// A pattern for texts.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Glob(WildMatch),
    Regex(Regex),
}

/// Memory that a compiled regex may take: enough for any sensible one.
const REGEX_BYTES: usize = 1 << 20;

impl Pattern {
    /// Whether `value` fits.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.kind {
            Kind::Glob(glob) => glob.matches(value),
            Kind::Regex(regex) => regex.is_match(value),
        }
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let regex = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let kind = match regex {
            Some(regex) => {
                RegexBuilder::new(regex).size_limit(REGEX_BYTES).build().map(Kind::Regex).map_err(
                    |error| format!("{text:?} is no regex: {}", error.to_string().replace('\n', " ")),
                )?
            }
            None => Kind::Glob(WildMatch::new(text)),
        };
        Ok(Pattern { text: text.to_owned(), kind })
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_the_whole_value_and_regexes_what_they_say() {
        let fits = |pattern: &str, value: &str| pattern.parse::<Pattern>().unwrap().matches(value);
        assert!(fits("T*", "T-1") && fits("T-?", "T-1") && fits("T-1", "T-1") && fits("*", ""));
        assert!(!fits("T", "T-1") && !fits("T-?", "T-10") && !fits("t*", "T-1"));
        assert!(fits("/^T-[0-9]+$/", "T-17") && fits("/17/", "T-17") && !fits("/^17/", "T-17"));
        assert!(fits("/", "/"), "a lone slash is itself");
        assert!("/(/".parse::<Pattern>().is_err());
    }
}
