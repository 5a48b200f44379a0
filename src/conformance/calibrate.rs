//! From answers to a policy. The simulator is the model: a policy explains an answer if the simulator would have given it. For each key the
//! values that explain all answers remain, with the others fixed; one check of all answers together comes last.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;

use super::difference::AnswerDifference;
use super::key_space::{KeySpace, key_spaces};
use super::model::{Model, ModelAnswer};
use super::observation::{
    Alternative, AnswerPlace, Answers, Observation, measured_by, observations, spec_of,
};
use super::order_space::{OrderEvidence, OrderSpace};
use super::quota_space;
use super::quota_steps::{self, COUNTS, QuotaUsage};
use super::recording::alternatives::recorded_answers;
use crate::domain::policy::{Check, Measurement, Policy, PolicySpec, Undetermined};
use crate::protocol::Code;

/// What answers say about a policy.
#[derive(Debug)]
pub struct Calibration {
    /// The measured keys.
    pub policy: PolicySpec,
    pub measured: Vec<Measurement>,
    pub undetermined: Vec<Undetermined>,
    /// Answers that the best policy does not explain. A file is written only where there are none.
    pub unexplained: Vec<Unexplained>,
    /// What each other value of a key would have answered.
    pub explanations: Vec<Explained>,
    /// Number of answers that were explained.
    pub explained: u32,
    /// The policy that explains the most, also by values that are not told.
    pub best: Policy,
}

/// A value of a key, and the cases whose answers it does not explain.
#[derive(Debug)]
pub struct Explained {
    pub key: String,
    pub value: String,
    pub refuted_by: Vec<String>,
}

/// An answer that no policy explains.
#[derive(Debug)]
pub struct Unexplained {
    pub run: String,
    /// Of the call or the exchange.
    pub call: u64,
    pub cases: Vec<String>,
    /// How it differs from what the best policy answers.
    pub differences: Vec<String>,
}

/// A policy that is searched, with what is not known of the customer.
#[derive(Clone, PartialEq)]
struct Guess {
    policy: Policy,
    any_ip: bool,
}

struct PolicySearch<'a> {
    model: &'a Model,
    observations: Vec<Observation<'a>>,
    /// What was asked of the model already, an observation each.
    known: RefCell<Vec<KnownAnswers>>,
}

/// One for each alternative that the policy allows.
type KnownAnswers = Vec<(Guess, Rc<[ModelAnswer]>)>;

/// Max rounds of the search; two are usual.
const MAX_ROUNDS: usize = 5;

/// Finds the policy under which the simulator gives these answers. `base` is the policy of the keys that nothing tells.
#[must_use]
pub fn calibrate(model: &Model, answers: &Answers, base: &Policy) -> Calibration {
    let (search, of_exchanges) = PolicySearch::new(model, answers);
    let spaces = key_spaces(&search.observations);
    let mut guess = Guess { policy: base.clone(), any_ip: false };
    let mut orders = OrderSpace::new(&[], &[], &base.precedence);
    let space = |key| spaces.iter().find(|space| space.key == key);
    let not_found = space("not_found").zip(space("base64")).map(|(own, other)| own.with(other));
    for _ in 0..MAX_ROUNDS {
        let before = (guess.policy.clone(), guess.any_ip);
        orders = search.order(&mut guess, base);
        for space in spaces.iter().chain(&not_found) {
            search.improve(&mut guess, space);
        }
        let other = Guess { any_ip: !guess.any_ip, ..guess.clone() };
        let all: Vec<_> = search.observations.iter().collect();
        if !answers.runs.is_empty() && search.likeness(&other, &all) > search.likeness(&guess, &all) {
            guess = other;
        }
        if before == (guess.policy.clone(), guess.any_ip) {
            break;
        }
    }
    search.simplify(&mut guess, base, &spaces);
    let quota = search.quota(&guess, &orders, answers, &of_exchanges, base);
    guess.policy = guess.policy.with(&quota.policy);
    let unexplained = search.unexplained(&guess, &quota);
    let explains = |one: &&Observation| search.explains(&guess, one);
    let explained = search.observations.iter().filter(explains).map(|one| one.place.count).sum();
    let mut calibration = Calibration {
        policy: PolicySpec::default(),
        measured: Vec::new(),
        undetermined: Vec::new(),
        unexplained,
        explanations: Vec::new(),
        explained,
        best: guess.policy.clone(),
    };
    search.tell_order(&guess, &orders, &mut calibration);
    for space in &spaces {
        search.tell(&guess, space, (&orders, base, &spaces), &mut calibration);
    }
    calibration.policy = calibration.policy.overlaid(&quota.told);
    calibration.measured.extend(quota.measured);
    calibration.undetermined.extend(quota.undetermined);
    calibration
}

