//! A recording as fixtures that answer as the endpoint did: for each customer and methode a sequence of rules, a rule an exchange, each in the
//! state that the one before it sets. Nothing here writes a file.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::exchange::{EndedBy, RecordedAnswer, RecordedExchange, RecordedRequest, Recording};
use super::request::target;
use crate::conformance::answer::{KeptAnswer, MARKER};

/// Files of a fixture directory, by name, and what of the recordings they do not have.
#[derive(Debug, Default)]
pub struct ReplayFiles {
    pub files: BTreeMap<String, String>,
    pub customers: Vec<ReplayedCustomer>,
    /// How many exchanges are left out, by the reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Names of the files of bodies.
    bodies: HashMap<String, String>,
}

/// A customer of the fixtures.
#[derive(Debug, PartialEq, Eq)]
pub struct ReplayedCustomer {
    pub customer_id: String,
    pub methode: String,
    pub exchanges: usize,
}

/// Where the transactionId of a request stood in its answer.
const MARKER_OF_RULES: &str = "{{tid}}";

/// Fields that the simulator writes itself.
const OWN_FIELDS: [&str; 5] = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];
/// Rules that a customer may have without a limit of its own.
const MAX_RULES: usize = 1000;
/// A longer answer that was not kept is replayed as one of this length, in bytes.
const MAX_UNKNOWN_BYTES: u64 = 1 << 20;

/// An hour, in microseconds: a longer time is replayed as this.
const MAX_LATENCY_US: u64 = 3_600_000_000;

/// An exchange as a rule, and what it needs.
struct ReplayStep {
    name: String,
    reply: Map<String, Value>,
    body: Option<String>,
    fault: Option<&'static str>,
    latency_us: u64,
    is_title_case: bool,
}

/// Makes the fixtures of recordings, in this order.
#[must_use]
pub fn replay(recordings: &[Recording]) -> ReplayFiles {
    let mut sequences: Vec<((usize, String, String), Vec<ReplayStep>)> = Vec::new();
    let mut replay = ReplayFiles::default();
    for (at, recording) in recordings.iter().enumerate() {
        for exchange in &recording.exchanges {
            match step(recording, exchange) {
                Ok((customer, methode, step)) => {
                    let key = (at, customer.to_owned(), methode.to_owned());
                    match sequences.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, steps)) => steps.push(step),
                        None => sequences.push((key, vec![step])),
                    }
                }
                Err(why) => *replay.left_out.entry(why).or_default() += 1,
            }
        }
    }
    let longest = sequences.iter().map(|(_, steps)| steps.len()).max().unwrap_or_default();
    if longest > MAX_RULES {
        replay.files.insert("simulator.toml".to_owned(), toml_of(&json!({ "limits": { "rules": longest } })));
    }
    for ((_, customer, methode), steps) in sequences {
        let customer_id = replay.free_id(&customer);
        replay.add(customer_id, methode, steps);
    }
    let bodies = std::mem::take(&mut replay.bodies).into_iter();
    replay.files.extend(bodies.map(|(body, name)| (format!("customers/{name}"), body)));
    replay
}

