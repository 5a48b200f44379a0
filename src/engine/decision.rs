//! The step that decides, pure over a customer's state: it looks at the quota, draws the rules, charges, and says which fields of the
//! state it changed. It knows no lock, clock, wait or I/O, so it can be run again, and on a copy: that is what an explanation does.
//!
//! A rule that replaces the answer replaces what is said, not the work: the request still occupies a worker of the matcher. Only a rule
//! with `checks = "skip"` occupies none and charges nothing.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::time;
use crate::domain::capacity::Availability;
use crate::domain::checks::{self, CheckInput, Finding, Status};
use crate::domain::customer::Customer;
use crate::domain::policy::{Check, QuotaCounts};
use crate::domain::quota::QuotaView;
use crate::domain::rules::{DrawContext, Facts, Phase, Reply, Rule, RuleEffects, ScenarioChange};
use crate::protocol::{Candidate, Code};
use crate::state::customer_state::CustomerState;

/// What the rules are asked with.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub rules: &'a [Arc<Rule>],
    /// All that is known but the outcome and the customer's state, which are added here.
    pub facts: Facts<'a>,
    pub draws: DrawContext<'a>,
    /// What rules decided so far.
    pub effects: RuleEffects,
}

/// A request with everything that is known of it when it is decided.
#[derive(Debug)]
pub struct Evaluated<'a> {
    pub asked: Asked<'a>,
    /// What the checks look at. Quota and availability are filled in here.
    pub input: CheckInput<'a>,
    /// The findings of all checks. Those of quota and capacity are made again here.
    pub findings: Vec<Finding>,
    /// Who reaches the threshold.
    pub candidates: Vec<Candidate>,
    /// What the next request finds at the matcher.
    pub availability: Availability,
}

/// What is answered, and why.
#[derive(Debug)]
pub struct Decision<'a> {
    /// On the customer's clock.
    pub at: Timestamp,
    /// What the checks alone answer; `None` when a rule skipped them.
    pub outcome: Option<Code>,
    pub reply: Reply,
    pub candidates: Vec<Candidate>,
    pub reason: String,
    pub hint: Option<String>,
    /// The findings of quota and capacity, as they were when this was decided.
    pub findings: Vec<Finding>,
    /// Today's quota afterwards.
    pub quota: QuotaView,
    pub charged: bool,
    /// Whether the request occupies a worker of the matcher, or waits for one.
    pub occupies_worker: bool,
    pub effects: RuleEffects,
    /// Whether the customer's rule counters overflowed for the first time.
    pub counters_overflowed: bool,
    /// The fields of the customer's state that are different now.
    pub changed: Vec<StateChange<'a>>,
}

/// A field of the customer's state that a decision changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StateChange<'a> {
    /// What is used of a day's quota.
    Used(Date),
    /// The scenario: its state, a rule's draws or its counters.
    Scenario(ScenarioChange<'a>),
}

impl fmt::Display for StateChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateChange::Used(day) => write!(f, "used/{day}"),
            StateChange::Scenario(change) => change.fmt(f),
        }
    }
}

/// The leading rules with `checks = "skip"`: those before which no other rule is.
fn leading_rules(rules: &[Arc<Rule>]) -> impl Iterator<Item = &Rule> + Clone {
    of_the_body(rules).take_while(|rule| rule.phase() == Phase::BeforeChecks)
}

/// All rules behind those, in order.
fn other_rules(rules: &[Arc<Rule>]) -> impl Iterator<Item = &Rule> + Clone {
    of_the_body(rules).skip_while(|rule| rule.phase() == Phase::BeforeChecks)
}

/// Rules whose fault is of the upload were decided before the body was read.
fn of_the_body(rules: &[Arc<Rule>]) -> impl Iterator<Item = &Rule> + Clone {
    rules.iter().map(Arc::as_ref).filter(|rule| rule.phase() != Phase::BeforeBody)
}

/// Whether rules may skip the checks.
#[must_use]
pub fn may_skip_checks(rules: &[Arc<Rule>]) -> bool {
    leading_rules(rules).next().is_some()
}

/// Tries the rules that skip the checks. When one fires, the answer is a rule's, whatever was sent: nobody is authenticated, so nothing
/// is charged and no worker is occupied. Otherwise returns what rules decided so far, for [`decide`].
///
/// # Errors
/// The effects so far, when the checks are to be made.
pub fn decide_without_checks<'a>(
    state: &mut CustomerState,
    customer: &Customer,
    mut asked: Asked<'a>,
) -> Result<Decision<'a>, RuleEffects> {
    let mut changed =
        try_rules(state, leading_rules(asked.rules), &asked.facts, asked.draws, &mut asked.effects);
    if !asked.effects.skips_checks {
        return Err(asked.effects);
    }
    changed.extend(try_rules(state, other_rules(asked.rules), &asked.facts, asked.draws, &mut asked.effects));
    let reply = asked.effects.reply.as_ref().map(|(reply, _)| reply.clone());
    let reply = reply.unwrap_or_else(|| Reply::of_code(Code::FOUND));
    let candidates = reply.candidates().map(<[Candidate]>::to_vec).unwrap_or_default();
    Ok(Decision {
        at: asked.facts.now,
        outcome: None,
        reply,
        candidates,
        reason: String::new(),
        hint: None,
        findings: Vec::new(),
        quota: state.quota(time::jakarta_day(asked.facts.now), customer.per_day),
        charged: false,
        occupies_worker: false,
        effects: asked.effects,
        counters_overflowed: state.scenario.take_overflow(),
        changed,
    })
}

