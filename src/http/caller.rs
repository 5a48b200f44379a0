//! A client of the simulator's own endpoint: sends one request over a plain socket, and says what came back, to the byte, and how it
//! ended. It reads as clients do: until everything that the head announces has come.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::data::chunks::ChunkDecoder;

/// How a call ended, for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// Everything that the head announces has come.
    Complete,
    /// The connection was closed before that (FIN), or what came is not HTTP.
    Fin,
    /// The connection was reset before that (RST).
    Rst,
    /// Not everything came within the timeout.
    Timeout,
    /// There was no connection: nothing listens.
    Refused,
    /// More than 16 MiB came.
    TooLarge,
}

/// A header, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeaderLine {
    pub name: String,
    pub value: String,
}

/// What came back.
#[derive(Debug)]
pub struct CallResult {
    /// `None` when no whole head came.
    pub status: Option<u16>,
    /// In the order and case in which they came.
    pub headers: Vec<HeaderLine>,
    /// The body, without its chunking; where that is malformed, and where no whole head came, all bytes as they came.
    pub body: Vec<u8>,
    pub end: CallEnd,
    /// Microseconds from the start to the connection.
    pub connect_us: Option<u64>,
    /// Microseconds from the start to the first byte.
    pub first_byte_us: Option<u64>,
    /// Microseconds from the start to the end.
    pub total_us: u64,
}

/// Max bytes that are read.
const MAX_BYTES: usize = 16 << 20;

/// Max bytes of a head.
const MAX_HEAD: usize = 256 << 10;

/// Max headers that are read.
const MAX_HEADERS: usize = 128;

/// Sends the bytes of a request, and reads until its response or the connection ends, or until the deadline. With `proxied`, a PROXY
/// header goes before them.
pub async fn call(
    address: SocketAddr,
    request: &[u8],
    proxied: bool,
    mut deadline: BoxFuture<'static, ()>,
) -> CallResult {
    let start = Instant::now();
    let elapsed_us = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    let (mut connect_us, mut first_byte_us) = (None, None);
    let mut received = Received::default();
    let end = 'end: {
        let connected = tokio::select! {
            connected = TcpStream::connect(address) => connected,
            () = &mut deadline => break 'end CallEnd::Timeout,
        };
        let Ok(mut stream) = connected else { break 'end CallEnd::Refused };
        connect_us = Some(elapsed_us());
        let proxy = if proxied { proxy_header(&stream) } else { Vec::new() };
        let (mut reader, mut writer) = stream.split();
        let send = async {
            writer.write_all(&proxy).await?;
            writer.write_all(request).await
        };
        tokio::pin!(send);
        let mut is_sending = true;
        loop {
            tokio::select! {
                // A response may come, and the connection end, while the request is still sent.
                _ = &mut send, if is_sending => is_sending = false,
                read = reader.read_buf(&mut received.bytes) => {
                    if !received.bytes.is_empty() && first_byte_us.is_none() {
                        first_byte_us = Some(elapsed_us());
                    }
                    if let Some(end) = received.end_after(&read) {
                        break end;
                    }
                }
                () = &mut deadline => break CallEnd::Timeout,
            }
        }
    };
    let (status, headers, body) = received.into_parts();
    CallResult { status, headers, body, end, connect_us, first_byte_us, total_us: elapsed_us() }
}

/// A PROXY header (version 1) that says what is: this machine calls itself.
fn proxy_header(stream: &TcpStream) -> Vec<u8> {
    let (Ok(from), Ok(to)) = (stream.local_addr(), stream.peer_addr()) else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let family = if from.is_ipv4() { 4 } else { 6 };
    format!("PROXY TCP{family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()).into_bytes()
}

/// What has come so far.
#[derive(Default)]
struct Received {
    bytes: BytesMut,
    head: Option<ResponseHead>,
    chunks: Chunks,
}

/// What has come of a chunked body.
#[derive(Default)]
struct Chunks {
    decoder: ChunkDecoder,
    /// Of the connection's bytes, as many were taken.
    taken: usize,
    undecoded: BytesMut,
    body: Vec<u8>,
    is_complete: bool,
    is_malformed: bool,
}

impl Chunks {
    /// Takes what came since the last time.
    fn take(&mut self, head: &ResponseHead, bytes: &[u8]) {
        let new = &bytes[self.taken.max(head.length)..];
        self.taken = bytes.len();
        if self.is_complete || self.is_malformed {
            return;
        }
        self.undecoded.extend_from_slice(new);
        match self.decoder.decode(&mut self.undecoded, &mut self.body, MAX_BYTES) {
            Ok(is_complete) => self.is_complete = is_complete,
            Err(_) => self.is_malformed = true,
        }
    }
}

/// A whole head.
struct ResponseHead {
    /// In bytes.
    length: usize,
    status: u16,
    headers: Vec<HeaderLine>,
    framing: Framing,
}

/// Where a body ends.
#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
    /// With the connection.
    Close,
}

impl Received {
    /// Returns the end of the call, if it ends with what was read last.
    fn end_after(&mut self, read: &io::Result<usize>) -> Option<CallEnd> {
        while self.head.is_none() && self.bytes.len() <= MAX_HEAD {
            match ResponseHead::parse(&self.bytes) {
                // What comes before the response, such as 103.
                Some(head) if head.is_interim() => drop(self.bytes.split_to(head.length)),
                Some(head) => self.head = Some(head),
                None => break,
            }
        }
        if let Some(head @ ResponseHead { framing: Framing::Chunked, .. }) = &self.head {
            self.chunks.take(head, &self.bytes);
        }
        if self.is_complete() {
            return Some(CallEnd::Complete);
        }
        let closes_body = matches!(self.head, Some(ResponseHead { framing: Framing::Close, .. }));
        match read {
            Ok(0) if closes_body => Some(CallEnd::Complete),
            Ok(0) => Some(CallEnd::Fin),
            Ok(_) => (self.bytes.len() > MAX_BYTES).then_some(CallEnd::TooLarge),
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(_) => Some(CallEnd::Rst),
        }
    }

