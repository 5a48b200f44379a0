//! Why a body is not a JSON object, for a person: line, column, and the two mistakes people paste from the document's
//! own sample request, typographic quotes and a trailing comma.

/// What is wrong with a body, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// What is wrong, and where.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

/// The quotes a word processor makes of `"`.
const TYPOGRAPHIC: [char; 6] = ['“', '”', '„', '‟', '«', '»'];

/// Longest body searched for a second mistake behind the first.
const SECOND_LOOK_BYTES: usize = 64 * 1024;

impl JsonFault {
    fn new(reason: impl Into<String>, hint: impl Into<String>) -> JsonFault {
        JsonFault { reason: reason.into(), hint: hint.into() }
    }

    /// A fault inside `value`, which is a part of `bytes`; `error` counts from the value's start.
    #[must_use]
    pub fn inside(bytes: &[u8], value: &str, error: &serde_json::Error) -> JsonFault {
        let place = Position::at(bytes, offset_of(bytes, value) + error.column().saturating_sub(1));
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or("a broken string");
        JsonFault::new(format!("not JSON: {place}: {what}"), "write the string with JSON's escapes only")
    }

    /// `value`, a part of `bytes`, is nested deeper than allowed.
    #[must_use]
    pub fn too_deep(bytes: &[u8], value: &str, most: usize) -> JsonFault {
        let place = Position::at(bytes, offset_of(bytes, value));
        JsonFault::new(format!("{place}: nested deeper than {most} levels"), "send one flat JSON object")
    }

    /// Turns serde_json's error into a fault. Its text is used for syntax errors only: for others it quotes values.
    #[must_use]
    pub fn explain(bytes: &[u8], error: &serde_json::Error) -> JsonFault {
        let place = Position::of(bytes, error);
        let found = bytes.get(place.offset..).and_then(first_char);
        if let Some(quote) = found.filter(|found| TYPOGRAPHIC.contains(found)) {
            return typographic(bytes, &place, quote);
        }
        let message = error.to_string();
        let what = message.split(" at line ").next().unwrap_or("not JSON");
        match what {
            "trailing comma" => trailing_comma(&place),
            _ if error.is_eof() => JsonFault::new(
                format!("not JSON: {place}: the body ends too early ({what})"),
                "send the whole body; check Content-Length and that nothing cut the JSON off",
            ),
            "recursion limit exceeded" => JsonFault::new(
                format!("not JSON as expected: {place}: nested too deeply"),
                "send a flat object",
            ),
            _ if found == Some('\'') => JsonFault::new(
                format!("not JSON: {place}: a single quote where JSON has \""),
                "write keys and strings in double quotes",
            ),
            _ if error.is_syntax() => JsonFault::new(
                format!("not JSON: {place}: {what}"),
                "send one JSON object, UTF-8, with the document's seven keys",
            ),
            _ => JsonFault::new(format!("not JSON as expected: {place}"), "send one flat JSON object"),
        }
    }
}

/// Says what a body is that does not even start like an object.
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
            let place = Position::at(bytes, bytes.len() - start.len());
            return Some(JsonFault::new(
                format!("not JSON: {place}: a JSON object starts with {{"),
                NOT_AN_OBJECT,
            ));
        }
    };
    Some(JsonFault::new(what, NOT_AN_OBJECT))
}

const NOT_AN_OBJECT: &str = "send one JSON object with the document's seven keys as the body";

/// Where a part of a text begins.
fn offset_of(whole: &[u8], part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

fn looks_like_a_form(bytes: &[u8]) -> bool {
    let key = bytes.split(|b| *b == b'=').next().unwrap_or_default();
    key.len() < bytes.len()
        && !key.is_empty()
        && key.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'%'))
}

fn typographic(bytes: &[u8], place: &Position, quote: char) -> JsonFault {
    let first =
        format!("not JSON: {place}: typographic quote {quote} (U+{:04X}) where JSON has \"", quote as u32);
    let hint =
        "replace “ and ” by plain \"; the document's sample request is printed with typographic quotes";
    match comma_behind(bytes) {
        Some(comma) => {
            let mut fault = trailing_comma(&comma);
            fault.reason = format!("{first}; and then {comma}: a trailing comma");
            fault.hint = format!("{hint}, and remove the comma before the closing brace");
            fault
        }
        None => JsonFault::new(first, hint),
    }
}

fn trailing_comma(place: &Position) -> JsonFault {
    JsonFault::new(
        format!("not JSON: {place}: a trailing comma"),
        "remove the comma before the closing brace; the document's sample request is printed with one",
    )
}

/// Looks for the sample request's second mistake: what serde_json would stumble over once the quotes are plain.
fn comma_behind(bytes: &[u8]) -> Option<Position> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= SECOND_LOOK_BYTES)?;
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

/// A place in a text, counted as editors count: line and column from 1, columns in characters.
struct Position {
    line: usize,
    column: usize,
    offset: usize,
}

impl Position {
    /// serde_json counts columns in bytes, from 1, of the byte it last read.
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
            "not JSON: line 2, column 1: typographic quote “ (U+201C) where JSON has \"; and then line 9, column 1: a trailing comma",
        );
        check(&SAMPLE.replace(['“', '”'], "\""), "not JSON: line 9, column 1: a trailing comma");
    }

    #[test]
    fn a_typographic_quote_inside_a_line_is_found_by_its_column_in_characters() {
        check(
            r#"{"transactionSource":"é","ip":”10.0.0.1”}"#,
            "not JSON: line 1, column 31: typographic quote ” (U+201D) where JSON has \"",
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_named() {
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
    fn a_cut_off_body_and_a_single_quote_are_named() {
        check(
            r#"{"ip":"10"#,
            "not JSON: line 1, column 9: the body ends too early (EOF while parsing a string)",
        );
        check("{'ip':1}", "not JSON: line 1, column 2: a single quote where JSON has \"");
    }

    #[test]
    fn what_stands_behind_the_object_is_refused() {
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
