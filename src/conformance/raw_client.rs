//! HTTP client that keeps what a usual one hides: the head's bytes, how the body is framed, times, and whether the connection stayed open.
//! One connection a call, to one address; no redirects, no proxy, no second try.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use super::call_spec::BuiltCall;
use crate::http::data::chunks::{ChunkDecoder, ChunkError};

/// How the end of a body was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerFraming {
    ContentLength,
    Chunked,
    /// The connection was closed.
    Close,
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Without the empty line at its end.
    pub head: String,
    pub body: Vec<u8>,
    pub framing: AnswerFraming,
    /// From the first byte sent.
    pub first_byte: Duration,
    pub last_byte: Duration,
    pub stays_open: bool,
}

/// Sends one request and reads its answer.
pub trait Exchanger {
    /// # Errors
    /// Why there is no whole answer, in words.
    fn exchange(&mut self, call: &BuiltCall) -> Result<RawAnswer, String>;
}

/// Exchanges over TCP with one pinned address.
#[derive(Debug)]
pub struct TcpExchanger {
    pub address: SocketAddr,
    /// `Host` of the requests.
    pub host: String,
    /// From connecting to the last byte.
    pub timeout: Duration,
}

/// Answers have a few hundred bytes; a page of a proxy some thousands.
const MAX_BYTES: usize = 1 << 20;
const TOO_LONG: &str = "the answer is longer than a megabyte";
/// How long `100 Continue` is waited for before the body is sent all the same (RFC 9110, 10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

impl Exchanger for TcpExchanger {
    fn exchange(&mut self, call: &BuiltCall) -> Result<RawAnswer, String> {
        let deadline = Instant::now() + self.timeout;
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)
            .map_err(|error| format!("no connection: {}", words(&error)))?;
        let mut connection = Connected { stream, deadline, bytes: BytesMut::new() };
        connection.send(call, &self.host).map_err(|error| words(&error))?;
        connection.answer(call)
    }
}

/// Says in words how an exchange broke.
fn words(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no whole answer in time".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "the connection was reset".to_owned()
        }
        ErrorKind::UnexpectedEof => "the connection was closed before the end of the answer".to_owned(),
        ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}

struct Connected {
    stream: TcpStream,
    deadline: Instant,
    /// Received and not yet parsed.
    bytes: BytesMut,
}

impl Connected {
    fn send(&mut self, call: &BuiltCall, host: &str) -> std::io::Result<()> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", call.method, call.path);
        call.headers.iter().for_each(|(name, value)| head.extend([name, ": ", value, "\r\n"]));
        head.push_str(concat!("User-Agent: dukcapil-fr-sim/", env!("CARGO_PKG_VERSION"), "\r\n"));
        if call.expects_continue {
            head.push_str("Expect: 100-continue\r\n");
        }
        match (call.is_chunked, call.body.is_empty()) {
            (true, _) => head.push_str("Transfer-Encoding: chunked\r\n\r\n"),
            (false, true) => head.push_str("\r\n"),
            (false, false) => head.push_str(&format!("Content-Length: {}\r\n\r\n", call.body.len())),
        }
        self.stream.write_all(head.as_bytes())?;
        if call.expects_continue && !self.may_continue()? {
            return Ok(());
        }
        if !call.is_chunked {
            return self.stream.write_all(&call.body);
        }
        let mut chunks = Vec::new();
        for part in call.body.chunks(4096) {
            chunks.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            chunks.extend_from_slice(part);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        self.stream.write_all(&chunks)
    }

    /// Waits for `100 Continue`, which is removed, or for a final answer: then the body is not to be sent.
    fn may_continue(&mut self) -> std::io::Result<bool> {
        self.stream.set_read_timeout(Some(self.left()?.min(CONTINUE_WAIT)))?;
        let mut buffer = [0; 1024];
        match self.stream.read(&mut buffer) {
            Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        Ok(self.bytes.is_empty() || self.bytes.starts_with(b"HTTP/1.1 100"))
    }

    fn left(&self) -> std::io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// Reads more bytes; none at the end of the stream.
    fn more(&mut self) -> std::io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        let mut buffer = [0; 8192];
        let count = self.stream.read(&mut buffer)?;
        self.bytes.extend_from_slice(&buffer[..count]);
        if self.bytes.len() > MAX_BYTES {
            return Err(std::io::Error::other(TOO_LONG));
        }
        Ok(count)
    }

