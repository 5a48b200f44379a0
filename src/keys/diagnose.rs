//! Diagnoses why a ciphertext cannot be decrypted: distinguishes the mistakes that integrators make.
//!
//! A diagnosis costs extra private-key operations: up to 32 other keys are tried, and four kinds of OAEP. They are spent on rejected
//! ciphertexts only, so valid requests are not slower.

use std::fmt;

use rsa::Oaep;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{DecryptError, KeyRing, PrivateKey};
use crate::protocol::encoding::{self, Base64Mode};

/// The diagnosis of a rejected ciphertext, for a person. Never contains what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecryptFailure {
    /// Not as long as the key; `other_size` names the common key size that this length belongs to.
    Length { actual: usize, expected: usize, bits: usize, other_size: Option<String> },
    /// Base64 of base64.
    DoubleBase64,
    /// Base64 of hexadecimal digits.
    Hexadecimal,
    /// Encrypted with another key of this simulator.
    OtherKey { owner: String },
    /// Padded with OAEP instead of PKCS#1 v1.5.
    Oaep { hash: &'static str },
    /// As a number not below the modulus: encrypted with another, unknown key.
    Range,
    /// Bad padding, and no known key or padding scheme decrypts it.
    Padding,
}

/// Max number of other keys tried for one ciphertext: each try costs a private-key operation.
const MAX_OTHER_KEYS: usize = 32;

/// Determines why `key` rejected `ciphertext`.
#[must_use]
pub fn diagnose(ciphertext: &[u8], error: DecryptError, key: &PrivateKey, ring: &KeyRing) -> DecryptFailure {
    if let Some(owner) = find_other_key(ciphertext, key, ring) {
        return DecryptFailure::OtherKey { owner };
    }
    match error {
        DecryptError::Length => diagnose_length(ciphertext, key),
        DecryptError::Range => DecryptFailure::Range,
        DecryptError::Padding => {
            oaep_hash(ciphertext, key).map_or(DecryptFailure::Padding, |hash| DecryptFailure::Oaep { hash })
        }
    }
}

fn find_other_key(ciphertext: &[u8], key: &PrivateKey, ring: &KeyRing) -> Option<String> {
    ring.others(key)
        .into_iter()
        .filter(|other| other.size() == ciphertext.len())
        .take(MAX_OTHER_KEYS)
        .find(|other| other.open(ciphertext).is_ok())
        .map(|other| other.name().to_owned())
}

fn diagnose_length(ciphertext: &[u8], key: &PrivateKey) -> DecryptFailure {
    if let Ok(text) = std::str::from_utf8(ciphertext) {
        let same_size = |bytes: &[u8]| bytes.len() == key.size();
        if encoding::decode(text.trim_ascii(), Base64Mode::Mime).is_ok_and(|inner| same_size(&inner.bytes)) {
            return DecryptFailure::DoubleBase64;
        }
        if text.len() == 2 * key.size() && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return DecryptFailure::Hexadecimal;
        }
    }
    let other_size = matches!(ciphertext.len(), 128 | 256 | 384 | 512 | 1024)
        .then(|| format!("the length for a key of {} bits", ciphertext.len() * 8));
    DecryptFailure::Length { actual: ciphertext.len(), expected: key.size(), bits: key.bits(), other_size }
}

/// Returns the hash of the OAEP padding, if it is one of those that libraries offer by default.
fn oaep_hash(ciphertext: &[u8], key: &PrivateKey) -> Option<&'static str> {
    if key.rsa.decrypt(Oaep::<Sha1>::new(), ciphertext).is_ok() {
        return Some("SHA-1");
    }
    if key.rsa.decrypt(Oaep::<Sha256>::new(), ciphertext).is_ok() {
        return Some("SHA-256");
    }
    // Java's "OAEPWithSHA-256AndMGF1Padding" hashes with SHA-256 and masks with SHA-1.
    if key.rsa.decrypt(Oaep::<Sha256, Sha1>::new_with_mgf_hash(), ciphertext).is_ok() {
        return Some("SHA-256, MGF1 with SHA-1");
    }
    key.rsa.decrypt(Oaep::<Sha512>::new(), ciphertext).is_ok().then_some("SHA-512")
}

