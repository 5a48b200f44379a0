//! Request heads of the endpoint: what one says, and why one is refused. Pure functions over bytes; strict where a proxy
//! might read the same bytes otherwise.

use crate::base::text;
use crate::domain::warnings::MAX_VALUE_CHARS;

/// Max header lines.
pub(super) const MAX_LINES: usize = 96;
/// Max bytes of a method: the longest that is registered has 17.
const MAX_METHOD: usize = 32;
/// Max bytes of a request target.
pub(super) const MAX_TARGET: usize = 64 << 10;

/// A request head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub method: String,
    /// The path as sent, percent-encoded, without query; of a target in absolute form its path.
    pub path: String,
    /// Whether the target has raw blanks, as the document's own URL does.
    pub has_blank: bool,
    pub is_http_1_0: bool,
    /// Names as sent, and values cut to 500 characters.
    pub headers: Vec<(String, String)>,
    pub body: BodyFraming,
    /// Whether the client asks for the connection to end after the response.
    pub closes: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl Head {
    /// Returns the value of the first header field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    Length(u64),
    Chunked,
}

/// Why a head is refused. The connection ends with the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadError {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    pub hint: &'static str,
}

impl HeadError {
    pub(super) fn malformed(message: impl Into<String>, hint: &'static str) -> HeadError {
        HeadError { status: 400, code: "malformed_request", message: message.into(), hint }
    }

    pub(super) fn too_large(message: String) -> HeadError {
        let hint = "send fewer and shorter headers";
        HeadError { status: 431, code: "head_too_large", message, hint }
    }

    /// The head did not arrive in time.
    #[must_use]
    pub fn too_slow() -> HeadError {
        let message = "the request's head did not arrive in time".to_owned();
        HeadError { status: 408, code: "head_too_slow", message, hint: "send the head without pauses" }
    }
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Parses a complete head.
///
/// # Errors
/// Why it is refused.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, HeadError> {
    let line_end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len() - 1);
    let line = bytes[..line_end].strip_suffix(b"\r").unwrap_or(&bytes[..line_end]);
    let RequestLine { method, target, is_http_1_0 } = request_line(line)?;
    let fields = header_fields(&bytes[line_end + 1..])?;
    let values = |name: &str| {
        let matching = fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| *value).collect::<Vec<_>>()
    };
    let hosts = values("host").len();
    if hosts > 1 || (hosts == 0 && !is_http_1_0) {
        let message =
            if hosts == 0 { "the Host header is missing" } else { "there is more than one Host header" };
        return Err(HeadError::malformed(message, "send exactly one Host header"));
    }
    let has_token = |name: &str, token: &str| {
        let values = values(name);
        values.iter().any(|value| value.split(|byte| *byte == b',').any(|part| is_token(part, token)))
    };
    Ok(Head {
        path: path_of(&target),
        has_blank: target.contains(' '),
        // An offered upgrade is not taken: the response is HTTP/1.1, and the connection ends, so that no client waits for the rest.
        closes: is_http_1_0 || has_token("connection", "close") || has_token("connection", "upgrade"),
        expects_continue: !is_http_1_0 && has_token("expect", "100-continue"),
        body: framing(&values("content-length"), &values("transfer-encoding"), is_http_1_0, &method)?,
        headers: fields.iter().map(|(name, value)| ((*name).to_owned(), kept_value(value))).collect(),
        method,
        is_http_1_0,
    })
}

fn kept_value(value: &[u8]) -> String {
    text::truncate(&String::from_utf8_lossy(value), MAX_VALUE_CHARS)
}

fn is_token(part: &[u8], token: &str) -> bool {
    part.trim_ascii().eq_ignore_ascii_case(token.as_bytes())
}

struct RequestLine {
    method: String,
    target: String,
    is_http_1_0: bool,
}

/// Parses `POST /path HTTP/1.1`. Blanks within the target are kept: the document's own URL has one.
fn request_line(line: &[u8]) -> Result<RequestLine, HeadError> {
    let wrong = |message: &str| {
        HeadError::malformed(message, "send POST, a path and HTTP/1.1, with one blank between them")
    };
    let line = std::str::from_utf8(line).map_err(|_| wrong("the request line is not ASCII"))?;
    let (method, rest) = line.split_once(' ').ok_or_else(|| wrong("the request line has no target"))?;
    let (target, version) =
        rest.rsplit_once(' ').ok_or_else(|| wrong("the request line has no HTTP version"))?;
    if method.len() > MAX_METHOD || !method.bytes().all(is_token_byte) {
        return Err(wrong("the method is malformed"));
    }
    let is_http_1_0 = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ => return Err(wrong("the version is neither HTTP/1.1 nor HTTP/1.0")),
    };
    if target.len() > MAX_TARGET {
        return Err(wrong("the target has more than 64 KiB"));
    }
    let is_visible = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if target.trim() != target || target.is_empty() || !target.bytes().all(is_visible) {
        return Err(HeadError::malformed(
            "the target has a character that a URL cannot have",
            "percent-encode it, such as %20 for a blank",
        ));
    }
    Ok(RequestLine { method: method.to_owned(), target: target.to_owned(), is_http_1_0 })
}

