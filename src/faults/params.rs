//! `fault = { kind = "truncate", at = 0.5, end = "rst" }`: which fault, and its parameters.

use std::fmt;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{HttpAnswer, KINDS, Kind, Plan, Step, Upload};
use crate::fixtures::did_you_mean;
use crate::protocol::encoding::{self, Base64Mode};
use crate::rules::Span;

// Which parameters a kind takes stands in `KINDS`.
/// A fault: its kind, and the parameters that this kind takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = crate::fixtures::schema::kinds_of_fault)]
pub struct FaultSpec {
    /// What goes wrong.
    pub kind: String,
    /// How far the body gets: bytes, or a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// How the connection ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// How long.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub time: Option<Span>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// How many bytes of garbage.
    #[schemars(range(min = 1, max = MOST_BYTES))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u32>,
    /// The bytes that are sent, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// The bytes that are sent, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// How many bytes Content-Length is too long or, negative, too short.
    #[schemars(extend("not" = { "const": 0 }))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    /// Into how many parts the answer is cut.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunks: Option<u32>,
    /// How fast.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// How many bits are flipped.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// The page's status.
    #[schemars(extend("enum" = [502, 503, 504]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Orderly.
    Fin,
    /// With a reset.
    Rst,
}

impl End {
    /// The ending as a step.
    #[must_use]
    pub fn step(self) -> Step {
        match self {
            End::Fin => Step::Fin,
            End::Rst => Step::Rst,
        }
    }
}

/// A place in a body: a whole number of bytes, or a fraction from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    Bytes(u64),
    Fraction(f64),
}

impl At {
    /// The place in a body of `whole` bytes.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        match self {
            At::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX).min(whole),
            At::Fraction(fraction) => (whole as f64 * fraction) as usize,
        }
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtVisitor;
        impl de::Visitor<'_> for AtVisitor {
            type Value = At;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a fraction such as 0.5")
            }
            fn visit_u64<E>(self, bytes: u64) -> Result<At, E> {
                Ok(At::Bytes(bytes))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<At, E> {
                u64::try_from(bytes).map(At::Bytes).map_err(|_| E::custom("at is not negative"))
            }
            fn visit_f64<E: de::Error>(self, fraction: f64) -> Result<At, E> {
                if (0.0..=1.0).contains(&fraction) {
                    return Ok(At::Fraction(fraction));
                }
                Err(E::custom(format!("at = {fraction}: a fraction is 0.0 to 1.0; bytes are a whole number")))
            }
        }
        deserializer.deserialize_any(AtVisitor)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            At::Bytes(bytes) => serializer.serialize_u64(*bytes),
            At::Fraction(fraction) => serializer.serialize_f64(*fraction),
        }
    }
}

/// A fault's parameters, found in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    pub at: Option<At>,
    pub end: Option<End>,
    time: Option<Duration>,
    after: Option<Duration>,
    pub bytes: Option<u32>,
    /// What `raw` sends.
    pub raw: Vec<u8>,
    pub by: Option<i64>,
    pub chunks: Option<u32>,
    pub bytes_per_second: Option<u64>,
    pub bits: Option<u32>,
    pub status: Option<u16>,
}

impl Params {
    /// `for`, by default so many seconds.
    #[must_use]
    pub fn time_or(&self, seconds: u64) -> Duration {
        self.time.unwrap_or(Duration::from_secs(seconds))
    }

    /// `after`, by default so many milliseconds.
    #[must_use]
    pub fn after_or(&self, millis: u64) -> Duration {
        self.after.unwrap_or(Duration::from_millis(millis))
    }
}

/// A fault, ready to be planned.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: &'static Kind,
    params: Params,
}

/// Most bits that are flipped.
const MOST_BITS: u32 = 4096;

/// Most bytes of garbage.
const MOST_BYTES: u32 = 16 << 20;

