//! Explains why a body is not a JSON object, for a person: line, column, and the two mistakes that people paste from the
//! document's own sample request, typographic quotes and a trailing comma.

/// What is wrong with a body, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// What is wrong, and where.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// The quotes that word processors substitute for `"`.
const TYPOGRAPHIC: [char; 6] = ['“', '”', '„', '‟', '«', '»'];

/// Max size of a body that is searched for a second mistake, in bytes.
const MAX_SECOND_SCAN_BYTES: usize = 64 * 1024;

impl JsonFault {
    fn new(reason: impl Into<String>, hint: impl Into<String>) -> JsonFault {
        JsonFault { reason: reason.into(), hint: hint.into() }
    }

    /// Returns the fault inside `value`, a part of `bytes`; `error` counts from the value's start.
    #[must_use]
    pub fn inside(bytes: &[u8], value: &str, error: &serde_json::Error) -> JsonFault {
        let position = Position::at(bytes, offset_of(bytes, value) + error.column().saturating_sub(1));
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or("a broken string");
        JsonFault::new(format!("not JSON: {position}: {what}"), "write the string with JSON's escapes only")
    }

    /// Returns the fault of a `value`, a part of `bytes`, that is nested deeper than allowed.
    #[must_use]
    pub fn too_deep(bytes: &[u8], value: &str, max_depth: usize) -> JsonFault {
        let position = Position::at(bytes, offset_of(bytes, value));
        JsonFault::new(
            format!("{position}: nested deeper than {max_depth} levels"),
            "send one flat JSON object",
        )
    }

    /// Converts serde_json's error into a fault. Uses its text for syntax errors only: other texts quote values.
    #[must_use]
    pub fn explain(bytes: &[u8], error: &serde_json::Error) -> JsonFault {
        let position = Position::of(bytes, error);
        let found = bytes.get(position.offset..).and_then(first_char);
        if let Some(quote) = found.filter(|found| TYPOGRAPHIC.contains(found)) {
            return typographic(bytes, &position, quote);
        }
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or("not JSON");
        match what {
            "trailing comma" => trailing_comma(&position),
            _ if error.is_eof() => JsonFault::new(
                format!("not JSON: {position}: the body ends too early ({what})"),
                "send the whole body; check Content-Length and that the JSON was not truncated",
            ),
            "recursion limit exceeded" => JsonFault::new(
                format!("not the expected JSON: {position}: nested too deeply"),
                "send a flat object",
            ),
            _ if found == Some('\'') => JsonFault::new(
                format!("not JSON: {position}: a single quote instead of \""),
                "write keys and strings in double quotes",
            ),
            _ if error.is_syntax() => JsonFault::new(
                format!("not JSON: {position}: {what}"),
                "send one JSON object, UTF-8, with the document's seven keys",
            ),
            _ => JsonFault::new(format!("not the expected JSON: {position}"), "send one flat JSON object"),
        }
    }
}

/// Returns the fault of a body that does not start like an object; `None` when it does.
#[must_use]
pub fn not_an_object(bytes: &[u8]) -> Option<JsonFault> {
    let start = bytes.trim_ascii_start();
    let what = match start.first() {
        Some(b'{') => return None,
        None => "the body is empty",
        Some(b'[') => "the body is an array, not an object",
        Some(b'"') => "the body is a string, not an object",
        Some(b'-') if start.starts_with(b"--") => "the body is multipart/form-data, not JSON",
        Some(b'-' | b'0'..=b'9') => "the body is a number, not an object",
        Some(b'<') => "the body is XML or HTML, not JSON",
        _ if start.starts_with(b"null") => "the body is null, not an object",
        _ if start.starts_with(b"true") || start.starts_with(b"false") => {
            "the body is a boolean, not an object"
        }
        _ if looks_like_a_form(start) => "the body is a form (key=value&...), not JSON",
        _ => {
            let position = Position::at(bytes, bytes.len() - start.len());
            return Some(JsonFault::new(
                format!("not JSON: {position}: a JSON object starts with {{"),
                NOT_AN_OBJECT,
            ));
        }
    };
    Some(JsonFault::new(what, NOT_AN_OBJECT))
}

const NOT_AN_OBJECT: &str = "send one JSON object with the document's seven keys as the body";

/// Returns the offset of `part` within `whole`.
fn offset_of(whole: &[u8], part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

fn looks_like_a_form(bytes: &[u8]) -> bool {
    let key = bytes.split(|b| *b == b'=').next().unwrap_or_default();
    key.len() < bytes.len()
        && !key.is_empty()
        && key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'%'))
}

fn typographic(bytes: &[u8], position: &Position, quote: char) -> JsonFault {
    let first =
        format!("not JSON: {position}: typographic quote {quote} (U+{:04X}) instead of \"", quote as u32);
    let hint =
        "replace “ and ” with plain \"; the document's sample request is printed with typographic quotes";
    match find_trailing_comma(bytes) {
        Some(comma) => {
            let mut fault = trailing_comma(&comma);
            fault.reason = format!("{first}; then {comma}: a trailing comma");
            fault.hint = format!("{hint}, and remove the comma before the closing brace");
            fault
        }
        None => JsonFault::new(first, hint),
    }
}

