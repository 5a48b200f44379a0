//! Journal filter: one filter for listing, verifying and waiting, with the same patterns and ranges as rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{Entry, Sent, SentEnd, State};
use crate::base::json;
use crate::base::pattern::{IpPattern, Pattern, holds};
use crate::base::range::NumberRange;
use crate::base::time;
use crate::domain::fidelity::RestsOn;
use crate::domain::nik::mask::without_niks;
use crate::protocol::Code;

/// Conditions on an entry: every condition that is set must hold; an empty filter matches all entries. Texts are globs or
/// `/regex/`, numbers are ranges, both as in rules. Values are compared as the journal shows them: a masked NIK matches as masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Number of the entry. `">17"` selects later entries even when the clock is frozen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<NumberRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<Pattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methode: Option<Pattern>,
    /// `errorCode` of the decided answer, if the client got it or may still get it: not behind a fault that spoils the answer, nor when the
    /// exchange was cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Pattern>,
    /// HTTP status of the head that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<NumberRange>,
    #[serde(skip_serializing_if = "SentMatch::is_empty")]
    pub sent: SentMatch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<Pattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_source: Option<Pattern>,
    /// Trace id of the request's `traceparent` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Pattern>,
    /// `ip` in the body: a network or a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpPattern>,
    /// Address of the peer: a network or a pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpPattern>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<NumberRange>,
    #[serde(skip_serializing_if = "ImageMatch::is_empty")]
    pub image: ImageMatch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Name of any rule that decided something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Pattern>,
    /// Kind of the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Pattern>,
    /// Name of any warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Pattern>,
    /// What the answer rests on: the key, the standing (`assumed`), or what would differ (`code` or `value`) of any assumed policy key
    /// under another value of which the decided answer would differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rests_on: Option<Pattern>,
    /// Number of the connection, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<NumberRange>,
    /// Ordinal among the customer's requests, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<NumberRange>,
    /// Entries at or after this instant, by the simulator's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}

/// Conditions on the photo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageMatch {
    /// SHA-256 of the file, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Pattern>,
    /// File size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<NumberRange>,
}

impl ImageMatch {
    fn is_empty(&self) -> bool {
        *self == ImageMatch::default()
    }
}

/// Conditions on what left the socket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SentMatch {
    /// HTTP status of the head that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<NumberRange>,
    /// Bytes sent, those of the head included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<NumberRange>,
    /// How the exchange ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<SentEnd>,
}

impl Match {
    /// Returns the memory that the regexes take, in bytes, approximately.
    #[must_use]
    pub fn regex_bytes(&self) -> usize {
        #[rustfmt::skip]
        let texts = [
            &self.customer_id, &self.methode, &self.code, &self.transaction_id, &self.transaction_source, &self.trace_id,
            &self.image.sha256, &self.rule, &self.fault, &self.warning, &self.rests_on,
        ];
        let texts = texts.into_iter().flatten().map(Pattern::regex_bytes);
        let addresses = [&self.ip, &self.peer].into_iter().flatten().map(IpPattern::regex_bytes);
        texts.chain(addresses).sum()
    }
}

impl SentMatch {
    fn is_empty(&self) -> bool {
        *self == SentMatch::default()
    }
}

/// Instant in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub struct Since(#[schemars(with = "String", extend("format" = "date-time"))] pub Timestamp);

impl<'de> Deserialize<'de> for Since {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        time::parse_instant(&text).map(Since).map_err(de::Error::custom)
    }
}

impl Serialize for Since {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time::rfc3339(self.0))
    }
}

/// Entry that nearly matched.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct NearMiss {
    pub id: u64,
    /// Conditions that did not hold, by name.
    pub differs: BTreeMap<&'static str, Difference>,
}

/// Expected and actual value of a condition.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Difference {
    /// Condition as written.
    pub want: Value,
    /// Value in the journal; null when absent.
    pub got: Value,
}

/// One condition: its name, its predicate (true when not set), and the value that it checks.
struct MatchField {
    name: &'static str,
    holds: fn(&Match, &Entry) -> bool,
    got: fn(&Entry) -> Value,
}

