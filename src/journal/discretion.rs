//! What is left out of what is shown: NIKs that a client put where they do not belong, and credentials in other fields' places.

use std::borrow::Cow;

use super::{Request, Warning, without_niks};
use crate::checks::Finding;
use crate::protocol::body::shown;
use crate::protocol::encoding;

/// What stands for a credential.
const HIDDEN: &str = "***";

/// What is hidden in one request.
#[derive(Clone, Default)]
pub struct Discretion {
    /// The customer's own credentials, plain and as base64.
    credentials: Vec<String>,
    show_niks: bool,
}

// A derived Debug would print the password.
impl std::fmt::Debug for Discretion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Discretion(..)")
    }
}

impl Discretion {
    /// Hides these credentials, and NIKs unless they are to be shown.
    #[must_use]
    pub fn new<'a>(credentials: impl IntoIterator<Item = &'a str>, show_niks: bool) -> Discretion {
        let forms = |text: &str| [text.to_owned(), encoding::encode(text.as_bytes())];
        let credentials = credentials.into_iter().filter(|text| !text.is_empty()).flat_map(forms);
        Discretion { credentials: credentials.collect(), show_niks }
    }

    /// A value as it may be shown.
    #[must_use]
    pub fn value(&self, text: &str) -> String {
        if self.credentials.iter().any(|credential| credential == text) {
            return HIDDEN.to_owned();
        }
        self.niks(text)
    }

    /// A message as it may be shown. Credentials are hidden where they are quoted: one that is a common word would otherwise
    /// tear holes into sentences.
    #[must_use]
    pub fn message(&self, text: &str) -> String {
        let hide = |text: String, credential: &String| text.replace(&shown(credential), &shown(HIDDEN));
        self.niks(&self.credentials.iter().fold(text.to_owned(), hide))
    }

    fn niks(&self, text: &str) -> String {
        if self.show_niks { text.to_owned() } else { without_niks(text) }
    }

    /// What was asked, as it may be shown. A threshold that is a NIK is none.
    #[must_use]
    pub fn request(&self, mut request: Request) -> Request {
        let Request { transaction_id, transaction_source, ip, user_agent, threshold, .. } = &mut request;
        for text in [transaction_id, transaction_source, ip, user_agent].into_iter().flatten() {
            *text = self.value(text);
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
            finding.reason = Cow::Owned(self.message(&finding.reason));
        }
    }

    /// Warnings as they may be shown.
    pub fn warnings(&self, warnings: &mut [Warning]) {
        for warning in warnings {
            warning.message = self.message(&warning.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIK: &str = "3174055708909001";

    #[test]
    fn credentials_are_hidden_as_values_and_where_they_are_quoted() {
        let discretion = Discretion::new(["password", "", "a \"b\""], false);
        assert_eq!(discretion.value("password"), "***");
        assert_eq!(discretion.value("cGFzc3dvcmQ="), "***", "as base64 as well");
        assert_eq!(discretion.value("passwords"), "passwords");
        assert_eq!(discretion.value(""), "");
        assert_eq!(
            discretion.message("password is missing; ip \"password\" is no address, nor is \"a \\\"b\\\"\""),
            "password is missing; ip \"***\" is no address, nor is \"***\""
        );
    }

    #[test]
    fn niks_are_masked_unless_they_are_to_be_shown() {
        let request = || Request {
            ip: Some(NIK.to_owned()),
            threshold: NIK.parse().ok(),
            transaction_id: Some(format!("x{NIK}")),
            ..Request::default()
        };
        let hidden = Discretion::new([], false).request(request());
        assert_eq!((hidden.ip.as_deref(), hidden.threshold), (Some("317405XXXXXXXXXX"), None));
        assert_eq!(hidden.transaction_id.as_deref(), Some("x317405XXXXXXXXXX"));
        let shown = Discretion::new([], true).request(request());
        assert_eq!((shown.ip.as_deref(), shown.threshold), (Some(NIK), NIK.parse().ok()));
        let seven = Request { threshold: Some(7.25), ..Request::default() };
        assert_eq!(Discretion::new([], false).request(seven).threshold, Some(7.25));
    }
}
