//! What the simulator and a user's face engine say to each other: the request with a photo, and how a vector is read from the answer.
//!
//! The texts of errors are about the engine ("it answers 500"), and never quote its answer: that may hold a photo or a vector.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::face::{FaceEngineId, FaceVector, NoFace, Strangers};
use crate::base::from_text::{deserialize_from_text, serialize_as_text};
use crate::base::hash;
use crate::base::pattern::Pattern;
use crate::domain::pixels::PhotoFormat;

/// What stands in the body where the photo's base64 goes.
pub const IMAGE: &str = "{image}";

/// Max bytes of an answer.
pub const MAX_ANSWER: u64 = 10_000_000;

/// A user's face engine, and how to ask it.
#[derive(Clone, PartialEq)]
pub struct FaceSettings {
    pub url: String,
    /// Body with [`IMAGE`] in it; `None`: the file itself is the body.
    pub body: Option<String>,
    pub vectors: VectorPath,
    /// For one photo, waiting for its turn included.
    pub timeout: Duration,
    pub strangers: Strangers,
    pub no_face: NoFace,
    pub no_face_when: Option<NoFaceWhen>,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Whether a store that lasts keeps vectors.
    pub keep: bool,
}

// A derived Debug would print headers, where API keys are.
impl fmt::Debug for FaceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaceSettings({})", self.shown_url())
    }
}

/// What an engine answers to a photo without a face, where that is an error. All that is set must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct NoFaceWhen {
    pub status: Option<u16>,
    pub body: Option<Pattern>,
}

/// Media type and bytes of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct FaceRequest {
    pub content_type: String,
    pub body: Vec<u8>,
}

impl FaceSettings {
    /// Returns the URL as messages show it: without its query, where keys may be.
    #[must_use]
    pub fn shown_url(&self) -> &str {
        self.url.split('?').next().unwrap_or_default()
    }

    /// Returns which engine this is, asked how. What is only about reaching it does not count.
    #[must_use]
    pub fn engine(&self) -> FaceEngineId {
        let parts = [&self.url, self.body.as_deref().unwrap_or_default(), self.vectors.as_str()];
        hash::digest(parts.join("\n").as_bytes())
    }

    /// Returns the request that asks for the vectors of a photo.
    #[must_use]
    pub fn request(&self, file: &[u8], format: PhotoFormat) -> FaceRequest {
        let is_content_type = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-type");
        let own = self.headers.iter().find(is_content_type).map(|(_, value)| value.clone());
        let (default, body) = match &self.body {
            Some(template) => {
                ("application/json", template.replace(IMAGE, &BASE64.encode(file)).into_bytes())
            }
            None if format == PhotoFormat::Jpeg => ("image/jpeg", file.to_vec()),
            None => ("image/png", file.to_vec()),
        };
        FaceRequest { content_type: own.unwrap_or_else(|| default.to_owned()), body }
    }

    /// Reads the engine's answer: the vector of the first face; `None` when there is no face.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(&self, status: u16, body: &[u8]) -> Result<Option<FaceVector>, String> {
        if self.no_face_when.as_ref().is_some_and(|when| when.is_met(status, body)) {
            return Ok(None);
        }
        match status {
            200..=299 => {}
            300..=399 => return Err(format!("it answers {status}, a redirect, which is not followed")),
            _ => return Err(format!("it answers {status}")),
        }
        let answer: Value = serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
        match self.vectors.first(&answer)? {
            Some(vector) => FaceVector::read(vector),
            None => Ok(None),
        }
    }
}

impl NoFaceWhen {
    fn is_met(&self, status: u16, body: &[u8]) -> bool {
        let text = || String::from_utf8_lossy(body);
        self.status.is_none_or(|own| own == status)
            && self.body.as_ref().is_none_or(|pattern| pattern.matches(&text()))
    }
}

fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    // Python writes what no number of JSON can be.
    let literal =
        ["NaN", "Infinity"].into_iter().find(|name| memchr::memmem::find(body, name.as_bytes()).is_some());
    let literal = literal.map_or(String::new(), |name| format!("; JSON has no {name}"));
    format!("its answer is not JSON at line {} column {}{literal}", error.line(), error.column())
}

/// Where the vectors stand in an answer: names and numbers of elements, and `*` for every element of a list, such as
/// `results/*/embedding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorPath(String);

impl FromStr for VectorPath {
    type Err = String;

    fn from_str(text: &str) -> Result<VectorPath, String> {
        if !text.is_empty() && text.split('/').all(|step| !step.is_empty()) {
            return Ok(VectorPath(text.to_owned()));
        }
        Err(format!(
            "{text:?} is not a path in an answer: write names with / between them and * for each element of a list, such as \"results/*/embedding\""
        ))
    }
}

impl fmt::Display for VectorPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

deserialize_from_text!(VectorPath);
serialize_as_text!(VectorPath);

impl VectorPath {
    /// Returns the path as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first value at the path; `None` when a list on the way is empty.
    fn first<'v>(&self, answer: &'v Value) -> Result<Option<&'v Value>, String> {
        let steps: Vec<_> = self.0.split('/').collect();
        first(&steps, 0, answer)
    }
}

