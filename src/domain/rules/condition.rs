//! Conditions of a rule: which requests it matches.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::base::duration::DurationText;
use crate::base::from_text::{deserialize_from_text, serialize_as_text};
use crate::base::hash::hex;
use crate::base::pattern::{IpPattern, Pattern, holds};
use crate::base::range::NumberRange;
use crate::base::time::jakarta;
use crate::protocol::Code;

/// `when`: matches a request when all conditions that are set hold; without conditions it matches every request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Code of the answer that follows from the checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Code>,
    /// The request's `transaction_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Pattern>,
    /// The request's `transaction_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_source: Option<Pattern>,
    /// The request's `ip`: a pattern, or a network such as `10.0.0.0/8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpPattern>,
    /// The request's `threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<NumberRange>,
    /// Conditions on the photo.
    #[serde(skip_serializing_if = "ImageWhen::is_empty")]
    pub image: ImageWhen,
    /// Headers by name, case-insensitive.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = json!({ "User-Agent": "okhttp*" }))]
    pub header: BTreeMap<String, Pattern>,
    /// Ordinal of this request among the customer's requests, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<NumberRange>,
    /// Number of the customer's requests in flight, this one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<NumberRange>,
    /// Time of day in Jakarta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<TimeOfDay>,
    /// Time since the scenario began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// State of the customer's scenario.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"down")]
    pub state: Option<String>,
}

/// Conditions on the photo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageWhen {
    /// SHA-256 of the file, in hexadecimal.
    #[schemars(length(equal = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    pub sha256: Option<String>,
    /// NIK of an identity that the matcher finds in the photo, at any score.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"3174055708909001")]
    pub similar_to: Option<String>,
    /// Size of the file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<NumberRange>,
}

impl ImageWhen {
    fn is_empty(&self) -> bool {
        *self == ImageWhen::default()
    }
}

/// What conditions are compared with. A value that is not known yet, or could not be read, matches no condition.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    pub outcome: Option<&'a Code>,
    pub transaction_id: Option<&'a str>,
    pub transaction_source: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub threshold: Option<f64>,
    pub sha256: Option<&'a [u8; 32]>,
    pub image_bytes: Option<usize>,
    /// NIKs of all identities that the matcher finds in the photo.
    pub similar: &'a [String],
    pub headers: &'a [(String, String)],
    pub ordinal: u64,
    pub in_flight: u64,
    pub now: Timestamp,
    pub state: &'a str,
    pub peer: Option<IpAddr>,
}

impl When {
    /// Whether the conditions on texts hold. They are costly, and depend on the request alone: they are compared before the customer's state
    /// is locked.
    #[must_use]
    pub fn matches_texts(&self, facts: &Facts) -> bool {
        holds(&self.transaction_id, facts.transaction_id, Pattern::matches)
            && holds(&self.transaction_source, facts.transaction_source, Pattern::matches)
            && holds(&self.ip, facts.ip, IpPattern::matches)
            && self
                .header
                .iter()
                .all(|(name, pattern)| header(facts.headers, name).any(|value| pattern.matches(value)))
    }

    /// Returns the memory that the regexes take, in bytes, approximately.
    #[must_use]
    pub fn regex_bytes(&self) -> usize {
        let texts = [&self.transaction_id, &self.transaction_source].into_iter().flatten();
        let texts = texts.chain(self.header.values()).map(Pattern::regex_bytes);
        texts.sum::<usize>() + self.ip.as_ref().map_or(0, IpPattern::regex_bytes)
    }

    /// Whether all other conditions hold. `began` is when the window begins.
    #[must_use]
    pub fn matches_others(&self, facts: &Facts, began: Timestamp) -> bool {
        self.outcome.as_ref().is_none_or(|outcome| facts.outcome == Some(outcome))
            && holds(&self.threshold, facts.threshold, NumberRange::contains)
            && self.image.matches(facts)
            && holds(&self.request, Some(facts.ordinal as f64), NumberRange::contains)
            && holds(&self.in_flight, Some(facts.in_flight as f64), NumberRange::contains)
            && self.clock.as_ref().is_none_or(|clock| clock.contains(facts.now))
            && self.window.as_ref().is_none_or(|window| window.contains(since(began, facts.now)))
            && self.state.as_ref().is_none_or(|state| state == facts.state)
    }

