//! `[matcher.faces]` of `simulator.toml`: a user's face engine.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use http::uri::{Scheme, Uri};
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::{FieldError, field_error};
use crate::base::duration::DurationText;
use crate::base::from_text::{deserialize_from_text, serialize_as_text};
use crate::base::pattern::Pattern;
use crate::domain::matcher::face::{NoFace, Strangers};
use crate::domain::matcher::face_engine::{FaceSettings, IMAGE, NoFaceWhen, VectorPath};

/// Longest time that an engine may be given for a photo: a request waits for it.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Headers that follow from the request itself.
const OWN_HEADERS: [&str; 5] = ["content-length", "transfer-encoding", "connection", "host", "expect"];

/// `[matcher.faces]`: asks an engine of the user's for the vector of a face, so that a new photo of a person is found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FacesSpec {
    /// Where photos are posted. On this machine, unless `allow_remote` is true.
    #[schemars(extend("format" = "password"))]
    pub url: EngineUrl,
    /// Body of the request, with `{image}` where the photo's base64 goes; default: the file itself is posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyTemplate>,
    /// Where the vectors stand in the answer; the first face counts.
    pub vectors: VectorPath,
    /// How long the engine may take for a photo, at most one minute; default: 5 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// Cosines between different people, for the engine's model: the score is -log10 of the share of strangers that reach a cosine.
    pub strangers: Strangers,
    /// What is answered to a photo without a face that nobody is found for; default: as when nobody is found.
    #[serde(default)]
    pub no_face: NoFace,
    /// Which answer of the engine means that there is no face, for an engine that says it by an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_face_when: Option<NoFaceWhenSpec>,
    /// Headers of the request, such as an API key.
    #[serde(default)]
    #[schemars(extend("format" = "password"))]
    pub headers: EngineHeaders,
    /// Whether a store that lasts keeps the vectors of enrolled people. They are biometric data, and the store is not encrypted.
    #[serde(default)]
    pub keep: bool,
    /// Allows an engine on another machine, which then gets the photos.
    #[serde(default)]
    pub allow_remote: bool,
}

/// `no_face_when`: all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NoFaceWhenSpec {
    /// HTTP status of the engine's answer.
    #[schemars(example = 400)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The answer's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Pattern>,
}

/// Headers by name.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineHeaders(pub BTreeMap<String, String>);

// A derived Debug would print API keys.
impl fmt::Debug for EngineHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EngineHeaders({} headers)", self.0.len())
    }
}

/// URL of a face engine: plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineUrl(Uri);

impl FromStr for EngineUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<EngineUrl, String> {
        let example = "such as \"http://127.0.0.1:5005/represent\"";
        let uri: Uri = text.parse().map_err(|_| format!("it is not a URL: write one {example}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(format!("it is not a URL with http:// and a host: write one {example}"));
        };
        if *scheme == Scheme::HTTPS {
            return Err("this build speaks no TLS: put a sidecar such as nginx or stunnel on loopback that speaks https to the engine, and name that with http://".to_owned());
        }
        if *scheme != Scheme::HTTP {
            return Err(format!("it is not a URL with http://: write one {example}"));
        }
        if authority.as_str().contains('@') {
            return Err("it has a user name or a password: write them as a header, headers = { Authorization = \"Basic ...\" }".to_owned());
        }
        Ok(EngineUrl(uri))
    }
}

impl fmt::Display for EngineUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl EngineUrl {
    /// Returns whether the engine is on this machine, as far as the URL says.
    fn is_loopback(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Body of a request, with the place of the photo in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyTemplate(String);

impl FromStr for BodyTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<BodyTemplate, String> {
        if text.contains(IMAGE) {
            return Ok(BodyTemplate(text.to_owned()));
        }
        Err(format!(
            "it has no {IMAGE}, where the photo's base64 goes: write one such as '{{\"img\":\"data:image/jpeg;base64,{IMAGE}\"}}', or leave body out to post the file itself"
        ))
    }
}

impl fmt::Display for BodyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

deserialize_from_text!(EngineUrl, BodyTemplate);
serialize_as_text!(EngineUrl, BodyTemplate);

impl FacesSpec {
    /// Resolves the settings.
    ///
    /// # Errors
    /// All errors, each with the path of its key in `simulator.toml`.
    pub(super) fn resolve(&self) -> Result<FaceSettings, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |path: &[&str], message: String| {
            errors.push(field_error(&[&["matcher", "faces"], path].concat(), message));
        };
        let timeout = self.timeout.map_or(DEFAULT_TIMEOUT, |DurationText(time)| time);
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            wrong(&["timeout"], "timeout must be longer than 0 and at most 1m".to_owned());
        }
        if !self.allow_remote && !self.url.is_loopback() {
            let host = self.url.0.host().unwrap_or_default();
            wrong(
                &["url"],
                format!(
                    "{host} may be another machine, which would get all photos: name 127.0.0.1 or localhost, or set allow_remote = true"
                ),
            );
        }
        if self.no_face_when.as_ref().is_some_and(|when| *when == NoFaceWhenSpec::default()) {
            wrong(&["no_face_when"], "no_face_when is empty: set status, body or both".to_owned());
        }
        for (name, value) in &self.headers.0 {
            if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::try_from(value.as_str()).is_err()
            {
                wrong(
                    &["headers", name],
                    format!(
                        "{name:?} is not a header of HTTP: its name or its value has a character that none may have"
                    ),
                );
            } else if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                wrong(&["headers", name], format!("{name} follows from the request, and cannot be set"));
            }
        }
        let has_type = self.headers.0.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        let is_json = |body: &BodyTemplate| {
            serde_json::from_str::<serde_json::Value>(&body.0.replace(IMAGE, "")).is_ok()
        };
        if self.body.as_ref().is_some_and(|body| !has_type && !is_json(body)) {
            wrong(
                &["body"],
                "body is not JSON; name what it is in headers, such as headers = { Content-Type = \"application/x-www-form-urlencoded\" }".to_owned(),
            );
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(FaceSettings {
            url: self.url.to_string(),
            body: self.body.as_ref().map(ToString::to_string),
            vectors: self.vectors.clone(),
            timeout,
            strangers: self.strangers,
            no_face: self.no_face.clone(),
            no_face_when: self
                .no_face_when
                .clone()
                .map(|NoFaceWhenSpec { status, body }| NoFaceWhen { status, body }),
            headers: self.headers.0.clone().into_iter().collect(),
            keep: self.keep,
        })
    }
}
