//! Reads answers from stdin, one JSON object {"status","body"} a line, and prints what serde makes of each: a struct made from the sample of
//! doc 4.1 with `deny_unknown_fields`.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize)]
struct Line {
    body: String,
}

/// The sample of doc 4.1; only `errorCode` and `response` are read, all are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a client declares what the sample has")]
struct Answer {
    tid: String,
    encounter_id: Option<Value>,
    error: String,
    #[serde(rename = "errorCode")]
    error_code: String,
    finger_data: Option<Value>,
    iris_data: Option<Value>,
    face_data: Option<Value>,
    request_type: String,
    #[serde(rename = "maxResults")]
    max_results: u32,
    #[serde(rename = "faceThreshold")]
    face_threshold: String,
    #[serde(rename = "fingerThreshold")]
    finger_threshold: u32,
    #[serde(rename = "irisThreshold")]
    iris_threshold: u32,
    response: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    face: Face,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Face {
    #[serde(rename = "FACE_T5")]
    scores: BTreeMap<String, f64>,
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let parsed = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text));
    parsed.map_err(|error| {
        let path = error.path().to_string();
        let words = error.into_inner().to_string();
        let quoted = |begin: &str| words.strip_prefix(begin)?.split('`').next();
        if let Some(name) = quoted("unknown field `") {
            return format!("{name} is unknown");
        }
        if let Some(name) = quoted("missing field `") {
            return format!("{name} is missing");
        }
        let kinds = [("null", "null"), ("map", "an object"), ("integer", "a number"), ("string", "a text")];
        let kind = kinds.iter().find(|(begin, _)| words.starts_with(&format!("invalid type: {begin}")));
        kind.map_or_else(|| "not JSON".to_owned(), |(_, kind)| format!("{path} is {kind}"))
    })
}

fn reading(body: &str) -> Result<String, String> {
    let answer: Answer = parse(body)?;
    let response: Response = parse(&answer.response)?;
    let outcome = match (response.face.scores.is_empty(), answer.error_code.as_str()) {
        (false, _) => "found",
        (true, "6018") => "nobody",
        (true, _) => "-",
    };
    Ok(format!("{} {outcome}", answer.error_code))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in io::stdin().lines() {
        let line: Line = serde_json::from_str(&line?)?;
        match reading(&line.body) {
            Ok(reading) => println!("ok {reading}"),
            Err(reason) => println!("broken: {reason}"),
        }
    }
    Ok(())
}
