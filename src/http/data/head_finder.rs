//! Where a request's head ends in what was read, and what is no HTTP/1 from its first bytes on.

use super::head::{Head, HeadError, is_token_byte, parse};

/// Max bytes of a head.
pub const MAX_HEAD: usize = 128 << 10;

/// Finds heads in what a connection reads. Remembers how far it looked, so that a head in single bytes costs no more than one in one piece.
#[derive(Debug, Default)]
pub struct HeadFinder {
    searched: usize,
}

impl HeadFinder {
    /// Returns the first head in `bytes` and its length with the empty lines before it; `None` when more has to be read.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn find(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, HeadError> {
        let start = empty_lines(bytes);
        match &bytes[start..] {
            [] | b"\r" => {}
            [first, ..] => refuse_other_protocols(&bytes[start..], *first)?,
        }
        let Some(end) = self.end_of_head(bytes, start) else {
            let length = bytes.len();
            return match length > MAX_HEAD {
                true => Err(HeadError::too_large(format!("the head has more than {MAX_HEAD} bytes"))),
                false => Ok(None),
            };
        };
        self.searched = 0;
        if end > MAX_HEAD {
            return Err(HeadError::too_large(format!("the head has more than {MAX_HEAD} bytes")));
        }
        parse(&bytes[start..end]).map(|head| Some((head, end)))
    }

    /// Returns the offset behind the empty line that ends the head.
    fn end_of_head(&mut self, bytes: &[u8], start: usize) -> Option<usize> {
        // The line break before the empty line may have been searched already.
        let mut from = self.searched.max(start).saturating_sub(2).max(start);
        while let Some(at) = memchr::memchr(b'\n', &bytes[from..]) {
            let behind = from + at + 1;
            match &bytes[behind..] {
                [b'\n', ..] => return Some(behind + 1),
                [b'\r', b'\n', ..] => return Some(behind + 2),
                _ => from = behind,
            }
        }
        self.searched = bytes.len();
        None
    }
}

/// Returns the length of the empty lines that bytes begin with. A CR alone is not one: some parsers take it for a blank.
fn empty_lines(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match &bytes[at..] {
            [b'\n', ..] => at += 1,
            [b'\r', b'\n', ..] => at += 2,
            _ => return at,
        }
    }
}

/// Refuses what is not HTTP/1 from its first byte on: its client would wait for a response of its own protocol.
fn refuse_other_protocols(bytes: &[u8], first: u8) -> Result<(), HeadError> {
    if bytes.starts_with(b"\x16\x03") {
        return Err(HeadError::malformed(
            "this is a TLS handshake, and the port speaks plain HTTP",
            "use http://, or put a proxy that ends TLS before the simulator",
        ));
    }
    if bytes.starts_with(b"PRI * HTTP/2") {
        return Err(HeadError::malformed(
            "this is HTTP/2, and the port speaks HTTP/1.1",
            "let the client use HTTP/1.1",
        ));
    }
    if !is_token_byte(first) {
        return Err(HeadError::malformed(
            "this is not HTTP: a request begins with a method such as POST",
            "send an HTTP/1.1 request",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::data::head::{MAX_LINES, MAX_TARGET};

    fn parsed(text: &str) -> Result<Head, HeadError> {
        HeadFinder::default().find(text.as_bytes()).map(|found| found.expect("a whole head").0)
    }

    #[test]
    fn a_head_is_found_however_it_is_cut_and_whatever_follows() {
        let text = "\r\n\r\nPOST /a HTTP/1.1\r\nHost: x\nX: y\r\n\r\n";
        let all = format!("{text}POST /b");
        let (whole, length) = HeadFinder::default().find(all.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        let mut finder = HeadFinder::default();
        for end in 0..text.len() {
            assert_eq!(finder.find(&all.as_bytes()[..end]), Ok(None), "{end}");
        }
        assert_eq!(finder.find(text.as_bytes()).unwrap().unwrap(), (whole, text.len()));
    }

    #[test]
    fn what_is_not_http_is_named_at_once() {
        for (bytes, message) in [
            (&b"\x16\x03\x01\x02"[..], "TLS"),
            (b"PRI * HTTP/2.0\r\n", "HTTP/2"),
            (b"\x00", "not HTTP"),
            (b"<?xml", "not HTTP"),
            (b"\rPOST", "not HTTP"),
            (b"\r\r\nPOST", "not HTTP"),
            (b"POST /\r\n\r\n", "no HTTP version"),
            (b"POST / HTTP/1.2\r\n\r\n", "neither HTTP/1.1"),
            (b"POST /\xFF HTTP/1.1\r\n\r\n", "not ASCII"),
            (b"POST /\t HTTP/1.1\r\n\r\n", "cannot have"),
            (b"POST / HTTP/1.1\r\n\r\n", "Host header is missing"),
        ] {
            let error = HeadFinder::default().find(bytes).unwrap_err();
            assert!(error.message.contains(message) && error.status == 400, "{error:?}");
        }
    }

    #[test]
    fn heads_are_bounded_in_bytes_and_lines() {
        let endless = format!("POST / HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(HeadFinder::default().find(endless.as_bytes()).unwrap_err().status, 431);
        let lines = format!("POST / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(MAX_LINES));
        assert_eq!(parsed(&lines).unwrap_err().status, 431);
        let target = format!("POST /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(MAX_TARGET));
        assert_eq!(parsed(&target).unwrap_err().status, 400);
    }
}
