//! Scenario of a customer: its state, when it began, and the counters of its rules. Rules are evaluated in order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::chance::Draw;
use super::condition::{Facts, since};
use super::spec::{Fingerprint, Per, Rule};
use super::{Effect, RuleEffects};
use crate::base::hash::digest;
use crate::base::random::RngKey;

/// Mutable state of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// When the scenario began: when the simulator started, or at the last reset.
    pub began: Timestamp,
    pub state: String,
    counters: HashMap<CounterKey, Counter>,
    /// Keys of the counters that are not per customer, oldest first.
    order: VecDeque<CounterKey>,
    /// Number of the newest counter.
    last_counter: u64,
    /// Number of draws of each rule.
    draws: HashMap<Fingerprint, u64>,
    /// Whether a counter was evicted.
    overflowed: bool,
    /// Whether the overflow was reported.
    reported: bool,
}

/// What draws and counters depend on besides the rule and the request.
#[derive(Clone, Copy, Debug)]
pub struct DrawContext<'a> {
    pub seed: u64,
    pub customer_id: &'a str,
    /// Max number of counters; beyond it the oldest is evicted.
    pub max_counters: usize,
}

/// Fingerprint of the rule, and digest of what it is counted per: a digest, because a client's transactionId may be a megabyte.
pub type CounterKey = (Fingerprint, [u8; 16]);

/// A counter of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    pub matched: u64,
    pub fired: u64,
    /// In the order in which counters were created.
    pub number: u64,
}

/// A rule that fired and decided something, recorded in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Firing {
    pub rule: String,
    /// Ordinal of this request among those that matched the rule, counted per its `per`.
    pub ordinal: u64,
    pub draw: Draw,
    pub decides: Vec<Effect>,
}

/// A field of a scenario that evaluating rules changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScenarioChange<'a> {
    State,
    /// Number of draws of the rule with this name.
    Draws(&'a str, Fingerprint),
    /// A counter of the rule with this name.
    Counter(&'a str, CounterKey),
    /// The oldest counter, which made room for a new one.
    Evicted(CounterKey),
}

impl fmt::Display for ScenarioChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScenarioChange::State => f.write_str("state"),
            ScenarioChange::Draws(rule, _) => write!(f, "draws/{rule}"),
            ScenarioChange::Counter(rule, _) => write!(f, "count/{rule}"),
            ScenarioChange::Evicted(_) => f.write_str("count, the oldest"),
        }
    }
}

impl Scenario {
    /// Returns a scenario that begins at `began`.
    #[must_use]
    pub fn begin(began: Timestamp) -> Scenario {
        Scenario { began, ..Scenario::default() }
    }

