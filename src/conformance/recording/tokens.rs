//! Tokens in place of values: equal for equal values of one recording. They are keyed with random bytes that are never written: without
//! the key, a plain hash of a NIK could be found again by hashing all NIKs.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::allow_list::masks;
use crate::base::hash::hex;

/// Max customers that are told apart: any path could be one.
const MAX_CUSTOMERS: usize = 1000;
/// Half a token, in bytes. 12 digits cannot be taken for a NIK.
const TOKEN_BYTES: usize = 6;

/// Gives the tokens of one recording.
pub struct Tokens {
    keyed: Hmac<Sha256>,
    /// Numbers of customers, by token.
    customers: HashMap<String, usize>,
}

impl Default for Tokens {
    fn default() -> Tokens {
        let key: [u8; 64] = rand::random();
        Tokens { keyed: Hmac::new(&key.into()), customers: HashMap::new() }
    }
}

impl Tokens {
    /// The token of a text: 12 hexadecimal digits.
    #[must_use]
    pub fn of(&self, text: &str) -> String {
        let mut mac = self.keyed.clone();
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes()[..TOKEN_BYTES])
    }

    /// `{c1}` for the first customer_id, `{c2}` for the next.
    pub fn customer(&mut self, customer_id: &str) -> String {
        let (token, next) = (self.of(customer_id), self.customers.len() + 1);
        if next > MAX_CUSTOMERS && !self.customers.contains_key(&token) {
            return masks(customer_id);
        }
        format!("{{c{}}}", self.customers.entry(token).or_insert(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_equal_for_equal_texts_of_one_recording_only() {
        let (one, other) = (Tokens::default(), Tokens::default());
        assert_eq!(one.of("siti"), one.of("siti"));
        assert_ne!(one.of("siti"), one.of("sita"));
        assert_ne!(one.of("siti"), other.of("siti"));
        assert!(one.of("").len() == 12 && one.of("").bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn the_key_is_used_as_hmac_says() {
        // RFC 4231, test case 2.
        let mut key = [0; 64];
        key[..4].copy_from_slice(b"Jefe");
        let tokens = Tokens { keyed: Hmac::new(&key.into()), customers: HashMap::new() };
        assert_eq!(tokens.of("what do ya want for nothing?"), "5bdcc146bf60");
    }

    #[test]
    fn customers_are_numbered_by_their_first_appearance_and_bounded() {
        let mut tokens = Tokens::default();
        let found: Vec<_> = ["b", "a", "b"].iter().map(|id| tokens.customer(id)).collect();
        assert_eq!(found, ["{c1}", "{c2}", "{c1}"]);
        for number in 0..MAX_CUSTOMERS {
            tokens.customer(&number.to_string());
        }
        assert_eq!((tokens.customer("new"), tokens.customer("a")), ("XXX".to_owned(), "{c2}".to_owned()));
        assert_eq!(tokens.customers.len(), MAX_CUSTOMERS);
    }
}
