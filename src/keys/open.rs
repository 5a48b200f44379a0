//! Decrypts PKCS#1 v1.5 ciphertexts, with two implementations that agree on every rejection: aws-lc for keys of 2048 bits and
//! more, the `rsa` crate for smaller keys and for builds without the feature `aws-lc`. The `rsa` crate is five times slower, but needs
//! no C compiler.
//!
//! Of the `rsa` crate only the raw private-key operation is used. Its own `decrypt` answers bad padding with random bytes (implicit
//! rejection), and the simulator has to report bad padding. The tests run one table of ciphertexts over both implementations.

use std::sync::Arc;

use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, hazmat};

/// Min bytes that the padding adds: 00 02, at least eight bytes of padding, 00.
pub const PKCS1_OVERHEAD: usize = 11;

/// Why a ciphertext cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecryptError {
    /// Not exactly as long as the key.
    Length,
    /// As a number not below the modulus, so it was not encrypted with this key.
    Range,
    /// Decrypted, but the result does not start with 00 02 PS 00.
    Padding,
}

/// Decrypts ciphertexts with one private key.
pub trait Decryptor: std::fmt::Debug + Send + Sync {
    /// Decrypts a ciphertext.
    ///
    /// # Errors
    /// The first of length, range and padding that is invalid.
    fn open(&self, ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError>;
}

/// Returns the fastest decryptor this build has for the key.
pub fn decryptor(key: &Arc<rsa::PrivateKey>) -> Result<Box<dyn Decryptor>, String> {
    #[cfg(feature = "aws-lc")]
    if key.n().bit_width() >= aws_lc::MIN_BITS {
        return Ok(Box::new(aws_lc::AwsLc::new(key)?));
    }
    Ok(Box::new(Portable(Arc::clone(key))))
}

/// Returns the ciphertext as a number below the modulus.
fn number(ciphertext: &[u8], key: &rsa::PrivateKey) -> Result<BoxedUint, DecryptError> {
    if ciphertext.len() != key.size() {
        return Err(DecryptError::Length);
    }
    let number =
        BoxedUint::from_be_slice(ciphertext, key.n_bits_precision()).map_err(|_| DecryptError::Range)?;
    if number < *key.n().as_ref() { Ok(number) } else { Err(DecryptError::Range) }
}

/// Half of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyHalf {
    Private,
    Public,
}

/// Applies one half of the key to a ciphertext, and returns the block as long as the key, whatever its padding. Not blinded: for
/// diagnosis only, which reports what it found anyway.
pub(super) fn block(
    ciphertext: &[u8],
    half: KeyHalf,
    key: &rsa::PrivateKey,
) -> Result<Vec<u8>, DecryptError> {
    let number = number(ciphertext, key)?;
    let block = match half {
        KeyHalf::Private => hazmat::rsa_decrypt(None::<&mut rand::rngs::ThreadRng>, key, &number),
        KeyHalf::Public => hazmat::rsa_encrypt(key, &number),
    };
    let block = block.map_err(|_| DecryptError::Range)?.to_be_bytes();
    Ok(block[block.len().saturating_sub(key.size())..].to_vec())
}

/// The `rsa` crate's private-key operation with our own padding check.
#[derive(Debug)]
struct Portable(Arc<rsa::PrivateKey>);

impl Decryptor for Portable {
    fn open(&self, ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError> {
        let number = number(ciphertext, &self.0)?;
        let encoded = hazmat::rsa_decrypt_and_check(&*self.0, Some(&mut rand::rng()), &number)
            .map_err(|_| DecryptError::Padding)?
            .to_be_bytes();
        let start = encoded.len().saturating_sub(self.0.size());
        message(&encoded[start..]).map(<[u8]>::to_vec).ok_or(DecryptError::Padding)
    }
}

/// Returns the message after 00 02 PS 00 (RFC 8017, 7.2.2), if the padding is valid.
pub(super) fn message(encoded: &[u8]) -> Option<&[u8]> {
    let padded = encoded.strip_prefix(&[0, 2])?;
    let end = memchr::memchr(0, padded)?;
    (end >= PKCS1_OVERHEAD - 3).then(|| &padded[end + 1..])
}

#[cfg(feature = "aws-lc")]
mod aws_lc {
    //! RSA on aws-lc.

    use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
    use rsa::pkcs8::EncodePrivateKey;
    use std::sync::Arc;

    use super::{DecryptError, Decryptor, number};

    /// aws-lc-rs rejects smaller keys.
    pub const MIN_BITS: u32 = 2048;

    #[derive(Debug)]
    pub struct AwsLc {
        key: Pkcs1PrivateDecryptingKey,
        rsa: Arc<rsa::PrivateKey>,
    }