/// All conditions; cheap and selective ones first.
#[rustfmt::skip]
const FIELDS: [MatchField; 24] = [
    field("customer_id", |m, e| holds(&m.customer_id, e.customer_id.as_deref(), Pattern::matches), |e| e.customer_id.clone().into()),
    field("id", |m, e| holds(&m.id, Some(e.id as f64), NumberRange::contains), |e| e.id.into()),
    field("code", |m, e| holds(&m.code, code(e), Pattern::matches), |e| code(e).into()),
    field("state", |m, e| m.state.is_none_or(|state| e.sending.state() == state), |e| value(&e.sending.state())),
    field("since", |m, e| m.since.is_none_or(|since| e.at >= since.0), |e| time::rfc3339_millis(e.at).into()),
    field("ordinal", |m, e| holds(&m.ordinal, e.ordinal.map(|ordinal| ordinal as f64), NumberRange::contains), |e| e.ordinal.into()),
    field("connection", |m, e| holds(&m.connection, Some(e.connection as f64), NumberRange::contains), |e| e.connection.into()),
    field("status", |m, e| m.status.is_none() || holds(&m.status, status(e), NumberRange::contains), |e| sent(e).status.into()),
    field("sent.status", |m, e| m.sent.status.is_none() || holds(&m.sent.status, status(e), NumberRange::contains), |e| sent(e).status.into()),
    field("sent.bytes", |m, e| m.sent.bytes.is_none() || holds(&m.sent.bytes, Some(sent(e).bytes as f64), NumberRange::contains), |e| sent(e).bytes.into()),
    field("sent.end", |m, e| m.sent.end.is_none_or(|end| sent(e).end == end), |e| value(&sent(e).end)),
    field("threshold", |m, e| holds(&m.threshold, e.request.threshold, NumberRange::contains), |e| e.request.threshold.into()),
    field("methode", |m, e| holds(&m.methode, Some(e.methode.as_str()), Pattern::matches), |e| e.methode.clone().into()),
    field("transaction_id", |m, e| holds(&m.transaction_id, e.request.transaction_id.as_deref(), Pattern::matches), |e| e.request.transaction_id.clone().into()),
    field("transaction_source", |m, e| holds(&m.transaction_source, e.request.transaction_source.as_deref(), Pattern::matches), |e| e.request.transaction_source.clone().into()),
    field("trace_id", |m, e| holds(&m.trace_id, e.trace_id.as_deref(), Pattern::matches), |e| e.trace_id.clone().into()),
    field("ip", |m, e| holds(&m.ip, e.request.ip.as_deref(), IpPattern::matches), |e| e.request.ip.clone().into()),
    field("peer", |m, e| m.peer.is_none() || holds(&m.peer, peer(e).as_deref(), IpPattern::matches), |e| peer(e).into()),
    field("image.sha256", |m, e| sha256(&m.image.sha256, e), |e| e.request.image.as_ref().map(|image| image.sha256.clone()).into()),
    field("image.size", |m, e| holds(&m.image.size, e.request.image.as_ref().map(|image| image.bytes as f64), NumberRange::contains), |e| e.request.image.as_ref().map(|image| image.bytes).into()),
    field("rule", |m, e| any(&m.rule, rules(e)), |e| rules(e).collect()),
    field("fault", |m, e| holds(&m.fault, fault(e), Pattern::matches), |e| fault(e).into()),
    field("warning", |m, e| any(&m.warning, warnings(e)), |e| warnings(e).collect()),
    field("rests_on", |m, e| rests_on(&m.rests_on, e), |e| e.grounds.rests_on().into_iter().map(|one| Value::from(&*one.key)).collect()),
];

const fn field(
    name: &'static str,
    holds: fn(&Match, &Entry) -> bool,
    got: fn(&Entry) -> Value,
) -> MatchField {
    MatchField { name, holds, got }
}

fn any<'a>(pattern: &Option<Pattern>, mut values: impl Iterator<Item = &'a str>) -> bool {
    pattern.as_ref().is_none_or(|pattern| values.any(|value| pattern.matches(value)))
}

/// Matches what an answer rests on. Derived only where the filter asks.
fn rests_on(pattern: &Option<Pattern>, entry: &Entry) -> bool {
    let Some(pattern) = pattern else { return true };
    let names =
        |one: &RestsOn| [one.key.to_string(), one.standing.to_string(), one.differs.name().to_owned()];
    entry.grounds.rests_on().iter().any(|one| names(one).iter().any(|name| pattern.matches(name)))
}