fn first<'v>(steps: &[&str], at: usize, value: &'v Value) -> Result<Option<&'v Value>, String> {
    let Some(step) = steps.get(at) else { return Ok(Some(value)) };
    let place = || match at {
        0 => "its answer".to_owned(),
        _ => format!("\"{}\" in its answer", steps[..at].join("/")),
    };
    if *step == "*" {
        let list = value.as_array().ok_or_else(|| format!("{} is not a list", place()))?;
        let mut found = list.iter().map(|element| first(steps, at + 1, element));
        return found.find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None));
    }
    let next = match value {
        Value::Array(list) => step.parse().ok().and_then(|index: usize| list.get(index)),
        other => other.get(step),
    };
    first(steps, at + 1, next.ok_or_else(|| format!("{} has no \"{step}\"", place()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> FaceSettings {
        FaceSettings {
            url: "http://127.0.0.1:5005/represent?key=secret".to_owned(),
            body: None,
            vectors: "results/*/embedding".parse().unwrap(),
            timeout: Duration::from_secs(5),
            strangers: Strangers { mean: 0.0, deviation: 0.1 },
            no_face: NoFace::Nobody,
            no_face_when: None,
            headers: vec![("X-Api-Key".to_owned(), "secret".to_owned())],
            keep: false,
        }
    }

    #[test]
    fn a_photo_is_posted_as_the_file_or_in_a_body() {
        let posted = |settings: &FaceSettings, format| {
            let FaceRequest { content_type, body } = settings.request(b"\xFF\xD8", format);
            (content_type, body)
        };
        let file = settings();
        assert_eq!(posted(&file, PhotoFormat::Jpeg), ("image/jpeg".to_owned(), b"\xFF\xD8".to_vec()));
        assert_eq!(posted(&file, PhotoFormat::Png).0, "image/png");
        let body = Some(r#"{"img":"data:{image}","again":"{image}"}"#.to_owned());
        let mut json = FaceSettings { body, ..settings() };
        let text = br#"{"img":"data:/9g=","again":"/9g="}"#.to_vec();
        assert_eq!(posted(&json, PhotoFormat::Png), ("application/json".to_owned(), text));
        json.headers.push(("content-TYPE".to_owned(), "text/plain".to_owned()));
        assert_eq!(posted(&json, PhotoFormat::Png).0, "text/plain");
    }

    #[test]
    fn the_first_vector_at_the_path_counts() {
        let found = |path: &str, answer: &str| {
            FaceSettings { vectors: path.parse().unwrap(), ..settings() }.read(200, answer.as_bytes())
        };
        for (path, answer) in [
            ("results/*/embedding", r#"{"results":[{"embedding":[3,4]},{"embedding":"odd"}]}"#),
            ("embedding", r#"{"embedding":[3,4]}"#),
            ("*", "[[3,4],[5,6]]"),
            ("0/vec", r#"[{"vec":[3,4]}]"#),
            ("data/*/faces/*/vec", r#"{"data":[{"faces":[]},{"faces":[{"vec":[3,4]}]}]}"#),
        ] {
            assert_eq!(found(path, answer), FaceVector::new(&[0.6, 0.8]).map(Some), "{path}");
        }
        for (path, answer) in [
            ("results/*/embedding", r#"{"results":[]}"#),
            ("embedding", r#"{"embedding":[]}"#),
            ("data/*/faces/*/vec", r#"{"data":[{"faces":[]},{"faces":[]}]}"#),
        ] {
            assert_eq!(found(path, answer), Ok(None), "{path}");
        }
        for path in ["", "/", "a//b", "/a", "a/"] {
            assert!(path.parse::<VectorPath>().is_err(), "{path}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_used_says_why() {
        for (status, answer, reason) in [
            (500, "{}", "it answers 500"),
            (404, "{}", "it answers 404"),
            (302, "", "it answers 302, a redirect, which is not followed"),
            (200, "", "its answer is not JSON at line 1 column 0"),
            (200, "<html>", "its answer is not JSON at line 1 column 1"),
            (
                200,
                r#"{"results":[{"embedding":[NaN]}]}"#,
                "its answer is not JSON at line 1 column 27; JSON has no NaN",
            ),
            (200, "[]", "its answer has no \"results\""),
            (200, r#"{"results":{}}"#, "\"results\" in its answer is not a list"),
            (200, r#"{"results":[{"vector":[1]}]}"#, "\"results/*\" in its answer has no \"embedding\""),
            (200, r#"{"results":[{"embedding":null}]}"#, "the vector is null, not a list of numbers"),
            (200, r#"{"results":[{"embedding":[0,0]}]}"#, "the vector is nothing but zeros"),
            (200, r#"{"results":[{"embedding":[1e999]}]}"#, "its answer is not JSON at line 1 column 31"),
        ] {
            assert_eq!(settings().read(status, answer.as_bytes()), Err(reason.to_owned()), "{answer}");
        }
    }

    #[test]
    fn an_error_may_mean_that_there_is_no_face() {
        let when =
            |status, body: Option<&str>| NoFaceWhen { status, body: body.map(|text| text.parse().unwrap()) };
        for (when, status, body, is_met) in [
            (when(Some(400), Some("/no face/")), 400, "sorry, no face", true),
            (when(Some(400), Some("/no face/")), 400, "sorry", false),
            (when(Some(400), Some("/no face/")), 500, "no face", false),
            (when(Some(422), None), 422, "", true),
            (when(None, Some("*no face*")), 200, r#"{"error":"no face"}"#, true),
        ] {
            let settings = FaceSettings { no_face_when: Some(when), ..settings() };
            assert_eq!(settings.read(status, body.as_bytes()) == Ok(None), is_met, "{status} {body}");
        }
    }

    #[test]
    fn no_message_shows_a_key_and_another_engine_is_told_apart() {
        assert_eq!(format!("{:?}", settings()), "FaceSettings(http://127.0.0.1:5005/represent)");
        let engine = settings().engine();
        let slower = FaceSettings { timeout: Duration::ZERO, keep: true, headers: Vec::new(), ..settings() };
        assert_eq!(slower.engine(), engine);
        assert_ne!(FaceSettings { body: Some(IMAGE.to_owned()), ..settings() }.engine(), engine);
        assert_ne!(FaceSettings { vectors: "*".parse().unwrap(), ..settings() }.engine(), engine);
    }
}
