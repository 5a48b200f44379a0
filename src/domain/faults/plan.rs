//! A fault as a plan: what is sent, when, and how the connection ends. Plain data; the writer of the listener carries it out.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// An answer as HTTP has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
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
pub enum Offset {
    Bytes(u64),
    Fraction(f64),
}

impl Offset {
    /// The place in a body of `whole` bytes.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        match self {
            Offset::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX).min(whole),
            Offset::Fraction(fraction) => (whole as f64 * fraction) as usize,
        }
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtVisitor;
        impl de::Visitor<'_> for AtVisitor {
            type Value = Offset;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a fraction such as 0.5")
            }
            fn visit_u64<E>(self, bytes: u64) -> Result<Offset, E> {
                Ok(Offset::Bytes(bytes))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Offset, E> {
                u64::try_from(bytes).map(Offset::Bytes).map_err(|_| E::custom("at is not negative"))
            }
            fn visit_f64<E: de::Error>(self, fraction: f64) -> Result<Offset, E> {
                if (0.0..=1.0).contains(&fraction) {
                    return Ok(Offset::Fraction(fraction));
                }
                Err(E::custom(format!("at = {fraction}: a fraction is 0.0 to 1.0; bytes are a whole number")))
            }
        }
        deserializer.deserialize_any(AtVisitor)
    }
}

impl Serialize for Offset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Offset::Bytes(bytes) => serializer.serialize_u64(*bytes),
            Offset::Fraction(fraction) => serializer.serialize_f64(*fraction),
        }
    }
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
pub enum ListenerFault {
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
    CloseAt(Offset, End),
    /// Not read at all: the answer comes first.
    Unread,
}

/// What is done instead of answering.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub way: Delivery,
    pub listener: Option<ListenerFault>,
    /// For the journal: what was done, and where.
    pub note: Map<String, Value>,
}

/// How a plan is carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// Valid HTTP with another body.
    Answer(HttpAnswer),
    /// Bytes and endings, in this order, past all HTTP.
    Steps(Vec<Step>),
}

impl Plan {
    pub(super) fn answer(answer: HttpAnswer) -> Plan {
        Plan { way: Delivery::Answer(answer), listener: None, note: Map::new() }
    }

    pub(super) fn steps(steps: impl Into<Vec<Step>>) -> Plan {
        Plan { way: Delivery::Steps(steps.into()), listener: None, note: Map::new() }
    }

    pub(super) fn note(mut self, name: &str, value: impl Into<Value>) -> Plan {
        self.note.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn listener(mut self, listener: ListenerFault) -> Plan {
        self.listener = Some(listener);
        self
    }
}

impl HttpAnswer {
    /// The head's bytes, announcing `length` bytes of body.
    pub(super) fn head(&self, length: i64, close: bool) -> Vec<u8> {
        self.head_with(&[("content-length", length.to_string())], close)
    }

    pub(super) fn head_with(&self, first: &[(&str, String)], close: bool) -> Vec<u8> {
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
    pub(super) fn whole(&self, close: bool) -> Vec<u8> {
        let mut bytes = self.head(self.body.len() as i64, close);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

pub(super) fn reason_phrase(status: u16) -> &'static str {
    actix_http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}
