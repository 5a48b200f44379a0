//! What is said of a ciphertext that nothing opened: what its bytes are, if that can be seen, and else that the key is another.

use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::DecodePublicKey;

use super::failure::{DecryptFailure, WITH_THIS_KEY};
use super::{DecryptError, PrivateKey};
use crate::protocol::encoding;

/// Describes a ciphertext that `key` rejected with `error`, and that nothing opened, `other_keys` other known keys included; `None` when the
/// budget ended the search.
#[must_use]
pub(super) fn describe(
    text: &str,
    bytes: &[u8],
    error: DecryptError,
    key: &PrivateKey,
    other_keys: Option<usize>,
) -> DecryptFailure {
    let mut hint = WITH_THIS_KEY.to_owned();
    let mut reason = match error {
        DecryptError::Length => {
            "send the complete output of openssl_public_encrypt as base64, and nothing else"
                .clone_into(&mut hint);
            wrong_length(bytes.len(), key) + &encoding::usual_cut(text)
        }
        DecryptError::Range => {
            "was encrypted with an unknown key: as a number it is not below this key's modulus".to_owned()
        }
        DecryptError::Padding => {
            "cannot be decrypted: bad padding, so another key or damaged bytes".to_owned()
        }
    };
    if error != DecryptError::Length
        && let Some(other_keys) = other_keys
    {
        let keys = match other_keys {
            0 => String::new(),
            1 => ", and the other known key".to_owned(),
            count => format!(", and {count} other known keys"),
        };
        reason += &format!(" (every OAEP, no padding and other byte orders were tried{keys})");
    }
    // An accident of the alphabet, such as `null`, says more than its length.
    if let Some(fault) = encoding::mistaken(text) {
        return DecryptFailure { reason: fault.to_string(), hint: fault.hint().to_owned() };
    }
    let seen: Vec<_> = KINDS.iter().filter(|kind| (kind.is)(bytes)).collect();
    if let Some(first) = seen.first() {
        let words: Vec<_> = seen.iter().map(|kind| kind.words).collect();
        reason += &format!("; what was sent is {}", words.join(", or "));
        first.hint.clone_into(&mut hint);
    } else if other_keys.is_none() {
        reason += "; why was not examined: the processor time for reasons is used up (limits.diagnosis)";
        hint += "; or send it again in a second, without the others: limits.diagnosis in simulator.toml is the processor time of each second that may be spent on reasons";
    }
    DecryptFailure { reason, hint }
}

fn wrong_length(actual: usize, key: &PrivateKey) -> String {
    let (bits, expected) = (key.bits(), key.size());
    let reason = format!(
        "has the wrong length for the key: {actual} bytes, but a key of {bits} bits produces {expected}"
    );
    let mut notes = Vec::new();
    if matches!(actual, 128 | 256 | 384 | 512 | 1024) {
        notes.push(format!("{actual} is the length for a key of {} bits", actual * 8));
    }
    if actual > expected && actual.is_multiple_of(expected) {
        notes.push(format!("it is {} blocks for this key, but they do not open", actual / expected));
    }
    if (expected / 2..expected).contains(&actual) && notes.is_empty() {
        notes.push("something cut it, or it is another's".to_owned());
    }
    if notes.is_empty() { reason } else { format!("{reason} ({})", notes.join("; ")) }
}

/// A kind of bytes that are no RSA ciphertext.
struct BytesKind {
    /// Completes "what was sent is ...".
    words: &'static str,
    hint: &'static str,
    is: fn(&[u8]) -> bool,
}

const ENCRYPT: &str = "encrypt with the public key (openssl_public_encrypt), then base64";

