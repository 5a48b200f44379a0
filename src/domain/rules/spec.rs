//! One of `[[rules]]`, as written and ready to be used.

use jiff::Timestamp;
use schemars::JsonSchema;
use schemars::Schema;
use serde::{Deserialize, Serialize};

use super::chance::Chance;
use super::condition::When;
use super::reply::{Reply, ReplySpec};
use super::{Effect, Phase};
use crate::base::duration::{DurationText, Ttl};
use crate::base::hash::digest;
use crate::base::json_schema::required;
use crate::domain::delay::{Delay, DelaySpec};
use crate::domain::faults::{Fault, FaultSpec, Upload};

/// A rule: when it fires, and what is then done. It has at least one of reply, delay, fault and set_state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = rule_decides)]
pub struct RuleSpec {
    /// For journal and API; default: `rule 1` and so on.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^/\n]*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What must hold of the request; without it, the rule is for all.
    pub when: When,
    /// The first so many pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<u64>,
    /// At most so many fire.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Only every so-manieth is drawn.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// What is counted by itself.
    pub per: Per,
    /// The chance that it fires, above 0 and up to 1.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// `"7/10"`: exactly seven of every ten fire.
    #[schemars(regex(pattern = r"^\s*\d+\s*/\s*\d{1,5}\s*$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// A chance that changes with time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<RampSpec>,
    /// `"skip"`: answer without the checks. Nobody is authenticated then, so nothing is charged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// What is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<ReplySpec>,
    /// How long the answer waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DelaySpec>,
    /// What goes wrong on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultSpec>,
    /// The state that the customer is in from then on; see when.state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_state: Option<String>,
    /// Only for rules put over the admin API: it goes by itself after so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// What a rule counts by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    #[default]
    Customer,
    TransactionId,
    Image,
    Peer,
}

/// Whether the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Checks {
    Skip,
}

/// `ramp = { from = 0.0, to = 0.5, over = "60s" }`: a chance that changes from one rate to another, and stays there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RampSpec {
    /// The rate at first.
    #[schemars(range(min = 0, max = 1))]
    pub from: f64,
    /// The rate at last.
    #[schemars(range(min = 0, max = 1))]
    pub to: f64,
    /// How long it takes.
    pub over: DurationText,
}

/// What a rule is known by to its counts.
pub type Fingerprint = [u8; 16];

/// A rule, found in order.
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    /// Of its name and whole text: counts go on while it stays the same.
    pub fingerprint: Fingerprint,
    pub spec: RuleSpec,
    pub chance: Chance,
    pub reply: Option<Reply>,
    pub delay: Option<Delay>,
    pub fault: Option<Fault>,
    pub set_state: Option<String>,
    /// When it was put over the admin API.
    pub put: Option<Timestamp>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

/// Gives the bytes of a file of the fixture directory.
pub type FileReader<'a> = &'a dyn Fn(&str) -> Result<Vec<u8>, String>;

impl Rule {
    /// Reads a rule. `number` counts from 1 and names it when it has no name.
    ///
    /// # Errors
    /// What is wrong: a parameter, a contradiction, or that it can never match.
    pub fn new(spec: &RuleSpec, number: usize, file: FileReader) -> Result<Rule, String> {
        let name = spec.name.clone().unwrap_or_else(|| format!("rule {number}"));
        let text = |file_name: &str| {
            String::from_utf8(file(file_name)?).map_err(|_| format!("{file_name} is not UTF-8"))
        };
        let wrong = |message: String| format!("rule {name:?}: {message}");
        let rule = Rule {
            chance: chance(spec).map_err(wrong)?,
            reply: spec.reply.as_ref().map(|reply| Reply::new(reply, file)).transpose().map_err(wrong)?,
            delay: spec.delay.as_ref().map(|delay| Delay::new(delay, text)).transpose().map_err(wrong)?,
            fault: spec.fault.as_ref().map(Fault::new).transpose().map_err(wrong)?,
            set_state: spec.set_state.clone(),
            fingerprint: digest(
                format!("{name}\n{}", serde_json::to_string(spec).unwrap_or_default()).as_bytes(),
            ),
            spec: spec.clone(),
            put: None,
            expires: None,
            name: name.clone(),
        };
        match rule.contradiction() {
            Some(message) => Err(wrong(message)),
            None => Ok(rule),
        }
    }

