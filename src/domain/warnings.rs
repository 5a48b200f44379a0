//! Warnings: what was let pass though the real endpoint may not, and what the document asks for and a request lacks.

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::Credential;
use crate::protocol::Body;

/// Something that was let pass though it should not be relied on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Warning {
    pub name: &'static str,
    pub message: String,
}

/// The headers that the document asks for (doc 3, "Request Header"), and who sent them.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// Names and values, as they came.
    pub all: Vec<(String, String)>,
    /// X-Forwarded-For was to be read and names no address at its end.
    pub no_forwarded_peer: bool,
}

impl Headers {
    fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Which client it says it is.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.get("user-agent")
    }
}

/// Doc 3: both headers are `application/json`.
const JSON: &str = "application/json";

/// All warnings that a request deserves.
#[must_use]
pub fn of(headers: Option<&Headers>, body: &Body, line_breaks: &[&'static str]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(headers) = headers {
        warnings.extend(header("accept", "Accept", headers.get("accept")));
        warnings.extend(header("content_type", "Content-Type", headers.get("content-type")));
    }
    if headers.is_some_and(|headers| headers.no_forwarded_peer) {
        let message = "X-Forwarded-For is missing or does not end with an address, so the peer is not known";
        warnings.push(warning("x_forwarded_for", message));
    }
    if body.bom {
        warnings.push(warning("bom", "a byte order mark stands before the JSON"));
    }
    for key in &body.duplicate_keys {
        warnings.push(warning(
            "duplicate_key",
            format!("the key {key:?} stands more than once; the last one counts"),
        ));
    }
    for key in &body.extra_keys {
        warnings
            .push(warning("extra_key", format!("the key {key:?} is none of the document's and is ignored")));
    }
    for field in line_breaks {
        warnings.push(warning(
            "line_breaks",
            format!("line breaks in the base64 of {field} were let pass (policy base64 = \"mime\")"),
        ));
    }
    warnings
}

fn warning(name: &'static str, message: impl Into<String>) -> Warning {
    Warning { name, message: message.into() }
}

fn header(name: &'static str, shown: &str, value: Option<&str>) -> Option<Warning> {
    let media_type = value.map(|value| value.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(media_type) if media_type.eq_ignore_ascii_case(JSON) => None,
        Some(other) => {
            let other = crate::base::text::quoted(other);
            Some(warning(name, format!("{shown} is {other}; the document asks for {JSON}")))
        }
        None => Some(warning(name, format!("{shown} is missing; the document asks for {JSON}"))),
    }
}

/// The fields whose base64 had line breaks that were let pass.
#[must_use]
pub fn fields_with_line_breaks(
    user_id: &Credential,
    password: &Credential,
    photo: bool,
) -> Vec<&'static str> {
    let broken = |credential: &Credential| matches!(credential, Credential::Opened { line_breaks: true, .. });
    [("user_id", broken(user_id)), ("password", broken(password)), ("image", photo)]
        .into_iter()
        .filter_map(|(field, broken)| broken.then_some(field))
        .collect()
}
