//! Why a ciphertext does not open: the mistakes integrators make, told apart.

use std::fmt;

use rsa::Oaep;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{DecryptError, KeyRing, PrivateKey};
use crate::protocol::encoding::{self, Base64Mode};

/// What a refused ciphertext is, for a person. Never holds what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecryptFailure {
    /// Not as long as the key; `as_key` names a known key or a common size that gives this length.
    Length { got: usize, want: usize, bits: usize, as_key: Option<String> },
    /// Base64 of base64.
    DoubleBase64,
    /// Hexadecimal digits under the base64.
    Hexadecimal,
    /// Opens with another key of this simulator.
    OtherKey { owner: String },
    /// Padded with OAEP instead of PKCS#1 v1.5.
    Oaep { hash: &'static str },
    /// As a number beyond the modulus: made with another, unknown key.
    Range,
    /// Nothing known opens it.
    Padding,
}

/// At most so many other keys are tried for one ciphertext: each costs a private-key operation.
const OTHER_KEYS_TRIED: usize = 32;

/// Finds out why `key` refused `ciphertext`.
#[must_use]
pub fn diagnose(
    ciphertext: &[u8],
    refusal: DecryptError,
    key: &PrivateKey,
    ring: &KeyRing,
) -> DecryptFailure {
    if let Some(owner) = opened_by_another(ciphertext, key, ring) {
        return DecryptFailure::OtherKey { owner };
    }
    match refusal {
        DecryptError::Length => wrong_length(ciphertext, key),
        DecryptError::Range => DecryptFailure::Range,
        DecryptError::Padding => {
            oaep(ciphertext, key).map_or(DecryptFailure::Padding, |hash| DecryptFailure::Oaep { hash })
        }
    }
}

fn opened_by_another(ciphertext: &[u8], key: &PrivateKey, ring: &KeyRing) -> Option<String> {
    ring.others(key)
        .into_iter()
        .filter(|other| other.size() == ciphertext.len())
        .take(OTHER_KEYS_TRIED)
        .find(|other| other.open(ciphertext).is_ok())
        .map(|other| other.name().to_owned())
}

fn wrong_length(ciphertext: &[u8], key: &PrivateKey) -> DecryptFailure {
    if let Ok(text) = std::str::from_utf8(ciphertext) {
        let same_size = |bytes: &[u8]| bytes.len() == key.size();
        if encoding::decode(text.trim_ascii(), Base64Mode::Mime).is_ok_and(|inner| same_size(&inner.bytes)) {
            return DecryptFailure::DoubleBase64;
        }
        if text.len() == 2 * key.size() && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return DecryptFailure::Hexadecimal;
        }
    }
    let as_key = matches!(ciphertext.len(), 128 | 256 | 384 | 512 | 1024)
        .then(|| format!("what a key of {} bits gives", ciphertext.len() * 8));
    DecryptFailure::Length { got: ciphertext.len(), want: key.size(), bits: key.bits(), as_key }
}

/// The hash of the OAEP padding, if it is one of those that libraries offer by default.
fn oaep(ciphertext: &[u8], key: &PrivateKey) -> Option<&'static str> {
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
            DecryptFailure::Length { got, want, bits, as_key } => {
                write!(
                    f,
                    "has the wrong length for the key: {got} bytes, a key of {bits} bits gives {want}"
                )?;
                as_key.as_ref().map_or(Ok(()), |known| write!(f, " ({got} is {known})"))
            }
            DecryptFailure::DoubleBase64 => {
                f.write_str("is base64 twice: what it decodes to is base64 again")
            }
            DecryptFailure::Hexadecimal => f.write_str("is hexadecimal under the base64"),
            DecryptFailure::OtherKey { owner } => write!(f, "was encrypted with another known key: {owner}"),
            DecryptFailure::Oaep { hash } => write!(f, "is padded with OAEP ({hash}) instead of PKCS#1 v1.5"),
            DecryptFailure::Range => {
                f.write_str("was encrypted with an unknown key: as a number it is beyond this key's modulus")
            }
            DecryptFailure::Padding => {
                f.write_str("does not open: bad padding, so another key or damaged bytes")
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
                "send base64 of the bytes that openssl_public_encrypt gives, whole and nothing else"
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
    use rsa::RsaPublicKey;

    fn key(name: &str, bits: usize) -> PrivateKey {
        PrivateKey::generate(name, bits).unwrap()
    }

    fn public(key: &PrivateKey) -> RsaPublicKey {
        RsaPublicKey::from(&*key.rsa)
    }

    #[track_caller]
    fn check(ciphertext: &[u8], key: &PrivateKey, ring: &KeyRing, expected: &DecryptFailure) {
        let refusal = key.open(ciphertext).unwrap_err();
        let misfit = diagnose(ciphertext, refusal, key, ring);
        assert_eq!(&misfit, expected);
        assert!(!misfit.hint().is_empty() && !misfit.to_string().is_empty());
    }

    #[test]
    fn every_mistake_is_told_apart() {
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
        let short = DecryptFailure::Length { got: 9, want: 128, bits: 1024, as_key: None };
        check(b"demo-user", &ours, &ring, &short);
        let long = DecryptFailure::Length {
            got: 256,
            want: 128,
            bits: 1024,
            as_key: Some("what a key of 2048 bits gives".into()),
        };
        check(&[1; 256], &ours, &ring, &long);
        check(&[0xFF; 128], &ours, &ring, &DecryptFailure::Range);

        let unknown = super::super::encrypt(&public(&foreign), b"x").unwrap();
        let refusal = ours.open(&unknown).unwrap_err();
        let expected =
            if refusal == DecryptError::Range { DecryptFailure::Range } else { DecryptFailure::Padding };
        check(&unknown, &ours, &ring, &expected);
    }

    #[test]
    fn a_ciphertext_of_another_size_is_traced_to_its_key() {
        let ours = key("bank.pem", 1024);
        let ring = KeyRing::new(key("the server's key", 2048), None);
        let sealed = super::super::encrypt(&public(ring.server()), b"demo-user").unwrap();
        check(&sealed, &ours, &ring, &DecryptFailure::OtherKey { owner: "the server's key".into() });
    }
}
