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
    /// Names of its parameters, in backticks in the specification.
    pub takes: &'static [&'static str],
    /// Effect on the upload; a fault with such an effect is decided before the body is read.
    pub upload: Option<fn(&Params) -> Upload>,
    pub plan: Planner,
}

/// Every kind of fault, in the order of the specification.
#[rustfmt::skip]
pub static KINDS: [FaultKind; 22] = [
    kind("refuse", &["for"], refuse::plan),
    kind("close_on_accept", &["for"], close_on_accept::plan),
    upload("close_during_upload", &["at", "end"], close_during_upload::upload, close_during_upload::plan),
    upload("early_response", &[], early_response::upload, early_response::plan),
    upload("slow_read", &["bytes_per_second"], slow_read::upload, slow_read::plan),
    kind("empty_close", &[], empty_close::plan),
    kind("reset", &["after"], reset::plan),
    kind("hang", &[], hang::plan),
    kind("hang_then_close", &["for"], hang_then_close::plan),
    kind("garbage", &["bytes"], garbage::plan),
    kind("raw", &["base64", "text"], raw::plan),
    kind("malformed_chunk", &[], malformed_chunk::plan),
    kind("truncate", &["at", "end"], truncate::plan),
    kind("body_cut", &["at"], body_cut::plan),
    kind("bad_length", &["by"], bad_length::plan),
    kind("dribble", &["chunks", "for"], dribble::plan),
    kind("bandwidth", &["bytes_per_second"], bandwidth::plan),
    kind("slow_headers", &["for"], slow_headers::plan),
    kind("bitflip", &["bits"], bitflip::plan),
    kind("gateway_page", &["status"], gateway_page::plan),
    kind("stale_keepalive", &["after"], stale_keepalive::plan),
    kind("late_close", &["after"], late_close::plan),
];

const fn kind(name: &'static str, takes: &'static [&'static str], plan: Planner) -> FaultKind {
    FaultKind { name, takes, upload: None, plan }
}

const fn upload(
    name: &'static str,
    takes: &'static [&'static str],
    upload: fn(&Params) -> Upload,
    plan: Planner,
) -> FaultKind {
    FaultKind { name, takes, upload: Some(upload), plan }
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
