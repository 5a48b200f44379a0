//! Chance as a pure function: (seed, customer, rule, ordinal) decides, on every machine and after every restart.

use std::time::Duration;

use rand::RngExt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::random::{Purpose, RngKey, uniform};

/// How likely a rule fires when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chance {
    Always,
    /// Each draw by itself.
    Rate(f64),
    /// Exactly `hits` of every `of` draws, in shuffled order.
    Exact {
        hits: u32,
        of: u32,
    },
    /// From one rate to another while the scenario runs.
    Ramp {
        from: f64,
        to: f64,
        over: Duration,
    },
}

/// One draw, for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Draw {
    /// From 1, among the draws of this rule.
    pub ordinal: u64,
    /// Whether it won.
    pub fires: bool,
    /// The rate it was drawn against; null where there is none.
    pub rate: Option<f64>,
}

impl Chance {
    /// Draws. `elapsed` is how long the scenario has run.
    #[must_use]
    pub fn draw(self, source: RngKey, ordinal: u64, elapsed: Duration) -> Draw {
        let by_rate = |rate: f64| {
            let fires = uniform(&mut source.random(Purpose::Fire, ordinal)) < rate;
            Draw { ordinal, fires, rate: Some(rate) }
        };
        match self {
            Chance::Always => Draw { ordinal, fires: true, rate: None },
            Chance::Rate(rate) => by_rate(rate),
            Chance::Exact { hits, of } => {
                Draw { ordinal, fires: exact(source, ordinal, hits, of), rate: None }
            }
            Chance::Ramp { from, to, over } => {
                let way = (elapsed.as_secs_f64() / over.as_secs_f64()).clamp(0.0, 1.0);
                by_rate(from + (to - from) * way)
            }
        }
    }
}

fn exact(source: RngKey, ordinal: u64, hits: u32, of: u32) -> bool {
    let (block, place) = ((ordinal - 1) / u64::from(of), (ordinal - 1) % u64::from(of));
    let mut order: Vec<u32> = (0..of).collect();
    let mut random = source.random(Purpose::Block, block);
    // Fisher-Yates, written out: a library's shuffle may change its order from one version to the next.
    for last in (1..order.len()).rev() {
        let other = (random.random::<u64>() % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
    order[place as usize] < hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(seed: u64) -> RngKey<'static> {
        RngKey { seed, customer_id: "demo", rule: "flaky" }
    }

    fn draws(chance: Chance, source: RngKey, count: u64) -> Vec<bool> {
        (1..=count).map(|ordinal| chance.draw(source, ordinal, Duration::ZERO).fires).collect()
    }

    #[test]
    fn ten_thousand_draws_at_a_rate_lie_within_the_binomial_bound() {
        let hits = draws(Chance::Rate(0.3), source(0), 10_000).iter().filter(|fires| **fires).count();
        // Five standard deviations: sqrt(10000 * 0.3 * 0.7) = 45.8.
        assert!((3000 - 230..=3000 + 230).contains(&hits), "{hits}");
    }

    #[test]
    fn the_same_seed_gives_the_same_draws_and_everything_else_others() {
        let first = draws(Chance::Rate(0.5), source(0), 64);
        assert_eq!(first, draws(Chance::Rate(0.5), source(0), 64));
        assert_ne!(first, draws(Chance::Rate(0.5), source(1), 64));
        assert_ne!(first, draws(Chance::Rate(0.5), RngKey { rule: "other", ..source(0) }, 64));
        assert_ne!(first, draws(Chance::Rate(0.5), RngKey { customer_id: "load", ..source(0) }, 64));
    }

    /// Written down once: a change of these is a change for every user's recorded run.
    #[test]
    fn the_draws_are_the_same_on_every_machine() {
        let shown: String = draws(Chance::Rate(0.5), source(0), 32)
            .iter()
            .map(|fires| if *fires { 'x' } else { '.' })
            .collect();
        assert_eq!(shown, RECORDED);
    }

    const RECORDED: &str = ".xx....xxxxxxx..x.xxx..x.x...x.x";

    #[test]
    fn exact_gives_its_share_of_every_block_in_no_fixed_order() {
        let all = draws(Chance::Exact { hits: 7, of: 10 }, source(3), 100);
        let blocks: Vec<_> = all.chunks(10).collect();
        assert!(blocks.iter().all(|block| block.iter().filter(|fires| **fires).count() == 7));
        assert!(blocks.iter().any(|block| block != &blocks[0]), "the blocks are shuffled");
    }

    #[test]
    fn a_ramp_goes_from_one_rate_to_the_other_and_stays() {
        let ramp = Chance::Ramp { from: 0.0, to: 1.0, over: Duration::from_secs(60) };
        let rate = |seconds| ramp.draw(source(0), 1, Duration::from_secs(seconds)).rate;
        assert_eq!((rate(0), rate(30), rate(60), rate(600)), (Some(0.0), Some(0.5), Some(1.0), Some(1.0)));
        assert!(!ramp.draw(source(0), 1, Duration::ZERO).fires);
        assert!(ramp.draw(source(0), 1, Duration::from_secs(60)).fires);
    }
}