fn trailing_comma(position: &Position) -> JsonFault {
    JsonFault::new(
        format!("not JSON: {position}: a trailing comma"),
        "remove the comma before the closing brace; the document's sample request is printed with one",
    )
}

/// Finds the sample request's second mistake: the trailing comma that serde_json reports once the quotes are plain.
fn find_trailing_comma(bytes: &[u8]) -> Option<Position> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= MAX_SECOND_SCAN_BYTES)?;
    let plain: String = text.chars().map(|c| if TYPOGRAPHIC.contains(&c) { '"' } else { c }).collect();
    let error = serde_json::from_str::<serde_json::Value>(&plain).err()?;
    error.to_string().starts_with("trailing comma").then(|| Position::of(plain.as_bytes(), &error))
}

fn first_char(bytes: &[u8]) -> Option<char> {
    let head = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
    };
    valid.chars().next()
}

/// A position in a text as editors count it: line and column from 1, columns in characters.
struct Position {
    line: usize,
    column: usize,
    offset: usize,
}

impl Position {
    /// Converts serde_json's position: columns count bytes, from 1, and mean the byte it last read.
    fn of(bytes: &[u8], error: &serde_json::Error) -> Position {
        Position::at(bytes, line_start(bytes, error.line()) + error.column().saturating_sub(1))
    }

    fn at(bytes: &[u8], offset: usize) -> Position {
        let offset = offset.min(bytes.len());
        let before = &bytes[..offset];
        let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Position { line, column, offset }
    }
}

fn line_start(bytes: &[u8], line: usize) -> usize {
    let newlines = memchr::memchr_iter(b'\n', bytes);
    if line <= 1 { 0 } else { newlines.skip(line - 2).map(|at| at + 1).next().unwrap_or(bytes.len()) }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use crate::protocol::Body;

    #[track_caller]
    fn check(body: &str, reason: &str) {
        let fault = Body::decode(body.as_bytes()).fault.expect("a fault");
        assert_eq!(fault.reason, reason);
        assert!(!fault.hint.is_empty());
    }

    /// Doc 3, the sample request as printed.
    const SAMPLE: &str = "{\n“transactionId”:”11”,\n“transactionSource”:”mobile”,\n“threshold”:”5”,\n“image”:”base64({ image})”,\n“user_id”:” encrypt {xxxxxxxxxxxxxx}”,\n“password”:” encrypt{xxxxxxxxxxxxx}”,\n“ip”:”10.xxxxxxx”,\n}";

    #[test]
    fn the_documents_own_sample_request_is_recognised_with_both_its_mistakes() {
        check(
            SAMPLE,
            "not JSON: line 2, column 1: typographic quote “ (U+201C) instead of \"; then line 9, column 1: a trailing comma",
        );
        check(&SAMPLE.replace(['“', '”'], "\""), "not JSON: line 9, column 1: a trailing comma");
    }

    #[test]
    fn the_column_of_a_typographic_quote_counts_characters() {
        check(
            r#"{"transactionSource":"é","ip":”10.0.0.1”}"#,
            "not JSON: line 1, column 31: typographic quote ” (U+201D) instead of \"",
        );
    }

    #[test]
    fn a_body_that_is_not_an_object_is_named() {
        check("", "the body is empty");
        check(" \n", "the body is empty");
        check("[]", "the body is an array, not an object");
        check("null", "the body is null, not an object");
        check("\"x\"", "the body is a string, not an object");
        check("17", "the body is a number, not an object");
        check("transactionId=1&ip=2", "the body is a form (key=value&...), not JSON");
        check("--boundary\r\n", "the body is multipart/form-data, not JSON");
        check("<html>", "the body is XML or HTML, not JSON");
        check("true", "the body is a boolean, not an object");
        check("\n\nhello", "not JSON: line 3, column 1: a JSON object starts with {");
    }

    #[test]
    fn a_truncated_body_and_a_single_quote_are_named() {
        check(
            r#"{"ip":"10"#,
            "not JSON: line 1, column 9: the body ends too early (EOF while parsing a string)",
        );
        check("{'ip':1}", "not JSON: line 1, column 2: a single quote instead of \"");
    }

    #[test]
    fn trailing_characters_are_rejected() {
        check("{} {}", "not JSON: line 1, column 4: trailing characters");
    }

    #[test]
    fn the_reason_never_quotes_a_value() {
        for body in [r#"{"password":"geheim" "x"}"#, r#"{"password":geheim}"#, r#"{"password":"gehe\qim"}"#] {
            let fault = Body::decode(body.as_bytes()).fault.expect("a fault");
            assert!(!fault.reason.contains("gehe"), "{}", fault.reason);
        }
    }
}
