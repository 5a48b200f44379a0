//! Patterns in conditions: a glob with `*` and `?` that must match the whole value, or `/regex/`.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};
use wildmatch::WildMatch;

use super::from_text::deserialize_from_text;
use super::text::{quoted, truncate};

/// A text pattern: a glob or a regex.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    kind: PatternKind,
}

#[derive(Clone, Debug)]
enum PatternKind {
    Glob(WildMatch),
    /// And the memory that it may take, in bytes.
    Regex(Regex, usize),
}

/// Max sizes of a compiled regex, in bytes; tried in this order, because a regex does not tell its size. The last is enough for any
/// sensible one.
const REGEX_BYTES: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// Memory that a regex takes in use, in units of its compiled size: beside it, the states that it has met.
const REGEX_IN_USE: usize = 4;

/// Max length of what the parser of regexes says, in characters.
const MAX_REASON_CHARS: usize = 200;

impl Pattern {
    /// Returns whether `value` matches.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match &self.kind {
            PatternKind::Glob(glob) => glob.matches(value),
            PatternKind::Regex(regex, _) => regex.is_match(value),
        }
    }

    /// Returns the memory that a regex takes, in bytes, approximately; 0 for a glob.
    #[must_use]
    pub fn regex_bytes(&self) -> usize {
        match self.kind {
            PatternKind::Glob(_) => 0,
            PatternKind::Regex(_, bytes) => bytes,
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
            Some(regex) => compiled(regex).map_err(|error| why_not(text, &error))?,
            None => PatternKind::Glob(WildMatch::new(text)),
        };
        Ok(Pattern { text: text.to_owned(), kind })
    }
}

fn compiled(regex: &str) -> Result<PatternKind, regex::Error> {
    let build = |bytes: usize| {
        let built = RegexBuilder::new(regex).size_limit(bytes).dfa_size_limit(bytes).build();
        built.map(|regex| PatternKind::Regex(regex, REGEX_IN_USE * bytes))
    };
    let [smaller @ .., largest] = REGEX_BYTES;
    // Compiling a text of megabytes takes seconds.
    if regex.len() > largest {
        return Err(regex::Error::CompiledTooBig(largest));
    }
    smaller.into_iter().find_map(|bytes| build(bytes).ok()).map_or_else(|| build(largest), Ok)
}

/// Says why a text is no regex, in a message that does not grow with it.
fn why_not(text: &str, error: &regex::Error) -> String {
    let shown = quoted(text);
    match error {
        regex::Error::CompiledTooBig(bytes) => format!(
            "the regex {shown} would take more than {} MiB of memory, the maximum; write a simpler one, or a glob such as \"T-*\"",
            bytes >> 20
        ),
        error => {
            // The lines before the last one show the place, below the whole text.
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            format!(
                "{shown} is not a regex: {}",
                truncate(last.trim_start_matches("error: "), MAX_REASON_CHARS)
            )
        }
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
    /// Returns the memory that a regex takes, in bytes, approximately.
    #[must_use]
    pub fn regex_bytes(&self) -> usize {
        match self {
            IpPattern::Net(_) => 0,
            IpPattern::Text(pattern) => pattern.regex_bytes(),
        }
    }

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
                "{} is not a network such as \"10.0.0.0/8\"; a pattern is a glob such as \"10.1.*\", or /regex/",
                quoted(text)
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

    #[test]
    fn what_is_no_regex_is_told_in_short() {
        let too_large = |shown: &str| {
            format!(
                "the regex \"{shown}\" would take more than 1 MiB of memory, the maximum; write a simpler one"
            )
        };
        let long = "(".repeat(100_000);
        for (text, expected) in [
            ("/(/", r#""/(/" is not a regex: unclosed group"#.to_owned()),
            ("/\\pL{50}/", too_large(r"/\\pL{50}/")),
            ("/a\n(/", r#""/a\n(/" is not a regex: unclosed group"#.to_owned()),
            (&*format!("/{long}/"), format!(r#""/{}…" is not a regex: "#, &long[..39])),
            (&*format!("/{}é/", "é,".repeat(1 << 20)), too_large(&format!("/{}é…", "é,".repeat(19)))),
        ] {
            let error = text.parse::<Pattern>().unwrap_err();
            assert!(error.starts_with(&expected) && error.len() < 400, "{error}");
        }
    }

    #[test]
    fn a_regex_tells_about_how_much_memory_it_takes() {
        let bytes = |text: &str| text.parse::<Pattern>().map(|pattern| pattern.regex_bytes());
        assert_eq!((bytes("T-*"), bytes("/^T-[0-9]+$/")), (Ok(0), Ok(16 << 10)));
        let larger = bytes("/^\\w{20}$/").unwrap();
        assert!((64 << 10..=4 << 20).contains(&larger), "{larger}");
        assert!("/^\\w{20}$/".parse::<Pattern>().unwrap().matches(&"é".repeat(20)));
    }
}
