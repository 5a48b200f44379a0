//! What the bytes of a response announce to their reader: a status, and how much follows. By this the journal tells a complete response
//! from one that was cut.

/// Max headers of a response that is read for what it announces.
const MAX_HEADERS: usize = 64;

/// Status and length of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// `None` for bytes that are not HTTP, and where nothing is sent.
    pub status: Option<u16>,
    /// Length of the head in bytes; 0 without one.
    pub head: u64,
    /// Bytes of head and body together; `None` when the response has no such end.
    pub total: Option<u64>,
}

impl Announced {
    /// Reads what a valid response announces: its head, and every byte of it.
    #[must_use]
    pub fn by_response(status: u16, bytes: &[u8]) -> Announced {
        let head = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
        Announced { status: Some(status), head: head as u64, total: Some(bytes.len() as u64) }
    }

    /// Reads what bytes announce that need not be HTTP. Not HTTP, they announce just themselves.
    #[must_use]
    pub fn by_bytes(bytes: &[u8]) -> Announced {
        let sent = Some(bytes.len() as u64).filter(|bytes| *bytes > 0);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = response.parse(bytes) else {
            return Announced { total: sent, ..Announced::default() };
        };
        let header = |name: &str| {
            let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
        };
        let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
        let total = match (header("transfer-encoding"), length) {
            // The end of a chunked body is its last chunk.
            (Some(_), _) => sent.filter(|_| bytes.ends_with(b"\r\n0\r\n\r\n")),
            (None, Some(length)) => (head as u64).checked_add(length),
            (None, None) => sent,
        };
        Announced { status: response.code, head: head as u64, total }
    }

    /// Returns whether a response is complete when this many of its bytes have left.
    #[must_use]
    pub fn is_complete(&self, bytes: u64) -> bool {
        self.total.is_some_and(|total| bytes >= total)
    }

    /// Returns the status that a reader has seen of so many bytes: that of the head, once all of it has left.
    #[must_use]
    pub fn status_after(&self, bytes: u64) -> Option<u16> {
        self.status.filter(|_| bytes >= self.head && bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_for_their_status_and_their_end() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
        let chunked = "HTTP/1.1 502 \r\nTransfer-Encoding: chunked\r\n\r\n";
        for (text, status, announced, complete) in [
            ("", None, 0, false),
            ("not HTTP", None, 0, true),
            ("HTTP/1.1 200 OK\r\nconte", None, 0, true),
            (&format!("{head}0123456789"), Some(200), head.len(), true),
            (&format!("{head}01234567890123"), Some(200), head.len(), true),
            (&format!("{head}012345678"), Some(200), head.len(), false),
            (head, Some(200), head.len(), false),
            (&format!("{chunked}2\r\n{{}}\r\n0\r\n\r\n"), Some(502), chunked.len(), true),
            (&format!("{chunked}no chunk size\r\n"), Some(502), chunked.len(), false),
            ("HTTP/1.0 204 No Content\r\n\r\n", Some(204), 27, true),
        ] {
            let read = Announced::by_bytes(text.as_bytes());
            let sent = text.len() as u64;
            assert_eq!(
                (read.status, read.head, read.is_complete(sent)),
                (status, announced as u64, complete),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_status_counts_once_the_whole_head_has_left() {
        let read = Announced::by_response(200, b"HTTP/1.1 200 OK\r\n\r\n{}");
        assert_eq!((read.head, read.total), (19, Some(21)));
        assert_eq!([0, 18, 19].map(|bytes| read.status_after(bytes)), [None, None, Some(200)]);
        assert_eq!(Announced::default().status_after(7), None);
        assert!(!Announced::default().is_complete(u64::MAX), "nothing is announced");
    }
}
