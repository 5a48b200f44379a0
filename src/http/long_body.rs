//! A long body's way past HTTP. HTTP hands bodies on in pieces of some kilobytes, each of them read, split off, queued and copied, and
//! for a megabyte that is more than all else that is done with it but RSA. So HTTP is told that a long body is empty, by zeros in its
//! Content-Length, and who handles the request reads it from the socket itself, straight to where it is wanted.
//!
//! What HTTP is given is followed from head to head. A head that comes in pieces is left as it is, and its body to HTTP; from where it
//! is not plain how long a body is - a chunked one, say - everything is.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use actix_http::{HttpMessage, Payload, Request};
use actix_rt::net::TcpStream;
use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use bytes::{Buf, Bytes};
use futures_util::{Stream, future};
use httparse::Status;
use tokio::io::ReadBuf;

use super::buffer_pool::{Buffer, BufferPool};

/// Shorter bodies go through HTTP: they come with their head in one piece or two.
const LONG: usize = 32 << 10;

/// So much is read at once; others wait meanwhile, but not nearly as long as for a private-key operation.
const MAX_AT_ONCE: usize = 256 << 10;

/// So much is read at once for who wants a body piece by piece, as HTTP would hand it on.
const PIECE: usize = 8 << 10;

/// Longer ones that come in pieces are not followed. HTTP takes them.
const MAX_HEAD: usize = 16 << 10;

/// As many as HTTP takes.
const MAX_HEADERS: usize = 96;

/// Shared by a connection and those who handle its requests.
#[derive(Debug)]
pub struct LongBodyReader {
    stream: Weak<TcpStream>,
    place: RefCell<ParseState>,
}

/// Where the next byte from the socket belongs.
#[derive(Debug, Default)]
enum ParseState {
    /// Where a head begins.
    #[default]
    Before,
    /// In a head that began with this.
    Head(Vec<u8>),
    /// In a body that HTTP reads, of which so much is still to come.
    Body { left: usize },
    /// In a body that HTTP knows nothing of.
    Aside(LongBody),
    /// Nobody knows.
    Lost,
}

/// A body that is kept from HTTP, for who handles its request.
#[derive(Clone, Debug)]
pub struct LongBody(Rc<RefCell<UnreadPart>>);

/// What is still to be read of a body.
#[derive(Debug)]
struct UnreadPart {
    /// Came with the head.
    early: Bytes,
    /// Bytes that are still in the socket, or on their way to it.
    to_come: usize,
    /// Does not keep the socket open.
    stream: Weak<TcpStream>,
}

/// A head of the usual kind.
#[derive(Debug, PartialEq, Eq)]
struct ParsedHead {
    length: usize,
    body: usize,
    /// Where the digits of Content-Length stand.
    digits: Range<usize>,
}

impl ParsedHead {
    /// The head that these bytes begin with; `None` when it is no head, or asks for anything that changes how its body comes.
    fn of(bytes: &[u8]) -> Option<Status<ParsedHead>> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let length = match request.parse_with_uninit_headers(bytes, &mut headers).ok()? {
            Status::Complete(length) => length,
            Status::Partial => return Some(Status::Partial),
        };
        let mut head = ParsedHead { length, body: 0, digits: 0..0 };
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        for header in &*request.headers {
            if is(header.name, "content-length") && head.digits.is_empty() {
                head.body = plain_number(header.value)?;
                let start = header.value.as_ptr().addr() - bytes.as_ptr().addr();
                head.digits = start..start + header.value.len();
            } else if ["content-length", "transfer-encoding", "expect", "upgrade"]
                .iter()
                .any(|unusual| is(header.name, unusual))
            {
                return None;
            }
        }
        (request.method != Some("CONNECT")).then_some(Status::Complete(head))
    }
}

/// A number that is written as short as can be: no other request has the zeros that stand for a body kept back.
fn plain_number(digits: &[u8]) -> Option<usize> {
    let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == digits).then_some(number)
}

impl ParseState {
    fn of_body(left: usize) -> ParseState {
        if left == 0 { ParseState::Before } else { ParseState::Body { left } }
    }
}

impl LongBodyReader {
    /// The intake of a new connection.
    #[must_use]
    pub fn new(stream: &Arc<TcpStream>) -> LongBodyReader {
        LongBodyReader { stream: Arc::downgrade(stream), place: RefCell::default() }
    }

    /// The body that the next bytes belong to, when they are not for HTTP.
    #[must_use]
    pub fn aside(&self) -> Option<LongBody> {
        match &*self.place.borrow() {
            ParseState::Aside(aside) if aside.is_left() => Some(aside.clone()),
            _ => None,
        }
    }

    /// Follows what HTTP is given, all in `buf` from `start` on, and takes the beginning of a long body out again. Not to be called while
    /// a body is aside.
    pub fn pass(&self, buf: &mut ReadBuf<'_>, start: usize) {
        let (mut place, mut at) = (self.place.take(), start);
        while at < buf.filled().len() {
            let used;
            (place, used) = self.after(place, &mut buf.filled_mut()[at..]);
            at += used;
            if matches!(place, ParseState::Aside(_)) {
                buf.set_filled(at);
            }
        }
        self.place.replace(place);
    }

