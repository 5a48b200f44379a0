//! Conditions: what must hold of a request before a rule is considered.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::duration::DurationText;
use crate::base::hash::hex;
use crate::base::pattern::{IpPattern, Pattern};
use crate::base::range::NumberRange;
use crate::base::time::jakarta;
use crate::protocol::Code;

/// `when`: all that is set must hold; nothing set always holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// What the checks would answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Code>,
    /// The request's `transaction_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Pattern>,
    /// The request's `transaction_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_source: Option<Pattern>,
    /// A pattern, or a network such as `10.0.0.0/8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpPattern>,
    /// The request's `threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<NumberRange>,
    /// The photo.
    #[serde(skip_serializing_if = "ImageWhen::is_empty")]
    pub image: ImageWhen,
    /// Headers by name, in any case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Pattern>,
    /// The ordinal of the customer's request, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<NumberRange>,
    /// How many of the customer's requests are under way, this one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<NumberRange>,
    /// Time of day in Jakarta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<TimeOfDay>,
    /// Time since the scenario began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The customer's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// Conditions on the photo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageWhen {
    /// Of the file, in hexadecimal.
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The NIK of somebody whom the matcher finds in it, at whatever score.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// What conditions are compared with. What is not known yet, or could not be read, fits no condition.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    pub outcome: Option<&'a Code>,
    pub transaction_id: Option<&'a str>,
    pub transaction_source: Option<&'a str>,
    pub ip: Option<&'a str>,
    pub threshold: Option<f64>,
    pub sha256: Option<&'a [u8; 32]>,
    pub image_bytes: Option<usize>,
    /// Everybody the matcher finds in the photo.
    pub similar: Vec<String>,
    pub headers: &'a [(String, String)],
    pub ordinal: u64,
    pub in_flight: u64,
    pub now: Timestamp,
    pub state: &'a str,
    pub peer: Option<IpAddr>,
}

impl When {
    /// Whether everything that is set holds. `began` is when the scenario began.
    #[must_use]
    pub fn matches(&self, facts: &Facts, began: Timestamp) -> bool {
        let text = |pattern: &Option<Pattern>, value: Option<&str>| match pattern {
            None => true,
            Some(pattern) => value.is_some_and(|value| pattern.matches(value)),
        };
        let range = |range: &Option<NumberRange>, value: Option<f64>| match range {
            None => true,
            Some(range) => value.is_some_and(|value| range.contains(value)),
        };
        self.outcome.as_ref().is_none_or(|outcome| facts.outcome == Some(outcome))
            && text(&self.transaction_id, facts.transaction_id)
            && text(&self.transaction_source, facts.transaction_source)
            && self.ip.as_ref().is_none_or(|pattern| facts.ip.is_some_and(|ip| pattern.matches(ip)))
            && range(&self.threshold, facts.threshold)
            && self.image.matches(facts)
            && self
                .header
                .iter()
                .all(|(name, pattern)| header(facts.headers, name).any(|value| pattern.matches(value)))
            && range(&self.request, Some(facts.ordinal as f64))
            && range(&self.in_flight, Some(facts.in_flight as f64))
            && self.clock.as_ref().is_none_or(|clock| clock.contains(facts.now))
            && self.window.as_ref().is_none_or(|window| window.contains(since(began, facts.now)))
            && self.state.as_ref().is_none_or(|state| state == facts.state)
    }

    /// The conditions that need the body or what the checks made of it.
    #[must_use]
    pub fn on_the_body(&self) -> Vec<&'static str> {
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

    /// Why no request can ever fit, if that is so.
    #[must_use]
    pub fn unsatisfiable(&self) -> Option<String> {
        let whole = |name: &str, range: &Option<NumberRange>, least: f64| {
            let range = range.as_ref().filter(|range| range.first_whole(least).is_none())?;
            Some(format!("{name} = \"{range}\" fits no number from {least} on"))
        };
        whole("request", &self.request, 1.0)
            .or_else(|| whole("in_flight", &self.in_flight, 1.0))
            .or_else(|| whole("image.size", &self.image.size, 1.0))
            .or_else(|| {
                let wrong = self.image.sha256.as_ref().filter(|text| !is_sha256(text))?;
                Some(format!("image.sha256 = {wrong:?} is no SHA-256: it has 64 hexadecimal digits"))
            })
    }
}