/// Matches a digest. The journal writes digests in lower case, but a client may write upper case.
fn sha256(pattern: &Option<Pattern>, entry: &Entry) -> bool {
    let Some(pattern) = pattern else { return true };
    let digest = entry.request.image.as_ref().map(|image| image.sha256.as_str());
    digest.is_some_and(|digest| pattern.matches(digest) || pattern.as_str().eq_ignore_ascii_case(digest))
}

fn value(value: &impl Serialize) -> Value {
    json::value(value)
}

fn code(entry: &Entry) -> Option<&str> {
    entry.code_sent().map(Code::as_str)
}

fn sent(entry: &Entry) -> Sent {
    entry.sending.sent()
}

fn status(entry: &Entry) -> Option<f64> {
    sent(entry).status.map(f64::from)
}

fn peer(entry: &Entry) -> Option<String> {
    entry.request.peer.map(|peer| peer.to_string())
}

fn fault(entry: &Entry) -> Option<&str> {
    entry.fault.as_ref().map(|fault| fault.kind)
}

fn rules(entry: &Entry) -> impl Iterator<Item = &str> {
    entry.rules.iter().map(|firing| firing.rule.as_str())
}

fn warnings(entry: &Entry) -> impl Iterator<Item = &str> {
    entry.warnings.iter().map(|warning| &*warning.name)
}

