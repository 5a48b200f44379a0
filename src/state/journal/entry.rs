//! Journal entry: one request with its findings and its answer.
//!
//! Never contains photos or credentials, neither plain nor encrypted; NIKs are masked unless configured otherwise.

use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::sending::{Sending, SendingRecord, SentEnd};
use crate::base::hash::hex;
use crate::domain::checks::Finding;
use crate::domain::evidence::{Photo, PhotoFormat};
use crate::domain::faults::FaultKind;
use crate::domain::fidelity::{AnswerGrounds, GroundsRecord};
use crate::domain::nik::District;
use crate::domain::nik::mask::masked;
use crate::domain::rules::Firing;
use crate::domain::warnings::Warning;
use crate::protocol::{Body, Candidate, Code, Field, ScoredBy, Shape};

/// One request and its answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Number of the entry, from 1, in the order in which entries were added.
    pub id: u64,
    /// Time by the simulator's clock, RFC 3339 in Asia/Jakarta.
    #[serde(with = "instant")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// `null` where the request's path names none, or where the request is malformed.
    pub customer_id: Option<String>,
    pub methode: String,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// Ordinal of this request among the customer's requests, from 1; null for an unknown customer.
    pub ordinal: Option<u64>,
    /// Trace id of the request's `traceparent` header (W3C Trace Context): 32 hexadecimal digits, a NIK in them masked; null without a valid one.
    pub trace_id: Option<String>,
    /// Name of the replica that answered; null where replicas share nothing.
    #[serde(default)]
    pub replica: Option<String>,
    pub request: RequestRecord,
    pub findings: Vec<Finding>,
    /// Deviations that were tolerated, and what looks like a client mistake.
    pub warnings: Vec<Warning>,
    /// First rule that decided something.
    pub rule: Option<String>,
    /// All rules that decided something: how often each matched, its draw, and what it decided.
    pub rules: Vec<Firing>,
    /// Delay of the answer: rule and duration.
    pub delay: Option<DelayRecord>,
    /// Injected fault: kind, rule and details.
    pub fault: Option<FaultRecord>,
    /// What was decided; `sent` tells what left the socket.
    pub answer: AnswerRecord,
    #[serde(flatten)]
    #[schemars(with = "GroundsRecord")]
    pub grounds: AnswerGrounds,
    #[serde(flatten, deserialize_with = "nothing_sent")]
    #[schemars(with = "SendingRecord")]
    pub sending: Sending,
}

/// What was sent is stored beside the entry: it changes.
fn nothing_sent<'de, D: Deserializer<'de>>(_: D) -> Result<Sending, D::Error> {
    Ok(Sending::default())
}

/// Delay of an answer by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DelayRecord {
    /// Rule that decided it.
    pub rule: String,
    /// Duration in microseconds.
    pub us: u64,
}

/// Injected fault of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FaultRecord {
    pub kind: &'static str,
    /// Whether the client did not get the decided answer.
    #[serde(skip)]
    pub spoils: bool,
    /// Rule that decided it.
    pub rule: String,
    /// Details, depending on the kind: `at`, `bits` and so on.
    #[serde(flatten)]
    pub note: Map<String, Value>,
}

impl FaultRecord {
    /// Creates a record without details.
    #[must_use]
    pub fn new(kind: &'static FaultKind, rule: impl Into<String>) -> FaultRecord {
        FaultRecord { kind: kind.name, spoils: kind.spoils, rule: rule.into(), note: Map::new() }
    }

    /// Returns its approximate size in bytes.
    fn weight(&self) -> usize {
        let note: usize =
            self.note.iter().map(|(name, value)| name.len() + value.to_string().len() + 4).sum();
        100 + self.rule.len() + note
    }
}

/// The request, without photo and credentials.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RequestRecord {
    pub peer: Option<IpAddr>,
    pub body_bytes: usize,
    pub transaction_id: Option<String>,
    pub transaction_source: Option<String>,
    /// Threshold as a number; null when it is not a number.
    pub threshold: Option<f64>,
    pub ip: Option<String>,
    pub image: Option<ImageRecord>,
    pub user_agent: Option<String>,
}

/// Metadata of a photo; never its content.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ImageRecord {
    pub sha256: String,
    pub bytes: usize,
    pub format: Option<PhotoFormat>,
    pub width: Option<u32>,
    pub height: Option<u32>,
}

/// The answer that was decided.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AnswerRecord {
    /// HTTP status; null when no answer was decided.
    pub status: Option<u16>,
    /// `errorCode`; null for an answer that the document does not define.
    pub code: Option<Code>,
    pub shape: Option<Shape>,
    pub candidates: Vec<CandidateRecord>,
    /// Body length in bytes.
    pub bytes: usize,
    /// Whether the request was charged to the quota.
    pub charged: bool,
    /// Why this answer was chosen.
    pub reason: String,
    pub hint: Option<String>,
}

