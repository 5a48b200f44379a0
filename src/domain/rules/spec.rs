//! One rule of `[[rules]]`: the specification ([`RuleSpec`]) and the validated rule ([`Rule`]).

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use schemars::Schema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chance::Chance;
use super::condition::When;
use super::reply::{Reply, ReplySpec};
use super::{Effect, Phase};
use crate::base::duration::{DurationText, Ttl};
use crate::base::hash::digest;
use crate::base::json as own_json;
use crate::base::json_schema::required;
use crate::base::text::truncate;
use crate::domain::delay::{Delay, DelaySpec};
use crate::domain::faults::{Fault, FaultSpec, Upload};

/// A rule: when it fires, and what it does then. It sets at least one of reply, delay, fault and set_state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = require_effect, example = json!({ "reply": { "code": "6014" } }))]
pub struct RuleSpec {
    /// Name in the journal and the API; default: `rule 1` and so on.
    #[schemars(length(min = 1, max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"busy twice")]
    pub name: Option<String>,
    /// Conditions on the request; without them the rule matches every request.
    pub when: When,
    /// Ignores the first n matching requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 1)]
    pub skip: Option<u64>,
    /// Fires at most n times.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 2)]
    pub times: Option<u64>,
    /// Considers only every n-th matching request.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 3)]
    pub every: Option<u64>,
    /// What `skip`, `times` and `every` count separately: all requests of the customer, or those of each transaction_id, image or peer.
    pub per: Per,
    /// Probability that the rule fires, above 0 and up to 1.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 0.1)]
    pub rate: Option<f64>,
    /// `"7/10"`: fires exactly 7 times in every 10 draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"7/10")]
    pub exact: Option<String>,
    /// Probability that changes over time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<RampSpec>,
    /// `"skip"`: answers without running the checks. The request is not authenticated, so it consumes no quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// The reply, instead of the regular answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplySpec>,
    /// Delay before the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DelaySpec>,
    /// Network fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultSpec>,
    /// State of the customer from then on; see when.state.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"down")]
    pub set_state: Option<String>,
    /// Time to live, only for rules created over the admin API: the rule expires after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// What a rule's counters are kept per.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    #[default]
    Customer,
    TransactionId,
    Image,
    Peer,
}

/// Whether the checks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Checks {
    Skip,
}

/// `ramp = { from = 0.0, to = 0.5, over = "60s" }`: a probability that changes linearly from one rate to another, then stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RampSpec {
    /// Rate at the beginning.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(example = 0.0)]
    pub from: f64,
    /// Rate at the end.
    #[schemars(range(min = 0, max = 1))]
    #[schemars(example = 0.5)]
    pub to: f64,
    /// Duration of the change.
    pub over: DurationText,
}

/// Max length of a rule's name, in characters.
const MAX_NAME_CHARS: usize = 64;

/// Identity of a rule, as the key of its counters.
pub type Fingerprint = [u8; 16];

/// A validated rule of a customer.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where its definition is; shared by all customers that inherit it.
    definitions: Arc<Vec<RuleDefinition>>,
    index: usize,
    /// When it was created over the admin API.
    pub created: Option<Timestamp>,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

/// What a rule is, whoever has it.
#[derive(Debug)]
pub struct RuleDefinition {
    pub name: String,
    /// Digest of the name and the specification: the counters are kept while it stays the same.
    pub fingerprint: Fingerprint,
    pub spec: RuleSpec,
    pub chance: Chance,
    pub reply: Option<Reply>,
    pub delay: Option<Delay>,
    pub fault: Option<Fault>,
    pub set_state: Option<String>,
}

impl Deref for Rule {
    type Target = RuleDefinition;

    fn deref(&self) -> &RuleDefinition {
        &self.definitions[self.index]
    }
}