impl ImageWhen {
    fn matches(&self, facts: &Facts) -> bool {
        let sha256 =
            |wanted: &String| facts.sha256.is_some_and(|digest| hex(digest).eq_ignore_ascii_case(wanted));
        self.sha256.as_ref().is_none_or(sha256)
            && self.similar_to.as_ref().is_none_or(|nik| facts.similar.contains(nik))
            && self
                .size
                .as_ref()
                .is_none_or(|size| facts.image_bytes.is_some_and(|bytes| size.contains(bytes as f64)))
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn header<'a>(headers: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// How long something has run on a clock that may also be set back.
#[must_use]
pub fn since(began: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(began)).unwrap_or_default()
}

/// `"09:00..17:00"`: a part of the day in Jakarta, with both ends; it may cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    from: Time,
    to: Time,
}

impl TimeOfDay {
    fn contains(self, now: Timestamp) -> bool {
        let time = now.to_zoned(jakarta()).time();
        if self.from < self.to {
            self.from <= time && time <= self.to
        } else {
            self.from <= time || time <= self.to
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeOfDay, String> {
        let time = |part: &str| {
            let (hour, rest) = part.trim().split_once(':')?;
            let (minute, second) = rest.split_once(':').unwrap_or((rest, "0"));
            Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, 0).ok()
        };
        let ends = text.split_once("..").and_then(|(from, to)| Some((time(from)?, time(to)?)));
        match ends {
            None => Err(format!("{text:?} is no part of the day: write \"09:00..17:00\"")),
            Some((from, to)) if from == to => Err(format!("{text:?} is empty: it ends where it begins")),
            Some((from, to)) => Ok(TimeOfDay { from, to }),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from.strftime("%H:%M:%S"), self.to.strftime("%H:%M:%S"))
    }
}

/// `"10s..40s"` (with both ends), `"10s.."`, `">=10s"`: a part of the scenario.
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
            .ok_or_else(|| format!("{text:?} is no window: write \"10s..40s\", \"10s..\" or \"<40s\""))?;
        range.checked("it ends before it begins").map(Window)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {
        $(impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

as_text!(TimeOfDay, Window);

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts<'static> {
        Facts {
            transaction_id: Some("T-17"),
            transaction_source: Some("mobile"),
            ip: Some("10.1.2.3"),
            threshold: Some(7.0),
            sha256: Some(&[0xAB; 32]),
            image_bytes: Some(5000),
            similar: vec!["3174055708909001".to_owned()],
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
        when.matches(&facts, "2026-11-21T10:00:00+07:00".parse().unwrap())
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
    fn what_could_not_be_read_fits_no_condition() {
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
            assert!(!when.matches(&empty, Timestamp::UNIX_EPOCH), "{toml}");
        }
    }

    #[test]
    fn wrong_conditions_are_refused() {
        for (toml, expected) in [
            ("window = '40s..10s'", "ends before it begins"),
            ("clock = '09:00..09:00'", "it ends where it begins"),
            ("clock = '25:00..09:00'", "is no part of the day"),
            ("threshold = '7..5'", "is empty"),
            ("ip = '/(/'", "is no regex"),
            ("ip = '10.0.0.0/33'", "\"10.0.0.0/33\" is no network, such as \"10.0.0.0/8\""),
            ("ip = '10.0.0/8'", "is no network"),
            ("ip = '10.0.0.0/255.0.0.0'", "is no network"),
            ("ip = 'fe80::/129'", "is no network"),
            ("outcom = '6018'", "unknown field `outcom`"),
        ] {
            let error = toml::from_str::<When>(toml).unwrap_err();
            assert!(error.message().contains(expected), "{toml}: {}", error.message());
        }
        let never = |toml: &str| toml::from_str::<When>(toml).unwrap().unsatisfiable();
        assert!(never("request = '<1'").is_some_and(|why| why.contains("request")));
        assert!(never("request = 1.5").is_some() && never("in_flight = 0").is_some());
        assert!(never("image = { sha256 = 'xyz' }").is_some());
        assert!(never("request = '>5'").is_none());
    }
}
