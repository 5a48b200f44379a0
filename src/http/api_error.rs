//! Error responses of the admin API: `{"error":{"code","message","path","hint"}}`, created by constructors only.
//!
//! A 4xx says what is wrong with the request; nothing has changed. The only 5xx is 503: the simulator stops, the store that
//! it shares with others cannot be used, or a face engine fails or is not done with the gallery.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::reading::{self, Misread, Mistake};
use crate::base::suggestion;
use crate::base::wording::Notation;
use crate::protocol::json_fault;
use crate::state::customers::CustomerError;
use crate::state::store::redis::NoTurn;

/// Error details.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// Error code, for programs.
    pub code: &'static str,
    /// Error message, for people.
    pub message: String,
    /// JSON pointer to the invalid value in the body, or the parameter's name.
    pub path: Option<String>,
    /// How to fix it.
    pub hint: Option<String>,
}

/// Error response: the body of every error.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ErrorAnswer {
    pub error: ErrorBody,
}

/// An error of the admin API: status, code, message, path and hint.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// JSON pointer to the invalid value in the body, or the parameter's name.
    path: Option<String>,
    hint: Option<String>,
    /// `Allow` header of a 405.
    allow: Option<String>,
    /// Whether an example of the body helps: its form is wrong.
    wants_example: bool,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            code,
            message: message.into(),
            path: None,
            hint: None,
            allow: None,
            wants_example: false,
        }
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// Returns the error for an id that no customer has; suggests the nearest of `known`.
    pub fn unknown_customer<'a>(customer_id: &str, known: impl IntoIterator<Item = &'a str>) -> ApiError {
        let shown = crate::base::text::quoted(customer_id);
        let error = ApiError::not_found(format!("no customer has the id {shown}"));
        match suggestion::closest(customer_id, known) {
            Some(id) => error.hint(format!("did you mean `{id}`? GET /customers lists the ids")),
            None => error.hint("GET /customers lists the ids, such as demo"),
        }
    }

    pub fn wrong_method(message: impl Into<String>, allow: &str) -> ApiError {
        let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        ApiError { allow: Some(allow.to_owned()), ..error }.hint(format!("use {allow}"))
    }

    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub fn too_large(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, code, message)
    }

    pub fn too_slow() -> ApiError {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the body did not arrive in time")
            .hint("send the body without pauses")
    }

    pub fn encoded(encoding: &str) -> ApiError {
        let shown = crate::base::text::quoted(encoding);
        let message = format!("the body is encoded: Content-Encoding is {shown}");
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded_body", message)
            .hint("send plain JSON, without Content-Encoding")
    }

    pub fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the admin token is missing or wrong")
            .hint("send Authorization: Bearer followed by the token of --admin-token, or by one of --admin-token-file")
    }

    pub fn foreign_origin() -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "a web page of another origin may not call the admin API",
        )
        .hint("call it from a program, or from a page with the same origin as the admin API")
    }

    pub fn foreign_host() -> ApiError {
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", "the Host header is not this machine")
            .hint("call it as localhost, by a loopback address or by the bound address; or start the simulator with --admin-token")
    }

    /// Returns the path: a JSON pointer into the body, or the parameter's name.
    pub fn pointer(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub fn too_many(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message)
            .hint("close some of them, or wait until one has ended")
    }

    pub fn stopping() -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the simulator is stopping")
    }

    /// Returns the error while the store that replicas share cannot be used. `what` is said behind its name.
    pub fn store_unavailable(what: &str) -> ApiError {
        let message = format!("the store that the simulator shares with others {what}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", message)
            .hint("try again in a moment: the simulator goes on by itself once the store can be used again")
    }

    /// Returns the error when there was no turn for a change.
    pub fn no_turn(why: NoTurn) -> ApiError {
        match why {
            NoTurn::Down(_) => ApiError::store_unavailable("cannot be used, so nothing was changed"),
            NoTurn::Taken => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", why.to_string())
                    .hint("try again in a moment")
            }
        }
    }

    /// Returns an error for an expectation that does not hold.
    pub fn unmet(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError::new(status, code, message)
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the error details of the response body.
    pub fn body(&self) -> ErrorBody {
        let ApiError { code, message, path, hint, .. } = self;
        ErrorBody { code, message: message.clone(), path: path.clone(), hint: hint.clone() }
    }

    pub fn path(mut self, path: impl Into<String>) -> ApiError {
        self.path = Some(path.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> ApiError {
        self.hint = Some(hint.into());
        self
    }

    /// Gives an example of the body as the hint, where that helps and there is no other hint.
    pub fn example(self, example: &str) -> ApiError {
        let helps = self.wants_example && self.hint.is_none();
        if helps { self.hint(format!("for example {example}")) } else { self }
    }

    /// Deserializes a JSON value; an error has the JSON pointer.
    pub fn read<T: DeserializeOwned + JsonSchema>(value: Value) -> Result<T, ApiError> {
        reading::read(value, Notation::Json).map_err(ApiError::misread)
    }

    /// Converts a mistake in a value: its path becomes a JSON pointer; for a missing key, to the object that lacks it.
    pub fn misread(Misread { mut path, message, hint, mistake }: Misread) -> ApiError {
        if mistake == Mistake::Missing {
            path.pop();
        }
        // A value of the wrong form: beside how to write the value, an example of the whole body helps.
        let wants_example = message.contains(": write ");
        ApiError { hint, wants_example, ..ApiError::invalid(message).path(pointer_to(&path)) }
    }

    /// Parses a JSON object; an error has the JSON pointer.
    pub fn parse<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) -> Result<T, ApiError> {
        // serde would accept an array as an object without keys.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(ApiError::not_json(bytes).path(""));
        }
        ApiError::parse_any(bytes)
    }

    /// Parses any JSON; an error has the JSON pointer.
    pub fn parse_any<T: DeserializeOwned + JsonSchema>(bytes: &[u8]) -> Result<T, ApiError> {
        serde_json::from_slice(bytes).or_else(|error| {
            let value = serde_json::from_slice(bytes).map_err(|_| ApiError::not_json(bytes).path(""))?;
            let _: T = ApiError::read(value)?;
            // As a value it can be read: it has no duplicate keys.
            let message = error.to_string();
            let key = message.split('`').nth(1).unwrap_or_default();
            Err(ApiError::invalid(format!("duplicate key `{key}`")).path(""))
        })
    }

    /// Returns the error for a body that is not JSON, or not an object: where, and why.
    pub fn not_json(bytes: &[u8]) -> ApiError {
        // Its hint is about the endpoint's body.
        ApiError { wants_example: true, ..ApiError::invalid(json_fault::explain(bytes).reason) }
    }
}

