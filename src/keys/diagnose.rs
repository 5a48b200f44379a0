//! Diagnoses why a ciphertext cannot be decrypted: undoes what tools are known to do to it, one thing after the other, and names what made
//! it open. Only when nothing did, the key is blamed.
//!
//! A diagnosis costs private-key operations: about ten, and one or two for each other key. They are spent on rejected ciphertexts only, and
//! as far as the [`Budget`] allows. Nothing but the reason depends on it.

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::arrangement::{Arrangement, arrangements};
use super::failure::{DecryptFailure, WITH_THIS_KEY};
use super::forms::{Form, forms};
use super::open::{KeyHalf, block};
use super::padding::{Unpadded, is_plausible, judge, signature};
use super::{DecryptError, KeyRing, PrivateKey, unopened};
use crate::base::cpu_time;
use crate::protocol::encoding::{self, Base64Mode};

/// Processor time that diagnoses may use.
pub trait Budget {
    /// Whether another private-key operation may be made.
    fn is_left(&self) -> bool;

    /// Charges the processor time that an operation took.
    fn charge(&self, spent: Duration);
}

/// A budget without an end, where the time does not matter.
#[derive(Debug)]
pub struct Unlimited;

impl Budget for Unlimited {
    fn is_left(&self) -> bool {
        true
    }

    fn charge(&self, _: Duration) {}
}

/// Max number of other keys tried for one ciphertext: each try costs a private-key operation.
const MAX_OTHER_KEYS: usize = 32;

/// Number of other keys that are tried with every padding, not only with PKCS#1 v1.5.
const THOROUGHLY_TRIED_KEYS: usize = 4;

/// Max number of blocks that are opened to find a ciphertext in what they hold.
const MAX_BLOCKS: usize = 8;

const WITH_PKCS1: &str =
    "use PKCS#1 v1.5: OPENSSL_PKCS1_PADDING, RSA/ECB/PKCS1Padding, padding.PKCS1v15(), RSAES-PKCS1-V1_5";

const WITH_THE_PUBLIC_HALF: &str =
    "encrypt with the public key (openssl_public_encrypt), not with the private one, and do not sign";

/// Determines why `key` rejected `ciphertext` with `error`; `text` is its base64 as sent.
#[must_use]
pub fn diagnose(
    text: &str,
    ciphertext: &[u8],
    error: DecryptError,
    key: &PrivateKey,
    ring: &KeyRing,
    budget: &dyn Budget,
) -> DecryptFailure {
    let search = Search { key, ring, budget, is_exhausted: Cell::new(false), other_keys: Cell::new(0) };
    let forms = search.charged(|| Some(forms(text, ciphertext, key.size()))).unwrap_or_default();
    if let Some(found) = search.run(&forms) {
        return found;
    }
    let other_keys = (!search.is_exhausted.get()).then(|| search.other_keys.get());
    unopened::describe(text, ciphertext, error, key, other_keys)
}

/// One search for what makes a ciphertext open.
struct Search<'a> {
    key: &'a PrivateKey,
    ring: &'a KeyRing,
    budget: &'a dyn Budget,
    is_exhausted: Cell<bool>,
    /// Number of other keys that were tried.
    other_keys: Cell<usize>,
}

