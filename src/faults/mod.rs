//! Faults: what goes wrong on the wire. A fault is data first: each file plans one, as a pure function from the answer that would
//! have been sent to the steps that are taken instead. One executor, in `http/wire.rs`, takes the steps.

mod bad_length;
mod bandwidth;
mod bitflip;
mod body_cut;
mod close_during_upload;
mod close_on_accept;
mod dribble;
mod early_response;
mod empty_close;
mod garbage;
mod gateway_page;
mod hang;
mod hang_then_close;
mod late_close;
mod malformed_chunk;
mod params;
mod raw;
mod refuse;
mod reset;
mod slow_headers;
mod slow_read;
mod stale_keepalive;
mod truncate;

pub use params::{At, End, Fault, FaultSpec, Params};

use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use serde_json::{Map, Value};

/// An answer as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// One step on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Exactly these bytes.
    Send(Vec<u8>),
    Wait(Duration),
    /// Until the client ends the connection.
    WaitForClient,
    Fin,
    Rst,
}

/// What happens to the data listener once the request is done for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Connecting is refused.
    Refuse(Duration),
    /// Connections are accepted and closed unread.
    CloseOnAccept(Duration),
}

/// What happens to the request's body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Upload {
    /// Read so many bytes a second.
    Slowly(u64),
    /// Read as far as this, then end the connection.
    CloseAt(At, End),
    /// Not read at all: the answer comes first.
    Unread,
}

/// What is done instead of answering.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub way: Way,
    pub listener: Option<Listener>,
    /// For the journal: what was done, and where.
    pub note: Map<String, Value>,
}

/// How a plan is carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Valid HTTP with another body.
    Answer(HttpAnswer),
    /// Bytes and endings, in this order, past all HTTP.
    Steps(Vec<Step>),
}

impl Plan {
    fn answer(answer: HttpAnswer) -> Plan {
        Plan { way: Way::Answer(answer), listener: None, note: Map::new() }
    }

    fn steps(steps: impl Into<Vec<Step>>) -> Plan {
        Plan { way: Way::Steps(steps.into()), listener: None, note: Map::new() }
    }

    fn note(mut self, name: &str, value: impl Into<Value>) -> Plan {
        self.note.insert(name.to_owned(), value.into());
        self
    }

    fn listener(mut self, listener: Listener) -> Plan {
        self.listener = Some(listener);
        self
    }
}

impl HttpAnswer {
    /// The head's bytes, announcing `length` bytes of body.
    fn head(&self, length: i64, close: bool) -> Vec<u8> {
        self.head_with(&[("content-length", length.to_string())], close)
    }

    fn head_with(&self, first: &[(&str, String)], close: bool) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status));
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let close = close.then(|| ("connection", "close".to_owned()));
        for (name, value) in first.iter().cloned().chain(own).chain(close) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Head and body, whole.
    fn whole(&self, close: bool) -> Vec<u8> {
        let mut bytes = self.head(self.body.len() as i64, close);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn reason_phrase(status: u16) -> &'static str {
    actix_http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

/// Plans a fault.
pub type Planner = fn(&Params, &HttpAnswer, &mut ChaCha8Rng) -> Plan;

/// One kind of fault.
#[derive(Debug)]
pub struct Kind {
    /// Its name in fixtures.
    pub name: &'static str,
    /// The parameters it takes, in backticks in the specification.
    pub takes: &'static [&'static str],
    /// What it does to the upload; such a fault is decided before the body is read.
    pub upload: Option<fn(&Params) -> Upload>,
    pub plan: Planner,
}

/// Every kind of fault, in the order of the specification.
#[rustfmt::skip]
pub static KINDS: [Kind; 22] = [
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

const fn kind(name: &'static str, takes: &'static [&'static str], plan: Planner) -> Kind {
    Kind { name, takes, upload: None, plan }
}

const fn upload(
    name: &'static str,
    takes: &'static [&'static str],
    upload: fn(&Params) -> Upload,
    plan: Planner,
) -> Kind {
    Kind { name, takes, upload: Some(upload), plan }
}