/// What is wrong with a rule: the key, `None` for the rule as a whole, and the message.
pub type RuleError = (Option<&'static str>, String);

/// Returns all messages about a rule as one.
#[must_use]
pub fn joined(errors: &[RuleError]) -> String {
    errors.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Returns the bytes of a file of the fixture directory.
pub type FileReader<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

impl Rule {
    /// Validates a rule on its own; as [`RuleDefinition::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(spec: &RuleSpec, number: usize, file: FileReader) -> Result<Rule, Vec<RuleError>> {
        let definitions = Arc::new(vec![RuleDefinition::new(spec, number, file)?]);
        Ok(Rule { definitions, index: 0, created: None, expires: None })
    }

    /// Returns the rules with these definitions.
    pub fn all(definitions: &Arc<Vec<RuleDefinition>>) -> impl Iterator<Item = Rule> {
        let rule = |index| Rule { definitions: Arc::clone(definitions), index, created: None, expires: None };
        (0..definitions.len()).map(rule)
    }

    /// Returns the rule as one that was created and expires at these times.
    #[must_use]
    pub fn with_times(&self, created: Option<Timestamp>, expires: Option<Timestamp>) -> Rule {
        Rule { created, expires, ..self.clone() }
    }

    /// Marks the rule as created over the admin API at this time: its window and its ttl begin then.
    ///
    /// # Errors
    /// When it would expire after the year 9999.
    pub fn put_at(&mut self, now: Timestamp) -> Result<(), String> {
        self.created = Some(now);
        let expiry = |ttl: &Ttl| {
            now.checked_add(ttl.0).map_err(|_| format!("rule {:?}: ttl ends after the year 9999", self.name))
        };
        self.expires = self.spec.ttl.as_ref().map(expiry).transpose()?;
        Ok(())
    }
}

impl RuleDefinition {
    /// Validates a rule. `number` counts from 1 and names the rule when it has no name.
    ///
    /// # Errors
    /// Every parameter that is wrong; else why the rule contradicts itself or can never match.
    pub fn new(spec: &RuleSpec, number: usize, file: FileReader) -> Result<RuleDefinition, Vec<RuleError>> {
        let name = spec.name.clone().unwrap_or_else(|| format!("rule {number}"));
        let text = |file_name: &str| {
            String::from_utf8(file(file_name)?).map_err(|_| format!("{file_name} is not UTF-8"))
        };
        let wrong = |message: String| format!("rule {:?}: {message}", truncate(&name, MAX_NAME_CHARS));
        let parts = (
            chance(spec),
            spec.reply.as_ref().map(|reply| Reply::new(reply, file)).transpose(),
            spec.delay.as_ref().map(|delay| Delay::new(delay, text)).transpose(),
            spec.fault.as_ref().map(Fault::new).transpose(),
        );
        let (chance, reply, delay, fault) = match parts {
            (Ok(chance), Ok(reply), Ok(delay), Ok(fault)) => (chance, reply, delay, fault),
            (chance, reply, delay, fault) => {
                let errors = [
                    (chance_key(spec), chance.err()),
                    ("reply", reply.err()),
                    ("delay", delay.err()),
                    ("fault", fault.err()),
                ];
                let error = |(key, message): (_, Option<String>)| Some((Some(key), wrong(message?)));
                return Err(errors.into_iter().filter_map(error).collect());
            }
        };
        let rule = RuleDefinition {
            chance,
            reply,
            delay,
            fault,
            set_state: spec.set_state.clone(),
            fingerprint: digest(format!("{name}\n{}", own_json::text(spec)).as_bytes()),
            spec: spec.clone(),
            name: name.clone(),
        };
        match rule.contradiction() {
            Some(message) => Err(vec![(None, wrong(message))]),
            None => Ok(rule),
        }
    }

    /// Returns the memory that the rule's regexes take, in bytes, approximately.
    #[must_use]
    pub fn regex_bytes(&self) -> usize {
        self.spec.when.regex_bytes()
    }

    /// Returns why the rule contradicts itself or has no effect; `None` when it is valid.
    fn contradiction(&self) -> Option<String> {
        let spec = &self.spec;
        let valid_name =
            (1..=MAX_NAME_CHARS).contains(&self.name.chars().count()) && !self.name.contains(['/', '\n']);
        if !valid_name {
            return Some("a name must have 1 to 64 characters and no slash or line break".to_owned());
        }
        if self.effects().is_empty() {
            return Some("it has no effect: set reply, delay, fault or set_state".to_owned());
        }
        if spec.times == Some(0) || spec.every == Some(0) {
            return Some("it can never fire: times and every must be at least 1".to_owned());
        }
        if let Some(why) = spec.when.unsatisfiable() {
            return Some(format!("it can never match: {why}"));
        }
        let body_conditions = spec.when.body_conditions();
        match self.phase() {
            Phase::BeforeBody if !body_conditions.is_empty() => Some(format!(
                "{} is decided before the body is read, so it cannot depend on {}",
                self.fault.as_ref().map_or("it", |fault| fault.kind().name),
                body_conditions.join(" or ")
            )),
            Phase::BeforeBody if matches!(spec.per, Per::TransactionId | Per::Image) => Some(
                "it is decided before the body is read, so it cannot be counted per transaction_id or image"
                    .to_owned(),
            ),
            Phase::BeforeBody
                if self.sends_no_response() && (self.reply.is_some() || self.delay.is_some()) =>
            {
                Some(
                    "close_during_upload sends no response, so its rule cannot have reply or delay"
                        .to_owned(),
                )
            }
            Phase::BeforeBody if spec.checks.is_some() => Some(
                "it is decided before the body is read; write a separate rule for checks = \"skip\""
                    .to_owned(),
            ),
            Phase::BeforeChecks if spec.when.outcome.is_some() => {
                Some("it can never match: with checks = \"skip\" there is no outcome".to_owned())
            }
            Phase::BeforeChecks if self.reply.is_none() => Some("checks = \"skip\" needs a reply".to_owned()),
            _ => None,
        }
    }

    fn sends_no_response(&self) -> bool {
        let upload = self.fault.as_ref().and_then(Fault::upload);
        matches!(upload, Some(Upload::CloseAt(..)))
    }

    /// Returns when the rule is evaluated.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.fault.as_ref().is_some_and(|fault| fault.upload().is_some()) {
            Phase::BeforeBody
        } else if self.spec.checks == Some(Checks::Skip) {
            Phase::BeforeChecks
        } else {
            Phase::AfterChecks
        }
    }

    /// Returns what the rule decides.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        [
            (Effect::Reply, self.reply.is_some()),
            (Effect::Delay, self.delay.is_some()),
            (Effect::Fault, self.fault.is_some()),
            (Effect::SetState, self.set_state.is_some()),
        ]
        .into_iter()
        .filter_map(|(effect, set)| set.then_some(effect))
        .collect()
    }

    /// Whether the rule fires for every request that reaches it, and never expires.
    #[must_use]
    pub fn always_fires(&self) -> bool {
        let spec = &self.spec;
        spec.when == When::default()
            && spec.skip.unwrap_or(0) == 0
            && spec.times.is_none()
            && spec.every.unwrap_or(1) == 1
            && spec.ttl.is_none()
            && self.chance == Chance::Always
    }

    /// Whether `later` can never fire behind this rule, which always fires: this one decides everything that `later` decides.
    #[must_use]
    pub fn shadows(&self, later: &RuleDefinition) -> bool {
        let own = self.effects();
        self.phase() == later.phase() && later.effects().iter().all(|effect| own.contains(effect))
    }
}

