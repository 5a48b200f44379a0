//! What is left out of what is shown: NIKs that a client put where they do not belong, and credentials in other fields' places.

use std::borrow::Cow;

use super::RequestRecord;
use crate::base::text::{is_long_base64, preview, quoted};
use crate::domain::checks::Finding;
use crate::domain::nik::mask::without_niks;
use crate::domain::warnings::Warning;
use crate::protocol::encoding;

/// What stands for a credential.
const HIDDEN: &str = "***";

/// What is hidden in one request.
#[derive(Clone, Default)]
pub struct Redactor<'a> {
    /// The customer's own, plain. They are hidden as base64 as well.
    credentials: Vec<&'a str>,
    /// Hidden inside longer texts, too.
    password: Option<&'a str>,
    show_niks: bool,
}

/// Shorter passwords may be common words: hidden inside other texts, they would tear holes into them.
const PASSWORD_CHARS: usize = 8;

// A derived Debug would print the password.
impl std::fmt::Debug for Redactor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl<'a> Redactor<'a> {
    /// Hides these credentials, and NIKs unless they are to be shown.
    #[must_use]
    pub fn new(credentials: impl IntoIterator<Item = &'a str>, show_niks: bool) -> Redactor<'a> {
        Redactor {
            credentials: credentials.into_iter().filter(|text| !text.is_empty()).collect(),
            password: None,
            show_niks,
        }
    }

    /// Hides this wherever it stands, when it is long enough.
    #[must_use]
    pub fn hiding(self, password: Option<&'a str>) -> Redactor<'a> {
        Redactor { password: password.filter(|text| text.len() >= PASSWORD_CHARS), ..self }
    }

    /// A value as it may be shown; borrowed when nothing has to be hidden.
    #[must_use]
    pub fn value<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let is_credential = |credential: &&str| {
            text == *credential
                || base64::encoded_len(credential.len(), true) == Some(text.len())
                    && text == encoding::encode(credential.as_bytes())
        };
        if self.credentials.iter().any(is_credential) {
            Cow::Owned(HIDDEN.to_owned())
        } else if is_long_base64(text) {
            Cow::Owned(preview(text, 0))
        } else {
            self.inside(text)
        }
    }

    /// A text without what is hidden wherever it stands.
    fn inside<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.password.filter(|password| text.contains(password)) {
            Some(password) => Cow::Owned(self.niks(&text.replace(password, HIDDEN)).into_owned()),
            None => self.niks(text),
        }
    }

    /// A message as it may be shown; borrowed when nothing has to be hidden. Credentials are hidden where they are quoted: one that is a
    /// common word would otherwise tear holes into sentences.
    #[must_use]
    pub fn message<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.credentials.is_empty() || !text.contains('"') {
            return self.inside(text);
        }
        let forms =
            self.credentials.iter().map(|text| [quoted(text), quoted(&encoding::encode(text.as_bytes()))]);
        let hidden = forms.flatten().fold(text.to_owned(), |text, form| text.replace(&form, &quoted(HIDDEN)));
        Cow::Owned(self.inside(&hidden).into_owned())
    }

    fn niks<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.show_niks { Cow::Borrowed(text) } else { without_niks(text) }
    }

    /// What was asked, as it may be shown. A threshold that is a NIK is none.
    #[must_use]
    pub fn request(&self, mut request: RequestRecord) -> RequestRecord {
        let RequestRecord { transaction_id, transaction_source, ip, user_agent, threshold, .. } =
            &mut request;
        for text in [transaction_id, transaction_source, ip, user_agent].into_iter().flatten() {
            if let Some(hidden) = changed(self.value(text)) {
                *text = hidden;
            }
        }
        *threshold = threshold.filter(|number| {
            let digits = format!("{number:.0}");
            self.niks(&digits) == digits
        });
        request
    }

    /// Findings as they may be shown.
    pub fn findings(&self, findings: &mut [Finding]) {
        for finding in findings {
            if let Some(hidden) = changed(self.message(&finding.reason)) {
                finding.reason = Cow::Owned(hidden);
            }
        }
    }

    /// Warnings as they may be shown.
    pub fn warnings(&self, warnings: &mut [Warning]) {
        for warning in warnings {
            if let Some(hidden) = changed(self.message(&warning.message)) {
                warning.message = hidden;
            }
        }
    }
}

/// What is to be shown instead, if that differs.
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
    fn credentials_are_hidden_as_values_and_where_they_are_quoted() {
        let discretion = Redactor::new(["password", "", "a \"b\""], false);
        assert_eq!(discretion.value("password"), "***");
        assert_eq!(discretion.value("cGFzc3dvcmQ="), "***", "as base64 as well");
        assert_eq!(discretion.value("passwords"), "passwords");
        assert_eq!(discretion.value(""), "");
        assert_eq!(
            discretion.message("password is missing; ip \"password\" is not an IP address, nor is \"a \\\"b\\\"\""),
            "password is missing; ip \"***\" is not an IP address, nor is \"***\""
        );
    }

    #[test]
    fn a_password_is_hidden_inside_other_texts_unless_it_is_short() {
        let discretion = Redactor::new(["user", "pass-word"], false).hiding(Some("pass-word"));
        assert_eq!(discretion.value("p=pass-word of user"), "p=*** of user");
        assert_eq!(discretion.message("an extra key k=pass-word, \"user\""), "an extra key k=***, \"***\"");
        let discretion = Redactor::new(["word"], false).hiding(Some("word"));
        assert_eq!(discretion.value("wordy"), "wordy");
    }

    #[test]
    fn ciphertext_is_never_shown() {
        let discretion = Redactor::default();
        assert_eq!(discretion.value(&"Aa0+".repeat(86)), "(344 characters of base64)");
    }

    #[test]
    fn niks_are_masked_unless_they_are_to_be_shown() {
        let request = || RequestRecord {
            ip: Some(NIK.to_owned()),
            threshold: NIK.parse().ok(),
            transaction_id: Some(format!("x{NIK}")),
            ..RequestRecord::default()
        };
        let hidden = Redactor::new([], false).request(request());
        assert_eq!((hidden.ip.as_deref(), hidden.threshold), (Some("317405XXXXXXXXXX"), None));
        assert_eq!(hidden.transaction_id.as_deref(), Some("x317405XXXXXXXXXX"));
        let shown = Redactor::new([], true).request(request());
        assert_eq!((shown.ip.as_deref(), shown.threshold), (Some(NIK), NIK.parse().ok()));
        let seven = RequestRecord { threshold: Some(7.25), ..RequestRecord::default() };
        assert_eq!(Redactor::new([], false).request(seven).threshold, Some(7.25));
    }
}
