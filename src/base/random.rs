//! Deterministic random numbers: the same (seed, customer, rule, purpose, ordinal) yields the same numbers on every machine and
//! after every restart. They come from ChaCha8, seeded by the SHA-256 of these five values.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use sha2::{Digest, Sha256};

/// What a draw is for. Draws with the same ordinal and different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Whether a rule fires.
    Fire,
    /// The shuffled order of one block of `exact`.
    Block,
    /// The length of a delay.
    Delay,
    /// The bytes of a fault.
    Fault,
    /// The id and account of a generated customer.
    Customer,
    /// The service time of a matcher worker.
    Service,
}

/// Key of all draws of one rule.
#[derive(Clone, Copy, Debug)]
pub struct RngKey<'a> {
    pub seed: u64,
    pub customer_id: &'a str,
    pub rule: &'a str,
}

impl RngKey<'_> {
    /// Returns the random generator of one ordinal. ChaCha8 guarantees stable values.
    #[must_use]
    pub fn random(self, purpose: Purpose, ordinal: u64) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        for text in [self.customer_id, self.rule] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.update([purpose as u8]);
        hash.update(ordinal.to_le_bytes());
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

/// Returns a number from 0 (inclusive) to 1 (exclusive), from 53 random bits.
pub fn uniform(random: &mut impl Rng) -> f64 {
    (random.random::<u64>() >> 11) as f64 / (1u64 << 53) as f64
}
