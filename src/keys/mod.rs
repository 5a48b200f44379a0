//! RSA keys: generated on the first start, read from PEM, used to decrypt what clients encrypt with the public key.
//!
//! Use throw-away keys only: the simulator reports exactly why a ciphertext cannot be decrypted (a padding oracle), which a
//! service that protects anything must never do.

mod arrangement;
mod diagnose;
mod failure;
mod file;
mod forms;
mod open;
mod padding;
mod ring;
mod store;
#[cfg(test)]
mod tests;
mod unopened;

pub use diagnose::{Budget, Unlimited, diagnose};
pub use failure::DecryptFailure;
pub use file::{PublicKeyFile, read_public, read_public_file};
pub use open::{DecryptError, Decryptor};
pub use ring::KeyRing;
pub(crate) use store::is_customers_key;
pub use store::{KeyError, KeyOrigin, OpenedKey, read, read_or_generate};

use std::fmt;
use std::sync::Arc;

use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;
use sha2::{Digest, Sha256};

/// Allowed key sizes, in bits (SPEC 2).
pub const KEY_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;

/// A private key, ready to decrypt ciphertexts.
pub struct PrivateKey {
    /// Name for messages: the file name, or what the key was generated for.
    name: String,
    rsa: Arc<rsa::PrivateKey>,
    decryptor: Box<dyn Decryptor>,
    public_pem: String,
    fingerprint: [u8; 32],
}

// Written by hand, so that no key is printed, whatever the implementations below print.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("name", &self.name)
            .field("bits", &self.bits())
            .finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Prepares a key for use.
    ///
    /// # Errors
    /// When its size is outside [`KEY_BITS`] or its numbers are rejected.
    pub fn new(name: impl Into<String>, rsa: rsa::PrivateKey) -> Result<PrivateKey, String> {
        let bits = rsa.n().bit_width() as usize;
        if !KEY_BITS.contains(&bits) {
            return Err(format!(
                "the key has {bits} bits; allowed are {} to {} bits",
                KEY_BITS.start(),
                KEY_BITS.end()
            ));
        }
        let rsa = Arc::new(rsa);
        let public_pem = rsa::PublicKey::from(&*rsa)
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| format!("its public half cannot be encoded: {error}"))?;
        let fingerprint = Sha256::digest(&public_pem).into();
        Ok(PrivateKey { name: name.into(), decryptor: open::decryptor(&rsa)?, rsa, public_pem, fingerprint })
    }

    /// Generates a key of `bits` bits with a random generator that the operating system seeds.
    ///
    /// # Errors
    /// When `bits` is outside [`KEY_BITS`].
    pub fn generate(name: impl Into<String>, bits: usize) -> Result<PrivateKey, String> {
        let rsa = rsa::PrivateKey::new(&mut rand::rng(), bits)
            .map_err(|error| format!("cannot generate a key: {error}"))?;
        PrivateKey::new(name, rsa)
    }

    /// Returns the key's name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the length of the modulus in bytes, which is the length of every ciphertext.
    #[must_use]
    pub fn size(&self) -> usize {
        self.rsa.size()
    }

    /// Returns the length of the modulus in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.rsa.n().bit_width() as usize
    }

    /// Returns the public half as SPKI PEM (`BEGIN PUBLIC KEY`), the input of `openssl_public_encrypt`.
    #[must_use]
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// Returns the key as PKCS#8 PEM; `None` when it cannot be encoded, which no valid key does.
    fn private_pem(&self) -> Option<String> {
        Some(self.rsa.to_pkcs8_pem(LineEnding::LF).ok()?.to_string())
    }

    /// Returns the SHA-256 of [`PrivateKey::public_pem`], which identifies the key.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// Decrypts an RSA PKCS#1 v1.5 ciphertext.
    ///
    /// # Errors
    /// The first of the three conditions that does not hold: length, range, padding.
    pub fn open(&self, ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError> {
        self.decryptor.open(ciphertext)
    }
}

/// Parses a public key, in any dress that [`read_public`] reads.
///
/// # Errors
/// When the text holds none.
pub fn read_public_pem(pem: &str) -> Result<rsa::PublicKey, String> {
    read_public(pem.as_bytes()).map(|file| file.key)
}

/// Encrypts with OAEP (SHA-1), as many libraries do by default: not what the document asks for.
///
/// # Errors
/// When the text is longer than the key allows (214 bytes for 2048 bits).
pub fn encrypt_with_oaep(key: &rsa::PublicKey, plain: &[u8]) -> Result<Vec<u8>, String> {
    key.encrypt(&mut rand::rng(), rsa::Oaep::<sha1::Sha1>::new(), plain).map_err(|error| error.to_string())
}

/// Encrypts as PHP's `openssl_public_encrypt` does by default: PKCS#1 v1.5.
///
/// # Errors
/// When the text is longer than the key allows (245 bytes for 2048 bits).
pub fn encrypt(key: &rsa::PublicKey, plain: &[u8]) -> Result<Vec<u8>, String> {
    let max_bytes = key.size() - open::PKCS1_OVERHEAD;
    if plain.len() > max_bytes {
        return Err(format!(
            "{} bytes are too many: an RSA key of {} bits encrypts at most {max_bytes}",
            plain.len(),
            key.n().bit_width()
        ));
    }
    key.encrypt(&mut rand::rng(), rsa::Pkcs1v15Encrypt, plain).map_err(|error| error.to_string())
}