impl fmt::Display for DecryptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecryptFailure::Length { actual, expected, bits, other_size } => {
                write!(
                    f,
                    "has the wrong length for the key: {actual} bytes, but a key of {bits} bits produces {expected}"
                )?;
                other_size.as_ref().map_or(Ok(()), |size| write!(f, " ({actual} is {size})"))
            }
            DecryptFailure::DoubleBase64 => f.write_str("is base64 twice: it decodes to base64 again"),
            DecryptFailure::Hexadecimal => f.write_str("is base64 of hexadecimal digits"),
            DecryptFailure::OtherKey { owner } => write!(f, "was encrypted with another known key: {owner}"),
            DecryptFailure::Oaep { hash } => write!(f, "is padded with OAEP ({hash}) instead of PKCS#1 v1.5"),
            DecryptFailure::Range => f.write_str(
                "was encrypted with an unknown key: as a number it is not below this key's modulus",
            ),
            DecryptFailure::Padding => {
                f.write_str("cannot be decrypted: bad padding, so another key or damaged bytes")
            }
        }
    }
}

impl DecryptFailure {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            DecryptFailure::Length { .. } => {
                "send the complete output of openssl_public_encrypt as base64, and nothing else"
            }
            DecryptFailure::DoubleBase64 => "encode the ciphertext with base64 once",
            DecryptFailure::Hexadecimal => "encode the bytes of the ciphertext, not their hexadecimal digits",
            DecryptFailure::OtherKey { .. } | DecryptFailure::Range | DecryptFailure::Padding => {
                "encrypt with this customer's public key: GET /customers/{customer_id}/public.pem on the admin listener"
            }
            DecryptFailure::Oaep { .. } => {
                "use PKCS#1 v1.5: OPENSSL_PKCS1_PADDING, RSA/ECB/PKCS1Padding, padding.PKCS1v15()"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, bits: usize) -> PrivateKey {
        PrivateKey::generate(name, bits).unwrap()
    }

    fn public(key: &PrivateKey) -> rsa::PublicKey {
        rsa::PublicKey::from(&*key.rsa)
    }

    #[track_caller]
    fn check(ciphertext: &[u8], key: &PrivateKey, ring: &KeyRing, expected: &DecryptFailure) {
        let error = key.open(ciphertext).unwrap_err();
        let failure = diagnose(ciphertext, error, key, ring);
        assert_eq!(&failure, expected);
        assert!(!failure.hint().is_empty() && !failure.to_string().is_empty());
    }

    #[test]
    fn every_mistake_is_distinguished() {
        let ours = key("bank.pem", 1024);
        let ring = KeyRing::new(key("the server's key", 1024), None);
        let foreign = key("foreign", 1024);
        let mut rng = rand::rng();

        let of_server = super::super::encrypt(&public(ring.server()), b"demo-user").unwrap();
        check(&of_server, &ours, &ring, &DecryptFailure::OtherKey { owner: "the server's key".into() });
        let oaep = public(&ours).encrypt(&mut rng, Oaep::<Sha1>::new(), b"x").unwrap();
        check(&oaep, &ours, &ring, &DecryptFailure::Oaep { hash: "SHA-1" });
        let oaep = public(&ours).encrypt(&mut rng, Oaep::<Sha256>::new(), b"x").unwrap();
        check(&oaep, &ours, &ring, &DecryptFailure::Oaep { hash: "SHA-256" });
        let oaep = public(&ours).encrypt(&mut rng, Oaep::<Sha256, Sha1>::new_with_mgf_hash(), b"x").unwrap();
        check(&oaep, &ours, &ring, &DecryptFailure::Oaep { hash: "SHA-256, MGF1 with SHA-1" });

        let good = super::super::encrypt(&public(&ours), b"x").unwrap();
        check(encoding::encode(&good).as_bytes(), &ours, &ring, &DecryptFailure::DoubleBase64);
        let hex: String = good.iter().map(|b| format!("{b:02x}")).collect();
        check(hex.as_bytes(), &ours, &ring, &DecryptFailure::Hexadecimal);
        let short = DecryptFailure::Length { actual: 9, expected: 128, bits: 1024, other_size: None };
        check(b"demo-user", &ours, &ring, &short);
        let long = DecryptFailure::Length {
            actual: 256,
            expected: 128,
            bits: 1024,
            other_size: Some("the length for a key of 2048 bits".into()),
        };
        check(&[1; 256], &ours, &ring, &long);
        check(&[0xFF; 128], &ours, &ring, &DecryptFailure::Range);

        let unknown = super::super::encrypt(&public(&foreign), b"x").unwrap();
        let error = ours.open(&unknown).unwrap_err();
        let expected =
            if error == DecryptError::Range { DecryptFailure::Range } else { DecryptFailure::Padding };
        check(&unknown, &ours, &ring, &expected);
    }

    #[test]
    fn a_ciphertext_of_another_size_is_traced_to_its_key() {
        let ours = key("bank.pem", 1024);
        let ring = KeyRing::new(key("the server's key", 2048), None);
        let ciphertext = super::super::encrypt(&public(ring.server()), b"demo-user").unwrap();
        check(&ciphertext, &ours, &ring, &DecryptFailure::OtherKey { owner: "the server's key".into() });
    }
}