    /// Evaluates the rules in order, comparing their other conditions with `facts` and the scenario's own state, and adds their effects to
    /// `effects`. The conditions on texts must hold ([`When::matches_texts`](super::When::matches_texts)). Returns the fields that changed.
    pub fn decide<'a>(
        &mut self,
        rules: impl Iterator<Item = &'a Rule>,
        facts: &Facts,
        context: DrawContext,
        effects: &mut RuleEffects,
    ) -> Vec<ScenarioChange<'a>> {
        let (had_state, mut changes) = (effects.set_state.is_some(), Vec::new());
        let state = self.state.clone();
        let facts = &Facts { state: &state, ..*facts };
        for rule in rules {
            let unset: Vec<_> =
                rule.effects().into_iter().filter(|effect| effects.is_unset(*effect)).collect();
            let began = self.began_for(rule);
            if unset.is_empty() || !rule.spec.when.matches_others(facts, began) {
                continue;
            }
            let drawn = self.count_and_draw(rule, facts, context, since(began, facts.now), &mut changes);
            let Some((ordinal, draw)) = drawn else { continue };
            changes.push(ScenarioChange::Draws(&rule.name, rule.fingerprint));
            if draw.fires {
                unset.iter().for_each(|effect| effects.apply(rule, *effect));
                effects.firings.push(Firing { rule: rule.name.clone(), ordinal, draw, decides: unset });
            }
        }
        if let (false, Some(state)) = (had_state, &effects.set_state)
            && self.state != *state
        {
            self.state.clone_from(state);
            changes.push(ScenarioChange::State);
        }
        changes
    }

    /// Returns when a rule's window begins: when the scenario began or when the rule was created, whichever is later.
    fn began_for(&self, rule: &Rule) -> Timestamp {
        rule.created.map_or(self.began, |created| created.max(self.began))
    }

    /// Resets the counters of a rule.
    pub fn forget(&mut self, fingerprint: Fingerprint) {
        self.counters.retain(|(rule, _), _| *rule != fingerprint);
        self.order.retain(|(rule, _)| *rule != fingerprint);
        self.draws.remove(&fingerprint);
    }

    /// Resets the counters of all rules but these.
    pub fn keep_only(&mut self, rules: &HashSet<Fingerprint>) {
        self.counters.retain(|(rule, _), _| rules.contains(rule));
        self.order.retain(|(rule, _)| rules.contains(rule));
        self.draws.retain(|rule, _| rules.contains(rule));
    }

    /// Returns whether no rule has counted anything.
    #[must_use]
    pub fn has_no_counters(&self) -> bool {
        self.counters.is_empty() && self.draws.is_empty()
    }

    /// Resets the counters of all rules.
    pub fn forget_all(&mut self) {
        self.counters.clear();
        self.order.clear();
        self.draws.clear();
    }

    /// Counts a request that matches the rule. Returns its ordinal and its draw, if the rule is drawn for it.
    fn count_and_draw<'a>(
        &mut self,
        rule: &'a Rule,
        facts: &Facts,
        context: DrawContext,
        elapsed: Duration,
        changes: &mut Vec<ScenarioChange<'a>>,
    ) -> Option<(u64, Draw)> {
        let rng_key = RngKey { seed: context.seed, customer_id: context.customer_id, rule: &rule.name };
        let key = (rule.fingerprint, counted_by(rule.spec.per, facts));
        let mut counter = self.counters.get(&key).copied().unwrap_or_default();
        counter.matched += 1;
        let after_skip =
            counter.matched.checked_sub(rule.spec.skip.unwrap_or(0)).filter(|number| *number > 0);
        let is_drawn = after_skip.is_some_and(|number| number.is_multiple_of(rule.spec.every.unwrap_or(1)))
            && rule.spec.times.is_none_or(|times| counter.fired < times);
        let draw = is_drawn.then(|| {
            let ordinal = self.draws.get(&rule.fingerprint).copied().unwrap_or(0) + 1;
            rule.chance.draw(rng_key, ordinal, elapsed)
        });
        counter.fired += u64::from(draw.is_some_and(|draw| draw.fires));
        if let Some(draw) = draw {
            self.draws.insert(rule.fingerprint, draw.ordinal);
        }
        changes.push(ScenarioChange::Counter(&rule.name, key));
        self.store_counter(key, counter, context.max_counters, changes);
        draw.map(|draw| (counter.matched, draw))
    }

    fn store_counter(
        &mut self,
        key: CounterKey,
        mut counter: Counter,
        max_counters: usize,
        changes: &mut Vec<ScenarioChange>,
    ) {
        if counter.number == 0 {
            self.last_counter += 1;
            counter.number = self.last_counter;
            // A rule per customer has a single counter, which is never evicted.
            if key.1 != OF_CUSTOMER {
                self.order.push_back(key);
            }
        }
        self.counters.insert(key, counter);
        while self.order.len() > max_counters {
            self.overflowed = true;
            if let Some(oldest) = self.order.pop_front() {
                self.counters.remove(&oldest);
                changes.push(ScenarioChange::Evicted(oldest));
            }
        }
    }

    /// Returns a counter.
    #[must_use]
    pub fn counter(&self, key: &CounterKey) -> Option<Counter> {
        self.counters.get(key).copied()
    }

    /// Returns the keys of all counters.
    pub fn counter_keys(&self) -> impl Iterator<Item = CounterKey> {
        self.counters.keys().copied()
    }

    /// Returns the number of draws of a rule.
    #[must_use]
    pub fn draws_of(&self, fingerprint: &Fingerprint) -> Option<u64> {
        self.draws.get(fingerprint).copied()
    }

    /// Returns the rules that have drawn.
    pub fn drawn_rules(&self) -> impl Iterator<Item = Fingerprint> {
        self.draws.keys().copied()
    }

    /// Sets the draws and counters to those of an earlier run.
    pub fn restore(&mut self, draws: HashMap<Fingerprint, u64>, counters: HashMap<CounterKey, Counter>) {
        let mut order: Vec<_> = counters
            .iter()
            .filter(|((_, per), _)| *per != OF_CUSTOMER)
            .map(|(key, one)| (one.number, *key))
            .collect();
        order.sort_unstable();
        self.order = order.into_iter().map(|(_, key)| key).collect();
        self.last_counter = counters.values().map(|counter| counter.number).max().unwrap_or_default();
        (self.draws, self.counters) = (draws, counters);
    }

    /// Sets a counter to what another replica made it; `None` removes it. New ones come in the order of their numbers.
    pub fn set_counter(&mut self, key: CounterKey, counter: Option<Counter>) {
        let Some(counter) = counter else {
            self.counters.remove(&key);
            match self.order.front() {
                // The oldest goes when one is evicted.
                Some(oldest) if *oldest == key => drop(self.order.pop_front()),
                _ => self.order.retain(|known| *known != key),
            }
            return;
        };
        let is_new = self.counters.insert(key, counter).is_none();
        if is_new && key.1 != OF_CUSTOMER {
            self.order.push_back(key);
        }
        self.last_counter = self.last_counter.max(counter.number);
    }

    /// Sets the number of draws of a rule to what another replica made it; `None`: none yet.
    pub fn set_draws(&mut self, rule: Fingerprint, draws: Option<u64>) {
        match draws {
            Some(draws) => drop(self.draws.insert(rule, draws)),
            None => drop(self.draws.remove(&rule)),
        }
    }

    /// Notes that the overflow was reported, of a copy of this scenario.
    pub fn overflow_reported(&mut self) {
        self.reported = true;
    }

    /// Whether to report that counters are evicted: true once, on the first call after the first eviction.
    pub fn take_overflow(&mut self) -> bool {
        let is_new = self.overflowed && !self.reported;
        self.reported |= is_new;
        is_new
    }

    /// Returns the next draws of a rule; counts nothing. A rule per customer does not fire beyond its `times`. For another `per` the
    /// `times` are ignored: it is unknown which transaction, image or peer comes next.
    #[must_use]
    pub fn preview(&self, rule: &Rule, context: DrawContext, now: Timestamp, count: u64) -> Vec<Draw> {
        let key = RngKey { seed: context.seed, customer_id: context.customer_id, rule: &rule.name };
        let drawn = self.draws.get(&rule.fingerprint).copied().unwrap_or(0);
        let elapsed = since(self.began_for(rule), now);
        let mut remaining = self.remaining(rule);
        let draws = (drawn + 1..=drawn.saturating_add(count)).map(|ordinal| {
            let draw = rule.chance.draw(key, ordinal, elapsed);
            let fires = draw.fires && remaining > 0;
            remaining -= u64::from(fires);
            Draw { fires, ..draw }
        });
        draws.collect()
    }

    /// Returns how often a rule can still fire; `u64::MAX` without `times`, or for another `per` than the customer.
    fn remaining(&self, rule: &Rule) -> u64 {
        match (rule.spec.per, rule.spec.times) {
            (Per::Customer, Some(times)) => {
                let counter =
                    self.counters.get(&(rule.fingerprint, counted_by(Per::Customer, &Facts::default())));
                times.saturating_sub(counter.map_or(0, |counter| counter.fired))
            }
            _ => u64::MAX,
        }
    }
}