    /// The rule as put over the admin API at an instant: its window begins there, and its ttl.
    ///
    /// # Errors
    /// When it would end beyond the year 9999.
    pub fn put_at(&mut self, now: Timestamp) -> Result<(), String> {
        self.put = Some(now);
        let end = |ttl: &Ttl| {
            now.checked_add(ttl.0).map_err(|_| format!("rule {:?}: ttl goes beyond the year 9999", self.name))
        };
        self.expires = self.spec.ttl.as_ref().map(end).transpose()?;
        Ok(())
    }

    /// Why the rule makes no sense, if it makes none.
    fn contradiction(&self) -> Option<String> {
        let spec = &self.spec;
        let name_fits = (1..=64).contains(&self.name.chars().count()) && !self.name.contains(['/', '\n']);
        if !name_fits {
            return Some("a name has 1 to 64 characters, none of them a slash".to_owned());
        }
        if self.effects().is_empty() {
            return Some("it decides nothing: give it reply, delay, fault or set_state".to_owned());
        }
        if spec.times == Some(0) || spec.every == Some(0) {
            return Some("it can never fire: times and every are 1 or more".to_owned());
        }
        if let Some(why) = spec.when.unsatisfiable() {
            return Some(format!("it can never match: {why}"));
        }
        let on_the_body = spec.when.on_the_body();
        match self.phase() {
            Phase::BeforeBody if !on_the_body.is_empty() => Some(format!(
                "{} is decided before the body is read, so it cannot depend on {}",
                self.fault.as_ref().map_or("it", Fault::name),
                on_the_body.join(" or ")
            )),
            Phase::BeforeBody if matches!(spec.per, Per::TransactionId | Per::Image) => Some(
                "it is decided before the body is read, so it cannot be counted per transaction_id or image"
                    .to_owned(),
            ),
            Phase::BeforeBody if self.answers_nothing() && (self.reply.is_some() || self.delay.is_some()) => {
                Some(
                    "close_during_upload answers nothing, so reply and delay have no place in its rule"
                        .to_owned(),
                )
            }
            Phase::BeforeBody if spec.checks.is_some() => Some(
                "it is decided before the body is read; checks = \"skip\" belongs into a rule of its own"
                    .to_owned(),
            ),
            Phase::BeforeChecks if spec.when.outcome.is_some() => {
                Some("it can never match: with checks = \"skip\" there is no outcome".to_owned())
            }
            Phase::BeforeChecks if self.reply.is_none() => Some("checks = \"skip\" needs a reply".to_owned()),
            _ => None,
        }
    }

    fn answers_nothing(&self) -> bool {
        let upload = self.fault.as_ref().and_then(Fault::upload);
        matches!(upload, Some(Upload::CloseAt(..)))
    }

    /// When it is tried.
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

    /// What it decides.
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

    /// Whether it leaves nothing for `later` to decide: it fires at every request that gets as far, for as long as it is there, and
    /// decides all the same.
    #[must_use]
    pub fn shadows(&self, later: &Rule) -> bool {
        let spec = &self.spec;
        let always = spec.when == When::default()
            && spec.skip.unwrap_or(0) == 0
            && spec.times.is_none()
            && spec.every.unwrap_or(1) == 1
            && spec.ttl.is_none()
            && self.chance == Chance::Always;
        let own = self.effects();
        always && self.phase() == later.phase() && later.effects().iter().all(|effect| own.contains(effect))
    }
}

fn chance(spec: &RuleSpec) -> Result<Chance, String> {
    let rate_fits = |name: &str, rate: f64| {
        if (0.0..=1.0).contains(&rate) {
            Ok(rate)
        } else {
            Err(format!("{name} = {rate} is no rate: it is 0.0 to 1.0"))
        }
    };
    match (spec.rate, &spec.exact, &spec.ramp) {
        (None, None, None) => Ok(Chance::Always),
        (Some(0.0), None, None) => Err("it can never fire: rate = 0".to_owned()),
        (Some(rate), None, None) => rate_fits("rate", rate).map(Chance::Rate),
        (None, Some(text), None) => exact(text),
        (None, None, Some(ramp)) => {
            let (from, to) = (rate_fits("ramp.from", ramp.from)?, rate_fits("ramp.to", ramp.to)?);
            if from == 0.0 && to == 0.0 {
                return Err("it can never fire: the ramp stays at 0".to_owned());
            }
            if ramp.over.0.is_zero() {
                return Err("ramp.over is above 0".to_owned());
            }
            Ok(Chance::Ramp { from, to, over: ramp.over.0 })
        }
        _ => Err("chance is one of rate, exact and ramp".to_owned()),
    }
}