    fn is_complete(&self) -> bool {
        let Some(head) = &self.head else { return false };
        match head.framing {
            Framing::Length(length) => self.bytes.len() - head.length >= length,
            Framing::Chunked => self.chunks.is_complete,
            Framing::Close => false,
        }
    }

    fn into_parts(self) -> (Option<u16>, Vec<HeaderLine>, Vec<u8>) {
        let body = match &self.head {
            None => self.bytes.to_vec(),
            Some(head) => {
                let rest = &self.bytes[head.length..];
                match head.framing {
                    Framing::Length(length) => rest[..length.min(rest.len())].to_vec(),
                    Framing::Chunked if self.chunks.is_complete => self.chunks.body,
                    Framing::Chunked | Framing::Close => rest.to_vec(),
                }
            }
        };
        let head = self.head.map(|head| (head.status, head.headers));
        let (status, headers) = head.map_or((None, Vec::new()), |(status, headers)| (Some(status), headers));
        (status, headers, body)
    }
}

impl ResponseHead {
    /// Returns whether the response is still to come.
    fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// Parses a head; `None` when it is not whole yet, or never will be.
    fn parse(bytes: &[u8]) -> Option<ResponseHead> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = response.parse(bytes) else { return None };
        let status = response.code?;
        let header = |header: &httparse::Header| HeaderLine {
            name: header.name.to_owned(),
            value: String::from_utf8_lossy(header.value).into_owned(),
        };
        let headers: Vec<_> = response.headers.iter().map(header).collect();
        let find = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        let content_length = find("content-length").and_then(|header| header.value.trim().parse().ok());
        let framing = match (find("transfer-encoding"), content_length) {
            _ if matches!(status, 101 | 204 | 304) => Framing::Length(0),
            (Some(_), _) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::Close,
        };
        Some(ResponseHead { length, status, headers, framing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client has of these bytes, read one by one, when the connection then ends with `last`.
    fn read(bytes: &[u8], last: io::Result<usize>) -> (Option<u16>, CallEnd, String) {
        let mut received = Received::default();
        let mut end = None;
        for byte in bytes {
            received.bytes.extend_from_slice(&[*byte]);
            end = received.end_after(&Ok(1));
            if end.is_some() {
                break;
            }
        }
        let end = end.or_else(|| received.end_after(&last)).unwrap();
        let (status, _, body) = received.into_parts();
        (status, end, String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_response_ends_where_its_head_says() {
        let reset = || Err(ErrorKind::ConnectionReset.into());
        for (bytes, last, status, end, body) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Ok(0), Some(200), CallEnd::Complete, "{}"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{", Ok(0), Some(200), CallEnd::Complete, "{}"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", Ok(0), Some(200), CallEnd::Fin, "{}"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", reset(), Some(200), CallEnd::Rst, "{}"),
            ("HTTP/1.1 200 OK\r\n\r\n{}", Ok(0), Some(200), CallEnd::Complete, "{}"),
            ("HTTP/1.1 200 OK\r\n\r\n{}", reset(), Some(200), CallEnd::Rst, "{}"),
            (
                "HTTP/1.1 100 \r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 \r\ncontent-length: 2\r\n\r\n{}",
                Ok(0),
                Some(200),
                CallEnd::Complete,
                "{}",
            ),
            ("HTTP/1.1 103 Early Hints\r\n\r\n", Ok(0), None, CallEnd::Fin, ""),
            ("HTTP/1.1 204 No Content\r\n\r\n", Ok(0), Some(204), CallEnd::Complete, ""),
            (
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n6\r\n{}\r\n\r\n\r\n1\r\n!\r\n0\r\n\r\n",
                Ok(0),
                Some(200),
                CallEnd::Complete,
                "{}\r\n\r\n!",
            ),
            (
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
                Ok(0),
                Some(200),
                CallEnd::Fin,
                "2\r\n{}\r\n",
            ),
            (
                "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n\r\n",
                Ok(0),
                Some(200),
                CallEnd::Fin,
                "xyz\r\n\r\n",
            ),
            ("HTTP/1.1 200 OK\r\ncontent-le", Ok(0), None, CallEnd::Fin, "HTTP/1.1 200 OK\r\ncontent-le"),
            ("garbage", Ok(0), None, CallEnd::Fin, "garbage"),
            ("", Ok(0), None, CallEnd::Fin, ""),
            ("", reset(), None, CallEnd::Rst, ""),
        ] {
            assert_eq!(read(bytes.as_bytes(), last), (status, end, body.to_owned()), "{bytes:?}");
        }
    }

    #[test]
    fn what_follows_the_last_chunk_does_not_matter() {
        let mut received = Received::default();
        received
            .bytes
            .extend_from_slice(b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nX");
        assert_eq!(received.end_after(&Ok(1)), Some(CallEnd::Complete));
        assert_eq!(received.into_parts().2, b"{}");
    }

    #[test]
    fn no_response_is_read_without_end() {
        let mut received = Received::default();
        received.bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n\r\n");
        received.bytes.resize(MAX_BYTES + 1, b'x');
        assert_eq!(received.end_after(&Ok(1)), Some(CallEnd::TooLarge));
    }
}
