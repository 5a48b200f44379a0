//! Plan of a fault: what is sent, when, and how the connection ends. Plain data; the fault executor of the data listener runs it.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::domain::announced::Announced;
use crate::domain::http_answer::HttpAnswer;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Orderly close.
    Fin,
    /// Connection reset.
    Rst,
}

impl End {
    /// Returns the step that ends the connection like this.
    #[must_use]
    pub fn step(self) -> Step {
        match self {
            End::Fin => Step::Fin,
            End::Rst => Step::Rst,
        }
    }
}

/// Offset in a body: a number of bytes, or a fraction of the length from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Offset {
    Bytes(u64),
    Fraction(f64),
}

impl Offset {
    /// Returns the offset in bytes in a body of `total` bytes.
    #[must_use]
    pub fn of(self, total: usize) -> usize {
        match self {
            Offset::Bytes(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX).min(total),
            Offset::Fraction(fraction) => (total as f64 * fraction) as usize,
        }
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OffsetVisitor;
        impl de::Visitor<'_> for OffsetVisitor {
            type Value = Offset;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes, or a fraction such as 0.5")
            }
            fn visit_u64<E>(self, bytes: u64) -> Result<Offset, E> {
                Ok(Offset::Bytes(bytes))
            }
            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Offset, E> {
                u64::try_from(bytes)
                    .map(Offset::Bytes)
                    .map_err(|_| E::custom(format!("at = {bytes} is negative")))
            }
            fn visit_f64<E: de::Error>(self, fraction: f64) -> Result<Offset, E> {
                if (0.0..=1.0).contains(&fraction) {
                    return Ok(Offset::Fraction(fraction));
                }
                Err(E::custom(format!(
                    "at = {fraction}: a fraction must be 0.0 to 1.0; a number of bytes must be whole"
                )))
            }
        }
        deserializer.deserialize_any(OffsetVisitor)
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

/// One step on the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Sends exactly these bytes.
    Send(Vec<u8>),
    Wait(Duration),
    /// Waits until the client closes the connection.
    WaitForClient,
    Fin,
    Rst,
}

/// Effect on the data listener after the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerFault {
    /// Refuses connections for this time.
    Refuse(Duration),
    /// Accepts connections and closes them unread for this time.
    CloseOnAccept(Duration),
}

/// Effect on reading the request's body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Upload {
    /// Reads this many bytes per second.
    Slowly(u64),
    /// Reads up to the offset, then ends the connection.
    CloseAt(Offset, End),
    /// Responds without reading the body.
    Unread,
}

/// What is done instead of sending the regular response.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub delivery: Delivery,
    pub listener: Option<ListenerFault>,
    /// Details for the journal: what was done, and at which offset.
    pub note: Map<String, Value>,
}

/// How a planned fault is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// A valid HTTP response.
    Answer(HttpAnswer),
    /// Steps on the connection, in this order, and what their bytes announce.
    Steps(Vec<Step>, Announced),
}

impl Plan {
    pub(super) fn answer(answer: HttpAnswer) -> Plan {
        Plan { delivery: Delivery::Answer(answer), listener: None, note: Map::new() }
    }

    pub(super) fn steps(steps: impl Into<Vec<Step>>) -> Plan {
        let steps = steps.into();
        let sends = steps.iter().filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        let announced = Announced::by_bytes(&sends.collect::<Vec<_>>().concat());
        Plan { delivery: Delivery::Steps(steps, announced), listener: None, note: Map::new() }
    }

    /// Bytes that stand for themselves, then FIN: all of them are a complete answer, whatever a head among them announces.
    pub(super) fn bytes(bytes: Vec<u8>) -> Plan {
        let count = bytes.len();
        let total = Some(count as u64).filter(|count| *count > 0);
        let announced = Announced { total, ..Announced::by_bytes(&bytes) };
        let delivery = Delivery::Steps(vec![Step::Send(bytes), Step::Fin], announced);
        Plan { delivery, listener: None, note: Map::new() }.note("bytes", count)
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
