//! An answer of the endpoint as a client reads it: its code and its candidates, whatever the layout.

use serde_json::{Map, Value};

/// Returns the `errorCode` of an answer's body, of either shape.
pub fn code(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let code = if body["error"].is_object() { &body["error"]["errorCode"] } else { &body["errorCode"] };
    code.as_str().map(str::to_owned).or_else(|| code.as_u64().map(|code| code.to_string()))
}

/// Returns the candidates inside `response`: NIKs and scores, in the order sent. Empty when there are none.
pub fn candidates(body: &str) -> Map<String, Value> {
    let found = || {
        let body: Value = serde_json::from_str(body).ok()?;
        let mut response: Value = serde_json::from_str(body.get("response")?.as_str()?).ok()?;
        match response.get_mut("face")?.get_mut("FACE_T5")?.take() {
            Value::Object(candidates) => Some(candidates),
            _ => None,
        }
    };
    found().unwrap_or_default()
}

/// Formats candidates as a table, best first: NIK, score, and which comparison gave it, where that is known.
pub fn table(mut rows: Vec<(&str, f64, Option<&str>)>) -> String {
    rows.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
    let by = |by: &Option<&str>| by.map_or(String::new(), |by| format!("  by {by}"));
    let lines = rows.iter().map(|(nik, score, scored)| format!("\n{nik:<20} {score:.3}{}", by(scored)));
    format!("{:<20} score{}", "NIK", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_have_a_code() {
        for (body, found) in [
            (r#"{"error":{"errorCode":"6018"}}"#, Some("6018")),
            (r#"{"error":{"errorCode":6018}}"#, Some("6018")),
            (r#"{"errorCode":"5001","error":"text"}"#, Some("5001")),
            (r#"{"status":400}"#, None),
            ("<html>", None),
            ("[]", None),
        ] {
            assert_eq!(code(body).as_deref(), found, "{body}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_says_what_gave_the_score() {
        let shown = table(vec![("1", 1.5, None), ("2", 8.859, Some("face"))]);
        let lines: Vec<_> = shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
        assert_eq!(lines, [&["NIK", "score"][..], &["2", "8.859", "by", "face"], &["1", "1.500"]]);
    }

    #[test]
    fn candidates_keep_their_order() {
        let body = r#"{"response":"{\"face\":{\"FACE_T5\":{\"2\":9.5,\"1\":12.0}}}"}"#;
        assert_eq!(candidates(body).keys().collect::<Vec<_>>(), ["2", "1"]);
        for none in ["", "{}", r#"{"response":"x"}"#, r#"{"response":"{\"face\":{\"FACE_T5\":[]}}"}"#] {
            assert!(candidates(none).is_empty(), "{none}");
        }
    }
}
