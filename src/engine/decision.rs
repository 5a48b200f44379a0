//! The step that decides, pure over a customer's state: it looks at the quota, draws the rules, charges, and says which fields of the
//! state it changed. It knows no lock, clock, wait or I/O, so it can be run again, and on a copy: that is what an explanation does.
//!
//! A rule that replaces the answer replaces what is said, not the work: the request still occupies a worker of the matcher. Only a rule
//! with `checks = "skip"` occupies none and charges nothing.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::time;
use crate::domain::capacity::Availability;
use crate::domain::checks::{self, CheckInput, Finding, Status};
use crate::domain::customer::Customer;
use crate::domain::fidelity::{QuotaDoubt, QuotaGrounds};
use crate::domain::matcher::face::NO_FACE_FOUND;
use crate::domain::matcher::{FaceResult, Matched};
use crate::domain::policy::{Check, NotFound, QuotaCounts};
use crate::domain::quota::QuotaView;
use crate::domain::rules::{DrawContext, Facts, Phase, RawReply, Reply, Rule, RuleEffects, ScenarioChange};
use crate::domain::server_answer::ServerAnswer;
use crate::protocol::{Candidate, Code, Provenance, ScoredBy};
use crate::state::customer_fields::StateField;
use crate::state::customer_state::CustomerState;

/// A rule, and whether its conditions on texts hold.
#[derive(Clone, Copy, Debug)]
pub struct AskedRule<'a> {
    pub rule: &'a Rule,
    pub matches_texts: bool,
}

impl<'a> AskedRule<'a> {
    /// Compares the conditions of rules with the texts of a request.
    #[must_use]
    pub fn of(rule: &'a Rule, facts: &Facts) -> AskedRule<'a> {
        AskedRule { rule, matches_texts: rule.spec.when.matches_texts(facts) }
    }
}

/// Hands what a decision changed to the state's store, if it has one. Under the lock that it was decided under.
pub fn commit(state: &CustomerState, changed: &[StateChange]) {
    state.commit(changed.iter().map(|change| StateField::from(*change)));
}

/// What the rules are asked with.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub rules: &'a [AskedRule<'a>],
    /// All that is known but the outcome and the customer's state, which are added here.
    pub facts: Facts<'a>,
    pub draws: DrawContext<'a>,
    /// What rules decided so far.
    pub effects: RuleEffects,
    /// What rules changed that decided nothing before the checks.
    pub changed: Vec<StateChange<'a>>,
}

/// A request with everything that is known of it when it is decided.
#[derive(Debug)]
pub struct Evaluated<'a> {
    pub asked: Asked<'a>,
    /// What the checks look at. Quota and availability are filled in here.
    pub input: CheckInput<'a>,
    /// The findings of all checks. Those of quota and capacity are made again here.
    pub findings: Vec<Finding>,
    /// Who reaches the threshold, and what is to be said of the search.
    pub matched: Matched,
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
    /// Of a customer with a limit.
    pub quota_grounds: Option<QuotaGrounds>,
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
    /// What other values of `quota_counts` would have counted.
    QuotaDoubt,
    /// The scenario: its state, a rule's draws or its counters.
    Scenario(ScenarioChange<'a>),
}

impl From<StateChange<'_>> for StateField {
    fn from(change: StateChange) -> StateField {
        match change {
            StateChange::Used(day) => StateField::Used(day),
            StateChange::QuotaDoubt => StateField::QuotaDoubt,
            StateChange::Scenario(change) => change.into(),
        }
    }
}

impl fmt::Display for StateChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateChange::Used(day) => write!(f, "used/{day}"),
            StateChange::QuotaDoubt => f.write_str("quota_doubt"),
            StateChange::Scenario(change) => change.fmt(f),
        }
    }
}