static KINDS: [BytesKind; 11] = [
    BytesKind {
        words: "readable text in base64: it was not encrypted",
        hint: ENCRYPT,
        is: |bytes| !bytes.is_empty() && bytes.iter().all(|byte| matches!(byte, 9 | 10 | 13 | 32..=126)),
    },
    BytesKind {
        words: "text in UTF-16: it was not encrypted",
        hint: ENCRYPT,
        is: |bytes| {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let is_ascii =
                |zero: usize| pairs.iter().all(|pair| pair[zero] == 0 && matches!(pair[1 - zero], 32..=126));
            rest.is_empty() && pairs.len() >= 4 && (is_ascii(0) || is_ascii(1))
        },
    },
    BytesKind {
        words: "the output of a password-based AES encryption (openssl enc, CryptoJS: it starts with Salted__)",
        hint: "encrypt with RSA and the public key, not with AES and a password",
        is: |bytes| bytes.starts_with(b"Salted__"),
    },
    BytesKind {
        words: "a public key or a certificate",
        hint: "encrypt with the public key and send the ciphertext, not the key",
        is: |bytes| {
            rsa::PublicKey::from_public_key_der(bytes).is_ok()
                || rsa::PublicKey::from_pkcs1_der(bytes).is_ok()
                || (bytes.starts_with(&[0x30, 0x82])
                    && bytes.get(4..6) == Some(&[0x30, 0x82])
                    && bytes.len() > 300
                    && bytes.windows(5).any(|oid| oid == [0x06, 0x03, 0x55, 0x04, 0x03]))
        },
    },
    BytesKind {
        words: "a CMS (PKCS#7) message",
        hint: "send the plain RSA ciphertext, not an envelope: openssl pkeyutl or openssl_public_encrypt, not openssl cms or smime",
        is: |bytes| {
            let oid = [0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x07];
            bytes.first() == Some(&0x30)
                && bytes.iter().take(20).enumerate().any(|(at, _)| bytes[at..].starts_with(&oid))
        },
    },
    BytesKind {
        words: "a picture",
        hint: "image is the field for the photo; user_id and password are encrypted text",
        is: |bytes| bytes.starts_with(b"\xFF\xD8\xFF") || bytes.starts_with(b"\x89PNG"),
    },
    BytesKind {
        words: "compressed data (gzip, zip)",
        hint: "do not compress: send the ciphertext itself in base64",
        is: |bytes| bytes.starts_with(b"\x1F\x8B\x08") || bytes.starts_with(b"PK\x03\x04"),
    },
    BytesKind {
        words: "bytes that were read as UTF-8 text and so are lost (EF BF BD, the replacement character)",
        hint: "keep the ciphertext as bytes until it is in base64: no string, no text column, no default character set in between",
        is: |bytes| memchr::memmem::find_iter(bytes, b"\xEF\xBF\xBD").take(2).count() == 2,
    },
    BytesKind {
        words: "bytes that were turned into ASCII text and so are lost (? for every byte above 7F)",
        hint: "keep the ciphertext as bytes until it is in base64: no Encoding.ASCII.GetString in between",
        is: |bytes| {
            let marks = bytes.iter().filter(|byte| **byte == b'?').count();
            bytes.len() >= 64
                && bytes.is_ascii()
                && marks * 4 >= bytes.len()
                && bytes.iter().any(|byte| *byte < 9)
        },
    },
    BytesKind {
        words: "bytes without their top bits (none is above 7F, which chance does not give)",
        hint: "keep the ciphertext as bytes until it is in base64",
        is: |bytes| {
            let marks = bytes.iter().filter(|byte| **byte == b'?').count();
            bytes.len() >= 64
                && bytes.is_ascii()
                && marks * 4 < bytes.len()
                && bytes.iter().any(|byte| *byte < 9)
                && bytes.iter().any(|byte| *byte != bytes[0])
        },
    },
    BytesKind {
        words: "one byte again and again: a buffer that was never filled",
        hint: "send what the encryption gave; check that it did not fail",
        is: |bytes| bytes.len() > 15 && bytes.iter().all(|byte| *byte == bytes[0]),
    },
];
