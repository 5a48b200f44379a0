//! Redaction of what is shown: NIKs in fields where they do not belong, and credentials in the wrong fields.
//!
//! Credentials are redacted as whole values, and in messages only where they are quoted: one that is a common word would otherwise make
//! messages unreadable. A password of at least 8 bytes is redacted inside longer texts too. Text that looks like base64, from 80
//! characters on, is never quoted: it may be a photo or a ciphertext.

use std::borrow::Cow;

use super::RequestRecord;
use crate::base::text::{is_long_base64, preview, quoted};
use crate::domain::checks::Finding;
use crate::domain::nik::mask::without_niks;
use crate::domain::warnings::Warning;
use crate::protocol::encoding;

/// Replacement for a redacted credential.
const REDACTED: &str = "***";

/// Redacts NIKs and credentials in the texts of one request.
#[derive(Clone, Default)]
pub struct Redactor<'a> {
    /// The customer's credentials, in plain text. Their base64 form is redacted as well.
    credentials: Vec<&'a str>,
    /// Redacted inside longer texts, too.
    password: Option<&'a str>,
    show_niks: bool,
}

/// Min. length of a password that is redacted inside other texts, in bytes. Shorter ones may be common words.
const MIN_PASSWORD_LENGTH: usize = 8;

// A derived Debug would print the password.
impl std::fmt::Debug for Redactor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl<'a> Redactor<'a> {
    /// Creates a redactor of these credentials, and of NIKs unless `show_niks`.
    #[must_use]
    pub fn new(credentials: impl IntoIterator<Item = &'a str>, show_niks: bool) -> Redactor<'a> {
        Redactor {
            credentials: credentials.into_iter().filter(|text| !text.is_empty()).collect(),
            password: None,
            show_niks,
        }
    }

    /// Redacts this password also inside longer texts, if it is long enough.
    #[must_use]
    pub fn hiding(self, password: Option<&'a str>) -> Redactor<'a> {
        Redactor { password: password.filter(|text| text.len() >= MIN_PASSWORD_LENGTH), ..self }
    }

    /// Redacts a value; borrowed when nothing had to be redacted.
    #[must_use]
    pub fn value<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let is_credential = |credential: &&str| {
            text == *credential
                || base64::encoded_len(credential.len(), true) == Some(text.len())
                    && text == encoding::encode(credential.as_bytes())
        };
        if self.credentials.iter().any(is_credential) {
            Cow::Owned(REDACTED.to_owned())
        } else if is_long_base64(text) {
            Cow::Owned(preview(text, 0))
        } else {
            self.inside(text)
        }
    }

    /// Redacts inside a text: the password, and NIKs.
    fn inside<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.password.filter(|password| text.contains(password)) {
            Some(password) => Cow::Owned(self.niks(&text.replace(password, REDACTED)).into_owned()),
            None => self.niks(text),
        }
    }

    /// Redacts a message; borrowed when nothing had to be redacted. Credentials are redacted only where they are quoted, because one
    /// may be a common word.
    #[must_use]
    pub fn message<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.credentials.is_empty() || !text.contains('"') {
            return self.inside(text);
        }
        let forms =
            self.credentials.iter().map(|text| [quoted(text), quoted(&encoding::encode(text.as_bytes()))]);
        let redacted =
            forms.flatten().fold(text.to_owned(), |text, form| text.replace(&form, &quoted(REDACTED)));
        Cow::Owned(self.inside(&redacted).into_owned())
    }

    fn niks<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.show_niks { Cow::Borrowed(text) } else { without_niks(text) }
    }

    /// Redacts a request. A threshold that is a NIK is removed.
    #[must_use]
    pub fn request(&self, mut request: RequestRecord) -> RequestRecord {
        let RequestRecord { transaction_id, transaction_source, ip, user_agent, threshold, .. } =
            &mut request;
        for text in [transaction_id, transaction_source, ip, user_agent].into_iter().flatten() {
            if let Some(redacted) = changed(self.value(text)) {
                *text = redacted;
            }
        }
        *threshold = threshold.filter(|number| {
            let digits = format!("{number:.0}");
            self.niks(&digits) == digits
        });
        request
    }

    /// Redacts findings.
    pub fn findings(&self, findings: &mut [Finding]) {
        for finding in findings {
            if let Some(redacted) = changed(self.message(&finding.reason)) {
                finding.reason = Cow::Owned(redacted);
            }
        }
    }

    /// Redacts warnings.
    pub fn warnings(&self, warnings: &mut [Warning]) {
        for warning in warnings {
            if let Some(redacted) = changed(self.message(&warning.message)) {
                warning.message = redacted;
            }
        }
    }
}

/// Returns the redacted text if it differs from the original.
fn changed(text: Cow<str>) -> Option<String> {
    match text {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIK: &str = "3174055708909001";

    #[test]
    fn credentials_are_redacted_as_values_and_where_they_are_quoted() {
        let redactor = Redactor::new(["password", "", "a \"b\""], false);
        assert_eq!(redactor.value("password"), "***");
        assert_eq!(redactor.value("cGFzc3dvcmQ="), "***", "as base64 as well");
        assert_eq!(redactor.value("passwords"), "passwords");
        assert_eq!(redactor.value(""), "");
        assert_eq!(
            redactor
                .message("password is missing; ip \"password\" is not an IP address, nor is \"a \\\"b\\\"\""),
            "password is missing; ip \"***\" is not an IP address, nor is \"***\""
        );
    }

    #[test]
    fn a_password_is_redacted_inside_other_texts_unless_it_is_short() {
        let redactor = Redactor::new(["user", "pass-word"], false).hiding(Some("pass-word"));
        assert_eq!(redactor.value("p=pass-word of user"), "p=*** of user");
        assert_eq!(redactor.message("an extra key k=pass-word, \"user\""), "an extra key k=***, \"***\"");
        let redactor = Redactor::new(["word"], false).hiding(Some("word"));
        assert_eq!(redactor.value("wordy"), "wordy");
    }

    #[test]
    fn ciphertext_is_never_shown() {
        let redactor = Redactor::default();
        assert_eq!(redactor.value(&"Aa0+".repeat(86)), "(344 characters of base64)");
    }

    #[test]
    fn niks_are_masked_unless_configured_otherwise() {
        let request = || RequestRecord {
            ip: Some(NIK.to_owned()),
            threshold: NIK.parse().ok(),
            transaction_id: Some(format!("x{NIK}")),
            ..RequestRecord::default()
        };
        let redacted = Redactor::new([], false).request(request());
        assert_eq!((redacted.ip.as_deref(), redacted.threshold), (Some("317405XXXXXXXXXX"), None));
        assert_eq!(redacted.transaction_id.as_deref(), Some("x317405XXXXXXXXXX"));
        let shown = Redactor::new([], true).request(request());
        assert_eq!((shown.ip.as_deref(), shown.threshold), (Some(NIK), NIK.parse().ok()));
        let seven = RequestRecord { threshold: Some(7.25), ..RequestRecord::default() };
        assert_eq!(Redactor::new([], false).request(seven).threshold, Some(7.25));
    }
}