/// The leading rules with `checks = "skip"`: those before which no other rule is.
fn leading_rules<'a>(rules: &'a [AskedRule<'a>]) -> impl Iterator<Item = AskedRule<'a>> {
    of_the_body(rules).take_while(|asked| asked.rule.phase() == Phase::BeforeChecks)
}

/// All rules behind those, in order.
fn other_rules<'a>(rules: &'a [AskedRule<'a>]) -> impl Iterator<Item = AskedRule<'a>> {
    of_the_body(rules).skip_while(|asked| asked.rule.phase() == Phase::BeforeChecks)
}

/// Rules whose fault is of the upload were decided before the body was read.
fn of_the_body<'a>(rules: &'a [AskedRule<'a>]) -> impl Iterator<Item = AskedRule<'a>> {
    rules.iter().copied().filter(|asked| asked.rule.phase() != Phase::BeforeBody)
}

/// Whether rules may skip the checks.
#[must_use]
pub fn may_skip_checks(rules: &[AskedRule]) -> bool {
    leading_rules(rules).next().is_some()
}

/// Tries the rules that skip the checks. When one fires, the answer is a rule's, whatever was sent: nobody is authenticated, so nothing
/// is charged and no worker is occupied. Returns `None` when the checks are to be made; `asked.effects` is what rules decided so far.
pub fn decide_without_checks<'a>(
    state: &mut CustomerState,
    customer: &Customer,
    asked: &mut Asked<'a>,
) -> Option<Decision<'a>> {
    let mut changed =
        try_rules(state, leading_rules(asked.rules), &asked.facts, asked.draws, &mut asked.effects);
    if !asked.effects.skips_checks {
        asked.changed = changed;
        return None;
    }
    changed.extend(try_rules(state, other_rules(asked.rules), &asked.facts, asked.draws, &mut asked.effects));
    let reply = asked.effects.reply.as_ref().map(|(reply, _)| reply.clone());
    let reply = reply.unwrap_or_else(|| Reply::of_code(Code::FOUND));
    let effects = std::mem::take(&mut asked.effects);
    let decision = without_checks(state, customer.per_day, asked.facts.now, reply, effects);
    Some(Decision { changed, ..decision })
}

/// Decides a request that the server answers before any check, at `path`: nothing is charged and no worker is occupied. Rules are tried as
/// behind the checks, but there is no outcome that they could be compared with.
pub fn decide_as_server<'a>(
    state: &mut CustomerState,
    per_day: Option<u64>,
    asked: &Asked<'a>,
    answer: &ServerAnswer,
    path: &str,
) -> Decision<'a> {
    let (now, mut effects) = (asked.facts.now, asked.effects.clone());
    let changed = try_rules(state, other_rules(asked.rules), &asked.facts, asked.draws, &mut effects);
    let (reply, reason) = match &effects.reply {
        Some((reply, rule)) => {
            (reply.clone(), format!("rule {rule:?} instead of status {}: {}", answer.status, answer.reason))
        }
        None => {
            let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
            let body = answer.body(now, path);
            let raw = RawReply { status: answer.status, headers, body, marker: None };
            (Reply::RawHttp(raw), answer.reason.clone())
        }
    };
    let hint = Some(answer.hint.clone());
    Decision { changed, reason, hint, ..without_checks(state, per_day, now, reply, effects) }
}

/// A decision that no check led to, without its reason.
fn without_checks<'a>(
    state: &mut CustomerState,
    per_day: Option<u64>,
    now: Timestamp,
    reply: Reply,
    effects: RuleEffects,
) -> Decision<'a> {
    Decision {
        at: now,
        outcome: None,
        candidates: reply.candidates().map(<[Candidate]>::to_vec).unwrap_or_default(),
        reply,
        reason: String::new(),
        hint: None,
        findings: Vec::new(),
        quota: state.quota(time::jakarta_day(now), per_day),
        quota_grounds: None,
        charged: false,
        occupies_worker: false,
        effects,
        counters_overflowed: state.scenario.take_overflow(),
        changed: Vec::new(),
    }
}

