//! Decrypts one encrypted field: base64, then RSA PKCS#1 v1.5, then UTF-8 (doc 2, `user_id` and `password`).

use super::likeness::{self, Likeness};
use crate::keys::{Budget, KeyRing, PrivateKey, diagnose};
use crate::protocol::encoding::{self, Base64Mode};

/// Result of decrypting an encrypted field. Never keeps the ciphertext; keeps plain text only in `Opened`, which `Debug` redacts.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// The field is missing or not a string: nothing to decrypt.
    Absent,
    /// Decrypted; `line_breaks`: the base64 contained line breaks, which the policy allows.
    Opened { plain: String, line_breaks: bool },
    /// Not decrypted: why, and what to do.
    Refused { reason: String, hint: String },
}

// A derived Debug would print the plain text.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credential::Absent => f.write_str("Absent"),
            Credential::Opened { .. } => f.write_str("Opened(..)"),
            Credential::Refused { reason, .. } => write!(f, "Refused({reason})"),
        }
    }
}

/// Decrypts the text of a field with `key`. `expected` is the account's own value: it detects a field that was sent unencrypted, and what
/// became of the value before it was encrypted. `budget` is for the search for a reason.
#[must_use]
pub fn open(
    text: Option<&str>,
    expected: Option<&str>,
    mode: Base64Mode,
    key: &PrivateKey,
    ring: &KeyRing,
    budget: &dyn Budget,
) -> Credential {
    let Some(text) = text else { return Credential::Absent };
    let decrypted = match encoding::decode(text, mode) {
        Ok(decoded) => match key.open(&decoded.bytes) {
            Ok(plain) => return opened(plain, decoded.line_breaks, expected),
            Err(error) => Ok((decoded.bytes, error)),
        },
        Err(fault) => Err(fault),
    };
    if let Some(like) = expected.and_then(|expected| likeness::unencrypted(text, expected)) {
        return sent_unencrypted(&like);
    }
    let (reason, hint) = match decrypted {
        Ok((bytes, error)) => {
            let failure = diagnose(text, &bytes, error, key, ring, budget);
            (failure.reason, failure.hint)
        }
        Err(fault) if text.len() < MIN_CIPHERTEXT => {
            (format!("{fault} (and too short for a ciphertext: sent unencrypted?)"), fault.hint().to_owned())
        }
        Err(fault) => (fault.to_string(), fault.hint().to_owned()),
    };
    Credential::Refused { reason, hint }
}

/// Base64 of 128 bytes, for a key of 1024 bits.
const MIN_CIPHERTEXT: usize = 172;

fn opened(plain: Vec<u8>, line_breaks: bool, expected: Option<&str>) -> Credential {
    let error = match String::from_utf8(plain) {
        Ok(plain) => return Credential::Opened { plain, line_breaks },
        Err(error) => error,
    };
    let at = error.utf8_error().valid_up_to() + 1;
    let reason = format!("decrypted, but is not UTF-8: byte {at} is invalid");
    let bytes = error.as_bytes();
    match expected.and_then(|expected| likeness::likeness(bytes, expected, "")) {
        Some(like) => Credential::Refused { reason: format!("{reason}; {}", like.words), hint: like.hint },
        None => {
            let is_utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
            let start = if is_utf16 { "; it starts with the byte order mark of UTF-16" } else { "" };
            Credential::Refused { reason: reason + start, hint: "encrypt UTF-8 text".to_owned() }
        }
    }
}

fn sent_unencrypted(like: &Likeness) -> Credential {
    let how = if like.is_plain { String::new() } else { format!(": {}", like.words) };
    Credential::Refused {
        reason: format!("was sent unencrypted{how}"),
        hint: "encrypt with the public key (openssl_public_encrypt), then base64".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Unlimited;
    use std::sync::LazyLock;

    static RING: LazyLock<KeyRing> =
        LazyLock::new(|| KeyRing::new(PrivateKey::generate("the server's key", 1024).unwrap(), None));

    fn encrypt_text(plain: &[u8]) -> String {
        let public = crate::keys::read_public_pem(RING.server().public_pem()).unwrap();
        encoding::encode(&crate::keys::encrypt(&public, plain).unwrap())
    }

    fn open_strict(text: &str) -> Credential {
        open(Some(text), Some("demo-user"), Base64Mode::Strict, RING.server(), &RING, &Unlimited)
    }

    #[track_caller]
    fn check_rejected(text: &str, expected: &str) {
        match open_strict(text) {
            Credential::Refused { reason, hint } => {
                assert!(reason.contains(expected), "{reason}");
                assert!(!hint.is_empty() && !reason.contains("geheim") && !reason.contains("image/png"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_encrypted_text_is_decrypted() {
        let expected = Credential::Opened { plain: "demo-user".to_owned(), line_breaks: false };
        assert_eq!(open_strict(&encrypt_text(b"demo-user")), expected);
        assert_eq!(
            open(None, None, Base64Mode::Strict, RING.server(), &RING, &Unlimited),
            Credential::Absent
        );
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        let good = encrypt_text(b"demo-user");
        check_rejected("demo-user", "was sent unencrypted");
        check_rejected(&encoding::encode(b"demo-user"), "was sent unencrypted");
        check_rejected(&encoding::encode(b"demo-user\n"), "was sent unencrypted");
        check_rejected("data:image/png;base64,geheimes", "is base64 with a prefix before it, as data URIs");
        check_rejected(
            "geheim&Wort",
            "'&' at character 7 (and too short for a ciphertext: sent unencrypted?)",
        );
        check_rejected(&"2d".repeat(40), "is not base64 but hexadecimal digits");
        check_rejected("{{password}}", "a placeholder that was not filled in");
        check_rejected("null", "prints for no value");
        check_rejected(
            "64656d6f2d75736572",
            "was sent unencrypted: it is the account's value as hexadecimal digits",
        );
        check_rejected("some*body", "is not base64: '*' at character 5");
        check_rejected(&encoding::encode(b"somebody"), "wrong length for the key: 8 bytes");
        check_rejected(
            &format!("{}\n{}", &good[..76], &good[76..]),
            "is base64 with line breaks (character 77)",
        );
        check_rejected(&encoding::encode(good.as_bytes()), "is base64 twice");
        check_rejected(&encrypt_text(&[0x66, 0xFF, 0xFE]), "decrypted, but is not UTF-8: byte 2");
        let utf16: Vec<u8> = "demo-user".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_bom = [&b"\xFF\xFE"[..], &utf16].concat();
        check_rejected(&encrypt_text(&with_bom), "byte 1 is invalid; it is the account's value in UTF-16LE");
        check_rejected(&encrypt_text(b"\xFF\xFEg\0"), "it starts with the byte order mark of UTF-16");
        let url_safe = encoding::encode(&[0xFB; 128]).replace('+', "-").replace('/', "_");
        check_rejected(&url_safe, "is base64 in the url-safe alphabet (character 1)");
    }

    #[test]
    fn mime_allows_line_breaks() {
        let good = encrypt_text(b"demo-user");
        let wrapped = format!("{}\r\n{}", &good[..76], &good[76..]);
        let opened = open(Some(&wrapped), None, Base64Mode::Mime, RING.server(), &RING, &Unlimited);
        assert_eq!(opened, Credential::Opened { plain: "demo-user".to_owned(), line_breaks: true });
    }

    #[test]
    fn debug_output_never_contains_the_text() {
        let debug = format!("{:?} {:?}", open_strict(&encrypt_text(b"topsecret")), open_strict("topsecret!"));
        assert!(!debug.contains("topsecret"), "{debug}");
    }
}
