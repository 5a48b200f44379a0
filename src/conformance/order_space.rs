//! The version space of `precedence`: all orders of the checks under which every answer is the code of the first failed check.

use super::order::DEFECTS;
use crate::domain::policy::Check;

/// The checks that are ordered. Capacity's place cannot be told by calls.
const ORDERED: [Check; 7] = {
    let [ordered @ .., _] = Check::ALL;
    ordered
};

/// The checks that failed, and for each whether its code is the one that was answered.
pub type FailedChecks = Vec<(Check, bool)>;

/// What an answer says: each that may have happened. One of them did.
pub type OrderEvidence = Vec<FailedChecks>;

/// Orders that explain most of the answers.
#[derive(Clone, Debug)]
pub struct OrderSpace {
    /// Each complete but for capacity; the first is the closest to the base.
    pub orders: Vec<Vec<Check>>,
    /// Number of answers that they explain.
    pub explained: usize,
}

impl OrderSpace {
    /// Finds the orders that explain the most of the evidence. Those that also explain more of `likely`, which depends on other keys, come
    /// first; then those that are closer to the base.
    #[must_use]
    pub fn new(evidence: &[OrderEvidence], likely: &[OrderEvidence], base: &[Check]) -> OrderSpace {
        let [evidence, likely] = [evidence, likely].map(|all| {
            let indices = |failed: &FailedChecks| {
                failed.iter().filter_map(|(check, fits)| Some((index(*check)?, *fits))).collect::<Vec<_>>()
            };
            let tells = |possible: &Vec<Vec<_>>| possible.iter().all(|failed| failed.len() > 1);
            let possible = |one: &OrderEvidence| one.iter().map(indices).collect::<Vec<_>>();
            all.iter().map(possible).filter(tells).collect::<Vec<_>>()
        });
        let (mut best, mut orders) = (0, Vec::new());
        for_each_order(&mut |order| {
            let count = explained_by(order, &evidence);
            if count > best {
                (best, orders) = (count, Vec::new());
            }
            if count == best {
                orders.push(*order);
            }
        });
        let place = |check: usize| base.iter().position(|other| *other == ORDERED[check]);
        let inversions = |order: &[usize; 7]| {
            let pairs = (0..7).flat_map(|first| (first + 1..7).map(move |second| (first, second)));
            pairs.filter(|(first, second)| place(order[*first]) > place(order[*second])).count()
        };
        orders.sort_by_cached_key(|order| (likely.len() - explained_by(order, &likely), inversions(order)));
        let orders = orders.iter().map(|order| order.map(|check| ORDERED[check]).to_vec());
        OrderSpace { orders: orders.collect(), explained: best }
    }

    /// Whether one of the orders explains all of this evidence.
    #[must_use]
    pub fn can_explain(&self, evidence: &[OrderEvidence]) -> bool {
        let fits = |order: &[Check], failed: &FailedChecks| {
            let first = order.iter().find_map(|check| failed.iter().find(|(other, _)| other == check));
            first.is_some_and(|(_, fits)| *fits)
        };
        let explains = |order: &[Check], one: &OrderEvidence| one.iter().any(|failed| fits(order, failed));
        self.orders.iter().any(|order| evidence.iter().all(|one| explains(order, one)))
    }

    /// Whether all orders give the same code for every set of defects, with any of these codes of wrong parameters and of a bad image.
    #[must_use]
    pub fn is_told(&self, parameters: &[&str], bad_image: &[&str], is_exhausted: bool) -> bool {
        let Some((first, others)) = self.orders.split_first() else { return false };
        let mut codes = parameters.iter().flat_map(|own| bad_image.iter().map(move |other| (*own, *other)));
        codes.all(|codes| {
            let expected = answers(first, codes, is_exhausted);
            others.iter().all(|order| answers(order, codes, is_exhausted) == expected)
        })
    }
}

/// How much of the evidence an order explains.
fn explained_by(order: &[usize; 7], evidence: &[Vec<Vec<(usize, bool)>>]) -> usize {
    let mut place = [0; ORDERED.len()];
    order.iter().enumerate().for_each(|(at, check)| place[*check] = at);
    let fits = |failed: &Vec<(usize, bool)>| {
        failed.iter().min_by_key(|(check, _)| place[*check]).is_some_and(|(_, fits)| *fits)
    };
    evidence.iter().filter(|possible| possible.iter().any(fits)).count()
}

fn index(check: Check) -> Option<usize> {
    ORDERED.iter().position(|one| *one == check)
}