impl ReplayFiles {
    /// The customer's token, or one with a number where another sequence has it.
    fn free_id(&self, token: &str) -> String {
        let is_free = |id: &String| !self.customers.iter().any(|known| known.customer_id == *id);
        let numbered = (2..).map(|number| format!("{token}-{number}"));
        std::iter::once(token.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }

    fn add(&mut self, customer_id: String, methode: String, steps: Vec<ReplayStep>) {
        let (exchanges, latencies) = (steps.len(), format!("{customer_id}-latencies.csv"));
        let mut times = "exchange,latency\n".to_owned();
        let title_case = steps.iter().filter(|step| step.is_title_case).count();
        let (mut rules, mut state) = (Vec::new(), String::new());
        for (index, step) in steps.into_iter().enumerate() {
            let is_last = index + 1 == exchanges;
            let latency = format!("{}us", step.latency_us);
            // What ended otherwise does not tell how long an answer takes.
            if step.fault.is_none() {
                times.push_str(&format!("{},{latency}\n", step.name));
            }
            let mut reply = step.reply;
            if let Some(body) = step.body.filter(|body| !body.is_empty()) {
                if MARKER.is_match(&body) {
                    reply.insert("transaction_id".to_owned(), json!(MARKER_OF_RULES));
                }
                let body = MARKER.replace_all(&body, MARKER_OF_RULES).into_owned();
                reply.insert("body_file".to_owned(), json!(self.body_file(&customer_id, body)));
            }
            let mut rule =
                json!({ "name": step.name, "when": { "state": state }, "checks": "skip", "reply": reply });
            // The last one is held: the latency of an answer is then any of those that were seen.
            let is_any = is_last && step.fault.is_none();
            let delay = if is_any { json!({ "from": latencies }) } else { json!(latency) };
            if !is_last {
                state = step.name;
                rule["set_state"] = json!(state);
            }
            rule["delay"] = delay;
            if let Some(kind) = step.fault {
                rule["fault"] = json!({ "kind": kind });
            }
            rules.push(rule);
        }
        let head = if title_case * 2 > exchanges { "tomcat" } else { "plain" };
        let customer = json!({
            "customer_id": customer_id,
            "methode": [methode],
            "account": { "user_id": "replay", "password": "replay" },
            "policy": { "head": head },
            "rules": rules,
        });
        self.files.insert(format!("customers/{customer_id}.toml"), toml_of(&customer));
        self.files.insert(format!("customers/{latencies}"), times);
        self.customers.push(ReplayedCustomer { customer_id, methode, exchanges });
    }

    /// The name of a file with this body: equal bodies are one file.
    fn body_file(&mut self, customer_id: &str, body: String) -> String {
        let next = self.bodies.len() + 1;
        let name = self.bodies.entry(body).or_insert_with(|| format!("{customer_id}-body-{next}.json"));
        name.clone()
    }
}

fn toml_of(value: &Value) -> String {
    // Texts, numbers, tables and lists: TOML has them all.
    toml::to_string(value).unwrap_or_default()
}

/// The customer, the methode and the rule of an exchange.
///
/// # Errors
/// Why it cannot be replayed.
fn step<'a>(
    recording: &Recording,
    exchange: &'a RecordedExchange,
) -> Result<(&'a str, &'a str, ReplayStep), &'static str> {
    let RecordedRequest::Shape(shape) = &exchange.request else {
        return Err("the request could not be parsed");
    };
    let Some((customer, methode)) = target(&shape.path).filter(|_| shape.method == "POST") else {
        return Err("the request is none of a customer's");
    };
    let mut step = ReplayStep {
        name: format!("exchange {} of {}", exchange.number, recording.header.recording),
        reply: Map::new(),
        body: None,
        fault: None,
        latency_us: exchange.times.first_byte_us.min(MAX_LATENCY_US),
        is_title_case: false,
    };
    let status = match &exchange.answer {
        RecordedAnswer::Whole(answer) => {
            step.reply.insert("headers".to_owned(), Value::Object(headers_of(answer)));
            step.body = Some(answer.body.clone());
            step.is_title_case = answer.head.iter().any(|line| line.starts_with("Content-"));
            answer.status
        }
        RecordedAnswer::Unparsed { status: None, .. } => return Err("the answer was no HTTP"),
        RecordedAnswer::Unparsed { status: Some(status), bytes } => {
            step.body = Some("X".repeat((*bytes).min(MAX_UNKNOWN_BYTES) as usize));
            *status
        }
        RecordedAnswer::Cut { by_reset, ended_by, .. } => {
            step.fault = Some(match ended_by {
                EndedBy::Server if *by_reset => "reset",
                EndedBy::Server => "empty_close",
                // Whether an answer would have come later is not known.
                EndedBy::Client | EndedBy::Recorder => "hang",
            });
            step.latency_us = exchange.times.last_byte_us.min(MAX_LATENCY_US);
            200
        }
    };
    if !(200..=599).contains(&status) {
        return Err("the status is none of an answer");
    }
    step.reply.insert("status".to_owned(), json!(status));
    Ok((customer, methode, step))
}

/// The fields of a head that a rule can send, the first of each name.
fn headers_of(answer: &KeptAnswer) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, value) in answer.head.iter().skip(1).filter_map(|line| line.split_once(':')) {
        let lower = name.to_ascii_lowercase();
        let is_valid = http::HeaderName::try_from(name).is_ok()
            && http::HeaderValue::try_from(value.trim()).is_ok()
            && !OWN_FIELDS.contains(&lower.as_str());
        if is_valid && !headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
            headers.insert(name.to_owned(), json!(value.trim()));
        }
    }
    headers
}
