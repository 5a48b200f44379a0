//! `reply`: an answer by code, a sample answer of the document, or any HTTP response.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::Schema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::base::json as own_json;
use crate::base::json_schema::required;
use crate::protocol::{Candidate, Code, Shape, sample};

/// A reply: { code, candidates, error, shape }, { sample } or { status, headers, body or body_file, transaction_id }.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = one_form_of_reply, example = json!({ "code": "6014" }))]
pub struct ReplySpec {
    /// An answer with this code, echoing the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Candidates, sent unchanged: any text as NIK, neither filtered nor sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<CandidateSpec>>,
    /// Message, instead of the code's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"Sistem Sedang Sibuk")]
    pub error: Option<String>,
    /// Body shape, instead of the code's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// The document's sample answer, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Code>,
    /// HTTP status, for any HTTP response.
    #[schemars(range(min = 200, max = 599))]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 503)]
    pub status: Option<u16>,
    /// Headers of the response with `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = json!({ "Retry-After": "5" }))]
    pub headers: Option<BTreeMap<String, String>>,
    /// Body of the response with `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"<h1>Maintenance</h1>")]
    pub body: Option<String>,
    /// Body from a file of the fixture directory, instead of `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"page.html")]
    pub body_file: Option<String>,
    /// Text in the body of the response with `status` that the request's transactionId replaces; default: the body is sent as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), example = &"{{tid}}")]
    pub transaction_id: Option<String>,
}

/// One candidate of `candidates`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CandidateSpec {
    /// NIK: any text.
    #[schemars(example = &"3174055708909001")]
    pub nik: String,
    /// Score; the matcher's are from 0 to 20.
    #[schemars(example = 9.5)]
    pub score: f32,
}

/// Reply of a rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// An answer with this code, echoing the request.
    Code { code: Code, candidates: Option<Vec<Candidate>>, error: Option<String>, shape: Option<Shape> },
    /// The document's sample answer, verbatim.
    Sample(Code),
    /// Any HTTP response; consumes no quota.
    RawHttp(RawReply),
}

/// Any HTTP response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawReply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What the request's transactionId replaces in the body.
    pub marker: Option<String>,
}

impl RawReply {
    /// Returns the body for a request: its transactionId stands as within a JSON string; nothing where it could not be read.
    #[must_use]
    pub fn body_for(&self, transaction_id: Option<&str>) -> Vec<u8> {
        let marked = self.marker.as_ref().zip(std::str::from_utf8(&self.body).ok());
        let Some((marker, body)) = marked else { return self.body.clone() };
        let quoted = own_json::text(&transaction_id.unwrap_or_default());
        body.replace(marker.as_str(), &quoted[1..quoted.len() - 1]).into_bytes()
    }
}

impl Reply {
    /// Returns a reply with this code and no overrides.
    #[must_use]
    pub fn of_code(code: Code) -> Reply {
        Reply::Code { code, candidates: None, error: None, shape: None }
    }

    /// Returns the code of the answer; `None` for a raw HTTP response.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        match self {
            Reply::Code { code, .. } | Reply::Sample(code) => Some(code),
            Reply::RawHttp(_) => None,
        }
    }

    /// Returns the candidates that the reply sets; `None` when it sets none.
    #[must_use]
    pub fn candidates(&self) -> Option<&[Candidate]> {
        match self {
            Reply::Code { candidates, .. } => candidates.as_deref(),
            _ => None,
        }
    }

    /// Whether the answer has the candidates that the matcher finds: 6018 without candidates of its own.
    #[must_use]
    pub fn needs_match(&self) -> bool {
        matches!(self, Reply::Code { code, candidates: None, .. } if *code == Code::FOUND)
    }

    /// Validates a reply; `file` returns the bytes of a file of the fixture directory.
    ///
    /// # Errors
    /// When the forms are mixed, a value is out of its range, or a file cannot be read.
    pub fn new(spec: &ReplySpec, file: impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<Reply, String> {
        let coded = spec.candidates.is_some() || spec.error.is_some() || spec.shape.is_some();
        let raw = spec.headers.is_some() || spec.body.is_some() || spec.body_file.is_some();
        let raw = raw || spec.transaction_id.is_some();
        match (&spec.code, &spec.sample, spec.status) {
            (Some(code), None, None) if !raw => Ok(Reply::Code {
                code: code.clone(),
                candidates: spec.candidates.as_ref().map(|given| candidates(given)).transpose()?,
                error: spec.error.clone(),
                shape: spec.shape,
            }),
            (None, Some(code), None) if !coded && !raw => match sample::sample(code) {
                Some(_) => Ok(Reply::Sample(code.clone())),
                None => Err(format!("the document has no sample answer \"{code}\"; it has {}", samples())),
            },
            (None, None, Some(status)) if !coded => raw_http_reply(status, spec, file),
            _ => {
                Err("a reply is { code, candidates, error, shape }, { sample } or { status, headers, body }"
                    .to_owned())
            }
        }
    }
}