/// Returns the key that decides about chance.
fn chance_key(spec: &RuleSpec) -> &'static str {
    match (spec.rate, &spec.exact) {
        (Some(_), _) => "rate",
        (None, Some(_)) => "exact",
        (None, None) => "ramp",
    }
}

fn chance(spec: &RuleSpec) -> Result<Chance, String> {
    let valid_rate = |name: &str, rate: f64| {
        if (0.0..=1.0).contains(&rate) {
            Ok(rate)
        } else {
            Err(format!("{name} = {rate} is not a rate: it must be 0.0 to 1.0"))
        }
    };
    match (spec.rate, &spec.exact, &spec.ramp) {
        (None, None, None) => Ok(Chance::Always),
        (Some(0.0), None, None) => Err("it can never fire: rate = 0".to_owned()),
        (Some(rate), None, None) => valid_rate("rate", rate).map(Chance::Rate),
        (None, Some(text), None) => exact(text),
        (None, None, Some(ramp)) => {
            let (from, to) = (valid_rate("ramp.from", ramp.from)?, valid_rate("ramp.to", ramp.to)?);
            if from == 0.0 && to == 0.0 {
                return Err("it can never fire: the ramp stays at 0".to_owned());
            }
            if ramp.over.0.is_zero() {
                return Err("ramp.over must be above 0".to_owned());
            }
            Ok(Chance::Ramp { from, to, over: ramp.over.0 })
        }
        _ => Err("set only one of rate, exact and ramp".to_owned()),
    }
}

fn exact(text: &str) -> Result<Chance, String> {
    let parts = text
        .split_once('/')
        .and_then(|(hits, of)| Some((hits.trim().parse().ok()?, of.trim().parse().ok()?)));
    match parts {
        Some((hits, of)) if (1..=of).contains(&hits) && of <= 1000 => Ok(Chance::Exact { hits, of }),
        _ => Err(format!("exact = {text:?} is not a share: write \"7/10\" for 7 of every 10")),
    }
}