    fn answer(mut self, call: &BuiltCall) -> Result<RawAnswer, String> {
        let sent = Instant::now();
        let mut first_byte = None;
        let (status, head, framing, length) = loop {
            if !self.bytes.is_empty() {
                first_byte.get_or_insert_with(|| sent.elapsed());
            }
            match parse_head(&self.bytes)? {
                Some(parsed) if (100..200).contains(&parsed.status) => self.bytes.advance(parsed.bytes),
                Some(parsed) => {
                    let head = String::from_utf8_lossy(&self.bytes[..parsed.bytes]).trim_end().to_owned();
                    self.bytes.advance(parsed.bytes);
                    break (parsed.status, head, parsed.framing, parsed.length);
                }
                None if self.more().map_err(|error| words(&error))? == 0 => {
                    return Err(match self.bytes.is_empty() {
                        true => "the connection was closed without an answer".to_owned(),
                        false => "the connection was closed within the head".to_owned(),
                    });
                }
                None => {}
            }
        };
        let has_body = call.method != "HEAD" && !matches!(status, 204 | 304);
        let body =
            if has_body { self.body(framing, length).map_err(|error| words(&error))? } else { Vec::new() };
        let last_byte = sent.elapsed();
        Ok(RawAnswer {
            status,
            head,
            body,
            framing,
            first_byte: first_byte.unwrap_or(last_byte),
            last_byte,
            stays_open: framing != AnswerFraming::Close && self.is_open(),
        })
    }

    fn body(&mut self, framing: AnswerFraming, length: usize) -> std::io::Result<Vec<u8>> {
        match framing {
            AnswerFraming::ContentLength => {
                self.need(length)?;
                Ok(self.bytes.split_to(length).to_vec())
            }
            AnswerFraming::Close => {
                while self.more()? > 0 {}
                Ok(std::mem::take(&mut self.bytes).to_vec())
            }
            AnswerFraming::Chunked => self.chunks(),
        }
    }

    fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let (mut decoder, mut body) = (ChunkDecoder::default(), Vec::new());
        loop {
            let is_complete =
                decoder.decode(&mut self.bytes, &mut body, MAX_BYTES).map_err(|error| match error {
                    ChunkError::TooLarge => std::io::Error::other(TOO_LONG),
                    ChunkError::Malformed => std::io::Error::other("the chunks of the answer are malformed"),
                })?;
            if is_complete {
                return Ok(body);
            }
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn need(&mut self, count: usize) -> std::io::Result<()> {
        while self.bytes.len() < count {
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Whether the server has not closed the connection by now.
    fn is_open(&self) -> bool {
        let mut byte = [0];
        self.stream.set_nonblocking(true).is_ok()
            && self.stream.peek(&mut byte).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

struct ParsedHead {
    status: u16,
    /// Length of the head.
    bytes: usize,
    framing: AnswerFraming,
    /// Of the body, where it is announced.
    length: usize,
}

/// Parses a head; `None` while it is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<ParsedHead>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("bytes that are not HTTP came ({error})")),
    };
    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok().map(str::trim)
    };
    let is_chunked = value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let announced = value("content-length").map(str::parse::<usize>);
    let (framing, body) = match announced {
        _ if is_chunked => (AnswerFraming::Chunked, 0),
        Some(Ok(body)) if body <= MAX_BYTES => (AnswerFraming::ContentLength, body),
        Some(_) => return Err("the announced length of the answer is not usable".to_owned()),
        None => (AnswerFraming::Close, 0),
    };
    Ok(Some(ParsedHead { status: response.code.unwrap_or_default(), bytes: length, framing, length: body }))
}
