//! Chance: whether a rule fires, as a pure function of (seed, customer, rule, ordinal). The draws are the same on every machine and
//! after every restart.
//!
//! The ordinal counts the rule's own draws. So a rule that counts per transaction_id draws a new number for each transaction, and
//! transactions do not correlate.

use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::random::{Purpose, RngKey, uniform};

/// Probability that a rule fires when it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chance {
    Always,
    /// A probability; the draws are independent.
    Rate(f64),
    /// Fires exactly `hits` times in every block of `of` draws, in shuffled order.
    Exact {
        hits: u32,
        of: u32,
    },
    /// A probability that changes linearly from `from` to `to` over the first `over` of the scenario, then stays at `to`.
    Ramp {
        from: f64,
        to: f64,
        over: Duration,
    },
}

/// One random draw of a rule, recorded in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Draw {
    /// Ordinal among the draws of this rule, from 1.
    pub ordinal: u64,
    /// Whether the rule fires.
    pub fires: bool,
    /// Probability of this draw; null for a rule without a rate or a ramp.
    pub rate: Option<f64>,
}

impl Chance {
    /// Draws once. `elapsed` is the time since the scenario began.
    #[must_use]
    pub fn draw(self, key: RngKey, ordinal: u64, elapsed: Duration) -> Draw {
        let by_rate = |rate: f64| {
            let fires = uniform(&mut key.random(Purpose::Fire, ordinal)) < rate;
            Draw { ordinal, fires, rate: Some(rate) }
        };
        match self {
            Chance::Always => Draw { ordinal, fires: true, rate: None },
            Chance::Rate(rate) => by_rate(rate),
            Chance::Exact { hits, of } => Draw { ordinal, fires: exact(key, ordinal, hits, of), rate: None },
            Chance::Ramp { from, to, over } => {
                let progress = (elapsed.as_secs_f64() / over.as_secs_f64()).clamp(0.0, 1.0);
                by_rate(from + (to - from) * progress)
            }
        }
    }
}

fn exact(key: RngKey, ordinal: u64, hits: u32, of: u32) -> bool {
    let (block, position) = ((ordinal - 1) / u64::from(of), (ordinal - 1) % u64::from(of));
    let mut order: Vec<u32> = (0..of).collect();
    let mut random = key.random(Purpose::Block, block);
    // Fisher-Yates shuffle by hand: a library's shuffle may change its order between versions.
    for last in (1..order.len()).rev() {
        let other = (random.random::<u64>() % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
    order[position as usize] < hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64) -> RngKey<'static> {
        RngKey { seed, customer_id: "demo", rule: "flaky" }
    }

    fn draws(chance: Chance, key: RngKey, count: u64) -> Vec<bool> {
        (1..=count).map(|ordinal| chance.draw(key, ordinal, Duration::ZERO).fires).collect()
    }

    #[test]
    fn ten_thousand_draws_at_a_rate_are_within_the_binomial_bound() {
        let hits = draws(Chance::Rate(0.3), key(0), 10_000).iter().filter(|fires| **fires).count();
        // Five standard deviations: sqrt(10000 * 0.3 * 0.7) = 45.8.
        assert!((3000 - 230..=3000 + 230).contains(&hits), "{hits}");
    }

    #[test]
    fn draws_depend_on_seed_customer_and_rule() {
        let first = draws(Chance::Rate(0.5), key(0), 64);
        assert_eq!(first, draws(Chance::Rate(0.5), key(0), 64));
        assert_ne!(first, draws(Chance::Rate(0.5), key(1), 64));
        assert_ne!(first, draws(Chance::Rate(0.5), RngKey { rule: "other", ..key(0) }, 64));
        assert_ne!(first, draws(Chance::Rate(0.5), RngKey { customer_id: "load", ..key(0) }, 64));
    }

    /// Recorded once: a change of these values changes every user's recorded run.
    #[test]
    fn the_draws_are_the_same_on_every_machine() {
        let shown: String =
            draws(Chance::Rate(0.5), key(0), 32).iter().map(|fires| if *fires { 'x' } else { '.' }).collect();
        assert_eq!(shown, RECORDED);
    }

    const RECORDED: &str = ".xx....xxxxxxx..x.xxx..x.x...x.x";

    #[test]
    fn exact_fires_its_share_of_every_block_in_shuffled_order() {
        let all = draws(Chance::Exact { hits: 7, of: 10 }, key(3), 100);
        let blocks: Vec<_> = all.chunks(10).collect();
        assert!(blocks.iter().all(|block| block.iter().filter(|fires| **fires).count() == 7));
        assert!(blocks.iter().any(|block| block != &blocks[0]), "the blocks are shuffled");
    }

    #[test]
    fn a_ramp_changes_from_one_rate_to_the_other_and_stays() {
        let ramp = Chance::Ramp { from: 0.0, to: 1.0, over: Duration::from_secs(60) };
        let rate = |seconds| ramp.draw(key(0), 1, Duration::from_secs(seconds)).rate;
        assert_eq!((rate(0), rate(30), rate(60), rate(600)), (Some(0.0), Some(0.5), Some(1.0), Some(1.0)));
        assert!(!ramp.draw(key(0), 1, Duration::ZERO).fires);
        assert!(ramp.draw(key(0), 1, Duration::from_secs(60)).fires);
    }
}
