//! Answers that a server gives before the endpoint's own code sees a request: 415, 406 and 400, in Spring's order and form (policy keys
//! `content_type`, `accept` and `malformed_json`; FIELD-NOTES, "What is behind it", inferred: Java with Spring on Tomcat).
//!
//! Spring MVC compares the two headers with what a route consumes and produces, in this order, before it reads the body. The simulator reads
//! the body first all the same, as Tomcat does behind such an answer, so that the connection can serve the next request.

use jiff::Timestamp;
use serde::Serialize;

use super::http_answer::reason_phrase;
use super::policy::{AcceptPolicy, ContentTypePolicy, MalformedJson, Policy};
use super::warnings::Headers;
use crate::base::{json, media_type, text, time};
use crate::protocol::Body;

/// What a server may refuse in a request before any check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerFaults {
    /// The Content-Type is missing or not JSON.
    pub content_type: bool,
    /// The Accept excludes JSON.
    pub accept: bool,
    /// The body is not a JSON object.
    pub malformed: bool,
}

impl ServerFaults {
    /// Finds the faults of a request. Headers that are not known are not judged.
    #[must_use]
    pub fn of(headers: Option<&Headers>, body: &Body) -> ServerFaults {
        ServerFaults {
            // As Tomcat, the first of several.
            content_type: headers.is_some_and(|headers| {
                !headers.all_of("content-type").next().is_some_and(media_type::is_json)
            }),
            accept: headers.is_some_and(|headers| !media_type::accepts_json(headers.all_of("accept"))),
            malformed: body.fault.is_some(),
        }
    }

    /// Which faults a policy refuses.
    #[must_use]
    pub fn refused_by(policy: &Policy) -> ServerFaults {
        ServerFaults {
            content_type: policy.content_type == ContentTypePolicy::UnsupportedMediaType,
            accept: policy.accept == AcceptPolicy::NotAcceptable,
            malformed: policy.malformed_json == MalformedJson::BadRequest,
        }
    }

    /// Returns the status that these faults get; `None` when the request reaches the endpoint.
    #[must_use]
    pub fn status(self, refused: ServerFaults) -> Option<u16> {
        let refusals = [
            (self.content_type && refused.content_type, 415),
            (self.accept && refused.accept, 406),
            (self.malformed && refused.malformed, 400),
        ];
        refusals.into_iter().find(|(is_refused, _)| *is_refused).map(|(_, status)| status)
    }
}

/// What the server answers instead of the endpoint, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// 415, 406 or 400.
    pub status: u16,
    pub reason: String,
    pub hint: String,
}

/// The body of an error of Spring Boot, with its keys in order.
#[derive(Serialize)]
struct SpringError<'a> {
    timestamp: String,
    status: u16,
    error: &'static str,
    path: &'a str,
}

impl ServerAnswer {
    /// Returns what the server answers to these faults; `None` when the request reaches the endpoint.
    #[must_use]
    pub fn to(
        faults: ServerFaults,
        policy: &Policy,
        headers: Option<&Headers>,
        body: &Body,
    ) -> Option<ServerAnswer> {
        let values = |name| headers.into_iter().flat_map(move |headers| headers.all_of(name));
        Some(match (faults.status(ServerFaults::refused_by(policy))?, &body.fault) {
            (status @ 415, _) => unsupported(status, values("content-type").next()),
            (status, Some(fault)) if status == 400 => ServerAnswer {
                status,
                reason: format!("{} (policy malformed_json = \"400\")", fault.reason),
                hint: fault.hint.clone(),
            },
            (status, _) => ServerAnswer {
                status,
                reason: format!(
                    "Accept is {}, which excludes JSON (policy accept = \"406\")",
                    names(values("accept"))
                ),
                hint: "send Accept: application/json".to_owned(),
            },
        })
    }

