//! Redaction of what is shown: NIKs in fields where they do not belong, and credentials in the wrong fields.
//!
//! The values of all known accounts are redacted wherever they occur, from 8 characters on and in every encoding
//! (`domain/secrets/`). Shorter ones of the customer that calls are redacted as whole values, and in messages where they are quoted: they
//! may be common words. Text that looks like base64, from 80 characters on, is never quoted: it may be a photo or a ciphertext.

use std::borrow::Cow;

use super::RequestRecord;
use crate::base::text::{is_long_base64, preview, quoted};
use crate::domain::checks::Finding;
use crate::domain::customer::Customer;
use crate::domain::nik::mask::without_niks;
use crate::domain::secrets::{HIDDEN, SecretIndex};
use crate::domain::warnings::Warning;
use crate::protocol::encoding;
use crate::state::known_accounts::KnownAccounts;

/// Redacts NIKs and credentials in the texts of one request.
#[derive(Default)]
pub struct Redactor<'a> {
    /// The customer's credentials, in plain text. Their base64 form is redacted as well.
    credentials: Vec<&'a str>,
    /// Redacted inside longer texts, too.
    known: Option<&'a KnownAccounts>,
    /// The customer's account, where it is no longer known: the customer was removed during the request.
    removed: Option<SecretIndex>,
    show_niks: bool,
}

// A derived Debug would print the credentials.
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
            show_niks,
            ..Redactor::default()
        }
    }

    /// Returns the redactor of the requests of a customer; `None`: of those that name none.
    #[must_use]
    pub fn of(customer: Option<&'a Customer>, known: &'a KnownAccounts, show_niks: bool) -> Redactor<'a> {
        let account = customer.map(|customer| &customer.account);
        let credentials = account.into_iter().flat_map(|account| [&*account.user_id, &*account.password]);
        // A user_id that equals the customer_id is in every path.
        let secret = credentials.filter(|text| customer.is_none_or(|customer| customer.id != **text));
        let removed = customer.filter(|customer| !known.contains(&customer.account));
        Redactor {
            known: Some(known),
            removed: removed.map(|customer| SecretIndex::of(&customer.id, &customer.account)),
            ..Redactor::new(secret, show_niks)
        }
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
            Cow::Owned(HIDDEN.to_owned())
        } else if is_long_base64(text) {
            Cow::Owned(preview(text, 0))
        } else {
            self.inside(text)
        }
    }

    /// Redacts inside a text: values of accounts, and NIKs.
    fn inside<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known =
            then(Cow::Borrowed(text), |text| self.known.map_or(text.into(), |known| known.hidden(text)));
        let removed =
            then(known, |text| self.removed.as_ref().map_or(text.into(), |removed| removed.hidden(text)));
        then(removed, |text| self.niks(text))
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
            forms.flatten().fold(text.to_owned(), |text, form| text.replace(&form, &quoted(HIDDEN)));
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
            // Borrowed texts are the project's own.
            for text in [Some(&mut finding.reason), finding.hint.as_mut()].into_iter().flatten() {
                if let Cow::Owned(own) = text
                    && let Some(redacted) = changed(self.message(own))
                {
                    *own = redacted;
                }
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

/// Redacts further what is redacted in part.
fn then<'t>(text: Cow<'t, str>, redact: impl Fn(&str) -> Cow<'_, str>) -> Cow<'t, str> {
    match changed(redact(&text)) {
        Some(redacted) => Cow::Owned(redacted),
        None => text,
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
    use crate::domain::checks::Status;
    use crate::domain::customer::Account;
    use crate::domain::policy::Check;

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
    fn a_long_value_is_redacted_inside_other_texts() {
        let account = Account { user_id: "user".to_owned(), password: "pass-word".to_owned() };
        let removed = Some(SecretIndex::of("a", &account));
        let redactor = Redactor { removed, ..Redactor::new(["user", "pass-word"], false) };
        assert_eq!(redactor.value("p=pass-word of user"), "p=*** of user");
        assert_eq!(redactor.message("an extra key k=pass-word, \"user\""), "an extra key k=***, \"***\"");
        let mut findings = [Finding {
            decided_by: None,
            check: Check::Ip,
            status: Status::Failed,
            code: None,
            reason: "ip is pass-word".to_owned().into(),
            hint: Some(format!("not pass%2Dword or {NIK}").into()),
        }];
        redactor.findings(&mut findings);
        assert_eq!(findings[0].reason, "ip is ***");
        assert_eq!(findings[0].hint.as_deref(), Some("not *** or 317405XXXXXXXXXX"));
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
