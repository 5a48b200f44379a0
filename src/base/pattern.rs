//! Patterns in conditions: a glob with `*` and `?` that must match the whole value, or `/regex/`.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};
use wildmatch::WildMatch;

use super::from_text::deserialize_from_text;

/// A text pattern: a glob or a regex.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    kind: PatternKind,
}

#[derive(Clone, Debug)]
enum PatternKind {
    Glob(WildMatch),
    Regex(Regex),
}

/// Max memory of a compiled regex, in bytes: enough for any sensible one.
const MAX_REGEX_BYTES: usize = 1 << 20;

impl Pattern {
    /// Returns whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.kind {
            PatternKind::Glob(glob) => glob.matches(value),
            PatternKind::Regex(regex) => regex.is_match(value),
        }
    }

    /// Returns the pattern as written.
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
                RegexBuilder::new(regex).size_limit(MAX_REGEX_BYTES).build().map(PatternKind::Regex).map_err(
                    |error| format!("{text:?} is not a regex: {}", error.to_string().replace('\n', " ")),
                )?
            }
            None => PatternKind::Glob(WildMatch::new(text)),
        };
        Ok(Pattern { text: text.to_owned(), kind })
    }
}

deserialize_from_text!(Pattern, IpPattern);

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// A pattern for IP addresses: a CIDR network or a text pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum IpPattern {
    Net(IpNet),
    Text(Pattern),
}

impl IpPattern {
    /// Returns whether an address matches.
    #[must_use]
    pub fn matches(&self, ip: &str) -> bool {
        match self {
            IpPattern::Net(net) => {
                ip.parse::<IpAddr>().is_ok_and(|address| net.contains(&address.to_canonical()))
            }
            IpPattern::Text(pattern) => pattern.matches(ip),
        }
    }
}

impl FromStr for IpPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<IpPattern, String> {
        match text.parse::<IpNet>() {
            Ok(net) => Ok(IpPattern::Net(net)),
            // As a glob it would match only this text itself, which is not an address.
            Err(_) if looks_like_a_network(text) => Err(format!(
                "{text:?} is not a network such as \"10.0.0.0/8\"; a pattern is a glob such as \"10.1.*\", or /regex/"
            )),
            Err(_) => text.parse().map(IpPattern::Text),
        }
    }
}

/// Returns whether the text is an address or a part of one, a slash, and a prefix length, a mask or nothing.
fn looks_like_a_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(address, length)| {
        !address.is_empty()
            && address.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':'))
            && length.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    })
}

impl Serialize for IpPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            IpPattern::Net(net) => serializer.collect_str(net),
            IpPattern::Text(pattern) => pattern.serialize(serializer),
        }
    }
}

/// Returns whether a condition holds that may not be set (it holds then), for a value that may be absent (no condition matches it).
pub fn holds<C, V>(condition: &Option<C>, value: Option<V>, matches: impl Fn(&C, V) -> bool) -> bool {
    condition.as_ref().is_none_or(|condition| value.is_some_and(|value| matches(condition, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_the_whole_value_and_regexes_any_part() {
        let matches = |pattern: &str, value: &str| pattern.parse::<Pattern>().unwrap().matches(value);
        assert!(matches("T*", "T-1") && matches("T-?", "T-1") && matches("T-1", "T-1") && matches("*", ""));
        assert!(!matches("T", "T-1") && !matches("T-?", "T-10") && !matches("t*", "T-1"));
        assert!(matches("/^T-[0-9]+$/", "T-17") && matches("/17/", "T-17") && !matches("/^17/", "T-17"));
        assert!(matches("/", "/"), "a lone slash is a glob");
        assert!("/(/".parse::<Pattern>().is_err());
    }
}