    /// The place behind some of these bytes, and how many.
    fn after(&self, place: ParseState, bytes: &mut [u8]) -> (ParseState, usize) {
        match place {
            ParseState::Before | ParseState::Aside(_) => self.after_head(Vec::new(), bytes),
            ParseState::Head(begun) => self.after_head(begun, bytes),
            ParseState::Body { left } => {
                let part = left.min(bytes.len());
                (ParseState::of_body(left - part), part)
            }
            ParseState::Lost => (ParseState::Lost, bytes.len()),
        }
    }

    fn after_head(&self, mut begun: Vec<u8>, bytes: &mut [u8]) -> (ParseState, usize) {
        let earlier = begun.len();
        let head = if earlier == 0 {
            ParsedHead::of(bytes)
        } else {
            begun.extend_from_slice(bytes);
            ParsedHead::of(&begun)
        };
        match head {
            Some(Status::Complete(head)) if earlier == 0 && head.body >= LONG.max(bytes.len()) => {
                bytes[head.digits].fill(b'0');
                let early = Bytes::copy_from_slice(&bytes[head.length..]);
                let to_come = head.body - early.len();
                let rest = UnreadPart { early, to_come, stream: Weak::clone(&self.stream) };
                (ParseState::Aside(LongBody(Rc::new(RefCell::new(rest)))), head.length)
            }
            Some(Status::Complete(head)) => (ParseState::of_body(head.body), head.length - earlier),
            Some(Status::Partial) if earlier == 0 => (ParseState::Head(bytes.to_vec()), bytes.len()),
            Some(Status::Partial) if begun.len() < MAX_HEAD => (ParseState::Head(begun), bytes.len()),
            _ => (ParseState::Lost, bytes.len()),
        }
    }
}

impl LongBody {
    /// Gives a request back what was kept from HTTP: its Content-Length, and its body.
    pub fn restore(req: &mut Request) {
        if !has_zeros(&req.head().headers) {
            return;
        }
        let Some(aside) = req.conn_data::<Rc<LongBodyReader>>().and_then(|intake| intake.aside()) else {
            return;
        };
        req.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(aside.left()));
        req.extensions_mut().insert(aside.clone());
        *req.payload() = Payload::Stream { payload: Box::pin(aside) };
    }

    /// The body of this request, if it is kept from HTTP.
    #[must_use]
    pub fn of(req: &HttpRequest) -> Option<LongBody> {
        req.extensions().get().cloned()
    }

    /// Whether any of it is still to be read.
    #[must_use]
    pub fn is_left(&self) -> bool {
        self.left() > 0
    }

    fn left(&self) -> usize {
        let rest = self.0.borrow();
        rest.early.len() + rest.to_come
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn read_whole(&self, buffers: &Arc<BufferPool>) -> io::Result<Buffer> {
        let mut buffer = buffers.take(self.left());
        let mut came = 0;
        while came < buffer.len() {
            match future::poll_fn(|cx| self.poll_read(cx, &mut buffer[came..])).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => came += count,
            }
        }
        Ok(buffer)
    }

    /// Reads what is left and drops it. Ready when nothing is left, or no more comes.
    pub fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; PIECE];
        while let Ok(1..) = ready!(self.poll_read(cx, &mut scratch)) {}
        Poll::Ready(())
    }

    /// 0 when the client sends no more, or nothing is left.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut rest = self.0.borrow_mut();
        let count = if rest.early.has_remaining() {
            let count = rest.early.len().min(into.len());
            rest.early.copy_to_slice(&mut into[..count]);
            count
        } else {
            let stream = rest.stream.upgrade().ok_or(io::ErrorKind::NotConnected)?;
            let most = rest.to_come.min(into.len()).min(MAX_AT_ONCE);
            let count = ready!(poll_socket(&stream, cx, &mut into[..most]))?;
            rest.to_come -= count;
            count
        };
        drop(rest);
        if !self.is_left() {
            // HTTP has not waited for the socket meanwhile.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(count))
    }
}

fn poll_socket(stream: &TcpStream, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
    while !into.is_empty() {
        ready!(stream.poll_read_ready(cx))?;
        match stream.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return Poll::Ready(read),
        }
    }
    Poll::Ready(Ok(0))
}

/// Zeros that only [`LongBodyReader::pass`] writes: five at least, because the body is long.
fn has_zeros(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_LENGTH).is_some_and(|value| {
        let digits = value.as_bytes();
        digits.len() > 1 && digits.iter().all(|digit| *digit == b'0')
    })
}