impl Match {
    /// Returns whether every condition that is set holds.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        FIELDS.iter().all(|field| (field.holds)(self, entry))
    }

    /// Returns the number of conditions that do not hold.
    fn misses(&self, entry: &Entry) -> usize {
        FIELDS.iter().filter(|field| !(field.holds)(self, entry)).count()
    }

    /// Returns the conditions that do not hold.
    fn differences(&self, entry: &Entry) -> BTreeMap<&'static str, Difference> {
        let written = value(self);
        let missed = FIELDS.iter().filter(|field| !(field.holds)(self, entry));
        let difference = |field: &MatchField| {
            let pointer = format!("/{}", field.name.replace('.', "/"));
            Difference {
                want: written.pointer(&pointer).cloned().unwrap_or_default(),
                got: (field.got)(entry),
            }
        };
        missed.map(|field| (field.name, difference(field))).collect()
    }

    /// Returns the nearest entries that do not match, at most `max_count`: first those of the filter's customer, then those with the
    /// fewest differences; ties keep the order of `entries`. Tests that run in parallel share a journal: the newest requests of other
    /// customers would crowd out the one that explains a failure.
    #[must_use]
    pub fn nearest(&self, entries: &[Arc<Entry>], max_count: usize) -> Vec<NearMiss> {
        let misses = entries.iter().map(|entry| (self.misses(entry), entry));
        let mut misses: Vec<_> = misses.filter(|(count, _)| *count > 0).collect();
        let of_customer =
            |entry: &Entry| holds(&self.customer_id, entry.customer_id.as_deref(), Pattern::matches);
        misses.sort_by_key(|(count, entry)| (!of_customer(entry), *count));
        misses.truncate(max_count);
        misses
            .into_iter()
            .map(|(_, entry)| NearMiss { id: entry.id, differs: self.differences(entry) })
            .collect()
    }

    /// Returns whether a text condition contains a full NIK, which the journal masks.
    #[must_use]
    pub fn names_a_nik(&self) -> bool {
        let patterns = [&self.transaction_id, &self.transaction_source].into_iter().flatten();
        patterns.map(Pattern::as_str).any(|text| without_niks(text) != text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::domain::faults::{FaultKind, KINDS};
    use crate::domain::rules::{Draw, Firing};
    use crate::domain::warnings::Warning;
    use crate::state::journal::FaultRecord;
    use crate::state::journal::tests::entry;
    use crate::state::journal::{AnswerRecord, ImageRecord, RequestRecord};

    /// An entry with every field set.
    fn full() -> Entry {
        let image =
            ImageRecord { sha256: "ab".repeat(32), bytes: 5000, format: None, width: None, height: None };
        let firing = |rule: &str| Firing {
            rule: rule.to_owned(),
            ordinal: 1,
            draw: Draw { ordinal: 1, fires: true, rate: None },
            decides: Vec::new(),
        };
        let guess = json!({
            "key": "not_found", "standing": "assumed", "other_value": "6019", "other_answer": "6019", "differs": "code",
        });
        let full = Entry {
            id: 17,
            connection: 4,
            ordinal: Some(3),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            request: RequestRecord {
                peer: Some("127.0.0.1".parse().unwrap()),
                transaction_id: Some("T-17".to_owned()),
                transaction_source: Some("mobile".to_owned()),
                threshold: Some(7.0),
                ip: Some("10.1.2.3".to_owned()),
                image: Some(image),
                ..RequestRecord::default()
            },
            warnings: vec![Warning { name: "bom".into(), message: String::new() }],
            rule: Some("slow".to_owned()),
            rules: vec![firing("slow"), firing("cut")],
            fault: Some(FaultRecord::new(FaultKind::find("late_close").unwrap(), "cut")),
            answer: AnswerRecord { status: Some(200), code: Some(Code::FOUND), ..AnswerRecord::default() },
            grounds: serde_json::from_value(json!({ "rests_on": [guess] })).unwrap(),
            ..entry("demo", Code::FOUND)
        };
        leave(&full, SentEnd::Complete);
        full
    }

    fn leave(entry: &Entry, end: SentEnd) {
        let sent = Sent { status: Some(200), bytes: 900, end };
        entry.sending.leave(sent, Duration::ZERO, Instant::now());
    }

    fn filter(json: Value) -> Match {
        serde_json::from_value(json).unwrap_or_else(|error| panic!("{error}"))
    }

    /// For every condition, one that holds for the full entry and one that does not.
    fn conditions() -> Vec<(Value, Value)> {
        [
            (json!({ "id": ">16" }), json!({ "id": ">17" })),
            (json!({ "customer_id": "d?mo" }), json!({ "customer_id": "load" })),
            (json!({ "methode": "CALL_*" }), json!({ "methode": "call_fn" })),
            (json!({ "code": "60*" }), json!({ "code": "5*" })),
            (json!({ "status": 200 }), json!({ "status": "500.." })),
            (json!({ "sent": { "status": 200 } }), json!({ "sent": { "status": "500.." } })),
            (json!({ "sent": { "bytes": "..900" } }), json!({ "sent": { "bytes": "..899" } })),
            (json!({ "sent": { "end": "complete" } }), json!({ "sent": { "end": "rst" } })),
            (json!({ "transaction_id": "/^T-[0-9]+$/" }), json!({ "transaction_id": "T" })),
            (json!({ "transaction_source": "mob*" }), json!({ "transaction_source": "web" })),
            (json!({ "trace_id": "4bf9*" }), json!({ "trace_id": "4bf9" })),
            (json!({ "ip": "10.0.0.0/8" }), json!({ "ip": "11.*" })),
            (json!({ "peer": "127.0.0.0/8" }), json!({ "peer": "10.0.0.1" })),
            (json!({ "threshold": "5..7" }), json!({ "threshold": ">7" })),
            (json!({ "image": { "sha256": "AB".repeat(32) } }), json!({ "image": { "sha256": "cd*" } })),
            (json!({ "image": { "size": "5000" } }), json!({ "image": { "size": "<5000" } })),
            (json!({ "state": "done" }), json!({ "state": "in_flight" })),
            (json!({ "rule": "cut" }), json!({ "rule": "c" })),
            (json!({ "fault": "late*" }), json!({ "fault": "hang" })),
            (json!({ "warning": "bom" }), json!({ "warning": "extra_key" })),
            (json!({ "rests_on": "not_*" }), json!({ "rests_on": "value" })),
            (json!({ "connection": 4 }), json!({ "connection": 5 })),
            (json!({ "ordinal": "3" }), json!({ "ordinal": "<3" })),
            (
                json!({ "since": "2026-11-21T10:00:00+07:00" }),
                json!({ "since": "2026-11-21T10:00:01+07:00" }),
            ),
        ]
        .to_vec()
    }

    #[test]
    fn every_condition_holds_or_fails_with_its_expected_value() {
        let conditions = conditions();
        assert_eq!(conditions.len(), FIELDS.len());
        let keys = value(&schemars::schema_for!(Match))["properties"].as_object().unwrap().len();
        assert_eq!(keys, FIELDS.len() - 3, "image has two, sent has three");
        for (good, bad) in conditions {
            assert!(filter(good.clone()).matches(&full()), "{good}");
            let bad_match = filter(bad.clone());
            assert!(!bad_match.matches(&full()), "{bad}");
            let differences = bad_match.differences(&full());
            let (name, difference) = differences.iter().next().unwrap();
            let written = bad.pointer(&format!("/{}", name.replace('.', "/"))).unwrap();
            let same = |a: &Value, b: &Value| a == b || a.as_str() == Some(&b.to_string());
            assert!(same(&difference.want, written), "{bad}: {difference:?}");
            assert_ne!(difference.got, Value::Null, "{bad}");
        }
        assert!(Match::default().matches(&full()));
    }

    #[test]
    fn a_code_matches_while_the_client_may_get_it_and_no_longer_when_the_exchange_ends_otherwise() {
        let code = filter(json!({ "code": "6018" }));
        let by_fault = |kind: &str| {
            let fault = FaultKind::find(kind).map(|kind| FaultRecord::new(kind, "f"));
            Entry { fault, ..entry("demo", Code::FOUND) }
        };
        for kind in &KINDS {
            let is_intact =
                ["slow_read", "dribble", "bandwidth", "slow_headers", "stale_keepalive", "late_close"]
                    .contains(&kind.name);
            assert_eq!(code.matches(&by_fault(kind.name)), is_intact, "{}", kind.name);
        }
        for (end, matches) in
            [(SentEnd::Complete, true), (SentEnd::None, false), (SentEnd::Rst, false), (SentEnd::Fin, false)]
        {
            let entry = entry("demo", Code::FOUND);
            assert!(code.matches(&entry), "it is under way");
            leave(&entry, end);
            assert_eq!(code.matches(&entry), matches, "{end:?}");
        }
    }

    #[test]
    fn an_absent_value_matches_no_condition() {
        let bare = Entry { ordinal: None, answer: AnswerRecord::default(), ..entry("demo", Code::FOUND) };
        for wild in ["code", "transaction_id", "transaction_source", "ip", "peer", "rule", "fault", "warning"]
        {
            assert!(!filter(json!({ wild: "*" })).matches(&bare), "{wild}");
        }
        for wild in ["status", "threshold", "ordinal"] {
            assert!(!filter(json!({ wild: "..999" })).matches(&bare), "{wild}");
        }
    }

    fn numbered(id: u64, customer: &str, code: Code) -> Arc<Entry> {
        Arc::new(Entry { id, ..entry(customer, code) })
    }

    #[test]
    fn near_misses_are_ordered_by_differences_then_newest_first() {
        let newest_first = [
            numbered(5, "load", Code::BUSY),
            numbered(4, "demo", Code::BUSY),
            numbered(3, "demo", Code::FOUND),
            numbered(2, "demo", Code::QUOTA),
            numbered(1, "load", Code::FOUND),
        ];
        let filter = filter(json!({ "customer_id": "demo", "code": "6018" }));
        let nearest = filter.nearest(&newest_first, 3);
        assert_eq!(nearest.iter().map(|miss| miss.id).collect::<Vec<_>>(), [4, 2, 1]);
        let difference = Difference { want: json!("6018"), got: json!("6014") };
        assert_eq!(nearest[0].differs, BTreeMap::from([("code", difference)]));
        assert_eq!(filter.nearest(&newest_first, 9).len(), 4);
    }

    #[test]
    fn near_misses_of_other_customers_come_last() {
        let newest_first = [
            numbered(3, "other-test", Code::FOUND),
            numbered(2, "other-test", Code::FOUND),
            numbered(1, "demo", Code::BUSY),
        ];
        let filter = filter(json!({ "customer_id": "demo", "code": "6018", "threshold": 1 }));
        assert_eq!(filter.nearest(&newest_first, 1)[0].id, 1, "two differences, and still the nearest");
    }

    #[test]
    fn a_nik_in_a_condition_is_detected() {
        assert!(filter(json!({ "transaction_id": "3174055708909001" })).names_a_nik());
        assert!(
            !filter(json!({ "transaction_id": "317405XXXXXXXXXX", "customer_id": "demo" })).names_a_nik()
        );
    }
}