/// Decides a request: looks at today's quota and at the matcher, chooses the failed check that is answered, tries the rules, and charges.
/// Run under the customer's lock, exactly as many requests succeed as the quota allows, and rules count every request once.
pub fn decide<'a>(state: &mut CustomerState, evaluated: &Evaluated<'a>) -> Decision<'a> {
    let Asked { rules, facts, draws, effects, changed: _ } = &evaluated.asked;
    let (day, mut effects) = (time::jakarta_day(facts.now), effects.clone());
    let per_day = evaluated.input.customer.and_then(|customer| customer.per_day);
    let mut quota = state.quota(day, per_day);
    let checked = Checked::new(evaluated, quota);
    let CheckedOutcome { code: outcome, error, mut reason, hint, mut candidates } =
        checked.outcome(evaluated);
    let facts = Facts { outcome: Some(&outcome), ..*facts };
    let mut changed = try_rules(state, other_rules(rules), &facts, *draws, &mut effects);
    let mut reply = Reply::Code { code: outcome.clone(), candidates: None, error, shape: None };
    if let Some((replaced, rule)) = &effects.reply {
        reason = format!("rule {rule:?} instead of {outcome}: {reason}");
        reply = replaced.clone();
        candidates = candidates_of(&reply, candidates);
    }
    let authenticated = evaluated.input.customer.is_some() && !effects.skips_checks;
    let is_counted = |by| authenticated && counts(by, evaluated, &checked, &reply, &candidates);
    let counts = is_counted(evaluated.input.policy.quota_counts);
    let before = quota;
    let days = if counts { state.charge(day, per_day) } else { Vec::new() };
    let charged = !days.is_empty();
    if charged {
        quota = state.quota(day, per_day);
        changed.extend(days.into_iter().map(StateChange::Used));
    }
    let quota_grounds = before.per_day.map(|per_day| QuotaGrounds {
        per_day,
        used: before.used,
        doubt: state.quota_doubt(day),
        charged,
        is_identified: is_counted(QuotaCounts::Identified),
        has_code: is_counted(QuotaCounts::All),
    });
    if let Some(grounds) = quota_grounds {
        let doubt = doubt_after(grounds, &checked, evaluated);
        if doubt != grounds.doubt {
            state.set_quota_doubt(day, doubt);
            changed.push(StateChange::QuotaDoubt);
        }
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
        quota_grounds,
        charged,
        effects,
        counters_overflowed: state.scenario.take_overflow(),
        changed,
    }
}

fn try_rules<'a>(
    state: &mut CustomerState,
    rules: impl Iterator<Item = AskedRule<'a>>,
    facts: &Facts,
    draws: DrawContext,
    effects: &mut RuleEffects,
) -> Vec<StateChange<'a>> {
    let rules = rules.filter(|asked| asked.matches_texts).map(|asked| asked.rule);
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
        let Matched { candidates, faces, .. } = &evaluated.matched;
        match failed {
            Some(finding) => CheckedOutcome {
                code: finding.code.clone().expect("a failed finding has a code"),
                error: None,
                reason: finding.reason.to_string(),
                hint: finding.hint.as_ref().map(ToString::to_string),
                candidates: Vec::new(),
            },
            None if let FaceResult::Failed(reason) = faces => CheckedOutcome {
                code: Code::BUSY,
                error: None,
                reason: reason.to_string(),
                hint: Some(FACE_ENGINE_HINT.to_owned()),
                candidates: Vec::new(),
            },
            None if let (true, Some(code)) = (candidates.is_empty(), faces.no_face_code()) => {
                CheckedOutcome {
                    code: code.clone(),
                    error: None,
                    reason: format!("{NO_FACE_FOUND}: no_face of [matcher.faces] ({})", Provenance::Assumed),
                    hint: None,
                    candidates: Vec::new(),
                }
            }
            None if candidates.is_empty() => CheckedOutcome {
                code: policy.not_found.code.clone(),
                error: policy.not_found.error.clone(),
                reason: nobody(&policy.not_found, &evaluated.matched),
                hint: None,
                candidates: Vec::new(),
            },
            None => CheckedOutcome {
                code: Code::FOUND,
                error: None,
                reason: summary(candidates),
                hint: None,
                candidates: candidates.to_vec(),
            },
        }
    }
}

struct CheckedOutcome {
    code: Code,
    /// Instead of the code's text.
    error: Option<String>,
    reason: String,
    hint: Option<String>,
    candidates: Vec<Candidate>,
}

/// What to do when the face engine fails.
const FACE_ENGINE_HINT: &str = "nothing was compared: GET /ready says how the engine of [matcher.faces] is; see to it, or to what is written there";

