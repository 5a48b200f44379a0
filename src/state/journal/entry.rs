//! One entry of the journal: what was asked, what was found, what was answered.
//!
//! Never a photo, never a credential, neither plain nor encrypted; NIKs are masked unless asked for.

use std::net::IpAddr;
use std::sync::OnceLock;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::base::hash::hex;
use crate::base::time;
use crate::domain::checks::Finding;
use crate::domain::evidence::{Photo, PhotoFormat};
use crate::domain::nik::District;
use crate::domain::nik::mask::masked;
use crate::domain::rules::Firing;
use crate::domain::warnings::Warning;
use crate::protocol::{Body, Candidate, Code, Field, Shape};

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The answer is decided; its first byte may not have left yet.
    InFlight,
    /// The whole answer was handed to the socket.
    Done,
    /// The connection ended first.
    Aborted,
}

/// One request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Entry {
    /// From 1, in order of arrival.
    pub id: u64,
    /// By the simulator's clock, RFC 3339 in Asia/Jakarta.
    #[serde(serialize_with = "instant")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    pub customer_id: String,
    pub methode: String,
    /// The connection it came on, from 1.
    pub connection: u64,
    /// The how manieth request of the customer; null for a customer nobody knows.
    pub ordinal: Option<u64>,
    #[schemars(with = "State")]
    pub state: EntryState,
    pub request: RequestRecord,
    pub findings: Vec<Finding>,
    /// What was let pass, and what looks like a mistake.
    pub warnings: Vec<Warning>,
    /// The first rule that decided something.
    pub rule: Option<String>,
    /// Every rule that decided something: how often it was met, its draw, and what it decided.
    pub rules: Vec<Firing>,
    /// By which rule, and how long.
    pub delay: Option<DelayRecord>,
    /// Of which kind, by which rule, and what was done where.
    pub fault: Option<FaultRecord>,
    pub answer: AnswerRecord,
    /// From the end of the request's head to the end of the answer, in real microseconds; 0 while it is in flight.
    #[schemars(with = "u64")]
    pub elapsed_us: Elapsed,
}

/// How long an answer was held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DelayRecord {
    /// The rule that decided it.
    pub rule: String,
    /// Microseconds.
    pub us: u64,
}

/// What went wrong on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FaultRecord {
    pub kind: &'static str,
    /// The rule that decided it.
    pub rule: String,
    /// What was done where, by the fault's own words: `at`, `bits` and so on.
    #[serde(flatten)]
    pub note: Map<String, Value>,
}

impl FaultRecord {
    /// A fault of which no more is told.
    #[must_use]
    pub fn new(kind: &'static str, rule: impl Into<String>) -> FaultRecord {
        FaultRecord { kind, rule: rule.into(), note: Map::new() }
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let note: usize =
            self.note.iter().map(|(name, value)| name.len() + value.to_string().len() + 4).sum();
        100 + self.rule.len() + note
    }
}

/// An entry's state, which is set once without touching the journal.
#[derive(Clone, Debug, Default)]
pub struct EntryState(OnceLock<State>);

/// An entry's duration, likewise.
#[derive(Clone, Debug, Default)]
pub struct Elapsed(OnceLock<u64>);

impl EntryState {
    /// The state now.
    #[must_use]
    pub fn get(&self) -> State {
        self.0.get().copied().unwrap_or(State::InFlight)
    }
}

impl Elapsed {
    /// Microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.0.get().copied().unwrap_or_default()
    }
}

impl Serialize for EntryState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl Serialize for Elapsed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.micros())
    }
}

/// What was asked, without photo and credentials.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct RequestRecord {
    pub peer: Option<IpAddr>,
    pub body_bytes: usize,
    pub transaction_id: Option<String>,
    pub transaction_source: Option<String>,
    /// As a number; null when it is none.
    pub threshold: Option<f64>,
    pub ip: Option<String>,
    pub image: Option<ImageRecord>,
    pub user_agent: Option<String>,
}

/// A photo, as far as it may be remembered.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ImageRecord {
    pub sha256: String,
    pub bytes: usize,
    pub format: Option<PhotoFormat>,
    pub width: Option<u32>,
    pub height: Option<u32>,
}

