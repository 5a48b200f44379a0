//! `fault = { kind = "truncate", at = 0.5, end = "rst" }`: which fault, and its parameters.

use rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FaultKind, HttpAnswer, KINDS, Plan, Upload};
use crate::base::duration::DurationText;
use crate::base::suggestion;
use crate::domain::faults::{End, Offset, Params};
use crate::protocol::encoding::{self, Base64Mode};

// Which parameters a kind takes stands in `KINDS`.
/// A fault: its kind, and the parameters that this kind takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = super::kinds::kinds_of_fault)]
pub struct FaultSpec {
    /// What goes wrong.
    pub kind: String,
    /// How far the body gets: bytes, or a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Offset>,
    /// How the connection ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// How long.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub time: Option<DurationText>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<DurationText>,
    /// How many bytes of garbage.
    #[schemars(range(min = 1, max = MAX_BYTES))]
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

/// A fault, ready to be planned.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: &'static FaultKind,
    params: Params,
}

/// Most bits that are flipped.
const MAX_BITS: u32 = 4096;

/// Most bytes of garbage.
const MAX_BYTES: u32 = 16 << 20;

impl Fault {
    /// Reads a fault.
    ///
    /// # Errors
    /// When there is no such kind, or a parameter is not the kind's or out of its range.
    pub fn new(spec: &FaultSpec) -> Result<Fault, String> {
        let kind =
            KINDS.iter().find(|kind| kind.name == spec.kind).ok_or_else(|| unknown_kind(&spec.kind))?;
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

fn unknown_kind(name: &str) -> String {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    match suggestion::closest(name, names.iter().copied()) {
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
    if spec.bytes.is_some_and(|bytes| bytes > MAX_BYTES) {
        return Err(format!("bytes is at most {MAX_BYTES}"));
    }
    if spec.bits.is_some_and(|bits| bits > MAX_BITS) {
        return Err(format!("bits is at most {MAX_BITS}: the journal lists every one"));
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
        time: spec.time.map(|DurationText(time)| time),
        after: spec.after.map(|DurationText(time)| time),
        bytes: spec.bytes,
        raw,
        by: spec.by,
        chunks: spec.chunks,
        bytes_per_second: spec.bytes_per_second,
        bits: spec.bits,
        status: spec.status,
    })
}