    /// Names of the conditions that need the body or the result of the checks.
    #[must_use]
    pub fn body_conditions(&self) -> Vec<&'static str> {
        [
            ("outcome", self.outcome.is_some()),
            ("transaction_id", self.transaction_id.is_some()),
            ("transaction_source", self.transaction_source.is_some()),
            ("ip", self.ip.is_some()),
            ("threshold", self.threshold.is_some()),
            ("image", !self.image.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
        .collect()
    }

    /// Returns why no request can ever match; `None` when one can.
    #[must_use]
    pub fn unsatisfiable(&self) -> Option<String> {
        let integers = |name: &str, range: &Option<NumberRange>, min: f64| {
            let range = range.as_ref().filter(|range| range.first_whole(min).is_none())?;
            Some(format!("{name} = \"{range}\" contains no whole number from {min} up"))
        };
        integers("request", &self.request, 1.0)
            .or_else(|| integers("in_flight", &self.in_flight, 1.0))
            .or_else(|| integers("image.size", &self.image.size, 1.0))
            .or_else(|| {
                let wrong = self.image.sha256.as_ref().filter(|text| !is_sha256(text))?;
                Some(format!("image.sha256 = {wrong:?} is not a SHA-256: it must have 64 hexadecimal digits"))
            })
    }
}

impl ImageWhen {
    fn matches(&self, facts: &Facts) -> bool {
        let sha256 =
            |expected: &String| facts.sha256.is_some_and(|digest| hex(digest).eq_ignore_ascii_case(expected));
        self.sha256.as_ref().is_none_or(sha256)
            && self.similar_to.as_ref().is_none_or(|nik| facts.similar.contains(nik))
            && holds(&self.size, facts.image_bytes.map(|bytes| bytes as f64), NumberRange::contains)
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn header<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Returns the time from `began` to `now`; zero when the clock was set back.
#[must_use]
pub fn since(began: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(began)).unwrap_or_default()
}

/// `"09:00..17:00"`: a range of times of day in Jakarta, both ends included; it may cross midnight. `"10:20..24:00"` ends with the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    from: Time,
    to: Time,
}

impl TimeOfDay {
    fn contains(self, now: Timestamp) -> bool {
        let time = now.to_zoned_datetime(jakarta()).time();
        if self.from < self.to {
            self.from <= time && time <= self.to
        } else {
            self.from <= time || time <= self.to
        }
    }
}

/// The end of the day, as the end of a range.
const MIDNIGHT: &str = "24:00";

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeOfDay, String> {
        let time = |part: &str| {
            let (hour, rest) = part.trim().split_once(':')?;
            let (minute, second) = rest.split_once(':').unwrap_or((rest, "0"));
            Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, 0).ok()
        };
        let end = |part: &str| if part.trim() == MIDNIGHT { Some(Time::MAX) } else { time(part) };
        let ends = text.split_once("..").and_then(|(from, to)| Some((time(from)?, end(to)?)));
        match ends {
            None => Err(format!("{text:?} is not a range of times of day: write \"09:00..17:00\"")),
            Some((from, to)) if from == to => Err(format!(
                "{text:?} is empty: it ends when it begins; for the whole day write \"00:00..24:00\""
            )),
            Some((from, to)) => Ok(TimeOfDay { from, to }),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", self.from.strftime("%H:%M:%S"))?;
        if self.to == Time::MAX { f.write_str(MIDNIGHT) } else { self.to.strftime("%H:%M:%S").fmt(f) }
    }
}

/// `"10s..40s"` (both ends included), `"10s.."`, `">=10s"`: a range of times since the scenario began.
#[derive(Clone, Debug, PartialEq)]
pub struct Window(NumberRange);

