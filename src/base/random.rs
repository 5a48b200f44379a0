//! Randomness as a pure function: (seed, customer, rule, purpose, ordinal) gives the same numbers on every machine and after every
//! restart.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};
use sha2::{Digest, Sha256};

/// What a draw is made for; different purposes of one ordinal are independent.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Whether a rule fires.
    Fire,
    /// The shuffled order of one block of `exact`.
    Block,
    /// How long a delay is.
    Delay,
    /// The bytes of a fault.
    Fault,
    /// A made-up customer's id and account.
    Customer,
    /// How long a matcher's worker takes.
    Service,
}

/// Where all draws of one rule come from.
#[derive(Clone, Copy, Debug)]
pub struct RngKey<'a> {
    pub seed: u64,
    pub customer_id: &'a str,
    pub rule: &'a str,
}

impl RngKey<'_> {
    /// The random numbers of one ordinal. ChaCha8 is value-stable by promise.
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

/// A number from 0 (included) to 1 (not included), from 53 random bits.
pub fn uniform(random: &mut impl Rng) -> f64 {
    (random.random::<u64>() >> 11) as f64 / (1u64 << 53) as f64
}