/// Candidate of an answer; its NIK is masked unless configured otherwise.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CandidateRecord {
    pub nik: String,
    /// District that first issued the NIK; null when its first six digits are not a known district.
    pub region: Option<String>,
    pub score: f32,
    /// Which comparison gave the score; absent without a face engine, and for what nobody compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ScoredBy>,
}

/// The time of an entry as text, to the millisecond.
mod instant {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::base::time;

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time::rfc3339_millis(*at))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        time::parse_instant(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A fault as it is stored.
#[derive(Deserialize)]
struct StoredFault {
    kind: String,
    rule: String,
    #[serde(flatten)]
    note: Map<String, Value>,
}

impl<'de> Deserialize<'de> for FaultRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FaultRecord, D::Error> {
        let StoredFault { kind, rule, note } = StoredFault::deserialize(deserializer)?;
        let known = FaultKind::find(&kind)
            .ok_or_else(|| serde::de::Error::custom(format!("there is no fault {kind:?}")))?;
        Ok(FaultRecord { note, ..FaultRecord::new(known, rule) })
    }
}

/// Max characters that are kept of a field of a request.
pub const MAX_TEXT_CHARS: usize = 100;

impl RequestRecord {
    /// Records the parts of a body that may be kept.
    #[must_use]
    pub fn of(body: &Body, body_bytes: usize, photo: Option<&Photo>) -> RequestRecord {
        let text =
            |field: Field| body.text(field).map(|text| crate::base::text::preview(text, MAX_TEXT_CHARS));
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
    /// Records a candidate, with its NIK masked unless `show_nik`.
    #[must_use]
    pub fn of(candidate: &Candidate, show_nik: bool) -> CandidateRecord {
        let nik = if show_nik { candidate.nik.clone() } else { masked(&candidate.nik) };
        let region = District::of_nik(&candidate.nik).map(ToString::to_string);
        CandidateRecord { nik, region, score: candidate.score, by: candidate.by }
    }
}

impl Entry {
    /// An entry in flight, of nothing yet.
    #[must_use]
    pub fn blank(at: Timestamp) -> Entry {
        Entry {
            id: 0,
            at,
            customer_id: None,
            methode: String::new(),
            connection: 0,
            ordinal: None,
            trace_id: None,
            replica: None,
            request: RequestRecord::default(),
            findings: Vec::new(),
            warnings: Vec::new(),
            rule: None,
            rules: Vec::new(),
            delay: None,
            fault: None,
            answer: AnswerRecord::default(),
            grounds: AnswerGrounds::default(),
            sending: Sending::default(),
        }
    }

    /// Returns whether the client does not get the decided answer, because of a fault.
    #[must_use]
    pub fn is_spoiled(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.spoils)
    }

    /// Returns the decided code, if the client got it, or may still get it.
    #[must_use]
    pub fn code_sent(&self) -> Option<&Code> {
        let arrives = matches!(self.sending.sent().end, SentEnd::Complete | SentEnd::Pending);
        self.answer.code.as_ref().filter(|_| arrives && !self.is_spoiled())
    }

    /// Returns the approximate memory use in bytes: the struct and its texts. An estimate, slightly above the true size: it only has to
    /// bound the ring, so entries are not serialized to measure them.
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
            &self.trace_id,
            &self.replica,
            &self.answer.hint,
            &self.rule,
        ];
        let texts: usize = texts.into_iter().map(length).sum();
        let candidate = |candidate: &CandidateRecord| 80 + candidate.region.as_ref().map_or(0, String::len);
        let candidates: usize = self.answer.candidates.iter().map(candidate).sum();
        let names = self.customer_id.as_ref().map_or(0, String::len)
            + self.methode.len()
            + self.answer.reason.len()
            + 64;
        let actions = 200 * (self.rules.len() + usize::from(self.delay.is_some()))
            + self.fault.as_ref().map_or(0, FaultRecord::weight);
        size_of::<Entry>()
            + actions
            + findings
            + warnings
            + texts
            + names
            + candidates
            + self.grounds.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn niks_are_masked_after_the_region() {
        assert_eq!(masked("3175031708909001"), "317503XXXXXXXXXX");
        assert_eq!(masked("317503XXXXXXXXXX"), "317503XXXXXXXXXX");
        assert_eq!(masked("12"), "12");
    }

    #[test]
    fn a_candidate_is_recorded_with_the_name_of_its_region() {
        let found = |nik: &str, show| {
            let found = CandidateRecord::of(&Candidate { nik: nik.to_owned(), score: 20.0, by: None }, show);
            (found.nik, found.region)
        };
        let cakung =
            Some("Cakung, Kota Administrasi Jakarta Timur, Daerah Khusus Ibukota Jakarta".to_owned());
        assert_eq!(found("3175061708909001", false), ("317506XXXXXXXXXX".to_owned(), cakung.clone()));
        assert_eq!(found("3175061708909001", true), ("3175061708909001".to_owned(), cakung));
        assert_eq!(found("9999991708909001", false), ("999999XXXXXXXXXX".to_owned(), None));
    }
}
