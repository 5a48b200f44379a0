//! Decrypts one encrypted field: base64, then RSA PKCS#1 v1.5, then UTF-8 (doc 2, `user_id` and `password`).

use crate::keys::{KeyRing, PrivateKey, diagnose};
use crate::protocol::encoding::{self, Base64Fault, Base64Mode};

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

/// Decrypts the text of a field with `key`. `expected` is the account's own value; it detects a field that was sent unencrypted.
#[must_use]
pub fn open(
    text: Option<&str>,
    expected: Option<&str>,
    mode: Base64Mode,
    key: &PrivateKey,
    ring: &KeyRing,
) -> Credential {
    let Some(text) = text else { return Credential::Absent };
    match decrypt(text, mode, key, ring) {
        Err(_) if expected.is_some_and(|plain| sent_unencrypted(text, plain)) => Credential::Refused {
            reason: "was sent unencrypted".to_owned(),
            hint: "encrypt with the public key (openssl_public_encrypt), then base64".to_owned(),
        },
        Err((reason, hint)) => Credential::Refused { reason, hint },
        Ok(opened) => opened,
    }
}

fn decrypt(
    text: &str,
    mode: Base64Mode,
    key: &PrivateKey,
    ring: &KeyRing,
) -> Result<Credential, (String, String)> {
    let decoded = encoding::decode(text, mode).map_err(|fault| match fault {
        // Not quoted: the part before the comma may belong to a password that was sent unencrypted.
        Base64Fault::DataUri(_) => {
            ("is not base64: it starts like a data URI".to_owned(), fault.hint().to_owned())
        }
        fault => (fault.to_string(), fault.hint().to_owned()),
    })?;
    let plain = key.open(&decoded.bytes).map_err(|error| {
        let failure = diagnose(&decoded.bytes, error, key, ring);
        (failure.to_string(), failure.hint().to_owned())
    })?;
    let plain = String::from_utf8(plain).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (format!("decrypted, but is not UTF-8: byte {} is invalid", at + 1), "encrypt UTF-8 text".to_owned())
    })?;
    Ok(Credential::Opened { plain, line_breaks: decoded.line_breaks })
}

fn sent_unencrypted(text: &str, plain: &str) -> bool {
    let text = text.trim();
    text == plain
        || encoding::decode(text, Base64Mode::Mime)
            .is_ok_and(|decoded| decoded.bytes.trim_ascii() == plain.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static RING: LazyLock<KeyRing> =
        LazyLock::new(|| KeyRing::new(PrivateKey::generate("the server's key", 1024).unwrap(), None));

    fn encrypt_text(plain: &[u8]) -> String {
        let public = crate::keys::read_public_pem(RING.server().public_pem()).unwrap();
        encoding::encode(&crate::keys::encrypt(&public, plain).unwrap())
    }

    fn open_strict(text: &str) -> Credential {
        open(Some(text), Some("demo-user"), Base64Mode::Strict, RING.server(), &RING)
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
        assert_eq!(open(None, None, Base64Mode::Strict, RING.server(), &RING), Credential::Absent);
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        let good = encrypt_text(b"demo-user");
        check_rejected("demo-user", "was sent unencrypted");
        check_rejected(&encoding::encode(b"demo-user"), "was sent unencrypted");
        check_rejected(&encoding::encode(b"demo-user\n"), "was sent unencrypted");
        check_rejected("data:image/png;base64,geheim", "starts like a data URI");
        check_rejected("some*body", "is not base64: '*' at character 5");
        check_rejected(&encoding::encode(b"somebody"), "wrong length for the key: 8 bytes");
        check_rejected(
            &format!("{}\n{}", &good[..76], &good[76..]),
            "line breaks: 1, the first at character 77",
        );
        check_rejected(&encoding::encode(good.as_bytes()), "is base64 twice");
        check_rejected(&encrypt_text(&[0x66, 0xFF, 0xFE]), "decrypted, but is not UTF-8: byte 2");
        let url_safe = encoding::encode(&[0xFB; 128]).replace('+', "-").replace('/', "_");
        check_rejected(&url_safe, "url-safe alphabet: '-' at character 1");
    }

    #[test]
    fn mime_allows_line_breaks() {
        let good = encrypt_text(b"demo-user");
        let wrapped = format!("{}\r\n{}", &good[..76], &good[76..]);
        let opened = open(Some(&wrapped), None, Base64Mode::Mime, RING.server(), &RING);
        assert_eq!(opened, Credential::Opened { plain: "demo-user".to_owned(), line_breaks: true });
    }

    #[test]
    fn debug_output_never_contains_the_text() {
        let debug = format!("{:?} {:?}", open_strict(&encrypt_text(b"topsecret")), open_strict("topsecret!"));
        assert!(!debug.contains("topsecret"), "{debug}");
    }
}