    /// Returns the body. `path` is the request's, as sent.
    #[must_use]
    pub fn body(&self, at: Timestamp, path: &str) -> Vec<u8> {
        let (status, error) = (self.status, reason_phrase(self.status));
        json::text(&SpringError { timestamp: time::spring(at), status, error, path }).into_bytes()
    }
}

fn unsupported(status: u16, content_type: Option<&str>) -> ServerAnswer {
    ServerAnswer {
        status,
        reason: match content_type {
            Some(other) => {
                format!("Content-Type is {}, not JSON (policy content_type = \"415\")", names([other]))
            }
            None => "Content-Type is missing (policy content_type = \"415\")".to_owned(),
        },
        hint: "send Content-Type: application/json".to_owned(),
    }
}

/// Quotes the types that a header names.
fn names<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    format!("{:?}", text::truncate(&media_type::names(values), MAX_NAMES_CHARS))
}

/// Max characters of the types in a reason.
const MAX_NAMES_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::{PolicySpec, Preset};

    fn policy(spec: &PolicySpec) -> Policy {
        Policy::default().with(spec)
    }

    fn answer(policy: &Policy, headers: Option<&Headers>, body: &Body) -> Option<ServerAnswer> {
        ServerAnswer::to(ServerFaults::of(headers, body), policy, headers, body)
    }

    fn status(policy: &Policy, headers: &[(&str, &str)], body: &str) -> Option<u16> {
        let all = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let headers = Headers { all, ..Headers::default() };
        answer(policy, Some(&headers), &Body::decode(body.as_bytes())).map(|answer| answer.status)
    }

    const JSON: (&str, &str) = ("Content-Type", "application/json");
    const HTML: (&str, &str) = ("ACCEPT", "text/html");

    #[test]
    fn the_header_of_the_body_is_judged_first_then_that_of_the_answer_then_the_body() {
        let probable = policy(&Preset::Probable.built_in());
        for (headers, body, expected) in [
            (&[HTML][..], "", Some(415)),
            (&[("content-type", "text/plain"), HTML], "{}", Some(415)),
            (&[("content-type", "text/plain"), JSON], "{}", Some(415)),
            (&[JSON, ("content-type", "text/plain")], "{}", None),
            (&[JSON, HTML], "", Some(406)),
            (&[JSON, HTML, ("accept", "*/*")], "{}", None),
            (&[JSON], "", Some(400)),
            (&[JSON], "{\"ip\":}", Some(400)),
            (&[JSON], "[]", Some(400)),
            (&[JSON], "null", Some(400)),
            (&[JSON], "{}", None),
            (&[JSON], "{\"transactionId\":{}}", None),
        ] {
            assert_eq!(status(&probable, headers, body), expected, "{headers:?} {body}");
            assert_eq!(status(&Policy::default(), headers, body), None, "{headers:?} {body}");
        }
    }

    #[test]
    fn each_key_decides_its_own_status() {
        for (key, expected) in
            [("content_type = '415'", 415), ("accept = '406'", 406), ("malformed_json = '400'", 400)]
        {
            let policy = policy(&toml::from_str(key).unwrap());
            assert_eq!(status(&policy, &[HTML], "x"), Some(expected), "{key}");
        }
    }

    #[test]
    fn headers_that_are_not_known_are_not_judged() {
        let probable = policy(&Preset::Probable.built_in());
        assert_eq!(answer(&probable, None, &Body::decode(b"{}")), None);
        assert_eq!(answer(&probable, None, &Body::decode(b"x")).map(|answer| answer.status), Some(400));
    }

    #[test]
    fn the_body_is_that_of_spring() {
        let answer = ServerAnswer { status: 415, reason: String::new(), hint: String::new() };
        let body = answer.body("2026-11-21T10:00:00+07:00".parse().unwrap(), "/api%20/x/\"demo\"");
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"timestamp":"2026-11-21T03:00:00.000+00:00","status":415,"error":"Unsupported Media Type","path":"/api%20/x/\"demo\""}"#
        );
    }
}