/// Finds only what uses up quota and what `quotaLimiter` prints, where a policy explains each answer by itself. Takes a fraction of the time
/// of [`calibrate`].
#[must_use]
pub fn calibrate_quota(model: &Model, answers: &Answers, policy: &Policy) -> Calibration {
    let (search, of_exchanges) = PolicySearch::new(model, answers);
    let guess = Guess { policy: policy.clone(), any_ip: false };
    let orders = search.orders(&guess, &policy.bad_image, policy);
    let quota = search.quota(&guess, &orders, answers, &of_exchanges, policy);
    Calibration {
        policy: quota.told,
        measured: quota.measured,
        undetermined: quota.undetermined,
        unexplained: Vec::new(),
        explanations: Vec::new(),
        explained: search.observations.iter().map(|one| one.place.count).sum(),
        best: policy.clone().with(&quota.policy),
    }
}

/// For each exchange of a recording, the observation that has its answer.
type OfExchanges = Vec<Vec<Option<usize>>>;

impl<'a> PolicySearch<'a> {
    fn new(model: &'a Model, answers: &Answers<'a>) -> (PolicySearch<'a>, OfExchanges) {
        let mut observations = observations(model, answers.runs);
        let read = |recording| recorded_answers(model, recording, &mut observations);
        let of_exchanges = answers.recordings.iter().map(read).collect();
        let known = RefCell::new(vec![Vec::new(); observations.len()]);
        (PolicySearch { model, observations, known }, of_exchanges)
    }

