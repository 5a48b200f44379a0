//! A customer's scenario: its state, when it began, and how often each rule was met. Rules are tried in order.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::chance::Draw;
use super::condition::{Facts, since};
use super::spec::{Fingerprint, Per, Rule};
use super::{Effect, RuleEffects};
use crate::base::hash::digest;
use crate::base::random::RngKey;

/// What changes while a scenario runs.
#[derive(Debug, Default)]
pub struct Scenario {
    /// When it began: at start, or at the last reset.
    pub began: Timestamp,
    pub state: String,
    counters: HashMap<CounterKey, Counter>,
    /// The keys of what is counted per transaction_id and so on, oldest first.
    order: VecDeque<CounterKey>,
    /// Draws of each rule.
    draws: HashMap<Fingerprint, u64>,
    /// Whether a counter had to go, and whether that was told.
    overflowed: bool,
    told: bool,
}

/// Whose scenario it is, and what holds for it.
#[derive(Clone, Copy, Debug)]
pub struct DrawContext<'a> {
    pub seed: u64,
    pub customer_id: &'a str,
    /// Counters that are kept; the oldest goes when there are more.
    pub most_counters: usize,
    pub counting: Counting,
}

/// A rule's fingerprint, and the digest of what it is counted by: a client's transactionId may be a megabyte.
type CounterKey = (Fingerprint, [u8; 16]);

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    met: u64,
    fired: u64,
}

/// A rule that decided something, for the journal.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Firing {
    pub rule: String,
    /// How often the rule was met, this time included, counted per its `per`.
    pub ordinal: u64,
    pub draw: Draw,
    pub decides: Vec<Effect>,
}

/// Whether trying rules counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    Count,
    /// As it would be, without a trace.
    Look,
}

impl Scenario {
    /// A scenario that begins now.
    #[must_use]
    pub fn begin(began: Timestamp) -> Scenario {
        Scenario { began, ..Scenario::default() }
    }

    /// Tries rules in order, and adds to what is decided.
    pub fn decide(&mut self, rules: &[&Rule], facts: &Facts, stage: DrawContext, decided: &mut RuleEffects) {
        let had_state = decided.set_state.is_some();
        for rule in rules {
            let effects: Vec<_> =
                rule.effects().into_iter().filter(|effect| decided.is_unset(*effect)).collect();
            let began = self.began_for(rule);
            if effects.is_empty() || !rule.spec.when.matches(facts, began) {
                continue;
            }
            if let Some((ordinal, draw)) = self.turn(rule, facts, stage, since(began, facts.now)) {
                effects.iter().for_each(|effect| decided.apply(rule, *effect));
                decided.firings.push(Firing { rule: rule.name.clone(), ordinal, draw, decides: effects });
            }
        }
        if let (Counting::Count, false, Some(state)) = (stage.counting, had_state, &decided.set_state) {
            self.state.clone_from(state);
        }
    }

    /// When a rule's window begins: with the scenario, or when it was put, whichever is later.
    fn began_for(&self, rule: &Rule) -> Timestamp {
        rule.put.map_or(self.began, |put| put.max(self.began))
    }

    /// Forgets how often a rule was met.
    pub fn forget(&mut self, fingerprint: Fingerprint) {
        self.counters.retain(|(rule, _), _| *rule != fingerprint);
        self.order.retain(|(rule, _)| *rule != fingerprint);
        self.draws.remove(&fingerprint);
    }

    /// Forgets how often each rule was met.
    pub fn forget_all(&mut self) {
        self.counters.clear();
        self.order.clear();
        self.draws.clear();
    }

    /// Counts a request that meets the rule; gives the winning draw when it fires.
    fn turn(
        &mut self,
        rule: &Rule,
        facts: &Facts,
        stage: DrawContext,
        elapsed: Duration,
    ) -> Option<(u64, Draw)> {
        let source = RngKey { seed: stage.seed, customer_id: stage.customer_id, rule: &rule.name };
        let key = (rule.fingerprint, counted_by(rule.spec.per, facts));
        let mut counter = self.counters.get(&key).copied().unwrap_or_default();
        counter.met += 1;
        let behind = counter.met.checked_sub(rule.spec.skip.unwrap_or(0)).filter(|behind| *behind > 0);
        let is_drawn = behind.is_some_and(|behind| behind.is_multiple_of(rule.spec.every.unwrap_or(1)))
            && rule.spec.times.is_none_or(|times| counter.fired < times);
        let draw = is_drawn.then(|| {
            let ordinal = self.draws.get(&rule.fingerprint).copied().unwrap_or(0) + 1;
            rule.chance.draw(source, ordinal, elapsed)
        });
        counter.fired += u64::from(draw.is_some_and(|draw| draw.fires));
        if stage.counting == Counting::Count {
            if let Some(draw) = draw {
                self.draws.insert(rule.fingerprint, draw.ordinal);
            }
            self.keep(key, counter, rule.spec.per, stage.most_counters);
        }
        draw.filter(|draw| draw.fires).map(|draw| (counter.met, draw))
    }

