//! Heads and bodies of HTTP/1.1 messages in a copy of a byte stream, within a bounded memory. The traffic itself does not depend on it.

use bytes::{Buf, BytesMut};

use super::exchange::RequestFraming;
use crate::conformance::raw_client::AnswerFraming;
use crate::http::data::chunks::ChunkDecoder;
use crate::http::data::head::BodyFraming;
use crate::http::data::head_finder::HeadFinder;

/// Max bytes of a head.
const MAX_HEAD: usize = 64 << 10;
/// Max bytes of a body.
const MAX_BODY: usize = 16 << 20;
const MAX_FIELDS: usize = 96;

/// Bytes that cannot be parsed, or exceed what is kept in memory.
#[derive(Debug, PartialEq, Eq)]
pub struct Unparsable;

/// How the end of a body is found.
pub enum BodyEnd {
    /// So many bytes are left.
    Length(usize),
    Chunks(ChunkDecoder),
    /// At the end of the connection.
    Close,
}

/// A body on its way.
pub struct BodyReader {
    end: BodyEnd,
    pub body: Vec<u8>,
    /// Bytes of the stream so far, with those of chunks' heads.
    pub bytes: u64,
}

impl BodyReader {
    /// Begins a body.
    ///
    /// # Errors
    /// It is announced as too long.
    pub fn new(end: BodyEnd) -> Result<BodyReader, Unparsable> {
        match end {
            BodyEnd::Length(length) if length > MAX_BODY => Err(Unparsable),
            end => Ok(BodyReader { end, body: Vec::new(), bytes: 0 }),
        }
    }

    /// Takes what the input has of the body. Returns whether it is whole.
    ///
    /// # Errors
    /// Its chunks are malformed, or it is too long.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<bool, Unparsable> {
        let before = input.len();
        let is_whole = self.take(input);
        self.bytes += (before - input.len()) as u64;
        is_whole
    }

    fn take(&mut self, input: &mut BytesMut) -> Result<bool, Unparsable> {
        match &mut self.end {
            BodyEnd::Length(left) => {
                let part = input.split_to(input.len().min(*left));
                self.body.extend_from_slice(&part);
                *left -= part.len();
                Ok(*left == 0)
            }
            BodyEnd::Chunks(decoder) => {
                decoder.decode(input, &mut self.body, MAX_BODY).map_err(|_| Unparsable)
            }
            BodyEnd::Close if self.body.len() + input.len() > MAX_BODY => Err(Unparsable),
            BodyEnd::Close => {
                self.body.extend_from_slice(&input.split());
                Ok(false)
            }
        }
    }

    #[must_use]
    pub fn ends_with_the_connection(&self) -> bool {
        matches!(self.end, BodyEnd::Close)
    }
}

/// The head of a request, as it came.
pub struct RequestHeadBytes {
    pub method: String,
    pub target: String,
    /// Names and values, without white space around them.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub framing: RequestFraming,
    /// Of the head.
    pub bytes: u64,
}

/// Takes the head of a request from the input; `None` while it is not whole. What the simulator would refuse cannot be parsed.
///
/// # Errors
/// It is no head, or too long.
pub fn request_head(
    finder: &mut HeadFinder,
    input: &mut BytesMut,
) -> Result<Option<(RequestHeadBytes, BodyReader)>, Unparsable> {
    let Some((head, length)) = finder.find(input).map_err(|_| Unparsable)? else {
        return if input.len() > MAX_HEAD { Err(Unparsable) } else { Ok(None) };
    };
    if length > MAX_HEAD {
        return Err(Unparsable);
    }
    let (framing, end) = match head.body {
        BodyFraming::Length(0) if head.header("content-length").is_none() => {
            (RequestFraming::None, BodyEnd::Length(0))
        }
        BodyFraming::Length(length) => {
            (RequestFraming::ContentLength, BodyEnd::Length(usize::try_from(length).unwrap_or(usize::MAX)))
        }
        BodyFraming::Chunked => (RequestFraming::Chunked, BodyEnd::Chunks(ChunkDecoder::default())),
    };
    // What is too long stays in the input, and is counted there.
    let body = BodyReader::new(end)?;
    let bytes = input.split_to(length);
    let mut lines = bytes.trim_ascii().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let line = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let target =
        line.split_once(' ').and_then(|(_, rest)| rest.rsplit_once(' ')).map_or("", |(target, _)| target);
    let field = |line: &[u8]| {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(line.len()));
        (name.to_vec(), value.get(1..).unwrap_or_default().trim_ascii().to_vec())
    };
    let parsed = RequestHeadBytes {
        target: target.to_owned(),
        fields: lines.map(field).collect(),
        framing,
        bytes: length as u64,
        method: head.method,
    };
    Ok(Some((parsed, body)))
}

/// The head of an answer.
#[derive(Debug)]
pub struct AnswerHeadBytes {
    pub status: u16,
    /// Without the empty line at its end.
    pub text: String,
    pub framing: AnswerFraming,
    /// Whether the connection is meant to serve another request.
    pub stays_open: bool,
    pub bytes: u64,
}

/// Takes the head of an answer from the input; `None` while it is not whole. `is_head` says that the request was a HEAD, whose answer has no
/// body.
///
/// # Errors
/// It is no head, or too long, or does not say clearly where its body ends.
pub fn answer_head(
    input: &mut BytesMut,
    is_head: bool,
) -> Result<Option<(AnswerHeadBytes, BodyReader)>, Unparsable> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if input.len() <= MAX_HEAD => return Ok(None),
        _ => return Err(Unparsable),
    };
    let status = response.code.unwrap_or_default();
    let values = |name: &str| {
        let matching = response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        matching.map(|field| field.value.trim_ascii()).collect::<Vec<_>>()
    };
    let (lengths, encodings) = (values("content-length"), values("transfer-encoding"));
    let (framing, end) = match (&lengths[..], &encodings[..]) {
        ([], []) => (AnswerFraming::Close, BodyEnd::Close),
        ([first, rest @ ..], []) if rest.iter().all(|other| other == first) => {
            let digits =
                std::str::from_utf8(first).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok()).ok_or(Unparsable)?;
            (AnswerFraming::ContentLength, BodyEnd::Length(length))
        }
        ([], [encoding]) if encoding.eq_ignore_ascii_case(b"chunked") => {
            (AnswerFraming::Chunked, BodyEnd::Chunks(ChunkDecoder::default()))
        }
        _ => return Err(Unparsable),
    };
    let has_body = !is_head && !matches!(status, 100..=199 | 204 | 304);
    let end = if has_body { end } else { BodyEnd::Length(0) };
    let closes = values("connection").iter().any(|value| value.eq_ignore_ascii_case(b"close"));
    let is_old = response.version == Some(0);
    let stays_open = !closes && !is_old && (!has_body || framing != AnswerFraming::Close);
    let text = String::from_utf8_lossy(&input[..length]).trim_end_matches(['\r', '\n']).to_owned();
    let body = BodyReader::new(end)?;
    input.advance(length);
    Ok(Some((AnswerHeadBytes { status, text, framing, stays_open, bytes: length as u64 }, body)))
}

/// The status in bytes that begin like an answer.
#[must_use]
pub fn status_of(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"HTTP/1.")?.get(1..5)?.strip_prefix(b" ")?;
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (100..600).contains(&status).then_some(status)
}