impl Fault {
    /// Reads a fault.
    ///
    /// # Errors
    /// When there is no such kind, or a parameter is not the kind's or out of its range.
    pub fn new(spec: &FaultSpec) -> Result<Fault, String> {
        let kind = KINDS.iter().find(|kind| kind.name == spec.kind).ok_or_else(|| no_kind(&spec.kind))?;
        let foreign = given(spec).into_iter().find(|name| !kind.takes.contains(name));
        if let Some(name) = foreign {
            let takes =
                if kind.takes.is_empty() { "no parameter".to_owned() } else { kind.takes.join(" and ") };
            return Err(format!("the fault {} takes {takes}, not {name}", kind.name));
        }
        Ok(Fault { kind, params: params(spec)? })
    }

    /// The kind's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.name
    }

    /// What happens to the upload, for a fault that is decided before the body is read.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        self.kind.upload.map(|upload| upload(&self.params))
    }

    /// What is done instead of sending `answer`.
    #[must_use]
    pub fn plan(&self, answer: &HttpAnswer, random: &mut ChaCha8Rng) -> Plan {
        (self.kind.plan)(&self.params, answer, random)
    }
}

fn no_kind(name: &str) -> String {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    match did_you_mean::nearest(name, names.iter().copied()) {
        Some(near) => format!("there is no fault {name:?}; did you mean \"{near}\"?"),
        None => format!("there is no fault {name:?}; there are {}", names.join(", ")),
    }
}

/// The parameters that are set.
fn given(spec: &FaultSpec) -> Vec<&'static str> {
    [
        ("at", spec.at.is_some()),
        ("end", spec.end.is_some()),
        ("for", spec.time.is_some()),
        ("after", spec.after.is_some()),
        ("bytes", spec.bytes.is_some()),
        ("base64", spec.base64.is_some()),
        ("text", spec.text.is_some()),
        ("by", spec.by.is_some()),
        ("chunks", spec.chunks.is_some()),
        ("bytes_per_second", spec.bytes_per_second.is_some()),
        ("bits", spec.bits.is_some()),
        ("status", spec.status.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect()
}

fn params(spec: &FaultSpec) -> Result<Params, String> {
    let raw = match (&spec.base64, &spec.text) {
        (Some(_), Some(_)) => return Err("raw takes base64 or text, not both".to_owned()),
        (Some(text), None) => {
            encoding::decode(text, Base64Mode::Strict).map_err(|fault| format!("base64 {fault}"))?.bytes
        }
        (None, text) => text.clone().unwrap_or_default().into_bytes(),
    };
    if spec.kind == "raw" && spec.base64.is_none() && spec.text.is_none() {
        return Err("raw needs its bytes: base64 = \"...\" or text = \"...\"".to_owned());
    }
    let positive = |name: &str, zero: bool| if zero { Err(format!("{name} is 1 or more")) } else { Ok(()) };
    positive("chunks", spec.chunks == Some(0))?;
    positive("bytes_per_second", spec.bytes_per_second == Some(0))?;
    positive("bits", spec.bits == Some(0))?;
    positive("bytes", spec.bytes == Some(0))?;
    if spec.bytes.is_some_and(|bytes| bytes > MOST_BYTES) {
        return Err(format!("bytes is at most {MOST_BYTES}"));
    }
    if spec.bits.is_some_and(|bits| bits > MOST_BITS) {
        return Err(format!("bits is at most {MOST_BITS}: the journal lists every one"));
    }
    if spec.by == Some(0) {
        return Err("by = 0 makes the length right: write how many bytes too long, or, negative, too short"
            .to_owned());
    }
    if let Some(status) = spec.status.filter(|status| ![502, 503, 504].contains(status)) {
        return Err(format!(
            "status is 502, 503 or 504, not {status}; for another page use reply = {{ status, body }}"
        ));
    }
    Ok(Params {
        at: spec.at,
        end: spec.end,
        time: spec.time.map(|Span(time)| time),
        after: spec.after.map(|Span(time)| time),
        bytes: spec.bytes,
        raw,
        by: spec.by,
        chunks: spec.chunks,
        bytes_per_second: spec.bytes_per_second,
        bits: spec.bits,
        status: spec.status,
    })
}
