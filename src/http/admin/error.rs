//! Errors of the admin API: `{"error":{"code","message","path","hint"}}`, made by constructors only.
//!
//! A 4xx says what is wrong with the request and changes nothing. There is no 5xx.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::config::ProblemView;
use crate::fixtures::did_you_mean;
use crate::roster::Refusal;

/// An error on its way to the caller.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// JSON pointer to what is wrong in the body, or the name of the parameter.
    path: Option<String>,
    hint: Option<String>,
    /// The methods that a 405 names.
    allow: Option<&'static str>,
    /// What stands beside `error` in the answer.
    beside: Option<Box<Map<String, Value>>>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), path: None, hint: None, allow: None, beside: None }
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub fn unknown_customer(customer_id: &str) -> ApiError {
        let shown = crate::protocol::body::shown(customer_id);
        ApiError::not_found(format!("no customer has the id {shown}"))
            .hint("ids are those of the fixtures, such as demo")
    }

    pub fn wrong_method(message: impl Into<String>, allow: &'static str) -> ApiError {
        let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        ApiError { allow: Some(allow), ..error }.hint(format!("it takes {allow}"))
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

    /// The simulator ends before the work is done.
    pub fn stopping() -> ApiError {
        ApiError::conflict("stopping", "the simulator is stopping")
    }

    pub fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the admin token is missing or wrong")
            .hint("send Authorization: Bearer followed by the token of --admin-token")
    }

    pub fn foreign_origin() -> ApiError {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "a page of another origin may not steer the simulator",
        )
        .hint("call the admin API from a program, or from a page that it serves itself")
    }

    pub fn foreign_host() -> ApiError {
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", "Host is not this machine")
            .hint("call it as localhost, by a loopback address or by the bound address, or start it with --admin-token")
    }

    /// Fixtures that cannot be put in force.
    pub fn wrong_fixtures(message: impl Into<String>, problems: Vec<ProblemView>) -> ApiError {
        let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_fixtures", message);
        error.beside("problems", problems).hint("mend the files; dukcapil-fr-sim check says the same")
    }

    /// JSON pointer to what is wrong in the body, or the name of the parameter.
    pub fn pointer(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// What to do about it.
    pub fn what_to_do(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Puts a member beside `error` into the answer.
    pub fn beside(mut self, name: &str, value: impl Serialize) -> ApiError {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.beside.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    pub fn path(mut self, path: impl Into<String>) -> ApiError {
        self.path = Some(path.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> ApiError {
        self.hint = Some(hint.into());
        self
    }

    /// Reads a value; an error points into it.
    pub fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, ApiError> {
        serde_path_to_error::deserialize(value).map_err(ApiError::in_json)
    }

    fn in_json(error: serde_path_to_error::Error<serde_json::Error>) -> ApiError {
        let message = error.inner().to_string();
        let hint = did_you_mean::hint(&message);
        ApiError { hint, ..ApiError::invalid(message).path(pointer(error.path())) }
    }

    /// Reads a JSON object; an error points into it.
    pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
        // serde would take an array as an object without keys.
        if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(ApiError::invalid("the body is not a JSON object").path(""));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(ApiError::in_json)?;
        deserializer.end()?;
        Ok(value)
    }
}

impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> ApiError {
        ApiError::invalid(error.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::Wrong((path, message)) => {
                ApiError::invalid(message).path(path.iter().map(|key| format!("/{}", escaped(key))).collect::<String>())
            }
            Refusal::Dependent { other, message } => {
                ApiError::conflict("in_use", format!("{other} extends it, and would be wrong: {message}"))
                    .hint(format!("change or delete {other} first"))
            }
            Refusal::Full(most) => ApiError::conflict("too_many_customers", format!("there are {most} customers"))
                .hint("DELETE /customers/{customer_id} or POST /reset?scope=customers; a ttl does it by itself; limits.customers in simulator.toml"),
            Refusal::Taken => ApiError::conflict("taken", "the customer_id is taken").path("/customer_id").hint(
                "leave it out and one is made up; PUT /customers/{customer_id} replaces",
            ),
            Refusal::Unknown => ApiError::not_found("no customer has this id").hint("GET /customers lists them"),
            Refusal::InFile => ApiError::conflict("in_fixtures", "the customer is the fixtures', and nothing was put over it")
                .hint("edit or delete its file; PUT puts one over it"),
        }
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Map { key } => format!("/{}", escaped(key)),
            Segment::Seq { index } => format!("/{index}"),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

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
        let ApiError { code, message, path, hint, beside, .. } = self;
        let mut response = HttpResponse::build(self.status);
        if let Some(methods) = self.allow {
            response.insert_header(("Allow", methods));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer"));
        }
        let mut told = json!({ "error": { "code": code, "message": message, "path": path, "hint": hint } });
        if let (Some(members), Some(beside)) = (told.as_object_mut(), beside) {
            members.extend(beside.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        response.json(told)
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
    fn an_error_points_into_the_body() {
        let error = ApiError::parse::<BTreeMap<String, Vec<u8>>>(br#"{"a/b":[1,"x"]}"#).unwrap_err();
        assert_eq!(error.path.as_deref(), Some("/a~1b/1"));
        assert_eq!(error.status, StatusCode::BAD_REQUEST);
        for wrong in [&b"[1]"[..], b"{} {}", b"", b"1"] {
            assert!(ApiError::parse::<BTreeMap<String, u8>>(wrong).is_err());
        }
    }
}