fn candidates(given: &[CandidateSpec]) -> Result<Vec<Candidate>, String> {
    let candidate = |given: &CandidateSpec| {
        if given.score.is_finite() {
            return Ok(Candidate { nik: given.nik.clone(), score: given.score, by: None });
        }
        Err(format!("the score of {:?} is not a finite number, so JSON cannot hold it", given.nik))
    };
    given.iter().map(candidate).collect()
}

fn samples() -> String {
    sample::SAMPLES.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ")
}

fn raw_http_reply(
    status: u16,
    spec: &ReplySpec,
    file: impl Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Reply, String> {
    if !(200..=599).contains(&status) {
        return Err(format!("status must be 200 to 599, not {status}"));
    }
    let body = match (&spec.body, &spec.body_file) {
        (Some(_), Some(_)) => return Err("a reply can have body or body_file, not both".to_owned()),
        (None, Some(name)) => file(name)?,
        (body, None) => body.clone().unwrap_or_default().into_bytes(),
    };
    let headers: Vec<_> = spec.headers.clone().unwrap_or_default().into_iter().collect();
    for (name, value) in &headers {
        let valid = http::HeaderName::try_from(name.as_str()).is_ok()
            && http::HeaderValue::try_from(value.as_str()).is_ok();
        if !valid
            || ["content-length", "transfer-encoding", "connection"].contains(&name.to_lowercase().as_str())
        {
            return Err(format!(
                "the header {name:?} is invalid or reserved; use a fault to change the length or how the response ends"
            ));
        }
    }
    if spec.transaction_id.as_ref().is_some_and(String::is_empty) {
        return Err("transaction_id is the text in the body that is replaced; it cannot be empty".to_owned());
    }
    Ok(Reply::RawHttp(RawReply { status, headers, body, marker: spec.transaction_id.clone() }))
}

/// JSON Schema: a reply has exactly one of its three forms.
pub(crate) fn one_form_of_reply(schema: &mut Schema) {
    schema.insert("oneOf".to_owned(), required(&["code", "sample", "status"]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(toml: &str) -> Result<Reply, String> {
        let spec: ReplySpec = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
        Reply::new(&spec, |name| {
            if name == "page.html" { Ok(b"<p>".to_vec()) } else { Err("no such file".to_owned()) }
        })
    }

    #[test]
    fn the_three_forms() {
        assert_eq!(reply("code = '6014'"), Ok(Reply::of_code(Code::BUSY)));
        assert_eq!(reply("sample = '6018'"), Ok(Reply::Sample(Code::FOUND)));
        let raw = RawReply {
            status: 404,
            headers: vec![("x".into(), "y".into())],
            body: b"<p>".to_vec(),
            marker: None,
        };
        assert_eq!(
            reply("status = 404\nheaders = { x = 'y' }\nbody_file = 'page.html'"),
            Ok(Reply::RawHttp(raw))
        );
        let Ok(Reply::Code { candidates, .. }) =
            reply("code = '6018'\ncandidates = [{ nik = 'any', score = 9.88 }]")
        else {
            panic!("a code");
        };
        assert_eq!(candidates.unwrap()[0].score, 9.88);
    }

    #[test]
    fn a_transaction_id_replaces_its_marker_in_a_body_and_nothing_without_one() {
        let body = r#"{"tid":"{{tid}}","again":"{{tid}}"}"#;
        for (key, transaction_id, expected) in [
            ("", Some("T-1"), body),
            ("transaction_id = '{{tid}}'", Some("T-1"), r#"{"tid":"T-1","again":"T-1"}"#),
            ("transaction_id = '{{tid}}'", Some("a\"b"), r#"{"tid":"a\"b","again":"a\"b"}"#),
            ("transaction_id = '{{tid}}'", None, r#"{"tid":"","again":""}"#),
            ("transaction_id = 'none'", Some("T-1"), body),
        ] {
            let Ok(Reply::RawHttp(raw)) = reply(&format!("status = 200\nbody = '{body}'\n{key}")) else {
                panic!("{key}");
            };
            assert_eq!(raw.body_for(transaction_id), expected.as_bytes(), "{key}");
        }
        let bytes = RawReply { body: vec![0xFF], marker: Some("x".to_owned()), ..RawReply::default() };
        assert_eq!(bytes.body_for(Some("T")), [0xFF]);
    }

    #[test]
    fn mixed_forms_and_wrong_values_are_rejected() {
        for toml in [
            "",
            "code = '6014'\nsample = '6018'",
            "code = '6014'\nbody = 'x'",
            "sample = '9999'",
            "sample = '6018'\nerror = 'x'",
            "status = 99",
            "status = 200\nerror = 'x'",
            "status = 200\nbody = 'x'\nbody_file = 'page.html'",
            "status = 200\nbody_file = 'none'",
            "status = 200\nheaders = { 'a b' = 'x' }",
            "status = 200\nheaders = { Content-Length = '5' }",
            "error = 'x'",
            "status = 200\ntransaction_id = ''",
            "code = '6014'\ntransaction_id = 'x'",
        ] {
            assert!(reply(toml).is_err(), "{toml}");
        }
    }
}
