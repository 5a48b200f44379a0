//! `fault = { kind = "truncate", at = 0.5, end = "rst" }`: kind and parameters of a fault.

use rand::rngs::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FaultKind, KINDS, Plan, Upload};
use crate::base::duration::DurationText;
use crate::base::suggestion;
use crate::domain::faults::{End, Offset, Params};
use crate::domain::http_answer::HttpAnswer;
use crate::protocol::encoding::{self, Base64Mode};

// `KINDS` lists which parameters a kind takes.
/// A network fault: its kind, and the parameters of this kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = super::kinds::describe_fault_kinds)]
pub struct FaultSpec {
    /// Kind of the fault.
    #[schemars(example = &"reset")]
    pub kind: String,
    /// Offset in the body: a number of bytes, or a fraction from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Offset>,
    /// How the connection ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Duration of the fault.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub time: Option<DurationText>,
    /// Delay before the connection is closed or reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<DurationText>,
    /// Number of random bytes.
    #[schemars(range(min = 1, max = MAX_BYTES))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 512)]
    pub bytes: Option<u32>,
    /// Bytes to send, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"SFRUUC8xLjE=")]
    pub base64: Option<String>,
    /// Bytes to send, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"HTTP/1.1 200")]
    pub text: Option<String>,
    /// Number of bytes that the Content-Length is too long or, if negative, too short.
    #[schemars(extend("not" = { "const": 0 }))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = -10)]
    pub by: Option<i64>,
    /// Number of chunks that the body is sent in.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 8)]
    pub chunks: Option<u32>,
    /// Transfer rate, in bytes per second.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1024)]
    pub bytes_per_second: Option<u64>,
    /// Number of bits to flip.
    #[schemars(range(min = 1))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = 3)]
    pub bits: Option<u32>,
    /// HTTP status of the page.
    #[schemars(extend("enum" = [502, 503, 504]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// A validated fault.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: &'static FaultKind,
    params: Params,
}

/// Max number of bits to flip.
const MAX_BITS: u32 = 4096;

/// Max number of random bytes.
const MAX_BYTES: u32 = 16 << 20;

impl Fault {
    /// Validates a fault.
    ///
    /// # Errors
    /// When the kind is unknown, or a parameter does not belong to the kind or is out of its range.
    pub fn new(spec: &FaultSpec) -> Result<Fault, String> {
        let kind = FaultKind::find(&spec.kind).ok_or_else(|| unknown_kind(&spec.kind))?;
        let foreign = present_parameters(spec).into_iter().find(|name| !kind.takes.contains(name));
        if let Some(name) = foreign {
            let takes = if kind.takes.is_empty() { "none".to_owned() } else { kind.takes.join(" and ") };
            return Err(format!("the fault {} has no parameter {name}; it takes {takes}", kind.name));
        }
        Ok(Fault { kind, params: params(spec)? })
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> &'static FaultKind {
        self.kind
    }

    /// Returns the effect on the upload; `None` for a fault that is decided after the body is read.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        self.kind.upload.map(|upload| upload(&self.params))
    }

    /// Plans what is done instead of sending `answer`.
    #[must_use]
    pub fn plan(&self, answer: &HttpAnswer, random: &mut ChaCha8Rng) -> Plan {
        (self.kind.plan)(&self.params, answer, random)
    }
}

fn unknown_kind(name: &str) -> String {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    match suggestion::closest(name, names.iter().copied()) {
        Some(near) => format!("unknown fault {name:?}; did you mean \"{near}\"?"),
        None => format!("unknown fault {name:?}; the faults are {}", names.join(", ")),
    }
}

/// Returns the names of the parameters that are set.
fn present_parameters(spec: &FaultSpec) -> Vec<&'static str> {
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
        (Some(_), Some(_)) => return Err("raw can have base64 or text, not both".to_owned()),
        (Some(text), None) => {
            encoding::decode(text, Base64Mode::Strict).map_err(|fault| format!("base64 {fault}"))?.bytes
        }
        (None, text) => text.clone().unwrap_or_default().into_bytes(),
    };
    if spec.kind == "raw" && spec.base64.is_none() && spec.text.is_none() {
        return Err("raw needs its bytes: base64 = \"...\" or text = \"...\"".to_owned());
    }
    let positive =
        |name: &str, zero: bool| if zero { Err(format!("{name} must be at least 1")) } else { Ok(()) };
    positive("chunks", spec.chunks == Some(0))?;
    positive("bytes_per_second", spec.bytes_per_second == Some(0))?;
    positive("bits", spec.bits == Some(0))?;
    positive("bytes", spec.bytes == Some(0))?;
    if spec.bytes.is_some_and(|bytes| bytes > MAX_BYTES) {
        return Err(format!("bytes must be at most {MAX_BYTES}"));
    }
    if spec.bits.is_some_and(|bits| bits > MAX_BITS) {
        return Err(format!("bits must be at most {MAX_BITS}, because the journal lists each of them"));
    }
    if spec.by == Some(0) {
        return Err(
            "by = 0 makes the length correct: write how many bytes it is too long or, if negative, too short"
                .to_owned(),
        );
    }
    if let Some(status) = spec.status.filter(|status| ![502, 503, 504].contains(status)) {
        return Err(format!(
            "status must be 502, 503 or 504, not {status}; for another page use reply = {{ status, body }}"
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