/// The second part of a counter's key for a rule that counts all requests of the customer.
const OF_CUSTOMER: [u8; 16] = [0; 16];

fn counted_by(per: Per, facts: &Facts) -> [u8; 16] {
    match per {
        Per::Customer => OF_CUSTOMER,
        Per::TransactionId => digest(facts.transaction_id.unwrap_or_default().as_bytes()),
        Per::Image => digest(facts.sha256.map_or(&[], |sha256| sha256.as_slice())),
        Per::Peer => digest(facts.peer.map(|peer| peer.to_string()).unwrap_or_default().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rules::spec::RuleSpec;
    use crate::protocol::Code;

    fn rules(toml: &str) -> Vec<Rule> {
        #[derive(serde::Deserialize)]
        struct Holder {
            rules: Vec<RuleSpec>,
        }
        let holder: Holder = toml::from_str(toml).unwrap();
        holder
            .rules
            .iter()
            .enumerate()
            .map(|(index, spec)| Rule::new(spec, index + 1, &|_| Err(String::new())).unwrap())
            .collect()
    }

    const MAX_COUNTERS: usize = 1000;

    fn context() -> DrawContext<'static> {
        DrawContext { seed: 0, customer_id: "demo", max_counters: MAX_COUNTERS }
    }

    fn matching<'a>(rules: &'a [Rule], facts: &Facts) -> impl Iterator<Item = &'a Rule> {
        rules.iter().filter(|rule| rule.spec.when.matches_texts(facts))
    }

    /// Runs requests with these transaction ids. Returns the code of each reply, `-` for none.
    fn run(rules: &[Rule], scenario: &mut Scenario, transactions: &[&str]) -> Vec<String> {
        let outcome = Code::FOUND;
        let mut answers = Vec::new();
        for (index, transaction_id) in transactions.iter().enumerate() {
            let facts = Facts {
                outcome: Some(&outcome),
                transaction_id: Some(transaction_id),
                ordinal: index as u64 + 1,
                ..Facts::default()
            };
            let mut decided = RuleEffects::default();
            scenario.decide(matching(rules, &facts), &facts, context(), &mut decided);
            let code = decided.reply.and_then(|(reply, _)| reply.code().map(ToString::to_string));
            answers.push(code.unwrap_or_else(|| "-".to_owned()));
        }
        answers
    }

    #[track_caller]
    fn check(toml: &str, transactions: &[&str], expected: &[&str]) {
        assert_eq!(run(&rules(toml), &mut Scenario::default(), transactions), expected);
    }

    #[test]
    fn times_skip_and_every_count_matching_requests() {
        let six = ["a"; 6];
        check("[[rules]]\nreply = { code = '6014' }\ntimes = 2", &six, &["6014", "6014", "-", "-", "-", "-"]);
        check("[[rules]]\nreply = { code = '6014' }\nskip = 4", &six, &["-", "-", "-", "-", "6014", "6014"]);
        check(
            "[[rules]]\nreply = { code = '6014' }\nevery = 2",
            &six,
            &["-", "6014", "-", "6014", "-", "6014"],
        );
        check(
            "[[rules]]\nreply = { code = '6014' }\nskip = 1\nevery = 2\ntimes = 1",
            &six,
            &["-", "-", "6014", "-", "-", "-"],
        );
    }

    #[test]
    fn counters_are_kept_per_transaction_id() {
        let toml = "[[rules]]\nreply = { code = '6014' }\ntimes = 1\nper = 'transaction_id'";
        check(toml, &["a", "b", "a", "b"], &["6014", "6014", "-", "-"]);
    }

    #[test]
    fn the_first_rule_with_an_effect_decides_it_and_later_rules_are_not_counted() {
        let toml = "[[rules]]\nreply = { code = '6014' }\ntimes = 1\n[[rules]]\nreply = { code = '5000' }\ntimes = 1";
        check(toml, &["a"; 3], &["6014", "5000", "-"]);
    }

    #[test]
    fn states_lead_from_one_rule_to_the_next() {
        let toml = "[[rules]]\nwhen = { state = '' }\nset_state = 'down'\n\
                    [[rules]]\nwhen = { state = 'down' }\nreply = { code = '6014' }\ntimes = 2\n\
                    [[rules]]\nwhen = { state = 'down', request = 4 }\nset_state = 'up'";
        check(toml, &["a"; 5], &["-", "6014", "6014", "-", "-"]);
    }

    #[test]
    fn what_changed_is_said_by_name() {
        let rules = rules(
            "[[rules]]\nname = 'half'\nreply = { code = '6014' }\nevery = 2\n\
             [[rules]]\nname = 'never'\nwhen = { transaction_id = 'x' }\ndelay = '1s'\n\
             [[rules]]\nname = 'on'\nset_state = 'down'",
        );
        let mut scenario = Scenario::default();
        let mut changes = || {
            let facts = Facts::default();
            let changes =
                scenario.decide(matching(&rules, &facts), &facts, context(), &mut RuleEffects::default());
            changes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(changes(), ["count/half", "count/on", "draws/on", "state"]);
        assert_eq!(changes(), ["count/half", "draws/half", "count/on", "draws/on"]);
    }

    #[test]
    fn a_preview_equals_the_draws_that_follow() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\nrate = 0.4");
        let mut scenario = Scenario::default();
        run(&rules, &mut scenario, &["a"; 7]);
        let preview = scenario.preview(&rules[0], context(), Timestamp::UNIX_EPOCH, 30);
        let happened = run(&rules, &mut scenario, &["a"; 30]);
        let previewed: Vec<_> = preview.iter().map(|draw| if draw.fires { "6014" } else { "-" }).collect();
        assert_eq!(happened, previewed);
    }

    #[test]
    fn a_preview_respects_times() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 3");
        let mut scenario = Scenario::default();
        for left in [3, 2, 1, 0, 0] {
            let preview = scenario.preview(&rules[0], context(), Timestamp::UNIX_EPOCH, 5);
            assert_eq!(preview.iter().filter(|draw| draw.fires).count(), left);
            run(&rules, &mut scenario, &["a"]);
        }
    }

    #[test]
    fn a_rule_starts_over_after_its_counters_are_reset() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 1");
        let mut scenario = Scenario::default();
        assert_eq!(run(&rules, &mut scenario, &["a", "a"]), ["6014", "-"]);
        scenario.forget(rules[0].fingerprint);
        assert_eq!(run(&rules, &mut scenario, &["a"]), ["6014"]);
    }

    #[test]
    fn two_equal_rules_without_names_have_separate_counters() {
        let toml = "[[rules]]\nreply = { code = '6014' }\ntimes = 1\n[[rules]]\nreply = { code = '6014' }\ntimes = 1";
        check(toml, &["a"; 3], &["6014", "6014", "-"]);
    }

    #[test]
    fn counters_are_bounded_and_the_oldest_is_evicted() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 1\nper = 'transaction_id'");
        let mut scenario = Scenario::default();
        let ids: Vec<_> = (0..=MAX_COUNTERS).map(|number| number.to_string()).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        run(&rules, &mut scenario, &ids);
        assert_eq!((scenario.counters.len(), scenario.overflowed), (MAX_COUNTERS, true));
        assert_eq!(
            run(&rules, &mut scenario, &["0", "5"]),
            ["6014", "-"],
            "only the oldest counter was evicted"
        );
    }
}