    fn quota(
        &self,
        guess: &Guess,
        orders: &OrderSpace,
        answers: &Answers<'a>,
        of_exchanges: &OfExchanges,
        base: &Policy,
    ) -> quota_space::QuotaFinding<'a> {
        let usage = |one: &Observation| self.usage(guess, one, orders);
        let subjects = quota_steps::subjects(answers, &self.observations, of_exchanges, &usage);
        quota_space::find(&subjects, base, answers.daily_quota)
    }

    /// What the model answers to each alternative.
    fn answers(&self, guess: &Guess, observation: &Observation) -> Rc<[ModelAnswer]> {
        let index = observation.index;
        if let Some((_, answers)) = self.known.borrow()[index].iter().find(|(known, _)| known == guess) {
            return Rc::clone(answers);
        }
        let answers: Rc<[_]> = self.asked(guess, observation, &observation.alternatives).collect();
        self.known.borrow_mut()[index].push((guess.clone(), Rc::clone(&answers)));
        answers
    }

    fn asked<'b>(
        &'b self,
        guess: &'b Guess,
        observation: &'b Observation,
        alternatives: &'b [Alternative],
    ) -> impl Iterator<Item = ModelAnswer> + 'b {
        let is_possible = |one: &&Alternative| one.candidates <= guess.policy.max_results;
        let answer = move |one: &Alternative| {
            self.model.answer(&guess.policy, observation.world(one, guess.any_ip), &one.call)
        };
        alternatives.iter().filter(is_possible).map(answer)
    }

    fn explains(&self, guess: &Guess, observation: &Observation) -> bool {
        self.answers(guess, observation).iter().any(|answer| answer.comparable == observation.seen)
    }

    fn likeness(&self, guess: &Guess, observations: &[&Observation]) -> usize {
        let alike = |one: &&Observation| {
            let answers = self.answers(guess, one);
            answers.iter().map(|answer| one.seen.likeness(&answer.comparable)).max().unwrap_or_default()
        };
        observations.iter().map(alike).sum()
    }

    /// The answers that tell about a key: for one of the form, one of each kind.
    fn relevant(&self, space: &KeySpace) -> Vec<&Observation<'a>> {
        if !space.is_form() {
            return self.observations.iter().filter(|one| one.bears_on(&space.key)).collect();
        }
        let mut relevant: Vec<&Observation> = Vec::new();
        for one in &self.observations {
            let kind = one.kind();
            let is_of_code = space.code.as_ref().is_none_or(|code| kind.code == Some(code.as_str()));
            if is_of_code && !relevant.iter().any(|other| other.kind() == kind) {
                relevant.push(one);
            }
        }
        relevant
    }

    fn improve(&self, guess: &mut Guess, space: &KeySpace) {
        let relevant = self.relevant(space);
        let mut best = self.likeness(guess, &relevant);
        for value in space.values.iter().filter(|value| !relevant.is_empty() && !space.is_never(value)) {
            if space.value_in(&guess.policy).as_ref() != Some(value) {
                let other = Guess { policy: guess.policy.clone().with(value), ..*guess };
                let likeness = self.likeness(&other, &relevant);
                if likeness > best {
                    (best, *guess) = (likeness, other);
                }
            }
        }
    }

    /// Takes back what the search changed and no answer needs.
    fn simplify(&self, guess: &mut Guess, base: &Policy, spaces: &[KeySpace]) {
        let all: Vec<_> = self.observations.iter().collect();
        for space in spaces {
            let Some(value) = space.value_in(base) else { continue };
            let other = Guess { policy: guess.policy.clone().with(&value), ..*guess };
            if other != *guess && self.likeness(&other, &all) >= self.likeness(guess, &all) {
                *guess = other;
            }
        }
    }

    /// Chooses order and code of a bad image together: the one cannot be told without the other.
    fn order(&self, guess: &mut Guess, base: &Policy) -> OrderSpace {
        let other =
            if guess.policy.bad_image == Code::PARAMETERS { Code::BAD_PHOTO } else { Code::PARAMETERS };
        let (own, others) =
            (self.orders(guess, &guess.policy.bad_image, base), self.orders(guess, &other, base));
        let best = if others.explained > own.explained {
            guess.policy.bad_image = other;
            others
        } else {
            own
        };
        if let Some(order) = best.orders.first() {
            guess.policy.precedence = order.iter().copied().chain([Check::Capacity]).collect();
        }
        best
    }

    /// The orders that explain the answers which depend on no other key but the code of a bad image.
    fn orders(&self, guess: &Guess, bad_image: &Code, base: &Policy) -> OrderSpace {
        let policy = Policy { bad_image: bad_image.clone(), ..guess.policy.clone() };
        let guess = Guess { policy, ..*guess };
        let evidence = |is_plain: bool| {
            let of = self.observations.iter().filter(|one| one.bears_on("precedence") == is_plain);
            of.filter_map(|one| self.order_evidence(&guess, one)).collect::<Vec<_>>()
        };
        OrderSpace::new(&evidence(true), &evidence(false), &base.precedence)
    }

    /// Which checks may have failed, and whether their codes are the one that was answered; `None` for an answer of no check.
    fn order_evidence(&self, guess: &Guess, one: &Observation) -> Option<OrderEvidence> {
        let code = &one.body.as_ref()?.code;
        let mut evidence = OrderEvidence::new();
        for answer in self.answers(guess, one).iter() {
            let failed: Vec<_> = answer.failed.iter().map(|(check, own)| (*check, own == code)).collect();
            match failed.as_slice() {
                [] if answer.comparable == one.seen || !one.is_recorded() => return None,
                // Another alternative has to explain it.
                [] | [(_, false)] if one.is_recorded() => {}
                _ => evidence.push(failed),
            }
        }
        Some(evidence).filter(|evidence| !evidence.is_empty())
    }

    /// Whether another order of the checks, which also explains the answers that tell the order, explains these.
    fn is_possible(&self, guess: &Guess, relevant: &[&Observation], orders: &OrderSpace) -> bool {
        let mut evidence = Vec::new();
        for one in relevant {
            match self.order_evidence(guess, one) {
                Some(failed) => evidence.push(failed),
                None if self.explains(guess, one) => {}
                None => return false,
            }
        }
        orders.can_explain(&evidence)
    }

    /// Whether an answer uses up quota, by each value of `quota_counts`, and whether the request passed every check.
    fn usage(&self, guess: &Guess, one: &Observation, orders: &OrderSpace) -> QuotaUsage {
        let code = one.body.as_ref().map(|body| body.code.as_str());
        // The order of the checks is a guess where it is not told.
        let can_explain = |answer: &ModelAnswer| {
            let failed = answer.failed.iter().map(|(check, own)| (*check, Some(own.as_str()) == code));
            let failed: Vec<_> = failed.collect();
            failed.iter().any(|(_, fits)| *fits) && orders.can_explain(&[vec![failed]])
        };
        let explaining = |guess: &Guess| {
            let own = self.asked(guess, one, &one.alternatives);
            let own = own.filter(|answer| answer.comparable == one.seen || !one.is_recorded());
            let also = self.asked(guess, one, &one.also);
            let also = also.filter(|answer| answer.comparable == one.seen || can_explain(answer));
            own.chain(also).collect::<Vec<_>>()
        };
        let charged = COUNTS.map(|counts| {
            let policy = Policy { quota_counts: counts, ..guess.policy.clone() };
            let answers = explaining(&Guess { policy, ..*guess });
            let first = answers.first()?.charged;
            answers.iter().all(|answer| answer.charged == first).then_some(first)
        });
        let answers = explaining(guess);
        let passed = |answer: &ModelAnswer| answer.failed.is_empty() && answer.comparable.status == 200;
        QuotaUsage { charged, has_passed: !answers.is_empty() && answers.iter().all(passed) }
    }

    fn unexplained(&self, guess: &Guess, quota: &quota_space::QuotaFinding) -> Vec<Unexplained> {
        let differences = |one: &Observation| {
            let answers = self.answers(guess, one);
            // Of equals the first: that all is right which a recording does not say.
            let likeness = |answer: &ModelAnswer| one.seen.likeness(&answer.comparable);
            let closest = answers.iter().rev().max_by_key(|answer| likeness(answer));
            let found = closest.map_or_else(Vec::new, |answer| one.seen.differences(&answer.comparable));
            let mut differences: Vec<_> = found.iter().map(AnswerDifference::to_string).collect();
            if one.place.count > 1 {
                differences.push(format!("{} answers are like it", one.place.count));
            }
            differences
        };
        let of = |place: &AnswerPlace, differences| Unexplained {
            run: place.run.to_owned(),
            call: place.number,
            cases: if place.cases.is_empty() { vec![place.label()] } else { place.cases.to_vec() },
            differences,
        };
        let answers = self.observations.iter().filter(|one| !self.explains(guess, one));
        let answers = answers.map(|one| of(&one.place, differences(one)));
        let contradiction = quota.contradiction.iter();
        answers
            .chain(
                contradiction
                    .map(|place| of(place, vec!["quotaLimiter changes as under no policy".to_owned()])),
            )
            .collect()
    }

    /// Whether another value of a key explains recorded answers once a second decision is another one, too: what a request was is not
    /// known, so one answer may be due to either.
    fn is_possible_with(
        &self,
        guess: &Guess,
        other: &Guess,
        refuting: &[&Observation],
        space: &KeySpace,
        spaces: &[KeySpace],
    ) -> bool {
        if space.is_form() || !refuting.iter().any(|one| one.is_recorded()) {
            return false;
        }
        let bears = |second: &&KeySpace| refuting.iter().all(|one| one.bears_on(&second.key));
        let others = spaces.iter().filter(|second| !second.is_form() && second.key != space.key);
        let second = others.filter(bears);
        let values = second.flat_map(|second| second.values.iter());
        let explains = |value| {
            let both = Guess { policy: other.policy.clone().with(value), ..*guess };
            // Asked once, so not remembered.
            let explained = |one: &Observation| {
                self.asked(&both, one, &one.alternatives).any(|answer| answer.comparable == one.seen)
            };
            let all = refuting.iter().copied().chain(&self.observations);
            all.into_iter().all(|one| explained(one) || !self.explains(guess, one))
        };
        values.into_iter().any(explains)
    }

    fn tell_order(&self, guess: &Guess, orders: &OrderSpace, calibration: &mut Calibration) {
        let tells = |one: &&Observation<'a>| {
            let evidence = self.order_evidence(guess, one).unwrap_or_default();
            one.bears_on("precedence")
                && !evidence.is_empty()
                && evidence.iter().all(|failed| failed.len() > 1)
        };
        let telling: Vec<_> = self.observations.iter().filter(tells).collect();
        let bad_images: Vec<_> = ["5004", "6015"]
            .into_iter()
            .filter(|code| {
                let spec = spec_of("bad_image", &json!(code)).unwrap_or_default();
                let other = Guess { policy: guess.policy.clone().with(&spec), ..*guess };
                self.observations
                    .iter()
                    .filter(|one| one.bears_on("bad_image"))
                    .all(|one| self.explains(&other, one))
            })
            .collect();
        let count = orders.orders.len();
        let parameters = ["5004", guess.policy.wrong_methode.as_str()];
        if telling.is_empty() || !orders.is_told(&parameters, &bad_images, false) {
            let why = match telling.len() {
                0 => "no answer tells: ask the group order".to_owned(),
                _ => format!("{count} orders explain the answers"),
            };
            calibration.undetermined.push(Undetermined { key: "precedence".to_owned(), why });
            return;
        }
        let order = json!(guess.policy.precedence);
        calibration.policy =
            calibration.policy.clone().overlaid(&spec_of("precedence", &order).unwrap_or_default());
        calibration.measured.extend(measurement("precedence", &telling));
        if !orders.is_told(&parameters, &bad_images, true) {
            let why =
                "the place of quota: ask once today's quota is used up, with --state exhausted".to_owned();
            calibration.undetermined.push(Undetermined { key: "precedence".to_owned(), why });
        }
    }

    /// Tells whether only one value of a key explains the answers, and which answers say so.
    fn tell(
        &self,
        guess: &Guess,
        space: &KeySpace,
        (orders, base, spaces): (&OrderSpace, &Policy, &[KeySpace]),
        calibration: &mut Calibration,
    ) {
        let (relevant, explained_by_order) = (self.relevant(space), orders.explained);
        let mut telling: Vec<&Observation> = Vec::new();
        let mut others = Vec::new();
        for value in &space.values {
            if space.value_in(&guess.policy).as_ref() == Some(value) {
                continue;
            }
            let other = Guess { policy: guess.policy.clone().with(value), ..*guess };
            let refutes = |one: &&Observation| self.explains(guess, one) && !self.explains(&other, one);
            let refuting: Vec<_> = relevant.iter().copied().filter(refutes).collect();
            let own_orders =
                (space.key == "bad_image").then(|| self.orders(guess, &other.policy.bad_image, base));
            let orders = own_orders.as_ref().unwrap_or(orders);
            let is_possible = !space.is_form()
                && orders.explained == explained_by_order
                && self.is_possible(&other, &relevant, orders);
            if refuting.is_empty()
                || is_possible
                || self.is_possible_with(guess, &other, &refuting, space, spaces)
            {
                let shown = space.shown(value);
                if !others.contains(&shown) {
                    others.push(shown);
                }
            }
            let mut refuted_by: Vec<_> = refuting.iter().map(|one| one.place.label()).collect();
            refuted_by.dedup();
            let (key, value) = (space.key.clone(), space.shown(value));
            calibration.explanations.push(Explained { key, value, refuted_by });
            telling.extend(refuting);
        }
        telling.sort_by_key(|one| (one.place.started, one.place.number, one.index));
        telling.dedup_by_key(|one| one.index);
        if space.is_masked_in(&guess.policy, relevant.iter().any(|one| one.is_recorded())) {
            others.push("another text: what was seen is masked".to_owned());
        }
        if others.is_empty() && !telling.is_empty() {
            if let Some(value) = space.value_in(&guess.policy) {
                calibration.policy = calibration.policy.clone().overlaid(&value);
                calibration.measured.extend(measurement(&space.key, &telling));
            }
            return;
        }
        let why = match (relevant.is_empty(), space.is_form()) {
            (true, false) => format!("no answer tells: ask {}", space.asked_by()),
            _ => format!("the answers would be the same with {}", others.join(" or ")),
        };
        calibration.undetermined.push(Undetermined { key: space.key.clone(), why });
    }
}

/// Where a value comes from; `None` without an answer that tells.
fn measurement(key: &str, telling: &[&Observation]) -> Option<Measurement> {
    let places: Vec<_> = telling.iter().map(|one| one.place).collect();
    measured_by(key, &places)
}