/// Returns the path of a target: without query, and of `http://host/path` what is behind the host.
fn path_of(target: &str) -> String {
    let after_scheme = ["http://", "https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then(|| &target[scheme.len()..])
    });
    let without_query = |text: &'_ str| text.split(['?', '#']).next().unwrap_or_default().to_owned();
    match after_scheme.map(without_query) {
        Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
        None => without_query(target),
    }
}

type HeaderField<'a> = (&'a str, &'a [u8]);

fn header_fields(bytes: &[u8]) -> Result<Vec<HeaderField<'_>>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_LINES];
    match httparse::parse_headers(bytes, &mut fields) {
        // The library must see the end of the head where this file does.
        Ok(httparse::Status::Complete((length, fields))) if length == bytes.len() => {
            Ok(fields.iter().map(|field| (field.name, field.value)).collect())
        }
        Err(httparse::Error::TooManyHeaders) => {
            Err(HeadError::too_large(format!("the head has more than {MAX_LINES} header lines")))
        }
        Ok(_) | Err(_) => Err(HeadError::malformed(
            "a header line is malformed",
            "send name: value, without blanks before the colon and without folded lines",
        )),
    }
}

/// How the body is delimited. Whatever two parsers could read differently is refused (request smuggling).
fn framing(
    lengths: &[&[u8]],
    encodings: &[&[u8]],
    is_http_1_0: bool,
    method: &str,
) -> Result<BodyFraming, HeadError> {
    let wrong = |message: &str| {
        Err(HeadError::malformed(
            message,
            "send one Content-Length with digits only, or Transfer-Encoding: chunked",
        ))
    };
    match (lengths, encodings) {
        ([], []) if is_http_1_0 && method == "POST" => wrong("a POST of HTTP/1.0 needs a Content-Length"),
        ([], []) => Ok(BodyFraming::Length(0)),
        ([length], []) => {
            let digits = std::str::from_utf8(length)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            match digits.and_then(|digits| digits.parse().ok()) {
                Some(length) => Ok(BodyFraming::Length(length)),
                None => wrong("Content-Length is not a number of bytes"),
            }
        }
        ([], [encoding]) if is_token(encoding, "chunked") && !is_http_1_0 => Ok(BodyFraming::Chunked),
        ([], [_]) => wrong("Transfer-Encoding is not chunked"),
        ([], _) => wrong("there is more than one Transfer-Encoding"),
        (_, []) => wrong("there is more than one Content-Length"),
        _ => wrong("there are both Content-Length and Transfer-Encoding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Head, HeadError> {
        parse(text.as_bytes())
    }

    #[test]
    fn targets() {
        for (target, path, has_blank) in [
            ("/api/x?y=1#z", "/api/x", false),
            ("http://host:80/api/x?y", "/api/x", false),
            ("HTTP://host", "/", false),
            ("http://host?/api/x", "/", false),
            ("*", "*", false),
            ("/api /face-recognition/demo/CALL_FN", "/api /face-recognition/demo/CALL_FN", true),
        ] {
            let head = parsed(&format!("POST {target} HTTP/1.1\r\nHost: x\r\n\r\n")).unwrap();
            assert_eq!((head.path.as_str(), head.has_blank), (path, has_blank), "{target}");
        }
    }

    #[test]
    fn connections_and_expectations() {
        let head = |lines: &str| parsed(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n")).unwrap();
        for (lines, closes) in [
            ("", false),
            ("Connection: keep-alive\r\n", false),
            ("Connection: keep-alive, Close\r\n", true),
            ("Connection: x\r\nConnection: close\r\n", true),
            ("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", true),
        ] {
            assert_eq!(head(lines).closes, closes, "{lines}");
        }
        assert!(head("Expect: 100-Continue\r\n").expects_continue && !head("Expect: x\r\n").expects_continue);
        let old = parsed("GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n").unwrap();
        assert!(old.closes && !old.expects_continue && old.is_http_1_0);
    }

    #[test]
    fn framing_is_plain_or_refused() {
        let framing = |lines: &str| {
            parsed(&format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n"))
                .map(|head| head.body)
                .map_err(|error| error.message)
        };
        assert_eq!(framing(""), Ok(BodyFraming::Length(0)));
        assert_eq!(framing("Content-Length: 007\r\n"), Ok(BodyFraming::Length(7)));
        assert_eq!(framing("transfer-encoding: Chunked\r\n"), Ok(BodyFraming::Chunked));
        for (lines, message) in [
            ("Content-Length: 2\r\nContent-Length: 2\r\n", "more than one Content-Length"),
            ("Content-Length: 2, 2\r\n", "not a number"),
            ("Content-Length: +2\r\n", "not a number"),
            ("Content-Length:\r\n", "not a number"),
            ("Content-Length: 99999999999999999999999\r\n", "not a number"),
            ("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "both"),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "more than one Transfer-Encoding",
            ),
            ("Transfer-Encoding: gzip, chunked\r\n", "not chunked"),
            ("Transfer-Encoding : chunked\r\n", "header line is malformed"),
            ("X: y\r\n folded\r\n", "header line is malformed"),
            ("X\0: y\r\n", "header line is malformed"),
            ("Host: y\r\n", "more than one Host"),
        ] {
            let error = framing(lines).unwrap_err();
            assert!(error.contains(message), "{lines:?}: {error}");
        }
        let old = parsed("POST / HTTP/1.0\r\n\r\n").unwrap_err();
        assert!(old.message.contains("needs a Content-Length"), "{}", old.message);
    }
}