impl Window {
    fn contains(&self, elapsed: Duration) -> bool {
        self.0.contains(elapsed.as_secs_f64())
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Window, String> {
        let seconds = |part: &str| part.parse().ok().map(|DurationText(time)| time.as_secs_f64());
        let range = NumberRange::read(text, &seconds)
            .ok_or_else(|| format!("{text:?} is not a window: write \"10s..40s\", \"10s..\" or \"<40s\""))?;
        range.checked("it ends before it begins").map(Window)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

deserialize_from_text!(TimeOfDay, Window);
serialize_as_text!(TimeOfDay, Window);

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static SIMILAR: LazyLock<[String; 1]> = LazyLock::new(|| ["3174055708909001".to_owned()]);

    fn facts() -> Facts<'static> {
        Facts {
            transaction_id: Some("T-17"),
            transaction_source: Some("mobile"),
            ip: Some("10.1.2.3"),
            threshold: Some(7.0),
            sha256: Some(&[0xAB; 32]),
            image_bytes: Some(5000),
            similar: SIMILAR.as_slice(),
            headers: const { &[] },
            ordinal: 3,
            in_flight: 2,
            now: "2026-11-21T10:00:30+07:00".parse().unwrap(),
            state: "down",
            ..Facts::default()
        }
    }

    fn matches(toml: &str) -> bool {
        let headers = [("User-Agent".to_owned(), "okhttp/4.9".to_owned())];
        let outcome = Code::FOUND;
        let when: When = toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"));
        let facts = Facts { headers: &headers, outcome: Some(&outcome), ..facts() };
        when.matches_texts(&facts)
            && when.matches_others(&facts, "2026-11-21T10:00:00+07:00".parse().unwrap())
    }

    #[test]
    fn each_condition_holds_and_fails() {
        let sha256 = "ab".repeat(32);
        for (good, bad) in [
            ("outcome = '6018'", "outcome = '5001'"),
            ("transaction_id = 'T-*'", "transaction_id = 'X*'"),
            ("transaction_source = '/^mob/'", "transaction_source = 'web'"),
            ("ip = '10.0.0.0/8'", "ip = '11.0.0.0/8'"),
            ("ip = '10.1.*'", "ip = '10.2.*'"),
            ("ip = '/^10[.]/'", "ip = '/^11/'"),
            ("threshold = '5..7'", "threshold = '>7'"),
            (&format!("image = {{ sha256 = '{sha256}' }}"), "image = { sha256 = '00' }"),
            ("image = { similar_to = '3174055708909001' }", "image = { similar_to = '1' }"),
            ("image = { size = '1000..' }", "image = { size = '<1000' }"),
            ("header = { user-agent = 'okhttp*' }", "header = { user-agent = 'curl*' }"),
            ("request = 3", "request = '<3'"),
            ("in_flight = '>=2'", "in_flight = '>2'"),
            ("clock = '09:00..17:00'", "clock = '17:00..09:00'"),
            ("clock = '22:00..10:01'", "clock = '22:00..10:00'"),
            ("clock = '09:00..10:00:30'", "clock = '09:00..10:00:29'"),
            ("clock = '22:00..10:00:30'", "clock = '10:00:31..10:00:29'"),
            ("window = '10s..30s'", "window = '..29s'"),
            ("window = '30s..'", "window = '31s..'"),
            ("window = '>=30s'", "window = '>30s'"),
            ("window = '<=30s'", "window = '<30s'"),
            ("window = '30s'", "window = '31s'"),
            ("state = 'down'", "state = ''"),
        ] {
            assert!(matches(good), "{good}");
            assert!(!matches(bad), "{bad}");
            assert!(!matches(&format!(
                "{good}\n{}",
                if good.starts_with("request") { "state = 'x'" } else { "request = 9" }
            )));
        }
        assert!(matches(""));
    }

    #[test]
    fn a_range_of_times_may_end_with_the_day() {
        let at = |time: &str| format!("2026-11-21T{time}+07:00").parse::<Timestamp>().unwrap();
        let evening: TimeOfDay = "10:20..24:00".parse().unwrap();
        assert!(evening.contains(at("10:20:00")) && evening.contains(at("23:59:59.999")));
        assert!(!evening.contains(at("00:00:00")) && !evening.contains(at("10:19:59")));
        assert_eq!(evening.to_string(), "10:20:00..24:00");
        assert_eq!(evening.to_string().parse(), Ok(evening));
        let day: TimeOfDay = "00:00..24:00".parse().unwrap();
        assert!(day.contains(at("00:00:00")) && day.contains(at("23:59:59")));
        for wrong in ["24:00..10:00", "10:20..24:01", "10:20..24:00:01"] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_value_that_could_not_be_read_matches_no_condition() {
        let empty = Facts { state: "", ..Facts::default() };
        for toml in [
            "outcome = '6018'",
            "transaction_id = '*'",
            "ip = '*'",
            "threshold = '..20'",
            "image = { size = '..9' }",
            "header = { x = '*' }",
        ] {
            let when: When = toml::from_str(toml).unwrap();
            let holds = when.matches_texts(&empty) && when.matches_others(&empty, Timestamp::UNIX_EPOCH);
            assert!(!holds, "{toml}");
        }
    }

    #[test]
    fn wrong_conditions_are_rejected() {
        for (toml, expected) in [
            ("window = '40s..10s'", "ends before it begins"),
            ("clock = '09:00..09:00'", "it ends when it begins"),
            ("clock = '25:00..09:00'", "is not a range of times of day"),
            ("threshold = '7..5'", "is empty"),
            ("ip = '/(/'", "is not a regex"),
            ("ip = '10.0.0.0/33'", "\"10.0.0.0/33\" is not a network such as \"10.0.0.0/8\""),
            ("ip = '10.0.0/8'", "is not a network"),
            ("ip = '10.0.0.0/255.0.0.0'", "is not a network"),
            ("ip = 'fe80::/129'", "is not a network"),
            ("outcom = '6018'", "unknown field `outcom`"),
        ] {
            let error = toml::from_str::<When>(toml).unwrap_err();
            assert!(error.message().contains(expected), "{toml}: {}", error.message());
        }
        let unsatisfiable = |toml: &str| toml::from_str::<When>(toml).unwrap().unsatisfiable();
        assert!(unsatisfiable("request = '<1'").is_some_and(|why| why.contains("request")));
        assert!(unsatisfiable("request = 1.5").is_some() && unsatisfiable("in_flight = 0").is_some());
        assert!(unsatisfiable("image = { sha256 = 'xyz' }").is_some());
        assert!(unsatisfiable("request = '>5'").is_none());
    }
}