/// Says how certain it is that the endpoint answers so, unless that is the default; and what is wrong with the photo's pixels or faces.
fn nobody(not_found: &NotFound, matched: &Matched) -> String {
    let mut reason = "nobody in the gallery reaches the threshold".to_owned();
    if not_found.code != Code::FOUND {
        reason += &format!(": policy not_found ({})", not_found.standing());
    }
    for fault in matched.pixel_fault.iter().map(ToString::to_string).chain(matched.faces.warning()) {
        reason += &format!("; {fault}");
    }
    reason
}

fn summary(candidates: &[Candidate]) -> String {
    let best = candidates.first().map_or(0.0, |best| best.score);
    let by = match candidates.first().and_then(|best| best.by) {
        None => "",
        Some(ScoredBy::Picture) => ", by the picture",
        Some(ScoredBy::Face) => ", by the face",
    };
    match candidates.len() {
        1 => format!("1 candidate, score {best:.2}{by}"),
        count => format!("{count} candidates, best score {best:.2}{by}"),
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

/// What other values of `quota_counts` would have counted, this request included. Where they would have left quota for it, it takes that.
fn doubt_after(grounds: QuotaGrounds, checked: &Checked, evaluated: &Evaluated) -> QuotaDoubt {
    let QuotaGrounds { per_day, used, doubt, charged, is_identified, has_code } = grounds;
    let has_failed = |found: &&Finding| found.status == Status::Failed;
    let takes_what_is_left = used >= per_day
        && !evaluated.matched.candidates.is_empty()
        && evaluated
            .findings
            .iter()
            .chain(&checked.findings)
            .filter(has_failed)
            .all(|found| found.check == Check::Quota);
    QuotaDoubt {
        charged: (doubt.charged + u64::from(charged && !is_identified))
            .saturating_sub(u64::from(takes_what_is_left)),
        spared: doubt.spared + u64::from(has_code && !charged && used < per_day),
    }
}

/// Whether the answer uses up quota, by this value of the policy key `quota_counts`. A free reply never does, whatever the policy.
fn counts(
    by: QuotaCounts,
    evaluated: &Evaluated,
    checked: &Checked,
    reply: &Reply,
    candidates: &[Candidate],
) -> bool {
    let Some(code) = reply.code() else { return false };
    let passed =
        |check| evaluated.findings.iter().any(|found| found.check == check && found.status == Status::Passed);
    match by {
        QuotaCounts::Matched => {
            // Where nothing failed, whatever stands for "nobody" is the matcher's.
            let nobody =
                [Some(&evaluated.input.policy.not_found.code), evaluated.matched.faces.no_face_code()];
            let is_nobody = checked.nothing_failed_before_capacity && nobody.contains(&Some(code));
            is_nobody || [Code::FOUND, Code::NOT_FOUND, Code::BUSY].contains(code)
        }
        // The document's sample names its own.
        QuotaCounts::Identified => {
            *code == Code::FOUND && (matches!(reply, Reply::Sample(_)) || !candidates.is_empty())
        }
        QuotaCounts::Authenticated => passed(Check::Account),
        QuotaCounts::All => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jiff::Timestamp;

    use super::*;
    use crate::config::{CustomerSpec, Fixtures, StartPolicy, load};
    use crate::domain::evidence::{Credential, Evidence};
    use crate::domain::matcher::face::NoFace;
    use crate::domain::policy::{Policy, PolicySpec};
    use crate::keys::{KeyRing, PrivateKey};
    use crate::protocol::Body;

    static FIXTURES: LazyLock<Fixtures> = LazyLock::new(|| {
        let key = PrivateKey::generate("the server's key", 1024).unwrap();
        load(None, KeyRing::new(key, None), &StartPolicy::default()).unwrap()
    });

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const ALL_FREE: Availability = Availability::WorkerFree { busy: 0, workers: 1 };
    const ALL_BUSY: Availability = Availability::Full { workers: 1, waiting: 0 };

    /// A request as a test describes it: a good one that the matcher finds somebody for, unless it says otherwise.
    struct Case {
        customer: Customer,
        body: &'static str,
        password: &'static str,
        found: bool,
        faces: FaceResult,
        availability: Availability,
        /// What rules decided before the body was read.
        effects: RuleEffects,
    }

    const GOOD: &str = r#"{"transactionId":"T","transactionSource":"test","threshold":"5","image":"AA==",
        "user_id":"AA==","password":"AA==","ip":"10.0.0.1"}"#;

    /// A good request of a customer with these settings.
    fn case(toml: &str) -> Case {
        let account = "account = { user_id = 'user', password = 'password' }";
        let spec: CustomerSpec = toml::from_str(&format!("{account}\n{toml}")).unwrap();
        let customer = FIXTURES.resolve(&"bank".parse().unwrap(), &spec, NOW).unwrap();
        let (availability, effects) = (Availability::Unlimited, RuleEffects::default());
        let faces = FaceResult::NotAsked;
        Case { customer, body: GOOD, password: "password", found: true, faces, availability, effects }
    }

    /// A decision, as far as tests compare it.
    #[derive(Debug, PartialEq)]
    struct Seen {
        outcome: Option<String>,
        code: Option<String>,
        charged: bool,
        occupies_worker: bool,
        changed: Vec<String>,
    }

    impl Case {
        fn asked<'a>(&'a self, rules: &'a [AskedRule<'a>], similar: &'a [String]) -> Asked<'a> {
            Asked {
                rules,
                facts: Facts { ordinal: 1, now: NOW, similar, ..Facts::default() },
                draws: DrawContext { seed: 0, customer_id: "bank", max_counters: 100 },
                effects: self.effects.clone(),
                changed: Vec::new(),
            }
        }

        /// Decides as the engine does: by the rules that skip the checks, else by the checks and the other rules.
        fn decide(&self, state: &mut CustomerState) -> Seen {
            let rules: Vec<_> =
                self.customer.rules.iter().map(|rule| AskedRule::of(rule, &Facts::default())).collect();
            let mut asked = self.asked(&rules, &[]);
            if let Some(decision) = decide_without_checks(state, &self.customer, &mut asked) {
                return Seen::of(&decision);
            }
            let opened = |plain: &str| Credential::Opened { plain: plain.to_owned(), line_breaks: false };
            let (user_id, password) = (opened("user"), opened(self.password));
            let evidence = Evidence { user_id, password, photo: None, owner_of_user_id: None };
            let input = CheckInput {
                body: &Body::decode(self.body.as_bytes()),
                customer_id: "bank",
                methode: "CALL_FN",
                customer: Some(&self.customer),
                policy: &self.customer.policy,
                peer: None,
                evidence: &evidence,
                quota: QuotaView::default(),
                availability: None,
            };
            let candidate = Candidate { nik: "3174055708909001".to_owned(), score: 14.5, by: None };
            let (findings, availability) = (checks::assess(&input), self.availability);
            let candidates = self.found.then_some(candidate).into_iter().collect();
            let matched = Matched { candidates, faces: self.faces.clone(), ..Matched::default() };
            Seen::of(&decide(state, &Evaluated { asked, input, findings, matched, availability }))
        }

        /// The codes of so many equal requests, one after the other.
        fn codes(&self, count: usize) -> Vec<String> {
            let mut state = CustomerState::default();
            (0..count).filter_map(|_| self.decide(&mut state).code).collect()
        }
    }

    impl Seen {
        fn of(decision: &Decision) -> Seen {
            Seen {
                outcome: decision.outcome.as_ref().map(ToString::to_string),
                code: decision.reply.code().map(ToString::to_string),
                charged: decision.charged,
                occupies_worker: decision.occupies_worker,
                changed: decision.changed.iter().map(ToString::to_string).collect(),
            }
        }
    }

    fn once(case: &Case) -> Seen {
        case.decide(&mut CustomerState::default())
    }

    #[test]
    fn the_first_failed_check_of_the_precedence_is_answered_quota_and_capacity_included() {
        let all_wrong = |precedence: &str| {
            let toml = format!(
                "access.allow = ['127.0.0.1']\nquota.per_day = 0\npolicy.precedence = [{precedence}]"
            );
            let body = r#"{"threshold":99,"ip":"10.0.0.1"}"#;
            once(&Case { body, password: "other", availability: ALL_BUSY, ..case(&toml) }).code.unwrap()
        };
        for (precedence, code) in [
            ("", "5004"),
            ("'account'", "5001"),
            ("'quota', 'account'", "5002"),
            ("'ip', 'quota'", "5003"),
            ("'threshold'", "5005"),
            // Judged only when nothing else failed.
            ("'capacity', 'ip'", "5003"),
        ] {
            assert_eq!(all_wrong(precedence), code, "{precedence}");
        }
    }

    #[test]
    fn exactly_as_many_are_charged_as_the_quota_allows_and_the_state_says_so() {
        let case = case("quota.per_day = 2");
        assert_eq!(case.codes(4), ["6018", "6018", "5002", "5002"]);
        let mut state = CustomerState::default();
        assert_eq!(case.decide(&mut state).changed, ["used/1970-01-01"]);
        assert_eq!(state.quota(time::jakarta_day(NOW), Some(2)).used, 1);
    }

    #[test]
    fn a_day_that_is_forgotten_for_the_one_charged_is_changed_too() {
        let mut state = CustomerState::default();
        let later = time::jakarta_day(NOW).series(jiff::Span::new().days(1)).skip(1);
        later.take(400).for_each(|day| assert_eq!(state.set_used(day, 1), None));
        let changed = case("quota.per_day = 2").decide(&mut state).changed;
        assert_eq!(changed, ["used/1970-01-01", "used/1970-01-02"]);
    }

    #[test]
    fn each_policy_of_quota_charges_what_it_says() {
        let good = || case("");
        for (policy, found, nobody, bad_threshold, bad_password) in [
            ("matched", true, true, false, false),
            ("identified", true, false, false, false),
            ("authenticated", true, true, true, false),
            ("all", true, true, true, true),
        ] {
            let charged = |mut case: Case| {
                let counts = format!("quota_counts = '{policy}'");
                let counts = toml::from_str::<PolicySpec>(&counts).unwrap();
                case.customer.policy =
                    std::sync::Arc::new(Policy::clone(&case.customer.policy).with(&counts));
                once(&case).charged
            };
            let body = r#"{"transactionId":"T","transactionSource":"t","threshold":0,"image":"AA==","user_id":"AA==",
                "password":"AA==","ip":"10.0.0.1"}"#;
            let seen = [
                charged(good()),
                charged(Case { found: false, ..good() }),
                charged(Case { body, ..good() }),
                charged(Case { password: "other", ..good() }),
            ];
            assert_eq!(seen, [found, nobody, bad_threshold, bad_password], "{policy}");
        }
    }

    #[test]
    fn a_face_engine_that_fails_is_6014_and_a_photo_without_a_face_is_what_no_face_says() {
        let failed = FaceResult::Failed("the face engine is down".into());
        let no_face = || FaceResult::NoFace(NoFace::Code(Code::BAD_PHOTO));
        for (faces, found, code) in [
            (failed.clone(), false, "6014"),
            (failed.clone(), true, "6014"),
            (no_face(), false, "6015"),
            (no_face(), true, "6018"),
            (FaceResult::NoFace(NoFace::Nobody), false, "6018"),
            (FaceResult::Compared { unknown: 3 }, false, "6018"),
        ] {
            let seen = once(&Case { faces: faces.clone(), found, ..case("") });
            assert_eq!((seen.code.as_deref(), seen.charged), (Some(code), true), "{faces:?}");
        }
        // A check that failed comes first.
        let seen = once(&Case { faces: failed, password: "other", ..case("") });
        assert_eq!((seen.code.as_deref(), seen.charged), (Some("5001"), false));
    }

    #[test]
    fn a_free_reply_charges_nothing_and_a_documented_one_by_its_code() {
        let replied = |reply: &str| {
            let seen = once(&case(&format!("[[rules]]\nreply = {reply}")));
            (seen.outcome.unwrap(), seen.code, seen.charged)
        };
        let found = || "6018".to_owned();
        assert_eq!(replied("{ status = 503 }"), (found(), None, false));
        assert_eq!(replied("{ code = '6014' }"), (found(), Some("6014".to_owned()), true));
        assert_eq!(replied("{ code = '5003' }"), (found(), Some("5003".to_owned()), false));
    }

    #[test]
    fn rules_decide_in_three_places_and_what_was_decided_first_stays() {
        let toml = "[[rules]]\nname = 'door'\nchecks = 'skip'\ntimes = 1\nreply = { code = '5000' }\n\
                    [[rules]]\nname = 'busy'\ntimes = 1\nreply = { code = '6014' }\n\
                    [[rules]]\nname = 'state'\nset_state = 'seen'";
        let mut state = CustomerState::default();
        let first = case(toml).decide(&mut state);
        assert_eq!((first.outcome, first.code, first.charged), (None, Some("5000".to_owned()), false));
        assert_eq!(first.changed, ["count/door", "draws/door", "count/state", "draws/state", "state"]);
        let second = case(toml).decide(&mut state);
        assert_eq!((second.outcome, second.code), (Some("6018".to_owned()), Some("6014".to_owned())));
        assert_eq!(case(toml).decide(&mut state).code.as_deref(), Some("6018"));
        // A rule that decided the reply from the head alone is not overruled.
        let mut early = case(toml);
        early.effects.reply = Some((Reply::of_code(Code::IP), "early".to_owned()));
        assert_eq!(once(&early).code.as_deref(), Some("5003"));
    }

    #[test]
    fn a_request_occupies_a_worker_unless_a_check_failed_or_was_skipped() {
        let with = |toml: &str, availability| once(&Case { availability, ..case(toml) });
        assert!(with("", ALL_FREE).occupies_worker);
        // Who asks for a place and finds none is counted as rejected there.
        assert_eq!(with("", ALL_BUSY).code.as_deref(), Some("6014"));
        assert!(with("", ALL_BUSY).occupies_worker);
        assert!(!with("quota.per_day = 0", ALL_FREE).occupies_worker);
        assert!(!with("[[rules]]\nchecks = 'skip'\nreply = { code = '6018' }", ALL_FREE).occupies_worker);
        assert!(
            with("[[rules]]\nreply = { code = '5000' }", ALL_FREE).occupies_worker,
            "the work is done all the same"
        );
    }

    #[test]
    fn a_dry_run_on_a_copy_leaves_the_original_as_it_was_and_says_the_same() {
        let case =
            case("quota.per_day = 1\n[[rules]]\nrate = 0.5\nset_state = 'x'\nreply = { code = '6014' }");
        let mut state = CustomerState::default();
        let dry = |state: &CustomerState| case.decide(&mut state.clone());
        for _ in 0..5 {
            let before = format!("{state:?}");
            let expected = dry(&state);
            assert_eq!((dry(&state), format!("{state:?}")), (expected, before));
            assert_eq!(dry(&state), case.decide(&mut state));
        }
    }

    #[test]
    fn an_unknown_customer_is_never_charged() {
        let evidence = Evidence {
            user_id: Credential::Absent,
            password: Credential::Absent,
            photo: None,
            owner_of_user_id: None,
        };
        let policy = crate::domain::policy::Policy { quota_counts: QuotaCounts::All, ..Default::default() };
        let input = CheckInput {
            body: &Body::decode(GOOD.as_bytes()),
            customer_id: "nobody",
            methode: "CALL_FN",
            customer: None,
            policy: &policy,
            peer: None,
            evidence: &evidence,
            quota: QuotaView::default(),
            availability: None,
        };
        let facts = Facts { now: NOW, ..Facts::default() };
        let draws = DrawContext { seed: 0, customer_id: "nobody", max_counters: 1 };
        let asked = Asked { rules: &[], facts, draws, effects: RuleEffects::default(), changed: Vec::new() };
        let (findings, availability) = (checks::assess(&input), Availability::Unlimited);
        let evaluated = Evaluated { asked, input, findings, matched: Matched::default(), availability };
        let seen = Seen::of(&decide(&mut CustomerState::default(), &evaluated));
        assert_eq!((seen.code.as_deref(), seen.charged, seen.changed.len()), (Some("5001"), false, 0));
    }
}