/// The code for each set of defects.
fn answers<'a>(
    order: &[Check],
    (parameters, bad_image): (&'a str, &'a str),
    is_exhausted: bool,
) -> Vec<Option<&'a str>> {
    let sets = 0..1u32 << DEFECTS.len();
    let first = |set: u32| {
        let is_in = |check: &&Check| match DEFECTS.iter().position(|one| one == *check) {
            Some(at) => set >> at & 1 == 1,
            None => is_exhausted && **check == Check::Quota,
        };
        order.iter().find(is_in).map(|check| match check {
            Check::Parameters => parameters,
            Check::Decryption => "5006",
            Check::Account => "5001",
            Check::Quota => "5002",
            Check::Ip => "5003",
            Check::Threshold => "5005",
            Check::Image | Check::Capacity => bad_image,
        })
    };
    sets.map(first).collect()
}

/// Calls back with every order of seven numbers (Heap's algorithm).
fn for_each_order(visit: &mut impl FnMut(&[usize; 7])) {
    let mut order = [0, 1, 2, 3, 4, 5, 6];
    let (mut counters, mut at) = ([0; 7], 1);
    visit(&order);
    while at < 7 {
        if counters[at] < at {
            let other = if at % 2 == 0 { 0 } else { counters[at] };
            order.swap(other, at);
            visit(&order);
            counters[at] += 1;
            at = 1;
        } else {
            counters[at] = 0;
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_orders_are_visited_once() {
        let mut seen = BTreeSet::new();
        for_each_order(&mut |order| assert!(seen.insert(*order)));
        assert_eq!(seen.len(), 5040);
    }

    #[test]
    fn the_orders_that_explain_the_answers_remain() {
        use Check::{Account, Image, Ip, Parameters, Quota, Threshold};
        let space = OrderSpace::new(&[], &[], &Check::ALL);
        assert_eq!(space.orders.len(), 5040);
        assert_eq!(space.orders[0], ORDERED, "the closest to the base first");
        assert!(!space.is_told(&["5004"], &["5004"], false));
        // threshold before parameters, parameters before account, and quota before ip: the first that fits the base otherwise.
        let evidence = vec![
            vec![vec![(Parameters, false), (Threshold, true)]],
            vec![vec![(Parameters, true), (Account, false)]],
            vec![vec![(Ip, false), (Quota, true)]],
            vec![vec![(Image, true)]],
            // The first of these may have been all that failed.
            vec![vec![(Threshold, true)], vec![(Threshold, false), (Account, true)]],
        ];
        let space = OrderSpace::new(&evidence, &[], &Check::ALL);
        let place = |order: &[Check], check| order.iter().position(|one| *one == check);
        for order in &space.orders {
            assert!(place(order, Threshold) < place(order, Parameters));
            assert!(
                place(order, Parameters) < place(order, Account) && place(order, Quota) < place(order, Ip)
            );
        }
    }

    #[test]
    fn an_order_is_told_once_every_answer_follows() {
        let evidence: Vec<OrderEvidence> = (0..DEFECTS.len() - 1)
            .map(|first| {
                vec![DEFECTS[first..].iter().map(|check| (*check, *check == DEFECTS[first])).collect()]
            })
            .collect();
        let space = OrderSpace::new(&evidence, &[], &Check::ALL);
        assert_eq!(space.orders.len(), 7, "only the quota's place is left");
        assert!(
            space.is_told(&["5004"], &["5004", "6015"], false) && !space.is_told(&["5004"], &["5004"], true)
        );
        let with_quota = [
            &evidence[..],
            &[
                vec![vec![(Check::Account, true), (Check::Quota, false)]],
                vec![vec![(Check::Ip, false), (Check::Quota, true)]],
            ],
        ]
        .concat();
        let space = OrderSpace::new(&with_quota, &[], &Check::ALL);
        assert!(space.is_told(&["5004"], &["5004"], true) && space.orders == [ORDERED.to_vec()]);
    }

    #[test]
    fn neighbours_with_one_code_need_no_order() {
        use Check::{Account, Decryption, Image, Ip, Parameters, Quota, Threshold};
        let orders = vec![
            vec![Decryption, Account, Quota, Ip, Parameters, Image, Threshold],
            vec![Decryption, Account, Quota, Ip, Image, Parameters, Threshold],
        ];
        let space = OrderSpace { orders, explained: 0 };
        assert!(space.is_told(&["5004"], &["5004"], true) && !space.is_told(&["5004"], &["6015"], false));
        assert!(!space.is_told(&["5004"], &["5004", "6015"], false));
        assert!(!space.is_told(&["5004", "4041"], &["5004"], false), "a wrong methode has a code of its own");
    }
}