    fn keep(&mut self, key: CounterKey, counter: Counter, per: Per, most: usize) {
        // A rule that counts all requests has one counter, which never goes.
        if self.counters.insert(key, counter).is_none() && per != Per::Customer {
            self.order.push_back(key);
        }
        while self.order.len() > most {
            self.overflowed = true;
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.counters.remove(&oldest));
        }
    }

    /// Whether a counter had to go since the last time this was asked; true once.
    pub fn tells_overflow(&mut self) -> bool {
        let news = self.overflowed && !self.told;
        self.told |= news;
        news
    }

    /// The next draws of a rule, without a trace. Where it counts all of a customer's requests, none fires beyond its `times`; how often it
    /// has fired for a transaction, say, that is yet to come is not known.
    #[must_use]
    pub fn preview(
        &self,
        rule: &Rule,
        (seed, customer_id): (u64, &str),
        now: Timestamp,
        count: u64,
    ) -> Vec<Draw> {
        let source = RngKey { seed, customer_id, rule: &rule.name };
        let drawn = self.draws.get(&rule.fingerprint).copied().unwrap_or(0);
        let elapsed = since(self.began_for(rule), now);
        let mut left = self.left(rule);
        let draws = (drawn + 1..=drawn.saturating_add(count)).map(|ordinal| {
            let draw = rule.chance.draw(source, ordinal, elapsed);
            let fires = draw.fires && left > 0;
            left -= u64::from(fires);
            Draw { fires, ..draw }
        });
        draws.collect()
    }

    /// How often a rule will fire yet, as far as it is known.
    fn left(&self, rule: &Rule) -> u64 {
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

fn counted_by(per: Per, facts: &Facts) -> [u8; 16] {
    match per {
        Per::Customer => [0; 16],
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

    fn stage(counting: Counting) -> DrawContext<'static> {
        DrawContext { seed: 0, customer_id: "demo", most_counters: MAX_COUNTERS, counting }
    }

    /// Runs requests with these transaction ids; gives the code that each is answered, `-` for none.
    fn run(rules: &[Rule], scenario: &mut Scenario, transactions: &[&str]) -> Vec<String> {
        let rules: Vec<_> = rules.iter().collect();
        let outcome = Code::FOUND;
        let mut answers = Vec::new();
        for (index, transaction_id) in transactions.iter().enumerate() {
            let state = scenario.state.clone();
            let facts = Facts {
                outcome: Some(&outcome),
                transaction_id: Some(transaction_id),
                ordinal: index as u64 + 1,
                state: &state,
                ..Facts::default()
            };
            let mut decided = RuleEffects::default();
            scenario.decide(&rules, &facts, stage(Counting::Count), &mut decided);
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
    fn times_skip_and_every_count_what_meets_the_rule() {
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
    fn counts_are_kept_per_what_the_rule_says() {
        let toml = "[[rules]]\nreply = { code = '6014' }\ntimes = 1\nper = 'transaction_id'";
        check(toml, &["a", "b", "a", "b"], &["6014", "6014", "-", "-"]);
    }

    #[test]
    fn the_first_rule_that_sets_a_thing_decides_it_and_others_are_not_counted_for_it() {
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
    fn looking_leaves_no_trace() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 1\nset_state = 'x'");
        let all: Vec<_> = rules.iter().collect();
        let mut scenario = Scenario::default();
        for _ in 0..3 {
            let mut decided = RuleEffects::default();
            scenario.decide(&all, &Facts::default(), stage(Counting::Look), &mut decided);
            assert!(decided.reply.is_some());
        }
        assert_eq!((scenario.counters.len(), scenario.state.as_str()), (0, ""));
    }

    #[test]
    fn a_preview_is_what_then_happens() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\nrate = 0.4");
        let mut scenario = Scenario::default();
        run(&rules, &mut scenario, &["a"; 7]);
        let preview = scenario.preview(&rules[0], (0, "demo"), Timestamp::UNIX_EPOCH, 30);
        let happened = run(&rules, &mut scenario, &["a"; 30]);
        let previewed: Vec<_> = preview.iter().map(|draw| if draw.fires { "6014" } else { "-" }).collect();
        assert_eq!(happened, previewed);
    }

    #[test]
    fn a_preview_knows_when_a_rule_has_fired_often_enough() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 3");
        let mut scenario = Scenario::default();
        for left in [3, 2, 1, 0, 0] {
            let preview = scenario.preview(&rules[0], (0, "demo"), Timestamp::UNIX_EPOCH, 5);
            assert_eq!(preview.iter().filter(|draw| draw.fires).count(), left);
            run(&rules, &mut scenario, &["a"]);
        }
    }

    #[test]
    fn a_forgotten_rule_begins_again() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 1");
        let mut scenario = Scenario::default();
        assert_eq!(run(&rules, &mut scenario, &["a", "a"]), ["6014", "-"]);
        scenario.forget(rules[0].fingerprint);
        assert_eq!(run(&rules, &mut scenario, &["a"]), ["6014"]);
    }

    #[test]
    fn two_equal_rules_without_names_count_by_themselves() {
        let toml = "[[rules]]\nreply = { code = '6014' }\ntimes = 1\n[[rules]]\nreply = { code = '6014' }\ntimes = 1";
        check(toml, &["a"; 3], &["6014", "6014", "-"]);
    }

    #[test]
    fn counters_are_bounded_and_the_oldest_goes() {
        let rules = rules("[[rules]]\nreply = { code = '6014' }\ntimes = 1\nper = 'transaction_id'");
        let mut scenario = Scenario::default();
        let ids: Vec<_> = (0..=MAX_COUNTERS).map(|number| number.to_string()).collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        run(&rules, &mut scenario, &ids);
        assert_eq!((scenario.counters.len(), scenario.overflowed), (MAX_COUNTERS, true));
        assert_eq!(
            run(&rules, &mut scenario, &["0", "5"]),
            ["6014", "-"],
            "the first was forgotten, the others were not"
        );
    }
}
