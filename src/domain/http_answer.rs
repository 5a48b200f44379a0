//! An HTTP response as a value, and its bytes: a fixed order of headers, in one of two styles.

use std::fmt::Write;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Style of response heads (policy key `head`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeadStyle {
    /// Lower-case names, Content-Length, a reason phrase.
    #[default]
    Plain,
    /// As Apache Tomcat sends them: title-case names, chunked, Keep-Alive, no reason phrase (FIELD-NOTES, "inferred server").
    Tomcat,
}

/// Keep-alive time that the Tomcat style announces, in seconds; that of Spring Boot's Tomcat by default.
const KEEP_ALIVE_SECONDS: u32 = 60;

/// An HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub style: HeadStyle,
    /// The `Date` of the response. From the simulator's clock, so that the same requests get the same bytes.
    pub at: Timestamp,
}

/// How the end of a body is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// `Content-Length`.
    Bytes(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Whether the connection is kept after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    KeepAlive,
    Close,
}

impl HttpAnswer {
    /// Returns the bytes of a head.
    #[must_use]
    pub fn head(&self, length: BodyLength, persistence: Persistence) -> Vec<u8> {
        let length = match length {
            BodyLength::Bytes(bytes) => ("content-length", bytes.to_string()),
            BodyLength::Chunked => ("transfer-encoding", "chunked".to_owned()),
        };
        let length = self.may_have_body().then_some(length);
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let date = ("date", self.at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        let close = || ("connection", "close".to_owned());
        let closes = (persistence == Persistence::Close).then(close);
        match self.style {
            HeadStyle::Plain => self.head_of(length.into_iter().chain(own).chain([date]).chain(closes)),
            HeadStyle::Tomcat => {
                let keeps = [
                    ("keep-alive", format!("timeout={KEEP_ALIVE_SECONDS}")),
                    ("connection", "keep-alive".to_owned()),
                ];
                let keeps = keeps.into_iter().filter(|_| persistence == Persistence::KeepAlive);
                self.head_of(own.chain(length).chain([date]).chain(keeps).chain(closes))
            }
        }
    }

    fn head_of<'a>(&self, headers: impl Iterator<Item = (&'a str, String)>) -> Vec<u8> {
        let reason = match self.style {
            HeadStyle::Plain => reason_phrase(self.status),
            HeadStyle::Tomcat => "",
        };
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in headers {
            let name = match self.style {
                HeadStyle::Plain => name.to_ascii_lowercase(),
                HeadStyle::Tomcat => title_case(name),
            };
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Whether a status can have a body (RFC 9110, 15). Bytes behind one that cannot would be taken for the next response.
    fn may_have_body(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }

    /// Returns the bytes of the response to a HEAD request.
    #[must_use]
    pub fn head_without_body(&self, persistence: Persistence) -> Vec<u8> {
        self.head(BodyLength::Bytes(self.body.len() as u64), persistence)
    }

    /// Returns the bytes of a complete response with a Content-Length.
    #[must_use]
    pub fn head_and_body(&self, persistence: Persistence) -> Vec<u8> {
        let mut bytes = self.head_without_body(persistence);
        if self.may_have_body() {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }

    /// Returns the bytes of a complete response as its style sends it. HTTP/1.0 has no chunks.
    #[must_use]
    pub fn render(&self, persistence: Persistence, is_http_1_0: bool) -> Vec<u8> {
        if !self.may_have_body() {
            return self.head_without_body(persistence);
        }
        let (mut bytes, end) = self.around(self.body.len(), persistence, is_http_1_0);
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(end);
        bytes
    }

    /// Returns the bytes before and behind a body of this length, as the style sends it. HTTP/1.0 has no chunks.
    #[must_use]
    pub fn around(
        &self,
        length: usize,
        persistence: Persistence,
        is_http_1_0: bool,
    ) -> (Vec<u8>, &'static [u8]) {
        if self.style == HeadStyle::Plain || is_http_1_0 || length == 0 {
            return (self.head(BodyLength::Bytes(length as u64), persistence), b"");
        }
        let mut bytes = self.head(BodyLength::Chunked, persistence);
        bytes.extend_from_slice(format!("{length:x}\r\n").as_bytes());
        (bytes, b"\r\n0\r\n\r\n")
    }
}

/// Returns the standard reason phrase; empty for an unknown status.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

fn title_case(name: &str) -> String {
    let parts = name.split('-').map(|part| {
        let (first, rest) = part.split_at(part.len().min(1));
        first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
    });
    parts.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(style: HeadStyle) -> HttpAnswer {
        HttpAnswer {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: b"{}".to_vec(),
            style,
            at: "2026-11-21T10:00:00+07:00".parse().unwrap(),
        }
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_plain_head_has_a_fixed_order() {
        assert_eq!(
            text(answer(HeadStyle::Plain).render(Persistence::Close, false)),
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\
             date: Sat, 21 Nov 2026 03:00:00 GMT\r\nconnection: close\r\n\r\n{}"
        );
    }

    #[test]
    fn a_tomcat_head_is_chunked_and_in_title_case_and_says_that_it_keeps_the_connection() {
        let answer = answer(HeadStyle::Tomcat);
        assert_eq!(
            text(answer.render(Persistence::KeepAlive, false)),
            "HTTP/1.1 200 \r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
             Date: Sat, 21 Nov 2026 03:00:00 GMT\r\nKeep-Alive: timeout=60\r\nConnection: keep-alive\r\n\r\n\
             2\r\n{}\r\n0\r\n\r\n"
        );
        let old = text(answer.render(Persistence::Close, true));
        assert!(
            old.contains("\r\nContent-Length: 2\r\n") && old.ends_with("Connection: close\r\n\r\n{}"),
            "{old}"
        );
        let none = HttpAnswer { status: 204, ..answer.clone() };
        let none = text(none.render(Persistence::KeepAlive, false));
        assert!(!none.to_lowercase().contains("length") && none.ends_with("\r\n\r\n"), "{none}");
        let empty = HttpAnswer { body: Vec::new(), ..answer };
        assert!(text(empty.render(Persistence::KeepAlive, false)).contains("\r\nContent-Length: 0\r\n"));
    }
}