impl From<CustomerError> for ApiError {
    fn from(error: CustomerError) -> ApiError {
        let message = error.to_string();
        match error {
            CustomerError::Wrong((path, _)) => {
                let pointer = pointer_to(&path);
                let error = ApiError::invalid(message).path(&*pointer);
                match pointer.as_str() {
                    // The customer it extends may have expired since.
                    "/extends" => error.hint(
                        "extend a customer of GET /customers, or leave out extends and write every key: GET /customers/{customer_id} returns them all",
                    ),
                    _ => error,
                }
            }
            CustomerError::Dependent { other, .. } => {
                ApiError::conflict("in_use", message).hint(format!("change or delete {other} first"))
            }
            CustomerError::Full(_) => ApiError::conflict("too_many_customers", message).hint(
                "remove some: DELETE /customers/{customer_id} or POST /reset?scope=customers; give them a ttl; or raise limits.customers in simulator.toml",
            ),
            CustomerError::Taken => ApiError::conflict("taken", message)
                .path("/customer_id")
                .hint("leave it out to have one generated; PUT /customers/{customer_id} replaces a customer"),
            CustomerError::Unknown => ApiError::not_found(message).hint("GET /customers lists them"),
            CustomerError::InFile => {
                ApiError::conflict("in_fixtures", message).hint("edit or delete its file; PUT overrides it")
            }
        }
    }
}

/// Returns the JSON pointer (RFC 6901) for a list of keys.
pub fn pointer_to(keys: &[String]) -> String {
    keys.iter().map(|key| format!("/{}", escaped(key))).collect()
}

/// Escapes a key for a JSON pointer.
pub fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(methods) = &self.allow {
            response.insert_header(("Allow", methods.as_str()));
        }
        if self.code == "store_unavailable" {
            response.insert_header(("Retry-After", "1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer"));
        }
        response.json(ErrorAnswer { error: self.body() })
    }
}

impl actix_web::Responder for ApiError {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &actix_web::HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_error_has_the_json_pointer_into_the_body() {
        let error = ApiError::parse::<BTreeMap<String, Vec<u8>>>(br#"{"a/b":[1,"x"]}"#).unwrap_err();
        assert_eq!(error.path.as_deref(), Some("/a~1b/1"));
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        for invalid in [&b"[1]"[..], b"{} {}", b"", b"1"] {
            assert!(ApiError::parse::<BTreeMap<String, u8>>(invalid).is_err());
        }
    }
}