fn exact(text: &str) -> Result<Chance, String> {
    let parts = text
        .split_once('/')
        .and_then(|(hits, of)| Some((hits.trim().parse().ok()?, of.trim().parse().ok()?)));
    match parts {
        Some((hits, of)) if (1..=of).contains(&hits) && of <= 1000 => Ok(Chance::Exact { hits, of }),
        _ => Err(format!("exact = {text:?} is no share: write \"7/10\" for seven of every ten")),
    }
}

/// A rule does something.
pub(crate) fn rule_decides(schema: &mut Schema) {
    schema.insert("anyOf".to_owned(), required(&["reply", "delay", "fault", "set_state"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(toml: &str) -> Result<Rule, String> {
        let spec: RuleSpec = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
        Rule::new(&spec, 1, &|name| Err(format!("there is no file {name}")))
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        for (toml, expected) in [
            ("", "decides nothing"),
            ("reply = { code = '6014' }\ntimes = 0", "can never fire"),
            ("reply = { code = '6014' }\nevery = 0", "can never fire"),
            ("reply = { code = '6014' }\nrate = 1.5", "rate = 1.5 is no rate"),
            ("reply = { code = '6014' }\nrate = 0.0", "can never fire"),
            ("reply = { code = '6014' }\nrate = 0.5\nexact = '1/2'", "one of rate, exact and ramp"),
            ("reply = { code = '6014' }\nexact = '3/2'", "no share"),
            ("reply = { code = '6014' }\nramp = { from = 0.0, to = 1.0, over = '0s' }", "above 0"),
            ("reply = { code = '6014' }\nwhen = { request = '<1' }", "can never match"),
            (
                "reply = { code = '6014' }\nwhen = { outcome = '6018' }\nchecks = 'skip'",
                "there is no outcome",
            ),
            ("checks = 'skip'\ndelay = '1s'", "needs a reply"),
            ("fault = { kind = 'slow_read' }\nwhen = { outcome = '6018' }", "cannot depend on outcome"),
            ("fault = { kind = 'early_response' }\nper = 'image'", "cannot be counted per"),
            ("fault = { kind = 'close_during_upload' }\ndelay = '1s'", "have no place"),
            ("reply = { code = '6014' }\nramp = { from = 0.0, to = 0.0, over = '9s' }", "can never fire"),
            ("fault = { kind = 'bitflip', bits = 5000 }", "at most 4096"),
            ("fault = { kind = 'rest' }", "did you mean \"reset\"?"),
            ("fault = { kind = 'reset', at = 5 }", "the fault reset takes after, not at"),
            ("fault = { kind = 'hang', for = '1s' }", "takes no parameter, not for"),
            ("fault = { kind = 'truncate', at = 1.5 }", "a fraction is 0.0 to 1.0"),
            ("fault = { kind = 'raw' }", "needs its bytes"),
            ("fault = { kind = 'gateway_page', status = 500 }", "502, 503 or 504"),
            ("fault = { kind = 'bad_length', by = 0 }", "makes the length right"),
            ("delay = '-1s'", "cannot be negative"),
            ("delay = { from = 'x.csv' }", "there is no file x.csv"),
            ("reply = { status = 200, body_file = 'x' }", "there is no file x"),
            ("name = 'a/b'\ndelay = '1s'", "none of them a slash"),
            ("set_state = 'x'\nwhen = { window = '9s..1s' }", "ends before it begins"),
            ("repyl = {}", "unknown field `repyl`"),
            ("set_state = 'x'\nttl = '0s'", "a ttl must be longer than 0"),
        ] {
            let error = rule(toml).expect_err(toml);
            assert!(error.contains(expected), "{toml}: {error}");
        }
    }

    #[test]
    fn a_rule_hides_another_only_when_it_always_fires_and_decides_all_of_it() {
        let hides = |first: &str, later: &str| rule(first).unwrap().shadows(&rule(later).unwrap());
        let later = "reply = { code = '5000' }";
        assert!(hides("reply = { code = '6014' }", later));
        assert!(hides("reply = { code = '6014' }\ndelay = '1s'", later));
        for sometimes in [
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
            assert!(!hides(&format!("reply = {{ code = '6014' }}\n{sometimes}"), later), "{sometimes}");
        }
        assert!(!hides("reply = { code = '6014' }", &format!("{later}\ndelay = '1s'")));
    }

    #[test]
    fn the_phase_follows_from_what_it_does() {
        assert_eq!(rule("fault = { kind = 'slow_read' }").unwrap().phase(), Phase::BeforeBody);
        assert_eq!(rule("checks = 'skip'\nreply = { code = '6018' }").unwrap().phase(), Phase::BeforeChecks);
        assert_eq!(rule("fault = { kind = 'reset' }").unwrap().phase(), Phase::AfterChecks);
    }
}