/// JSON Schema: a rule sets at least one effect.
pub(crate) fn require_effect(schema: &mut Schema) {
    schema.insert("anyOf".to_owned(), required(&["reply", "delay", "fault", "set_state"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(toml: &str) -> Result<Rule, String> {
        let spec: RuleSpec = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
        Rule::new(&spec, 1, &|name| Err(format!("there is no file {name}"))).map_err(|errors| joined(&errors))
    }

    #[test]
    fn wrong_and_contradictory_rules_are_rejected_with_the_reason() {
        let long_name = format!("name = '{}'\ndelay = '1s'", "n".repeat(60_000));
        for (toml, expected) in [
            ("", "it has no effect"),
            ("reply = { code = '6014' }\ntimes = 0", "can never fire"),
            ("reply = { code = '6014' }\nevery = 0", "can never fire"),
            ("reply = { code = '6014' }\nrate = 1.5", "rate = 1.5 is not a rate"),
            ("reply = { code = '6014' }\nrate = 0.0", "can never fire"),
            ("reply = { code = '6014' }\nrate = 0.5\nexact = '1/2'", "one of rate, exact and ramp"),
            ("reply = { code = '6014' }\nexact = '3/2'", "is not a share"),
            ("reply = { code = '6014' }\nramp = { from = 0.0, to = 1.0, over = '0s' }", "above 0"),
            ("reply = { code = '6014' }\nwhen = { request = '<1' }", "can never match"),
            (
                "reply = { code = '6014' }\nwhen = { outcome = '6018' }\nchecks = 'skip'",
                "there is no outcome",
            ),
            ("checks = 'skip'\ndelay = '1s'", "needs a reply"),
            ("fault = { kind = 'slow_read' }\nwhen = { outcome = '6018' }", "cannot depend on outcome"),
            ("fault = { kind = 'early_response' }\nper = 'image'", "cannot be counted per"),
            ("fault = { kind = 'close_during_upload' }\ndelay = '1s'", "cannot have reply or delay"),
            ("reply = { code = '6014' }\nramp = { from = 0.0, to = 0.0, over = '9s' }", "can never fire"),
            ("fault = { kind = 'bitflip', bits = 5000 }", "at most 4096"),
            ("fault = { kind = 'rest' }", "did you mean \"reset\"?"),
            ("fault = { kind = 'reset', at = 5 }", "the fault reset has no parameter at; it takes after"),
            ("fault = { kind = 'hang', for = '1s' }", "the fault hang has no parameter for; it takes none"),
            ("fault = { kind = 'truncate', at = 1.5 }", "a fraction must be 0.0 to 1.0"),
            ("fault = { kind = 'raw' }", "needs its bytes"),
            ("fault = { kind = 'gateway_page', status = 500 }", "502, 503 or 504"),
            ("fault = { kind = 'bad_length', by = 0 }", "makes the length correct"),
            ("delay = '-1s'", "cannot be negative"),
            ("delay = { from = 'x.csv' }", "there is no file x.csv"),
            ("reply = { status = 200, body_file = 'x' }", "there is no file x"),
            (&*long_name, &*format!("rule \"{}…\": a name must have 1 to 64 characters", "n".repeat(64))),
            ("name = 'a/b'\ndelay = '1s'", "no slash or line break"),
            ("set_state = 'x'\nwhen = { window = '9s..1s' }", "ends before it begins"),
            ("repyl = {}", "unknown field `repyl`"),
            ("set_state = 'x'\nttl = '0s'", "a ttl must be longer than 0"),
        ] {
            let error = rule(toml).expect_err(toml);
            assert!(error.contains(expected), "{toml}: {error}");
        }
    }

    #[test]
    fn a_rule_shadows_another_only_when_it_always_fires_and_decides_all_of_it() {
        let shadows = |first: &str, later: &str| {
            let first = rule(first).unwrap();
            first.always_fires() && first.shadows(&rule(later).unwrap())
        };
        let later = "reply = { code = '5000' }";
        assert!(shadows("reply = { code = '6014' }", later));
        assert!(shadows("reply = { code = '6014' }\ndelay = '1s'", later));
        for condition in [
            "times = 1",
            "skip = 1",
            "every = 2",
            "rate = 0.5",
            "exact = '1/2'",
            "ramp = { from = 0.0, to = 1.0, over = '9s' }",
            "when = { window = '0s..9s' }",
            "when = { state = 'x' }",
            "ttl = '5m'",
            "checks = 'skip'",
        ] {
            assert!(!shadows(&format!("reply = {{ code = '6014' }}\n{condition}"), later), "{condition}");
        }
        assert!(!shadows("reply = { code = '6014' }", &format!("{later}\ndelay = '1s'")));
    }

    #[test]
    fn the_phase_follows_from_the_effects() {
        assert_eq!(rule("fault = { kind = 'slow_read' }").unwrap().phase(), Phase::BeforeBody);
        assert_eq!(rule("checks = 'skip'\nreply = { code = '6018' }").unwrap().phase(), Phase::BeforeChecks);
        assert_eq!(rule("fault = { kind = 'reset' }").unwrap().phase(), Phase::AfterChecks);
    }
}