/// Decides a request: looks at today's quota and at the matcher, chooses the failed check that is answered, tries the rules, and charges.
/// Run under the customer's lock, exactly as many requests succeed as the quota allows, and rules count every request once.
pub fn decide<'a>(state: &mut CustomerState, evaluated: &Evaluated<'a>) -> Decision<'a> {
    let Asked { rules, facts, draws, effects } = &evaluated.asked;
    let (day, mut effects) = (time::jakarta_day(facts.now), effects.clone());
    let per_day = evaluated.input.customer.and_then(|customer| customer.per_day);
    let mut quota = state.quota(day, per_day);
    let checked = Checked::new(evaluated, quota);
    let CheckedOutcome { code: outcome, mut reason, hint, mut candidates } = checked.outcome(evaluated);
    let facts = Facts { outcome: Some(&outcome), ..*facts };
    let mut changed = try_rules(state, other_rules(rules), &facts, *draws, &mut effects);
    let mut reply = Reply::of_code(outcome.clone());
    if let Some((replaced, rule)) = &effects.reply {
        reason = format!("rule {rule:?} instead of {outcome}: {reason}");
        reply = replaced.clone();
        candidates = candidates_of(&reply, candidates);
    }
    let authenticated = evaluated.input.customer.is_some() && !effects.skips_checks;
    let counts = authenticated && counts(evaluated, &reply, &candidates);
    let charged = counts && state.charge(day, per_day);
    if charged {
        quota = state.quota(day, per_day);
        changed.push(StateChange::Used(day));
    }
    Decision {
        at: facts.now,
        outcome: Some(outcome),
        reply,
        candidates,
        reason,
        hint,
        occupies_worker: authenticated && checked.nothing_failed_before_capacity,
        findings: checked.findings,
        quota,
        charged,
        effects,
        counters_overflowed: state.scenario.take_overflow(),
        changed,
    }
}

fn try_rules<'a>(
    state: &mut CustomerState,
    rules: impl Iterator<Item = &'a Rule>,
    facts: &Facts,
    draws: DrawContext,
    effects: &mut RuleEffects,
) -> Vec<StateChange<'a>> {
    state.scenario.decide(rules, facts, draws, effects).into_iter().map(StateChange::Scenario).collect()
}

/// The checks of a request, with quota and capacity as they are now.
struct Checked {
    /// The findings of quota and capacity.
    findings: Vec<Finding>,
    nothing_failed_before_capacity: bool,
}

impl Checked {
    fn new(evaluated: &Evaluated, quota: QuotaView) -> Checked {
        let input = CheckInput { quota, ..evaluated.input };
        let of_quota = checks::check(Check::Quota, &input);
        let failed = |finding: &Finding| finding.status == Status::Failed;
        let others =
            evaluated.findings.iter().filter(|found| ![Check::Quota, Check::Capacity].contains(&found.check));
        let nothing_failed = !failed(&of_quota) && !others.clone().any(failed);
        // Asked only now, so that a request that fails takes no place.
        let availability = nothing_failed.then_some(evaluated.availability);
        let of_capacity = checks::check(Check::Capacity, &CheckInput { availability, ..input });
        Checked { findings: vec![of_quota, of_capacity], nothing_failed_before_capacity: nothing_failed }
    }

    /// What the checks alone answer.
    fn outcome(&self, evaluated: &Evaluated) -> CheckedOutcome {
        let policy = evaluated.input.policy;
        let found = |check: &Check| {
            let now = self.findings.iter().find(|finding| finding.check == *check);
            now.or_else(|| evaluated.findings.iter().find(|finding| finding.check == *check))
        };
        let failed =
            policy.precedence.iter().filter_map(found).find(|finding| finding.status == Status::Failed);
        let candidates = &evaluated.candidates;
        match failed {
            Some(finding) => CheckedOutcome {
                code: finding.code.clone().unwrap_or(Code::PARAMETERS),
                reason: finding.reason.to_string(),
                hint: finding.hint.as_ref().map(ToString::to_string),
                candidates: Vec::new(),
            },
            None => CheckedOutcome {
                code: if candidates.is_empty() { policy.not_found.clone() } else { Code::FOUND },
                reason: summary(candidates),
                hint: None,
                candidates: candidates.to_vec(),
            },
        }
    }
}

struct CheckedOutcome {
    code: Code,
    reason: String,
    hint: Option<String>,
    candidates: Vec<Candidate>,
}

fn summary(candidates: &[Candidate]) -> String {
    match candidates {
        [] => "nobody in the gallery reaches the threshold".to_owned(),
        [only] => format!("1 candidate, score {:.2}", only.score),
        [best, ..] => format!("{} candidates, best score {:.2}", candidates.len(), best.score),
    }
}

/// The candidates of a rule's reply: its own, or those found where it answers 6018 all the same.
fn candidates_of(reply: &Reply, found: Vec<Candidate>) -> Vec<Candidate> {
    match (reply.candidates(), reply.code()) {
        (Some(given), _) => given.to_vec(),
        (None, Some(code)) if *code == Code::FOUND => found,
        _ => Vec::new(),
    }
}

/// Whether the answer uses up quota. A free reply never does, whatever the policy.
fn counts(evaluated: &Evaluated, reply: &Reply, candidates: &[Candidate]) -> bool {
    let Some(code) = reply.code() else { return false };
    let passed =
        |check| evaluated.findings.iter().any(|found| found.check == check && found.status == Status::Passed);
    match evaluated.input.policy.quota_counts {
        QuotaCounts::Matched => [Code::FOUND, Code::NOT_FOUND, Code::BUSY].contains(code),
        // The document's sample names its own.
        QuotaCounts::Identified => {
            *code == Code::FOUND && (matches!(reply, Reply::Sample(_)) || !candidates.is_empty())
        }
        QuotaCounts::Authenticated => passed(Check::Account),
        QuotaCounts::All => true,
    }
}
