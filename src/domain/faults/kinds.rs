//! Table of fault kinds, in the order of the specification. Each fault is implemented in its own file in this folder.

use rand::rngs::ChaCha8Rng;
use schemars::Schema;
use serde_json::{Value, json};

use super::{
    Params, Plan, Upload, bad_length, bandwidth, bitflip, body_cut, close_during_upload, close_on_accept,
    dribble, early_response, empty_close, garbage, gateway_page, hang, hang_then_close, late_close,
    malformed_chunk, raw, refuse, reset, slow_headers, slow_read, stale_keepalive, truncate,
};
use crate::base::json_schema::properties;
use crate::domain::http_answer::HttpAnswer;

/// Function that plans a fault.
pub type Planner = fn(&Params, &HttpAnswer, &mut ChaCha8Rng) -> Plan;

/// One kind of fault.
#[derive(Debug)]
pub struct FaultKind {
    /// Name in the fixtures.
    pub name: &'static str,
    /// What it does, for a log line: `... by rule "x"`.
    pub effect: &'static str,
    /// Names of its parameters, in backticks in the specification.
    pub takes: &'static [&'static str],
    /// Effect on the upload; a fault with such an effect is decided before the body is read.
    pub upload: Option<fn(&Params) -> Upload>,
    pub plan: Planner,
    /// Whether the client does not get the decided answer. The others are slow, or end the connection behind the answer.
    pub spoils: bool,
}

impl FaultKind {
    /// Returns the kind with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static FaultKind> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    const fn intact(self) -> FaultKind {
        FaultKind { spoils: false, ..self }
    }
}

/// Every kind of fault, in the order of the specification.
#[rustfmt::skip]
pub static KINDS: [FaultKind; 22] = [
    kind("refuse", "closed without a byte, connecting refused for a while", &["for"], refuse::plan),
    kind("close_on_accept", "closed without a byte, connections closed unread for a while", &["for"], close_on_accept::plan),
    upload("close_during_upload", "cut during the upload", &["at", "end"], close_during_upload::upload, close_during_upload::plan),
    upload("early_response", "answered before the body was read", &[], early_response::upload, early_response::plan),
    upload("slow_read", "body read slowly", &["bytes_per_second"], slow_read::upload, slow_read::plan).intact(),
    kind("empty_close", "closed without a byte", &[], empty_close::plan),
    kind("reset", "reset without a byte", &["after"], reset::plan),
    kind("hang", "held open without a byte", &[], hang::plan),
    kind("hang_then_close", "held open without a byte, then closed", &["for"], hang_then_close::plan),
    kind("garbage", "random bytes instead of HTTP", &["bytes"], garbage::plan),
    kind("raw", "the rule's own bytes sent", &["base64", "text"], raw::plan),
    kind("malformed_chunk", "broken chunk sent", &[], malformed_chunk::plan),
    kind("truncate", "body stopped before its announced end", &["at", "end"], truncate::plan),
    kind("body_cut", "body cut short", &["at"], body_cut::plan),
    kind("bad_length", "wrong Content-Length", &["by"], bad_length::plan),
    kind("dribble", "body sent piece by piece", &["chunks", "for"], dribble::plan).intact(),
    kind("bandwidth", "body sent slowly", &["bytes_per_second"], bandwidth::plan).intact(),
    kind("slow_headers", "head sent byte by byte", &["for"], slow_headers::plan).intact(),
    kind("bitflip", "bits of the body flipped", &["bits"], bitflip::plan),
    kind("gateway_page", "gateway page", &["status"], gateway_page::plan),
    kind("stale_keepalive", "kept connection closed behind the answer", &["after"], stale_keepalive::plan).intact(),
    kind("late_close", "connection closed late", &["after"], late_close::plan).intact(),
];

const fn kind(
    name: &'static str,
    effect: &'static str,
    takes: &'static [&'static str],
    plan: Planner,
) -> FaultKind {
    FaultKind { name, effect, takes, upload: None, plan, spoils: true }
}

const fn upload(
    name: &'static str,
    effect: &'static str,
    takes: &'static [&'static str],
    upload: fn(&Params) -> Upload,
    plan: Planner,
) -> FaultKind {
    FaultKind { name, effect, takes, upload: Some(upload), plan, spoils: true }
}

/// JSON Schema: the fault kinds and the parameters of each, from [`KINDS`].
pub(crate) fn describe_fault_kinds(schema: &mut Schema) {
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
    if let Some(Value::Object(kind)) = properties(schema).and_then(|properties| properties.get_mut("kind")) {
        kind.insert("enum".to_owned(), names.into());
    }
    let takes = KINDS.iter().map(|kind| {
        let allowed: Vec<_> = ["kind"].iter().chain(kind.takes).collect();
        json!({
            "if": { "properties": { "kind": { "const": kind.name } } },
            "then": { "propertyNames": { "enum": allowed } },
        })
    });
    schema.insert("allOf".to_owned(), takes.collect());
}