/// What was answered.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct AnswerRecord {
    /// HTTP status; null when nothing was sent.
    pub status: Option<u16>,
    /// `errorCode`; null where the document has no answer.
    pub code: Option<Code>,
    pub shape: Option<Shape>,
    pub candidates: Vec<CandidateRecord>,
    /// Length of the body.
    pub bytes: usize,
    /// Whether it used up quota.
    pub charged: bool,
    /// Why this answer.
    pub reason: String,
    pub hint: Option<String>,
}

/// A candidate, its NIK masked unless asked for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CandidateRecord {
    pub nik: String,
    /// Where it was first issued; null when no district has its first six digits.
    pub region: Option<String>,
    pub score: f32,
}

fn instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time::rfc3339_millis(*at))
}

impl RequestRecord {
    /// What may be remembered of a body.
    #[must_use]
    pub fn of(body: &Body, body_bytes: usize, photo: Option<&Photo>) -> RequestRecord {
        let text = |field: Field| body.text(field).map(|text| crate::base::text::preview(text, 100));
        RequestRecord {
            body_bytes,
            transaction_id: text(Field::TransactionId),
            transaction_source: text(Field::TransactionSource),
            threshold: body.threshold().filter(|threshold| threshold.is_finite()),
            ip: text(Field::Ip),
            image: photo.and_then(ImageRecord::of),
            ..RequestRecord::default()
        }
    }
}

impl ImageRecord {
    fn of(photo: &Photo) -> Option<ImageRecord> {
        Some(ImageRecord {
            sha256: hex(&photo.sha256?),
            bytes: photo.bytes,
            format: photo.format,
            width: photo.dimensions.map(|(width, _)| width),
            height: photo.dimensions.map(|(_, height)| height),
        })
    }
}

impl CandidateRecord {
    /// A candidate as the journal keeps it.
    #[must_use]
    pub fn of(candidate: &Candidate, show_nik: bool) -> CandidateRecord {
        let nik = if show_nik { candidate.nik.clone() } else { masked(&candidate.nik) };
        let region = District::of_nik(&candidate.nik).map(ToString::to_string);
        CandidateRecord { nik, region, score: candidate.score }
    }
}

impl Entry {
    /// Says how the request ended. Only the first word counts.
    pub(super) fn end(&self, state: State, elapsed_us: u64) {
        let _ = self.elapsed_us.0.set(elapsed_us);
        let _ = self.state.0.set(state);
    }

    /// About how many bytes of memory the entry takes: its own size and that of its texts.
    pub(super) fn weight(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let finding = |finding: &Finding| {
            120 + finding.reason.len() + finding.hint.as_ref().map_or(0, |hint| hint.len())
        };
        let findings: usize = self.findings.iter().map(finding).sum();
        let warnings: usize = self.warnings.iter().map(|warning| 48 + warning.message.len()).sum();
        let request = &self.request;
        let texts = [
            &request.transaction_id,
            &request.transaction_source,
            &request.ip,
            &request.user_agent,
            &self.answer.hint,
            &self.rule,
        ];
        let texts: usize = texts.into_iter().map(length).sum();
        let candidate = |found: &CandidateRecord| 80 + found.region.as_ref().map_or(0, String::len);
        let candidates: usize = self.answer.candidates.iter().map(candidate).sum();
        let names = self.customer_id.len() + self.methode.len() + self.answer.reason.len() + 64;
        let deeds = 200 * (self.rules.len() + usize::from(self.delay.is_some()))
            + self.fault.as_ref().map_or(0, FaultRecord::weight);
        size_of::<Entry>() + deeds + findings + warnings + texts + names + candidates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn niks_are_masked_behind_the_region() {
        assert_eq!(masked("3175031708909001"), "317503XXXXXXXXXX");
        assert_eq!(masked("317503XXXXXXXXXX"), "317503XXXXXXXXXX");
        assert_eq!(masked("12"), "12");
    }

    #[test]
    fn a_candidate_is_kept_with_the_name_of_its_region() {
        let found = |nik: &str, show| {
            let found = CandidateRecord::of(&Candidate { nik: nik.to_owned(), score: 20.0 }, show);
            (found.nik, found.region)
        };
        let cakung =
            Some("Cakung, Kota Administrasi Jakarta Timur, Daerah Khusus Ibukota Jakarta".to_owned());
        assert_eq!(found("3175061708909001", false), ("317506XXXXXXXXXX".to_owned(), cakung.clone()));
        assert_eq!(found("3175061708909001", true), ("3175061708909001".to_owned(), cakung));
        assert_eq!(found("9999991708909001", false), ("999999XXXXXXXXXX".to_owned(), None));
    }
}