impl Stream for LongBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.is_left() {
            return Poll::Ready(None);
        }
        let mut piece = [0; PIECE];
        Poll::Ready(Some(match ready!(self.poll_read(cx, &mut piece)) {
            Ok(0) => Err(PayloadError::Incomplete(None)),
            Ok(count) => Ok(Bytes::copy_from_slice(&piece[..count])),
            Err(error) => Err(error.into()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intake() -> LongBodyReader {
        LongBodyReader { stream: Weak::new(), place: RefCell::default() }
    }

    /// Lets bytes pass to HTTP; gives what it gets of them.
    fn pass(intake: &LongBodyReader, bytes: &[u8]) -> Vec<u8> {
        let mut space = vec![0; bytes.len()];
        let mut buf = ReadBuf::new(&mut space);
        buf.put_slice(bytes);
        intake.pass(&mut buf, 0);
        buf.filled().to_vec()
    }

    fn long(head: &str, length: usize) -> Vec<u8> {
        [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), &vec![b'x'; length]].concat()
    }

    const HEAD: &str = "POST / HTTP/1.1\r\nHost: x\r\n";

    #[test]
    fn a_long_body_is_kept_from_http_and_a_short_one_is_not() {
        for (length, kept) in [(LONG, true), (LONG - 1, false), (0, false)] {
            let (intake, request) = (intake(), long(HEAD, length));
            let sent = &request[..request.len().min(200)];
            let told = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 00000\r\n\r\n";
            assert_eq!(pass(&intake, sent), if kept { &told[..] } else { sent }, "{length}");
            assert_eq!(intake.aside().is_some(), kept, "{length}");
            assert_eq!(intake.aside().map_or(length, |aside| aside.left()), length);
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_http_and_all_behind_it() {
        for head in [
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
            "POST / HTTP/1.1\r\nExpect: 100-continue\r\n",
            "POST / HTTP/1.1\r\nupgrade: h2c\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 40000\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 00000\r\n",
            "POST / HTTP/1.1\r\ncontent-length: +0\r\n",
            "CONNECT / HTTP/1.1\r\n",
            "no head",
        ] {
            let intake = intake();
            for request in [long(head, LONG), long(HEAD, LONG)] {
                assert_eq!(pass(&intake, &request[..100]), request[..100], "{head}");
            }
            assert!(intake.aside().is_none() && matches!(*intake.place.borrow(), ParseState::Lost), "{head}");
        }
    }

    #[test]
    fn behind_a_head_in_pieces_the_next_one_is_found() {
        let (intake, request) = (intake(), long(HEAD, LONG));
        for piece in request.chunks(10) {
            assert_eq!(pass(&intake, piece), piece);
        }
        pass(&intake, &request[..100]);
        assert!(intake.aside().is_some());
        let endless = self::intake();
        for _ in 0..MAX_HEAD / 100 + 1 {
            pass(&endless, &[b'x'; 100]);
        }
        assert!(matches!(*endless.place.borrow(), ParseState::Lost));
    }

    #[test]
    fn a_body_that_came_whole_with_its_head_is_left_to_http() {
        let (intake, request) = (intake(), long(HEAD, LONG));
        assert_eq!(pass(&intake, &request), request);
        assert!(matches!(*intake.place.borrow(), ParseState::Before));
    }

    /// A request of one kind or another; several lengths are near the one that makes a body long.
    fn request() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
            (0..2000usize).prop_map(|length| long(HEAD, length)),
            (LONG - 2..LONG + 2).prop_map(|length| long(HEAD, length)),
            (LONG..4 * LONG).prop_map(|length| long("POST / HTTP/1.1\nhost: x\n", length)),
            (LONG..4 * LONG).prop_map(|length| long("POST / HTTP/1.0\r\n", length)),
        ]
    }

    /// What was sent, made of what HTTP got and what was kept from it.
    fn put_together(requests: &[u8], pieces: &[usize]) -> (Vec<u8>, usize) {
        let (intake, mut sent, mut together, mut kept) = (intake(), requests, Vec::new(), 0);
        for piece in pieces.iter().cycle() {
            let (now, later) = sent.split_at((*piece).min(sent.len()));
            together.extend(pass(&intake, now));
            sent = later;
            if let Some(LongBody(rest)) = intake.aside() {
                let mut rest = rest.borrow_mut();
                let length = (rest.early.len() + rest.to_come).to_string();
                let zeros = "0".repeat(length.len());
                let at = memchr::memmem::rfind(&together, zeros.as_bytes()).expect("zeros for the length");
                together[at..at + length.len()].copy_from_slice(length.as_bytes());
                together.extend(std::mem::take(&mut rest.early));
                let (body, later) = sent.split_at(rest.to_come);
                together.extend(body);
                (sent, rest.to_come, kept) = (later, 0, kept + 1);
            }
            if sent.is_empty() {
                break;
            }
        }
        (together, kept)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_byte_is_lost_or_made_up_between_http_and_what_is_kept_from_it(
            requests in prop::collection::vec(request(), 1..6),
            pieces in prop::collection::vec(1..9000usize, 1..20),
        ) {
            let requests = requests.concat();
            prop_assert!(put_together(&requests, &pieces).0 == requests);
        }

        #[test]
        fn bodies_behind_whole_heads_are_kept(lengths in prop::collection::vec(LONG..3 * LONG, 1..6)) {
            let requests: Vec<u8> = lengths.iter().flat_map(|length| long(HEAD, *length)).collect();
            prop_assert_eq!(put_together(&requests, &[8000]).1, lengths.len());
        }
    }
}