impl Search<'_> {
    fn run(&self, forms: &[Form]) -> Option<DecryptFailure> {
        forms
            .iter()
            .find_map(|form| self.with_own_key(form))
            .or_else(|| forms.iter().find_map(|form| self.with_the_other_half(form)))
            .or_else(|| forms.iter().find_map(|form| self.with_other_keys(form)))
    }

    /// Runs what costs a private-key operation, and charges it; `None` when the budget is used up.
    fn charged<T>(&self, work: impl FnOnce() -> Option<T>) -> Option<T> {
        if !self.budget.is_left() {
            self.is_exhausted.set(true);
            return None;
        }
        let started = cpu_time::of_this_thread();
        let result = work();
        self.budget.charge(cpu_time::of_this_thread().saturating_sub(started));
        result
    }

    /// Opens bytes with every padding.
    fn open_thoroughly(&self, key: &PrivateKey, bytes: &[u8]) -> Option<Unpadded> {
        self.charged(|| judge(&block(bytes, KeyHalf::Private, &key.rsa).ok()?))
    }

    /// Opens bytes padded with PKCS#1 v1.5: several times faster.
    fn open_quickly(&self, key: &PrivateKey, bytes: &[u8]) -> Option<Unpadded> {
        let message = self.charged(|| key.open(bytes).ok())?;
        is_plausible(&message).then_some(Unpadded { words: None, message })
    }

    fn open_arranged(&self, key: &PrivateKey, arranged: &Arrangement) -> Option<Unpadded> {
        if arranged.is_common {
            self.open_thoroughly(key, &arranged.bytes)
        } else {
            self.open_quickly(key, &arranged.bytes)
        }
    }

    fn with_own_key(&self, form: &Form) -> Option<DecryptFailure> {
        arrangements(&form.bytes, self.key.size()).into_iter().find_map(|arranged| {
            let opened = self.open_arranged(self.key, &arranged)?;
            let mut parts = form.parts();
            parts.extend(arranged.words.clone().map(|words| (words, arranged.hint)));
            parts.extend(opened.words.map(|words| (words, WITH_PKCS1)));
            parts.extend(self.nested(&form.bytes));
            Some(DecryptFailure::of(parts))
        })
    }

    /// Blocks whose messages together are a ciphertext again: encrypted twice.
    fn nested(&self, bytes: &[u8]) -> Option<(Cow<'static, str>, &'static str)> {
        let size = self.key.size();
        let blocks = bytes.len() / size;
        if !bytes.len().is_multiple_of(size) || !(2..=MAX_BLOCKS).contains(&blocks) {
            return None;
        }
        let messages: Option<Vec<_>> =
            bytes.chunks(size).map(|block| self.charged(|| self.key.open(block).ok())).collect();
        let message = messages?.concat();
        let decoded = std::str::from_utf8(&message)
            .ok()
            .and_then(|text| Some(encoding::decode(text.trim(), Base64Mode::Mime).ok()?.bytes));
        let inner = decoded.unwrap_or(message);
        self.open_thoroughly(self.key, &inner)?;
        Some(("was encrypted twice".into(), "encrypt once"))
    }

    /// Made with the private half: a signature, or `openssl_private_encrypt`.
    fn with_the_other_half(&self, form: &Form) -> Option<DecryptFailure> {
        let mut keys = self.others(form.bytes.len());
        keys.truncate(THOROUGHLY_TRIED_KEYS);
        let owned = keys.iter().map(Arc::as_ref);
        std::iter::once(self.key).chain(owned).filter(|key| key.size() == form.bytes.len()).find_map(|key| {
            let opened =
                self.charged(|| signature(&block(&form.bytes, KeyHalf::Public, &key.rsa).ok()?))?;
            // DigestInfo (RFC 8017, 9.2): a DER sequence of the hash function and its digest.
            let is_signature = matches!(opened.message[..], [0x30, length, 0x30, ..] if usize::from(length) + 2 == opened.message.len());
            let what = if is_signature { "is a signature, not a ciphertext: it was" } else { "was" };
            let whose = if std::ptr::eq(key, self.key) { String::new() } else { format!(" of another known key: {}", key.name()) };
            let mut parts = form.parts();
            parts.push((format!("{what} made with the private key{whose}").into(), WITH_THE_PUBLIC_HALF));
            Some(DecryptFailure::of(parts))
        })
    }

    fn with_other_keys(&self, form: &Form) -> Option<DecryptFailure> {
        let keys = self.others(form.bytes.len());
        self.other_keys.set(self.other_keys.get().max(keys.len()));
        keys.iter().enumerate().find_map(|(index, key)| {
            // As is, and reversed.
            arrangements(&form.bytes, key.size()).into_iter().take(2).find_map(|arranged| {
                let opened = if index < THOROUGHLY_TRIED_KEYS {
                    self.open_arranged(key, &arranged)?
                } else {
                    self.open_quickly(key, &arranged.bytes)?
                };
                let owner = format!("was encrypted with another known key: {}", key.name());
                let mut parts = form.parts();
                parts.extend(arranged.words.map(|words| (words, arranged.hint)));
                parts.extend(opened.words.map(|words| (words, WITH_PKCS1)));
                parts.push((owner.into(), WITH_THIS_KEY));
                Some(DecryptFailure::of(parts))
            })
        })
    }

    fn others(&self, size: usize) -> Vec<Arc<PrivateKey>> {
        self.ring.others(self.key, size, MAX_OTHER_KEYS)
    }
}
