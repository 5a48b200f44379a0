//! A change of the simulator, as the log and the event `changed` report it.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::time;

/// A successful change over the admin API, or a reload of the fixture files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, on the simulator's clock.
    #[serde(serialize_with = "millis", deserialize_with = "instant")]
    pub at: Timestamp,
    pub what: ChangedPart,
    /// The only customer that it concerns; `None`: several or all, or none.
    pub customer_id: Option<String>,
    /// The call that changed it; `None`: the fixture files were edited, or a signal came.
    #[serde(flatten)]
    pub call: Option<AdminCall>,
    /// Problems of edited fixtures that were rejected, as `file:line:column: message`: then nothing has changed.
    pub problems: Vec<String>,
}

/// What a change concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangedPart {
    Customers,
    Rules,
    Quota,
    State,
    Clock,
    Gallery,
    Journal,
    Fixtures,
    /// `POST /reset`: the scope is in the path.
    Reset,
    Shutdown,
}

/// A call of the admin API: what, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminCall {
    pub method: String,
    /// Path and query, percent-encoded; NIKs are masked.
    pub path: String,
    /// Address of the caller, or of the proxy in front of the admin API.
    pub peer: Option<IpAddr>,
    /// Name of the token; `None` without named tokens.
    pub name: Option<String>,
}

impl fmt::Display for AdminCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} by ", self.method, self.path)?;
        match self.peer {
            Some(peer) => write!(f, "{peer}")?,
            None => f.write_str("-")?,
        }
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

impl Change {
    /// Returns the report of a reload that no call asked for, or of one that was rejected for its `problems`.
    #[must_use]
    pub fn of_fixtures(at: Timestamp, problems: Vec<String>) -> Change {
        Change { at, what: ChangedPart::Fixtures, customer_id: None, call: None, problems }
    }
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    time::parse_instant(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn millis<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time::rfc3339_millis(*at))
}