    impl AwsLc {
        pub fn new(rsa: &Arc<rsa::PrivateKey>) -> Result<AwsLc, String> {
            let der = rsa.to_pkcs8_der().map_err(|error| format!("the key cannot be encoded: {error}"))?;
            let key = PrivateDecryptingKey::from_pkcs8(der.as_bytes())
                .map_err(|rejected| format!("the key is rejected: {rejected}"))?;
            let key = Pkcs1PrivateDecryptingKey::new(key).map_err(|_| "the key is rejected".to_owned())?;
            Ok(AwsLc { key, rsa: Arc::clone(rsa) })
        }
    }

    impl Decryptor for AwsLc {
        fn open(&self, ciphertext: &[u8]) -> Result<Vec<u8>, DecryptError> {
            // aws-lc reports only that it failed, so length and range are checked first.
            number(ciphertext, &self.rsa)?;
            let mut out = vec![0; self.key.min_output_size()];
            let length = self.key.decrypt(ciphertext, &mut out).map_err(|_| DecryptError::Padding)?.len();
            out.truncate(length);
            Ok(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static KEY: LazyLock<Arc<rsa::PrivateKey>> =
        LazyLock::new(|| Arc::new(rsa::PrivateKey::new(&mut rand::rng(), 2048).unwrap()));

    fn decryptors() -> Vec<Box<dyn Decryptor>> {
        vec![Box::new(Portable(Arc::clone(&KEY))), decryptor(&KEY).unwrap()]
    }

    /// Encrypts bytes that are already padded, validly or not.
    fn encrypt_raw(encoded: &[u8]) -> Vec<u8> {
        let number = BoxedUint::from_be_slice(encoded, KEY.n_bits_precision()).unwrap();
        let ciphertext = hazmat::rsa_encrypt(&**KEY, &number).unwrap().to_be_bytes();
        ciphertext[ciphertext.len() - KEY.size()..].to_vec()
    }

    fn encoded(prefix: &[u8], padding: usize, rest: &[u8]) -> Vec<u8> {
        let mut bytes = [prefix, &vec![0xAA; padding], rest].concat();
        bytes.resize(KEY.size(), 0x55);
        bytes
    }

    #[track_caller]
    fn check(ciphertext: &[u8], expected: &Result<Vec<u8>, DecryptError>) {
        for decryptor in decryptors() {
            assert_eq!(&decryptor.open(ciphertext), expected, "{decryptor:?}");
        }
    }

    #[test]
    fn both_decryptors_agree_on_good_ciphertexts() {
        let longest = vec![7; KEY.size() - PKCS1_OVERHEAD];
        for plain in [&b""[..], b"demo-user", b"\0\0", &longest] {
            let ciphertext = crate::keys::encrypt(&rsa::PublicKey::from(&**KEY), plain).unwrap();
            check(&ciphertext, &Ok(plain.to_vec()));
        }
    }

    #[test]
    fn both_decryptors_agree_on_every_bad_padding() {
        let size = KEY.size();
        for bad in [
            encoded(&[0, 1], 20, &[0]),
            encoded(&[1, 2], 20, &[0]),
            encoded(&[0, 2], 7, &[0]),
            encoded(&[0, 2], size - 2, &[]),
            encoded(&[0, 0], 20, &[0]),
        ] {
            // The second case, 01 02 ..., is below the modulus too: the top bit of a modulus is set.
            check(&encrypt_raw(&bad), &Err(DecryptError::Padding));
        }
        let mut flipped = encrypt_raw(&encoded(&[0, 2], 20, &[0]));
        flipped[size / 2] ^= 1;
        flipped[0] = 0;
        check(&flipped, &Err(DecryptError::Padding));
        check(&vec![0; size], &Err(DecryptError::Padding));
    }

    #[test]
    fn both_decryptors_agree_on_wrong_lengths_and_ranges() {
        let good = encrypt_raw(&encoded(&[0, 2], 20, &[0]));
        check(&good[1..], &Err(DecryptError::Length));
        check(&[&[0], &good[..]].concat(), &Err(DecryptError::Length));
        check(&[&good[..], &[0]].concat(), &Err(DecryptError::Length));
        check(b"", &Err(DecryptError::Length));
        check(&vec![0xFF; KEY.size()], &Err(DecryptError::Range));
        check(&KEY.n_bytes(), &Err(DecryptError::Range));
    }

    #[test]
    fn another_keys_ciphertext_is_rejected() {
        let other = rsa::PrivateKey::new(&mut rand::rng(), 2048).unwrap();
        let ciphertext = crate::keys::encrypt(&rsa::PublicKey::from(&other), b"x").unwrap();
        for decryptor in decryptors() {
            assert!(decryptor.open(&ciphertext).is_err());
        }
    }
}
