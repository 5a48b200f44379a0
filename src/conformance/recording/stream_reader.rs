//! Pairs the requests and answers in a copy of a connection's two byte streams. After a message that cannot be parsed, the rest of the
//! connection is lengths only.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};

use super::answer_mask::AnswerMask;
use super::exchange::{EndedBy, ExchangeTimes, RecordedAnswer, RecordedRequest, RequestShape};
use super::message_reader::{
    AnswerHeadBytes, BodyReader, RequestHeadBytes, Unparsable, answer_head, request_head, status_of,
};
use super::request_mask::{RequestParts, shape_of};
use super::tokens::Tokens;
use crate::conformance::answer::KeptAnswer;
use crate::http::data::head_finder::HeadFinder;

/// What masks the exchanges of a recording.
pub struct Masks {
    pub tokens: Tokens,
    pub keeps_area: bool,
}

/// An exchange that ended, without its place in the recording.
pub struct ReadExchange {
    /// When its first byte came.
    pub started: Instant,
    pub ordinal: u32,
    pub request: RecordedRequest,
    pub answer: RecordedAnswer,
    pub times: ExchangeTimes,
}

/// An exchange under way.
struct OpenExchange {
    started: Instant,
    /// When its last byte so far came.
    sent: Instant,
    is_head: bool,
    request: OpenRequest,
    answer: OpenAnswer,
}

enum OpenRequest {
    /// So many bytes have come.
    Reading(u64),
    /// With its transactionId.
    Read(Box<RequestShape>, Option<String>),
    Broken(u64),
}

enum OpenAnswer {
    None,
    Read(Box<ReadAnswer>),
    Broken {
        status: Option<u16>,
        bytes: u64,
    },
    /// The connection ended within it.
    Cut {
        status: Option<u16>,
        bytes: u64,
        clock: Option<AnswerClock>,
    },
}

/// An answer that came whole.
struct ReadAnswer {
    head: AnswerHeadBytes,
    body: BodyReader,
    clock: AnswerClock,
    last: Instant,
}

/// When an answer came.
#[derive(Clone, Copy)]
struct AnswerClock {
    first: Instant,
    reads: u32,
}

/// Reads the exchanges of a connection.
pub struct ConnectionReader {
    connect: Option<Duration>,
    ordinal: u32,
    open: VecDeque<OpenExchange>,
    client: BytesMut,
    finder: HeadFinder,
    request: Option<(RequestHeadBytes, BodyReader)>,
    is_client_broken: bool,
    server: BytesMut,
    clock: Option<AnswerClock>,
    answer: Option<(AnswerHeadBytes, BodyReader)>,
    is_server_broken: bool,
    /// Who ended the connection, and when.
    ended: Option<(EndedBy, Instant)>,
    done: Vec<ReadExchange>,
}

impl ConnectionReader {
    #[must_use]
    pub fn new(connect: Duration) -> ConnectionReader {
        ConnectionReader {
            connect: Some(connect),
            ordinal: 0,
            open: VecDeque::new(),
            client: BytesMut::new(),
            finder: HeadFinder::default(),
            request: None,
            is_client_broken: false,
            server: BytesMut::new(),
            clock: None,
            answer: None,
            is_server_broken: false,
            ended: None,
            done: Vec::new(),
        }
    }

    /// Bytes of messages in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        let waiting = self.open.iter().map(|exchange| match &exchange.answer {
            OpenAnswer::Read(answer) => answer.body.body.len(),
            _ => 0,
        });
        let bodies = [self.request.as_ref().map(|read| &read.1), self.answer.as_ref().map(|read| &read.1)];
        let bodies: usize = bodies.into_iter().flatten().map(|reader| reader.body.len()).sum();
        self.client.len() + self.server.len() + bodies + waiting.sum::<usize>()
    }

    /// The exchanges that ended since this was called last.
    pub fn take_done(&mut self) -> Vec<ReadExchange> {
        std::mem::take(&mut self.done)
    }

    /// Reads bytes of the client.
    pub fn read_client(&mut self, bytes: &[u8], at: Instant, masks: &mut Masks) {
        if self.is_client_broken {
            return self.count_client(bytes.len() as u64, at);
        }
        self.client.extend_from_slice(bytes);
        if self.read_requests(at, masks).is_err() {
            self.break_client(at);
        }
        self.finish(masks);
    }

    fn read_requests(&mut self, at: Instant, masks: &mut Masks) -> Result<(), Unparsable> {
        loop {
            if self.request.is_none() {
                if !self.is_reading() {
                    // Empty lines between requests belong to none.
                    let is_empty = |byte: &&u8| matches!(byte, b'\r' | b'\n');
                    self.client.advance(self.client.iter().take_while(is_empty).count());
                    if self.client.is_empty() {
                        return Ok(());
                    }
                    self.begin(at);
                }
                self.request = request_head(&mut self.finder, &mut self.client)?;
            }
            let Some(exchange) = self.open.back_mut() else { return Ok(()) };
            exchange.sent = at;
            let Some((head, body)) = &mut self.request else {
                exchange.request = OpenRequest::Reading(self.client.len() as u64);
                return Ok(());
            };
            exchange.is_head = head.method == "HEAD";
            let is_whole = body.read(&mut self.client)?;
            if !is_whole {
                exchange.request = OpenRequest::Reading(head.bytes + body.bytes);
                return Ok(());
            }
            let fields: Vec<_> = head.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            let parts = RequestParts {
                method: &head.method,
                target: &head.target,
                headers: &fields,
                framing: head.framing,
                body: &body.body,
            };
            let (shape, transaction_id) = shape_of(&parts, &mut masks.tokens);
            exchange.request = OpenRequest::Read(Box::new(shape), transaction_id);
            self.request = None;
        }
    }

    /// Whether a request is being read.
    fn is_reading(&self) -> bool {
        self.open.back().is_some_and(|exchange| matches!(exchange.request, OpenRequest::Reading(_)))
    }

    fn begin(&mut self, at: Instant) {
        let (request, answer) = (OpenRequest::Reading(0), OpenAnswer::None);
        self.open.push_back(OpenExchange { started: at, sent: at, is_head: false, request, answer });
    }

    /// Reads bytes of the server.
    pub fn read_server(&mut self, bytes: &[u8], at: Instant, masks: &mut Masks) {
        if self.is_server_broken {
            return self.count_server(bytes.len() as u64, at);
        }
        self.server.extend_from_slice(bytes);
        if let Some(clock) = &mut self.clock {
            clock.reads += 1;
        }
        if self.read_answers(at, masks).is_err() {
            self.break_both(at);
        }
    }

    fn read_answers(&mut self, at: Instant, masks: &mut Masks) -> Result<(), Unparsable> {
        while !self.server.is_empty() || self.answer.is_some() {
            self.clock.get_or_insert(AnswerClock { first: at, reads: 1 });
            if self.answer.is_none() {
                let is_head = self.unanswered().is_some_and(|exchange| exchange.is_head);
                self.answer = answer_head(&mut self.server, is_head)?;
            }
            let Some((head, body)) = &mut self.answer else { return Ok(()) };
            match head.status {
                // From here on it is another protocol.
                101 => return Err(Unparsable),
                100..=199 => {
                    self.answer = None;
                    self.clock = None;
                }
                _ if !body.read(&mut self.server)? => return Ok(()),
                _ => self.end_answer(at, masks)?,
            }
        }
        Ok(())
    }

    /// The exchange that the next answer belongs to.
    fn unanswered(&mut self) -> Option<&mut OpenExchange> {
        self.open.iter_mut().find(|exchange| matches!(exchange.answer, OpenAnswer::None))
    }

    /// The same; a new one where the server speaks without being asked.
    fn answered(&mut self, at: Instant) -> &mut OpenExchange {
        let index = self.open.iter().position(|exchange| matches!(exchange.answer, OpenAnswer::None));
        let index = index.unwrap_or_else(|| {
            let bytes = self.drop_client();
            if let Some(OpenExchange { request: request @ OpenRequest::Reading(_), .. }) =
                self.open.back_mut()
            {
                *request = OpenRequest::Broken(bytes);
            }
            self.begin(at);
            self.open.len() - 1
        });
        &mut self.open[index]
    }

    fn end_answer(&mut self, at: Instant, masks: &mut Masks) -> Result<(), Unparsable> {
        let clock = self.clock.take().unwrap_or(AnswerClock { first: at, reads: 1 });
        let Some((head, body)) = self.answer.take() else { return Ok(()) };
        let exchange = self.answered(at);
        if matches!(exchange.request, OpenRequest::Broken(_)) {
            // The next answer would belong to a request that was not understood.
            exchange.answer =
                OpenAnswer::Broken { status: Some(head.status), bytes: head.bytes + body.bytes };
            return Err(Unparsable);
        }
        exchange.answer = OpenAnswer::Read(Box::new(ReadAnswer { head, body, clock, last: at }));
        self.finish(masks);
        Ok(())
    }

    /// Hands over the exchanges that have ended.
    fn finish(&mut self, masks: &mut Masks) {
        while let Some(OpenExchange { request: OpenRequest::Read(..), answer: OpenAnswer::Read(_), .. }) =
            self.open.front()
        {
            if let Some(exchange) = self.open.pop_front() {
                self.hand_over(exchange, false, masks);
            }
        }
    }

    /// Drops what is held of the client; from here on its bytes are only counted. Returns how many of the request under way have come.
    fn drop_client(&mut self) -> u64 {
        self.is_client_broken = true;
        let read = self.request.take().map_or(0, |(head, body)| head.bytes + body.bytes);
        read + std::mem::take(&mut self.client).len() as u64
    }

    /// The request that is being read is not understood: of it and what follows, only lengths are kept.
    fn break_client(&mut self, at: Instant) {
        let bytes = self.drop_client();
        if !self.is_reading() {
            self.begin(at);
        }
        let Some(exchange) = self.open.back_mut() else { return };
        exchange.request = OpenRequest::Broken(bytes);
        if let OpenAnswer::Read(answer) = &exchange.answer {
            // It came early, and no other answer belongs to what follows.
            let status = Some(answer.head.status);
            let begun = self.answer.take().map_or(0, |(head, body)| head.bytes + body.bytes);
            let bytes = answer.head.bytes + answer.body.bytes + begun + self.server.len() as u64;
            exchange.answer = OpenAnswer::Broken { status, bytes };
            self.server = BytesMut::new();
            self.is_server_broken = true;
        }
    }

    /// Keeps only lengths from here on.
    pub fn break_both(&mut self, at: Instant) {
        if !self.is_client_broken && (self.is_reading() || !self.client.is_empty()) {
            self.break_client(at);
        }
        self.is_client_broken = true;
        if self.is_server_broken {
            return;
        }
        self.is_server_broken = true;
        let bytes = self.server.len() as u64;
        let (read, status) = match self.answer.take() {
            Some((head, body)) => (head.bytes + body.bytes, Some(head.status)),
            None => (0, status_of(&self.server)),
        };
        self.server = BytesMut::new();
        if read + bytes > 0 {
            // An answer of which some came already is the one that is broken.
            self.answered(at).answer = OpenAnswer::Broken { status, bytes: read + bytes };
        }
    }

    /// Counts bytes that were not read.
    pub fn count_client(&mut self, count: u64, at: Instant) {
        if count == 0 {
            return;
        }
        let is_counting = |exchange: &OpenExchange| !matches!(exchange.request, OpenRequest::Read(..));
        if !self.open.back().is_some_and(is_counting) {
            self.begin(at);
        }
        if let Some(exchange) = self.open.back_mut() {
            let (OpenRequest::Broken(bytes) | OpenRequest::Reading(bytes)) = &exchange.request else {
                return;
            };
            exchange.request = OpenRequest::Broken(bytes + count);
        }
    }

    /// Counts bytes that were not read.
    pub fn count_server(&mut self, count: u64, at: Instant) {
        if count == 0 {
            return;
        }
        let last = self.open.iter_mut().rev().find_map(|exchange| match &mut exchange.answer {
            OpenAnswer::Broken { bytes, .. } => Some(bytes),
            _ => None,
        });
        match last {
            Some(bytes) => *bytes += count,
            None => self.answered(at).answer = OpenAnswer::Broken { status: None, bytes: count },
        }
    }

    /// A side sends no more; the first one is who ended the connection.
    pub fn left(&mut self, side: EndedBy, at: Instant) {
        self.ended.get_or_insert((side, at));
    }

    /// The connection has ended.
    pub fn end(&mut self, by_reset: bool, at: Instant, masks: &mut Masks) {
        let is_whole =
            !by_reset && self.answer.as_ref().is_some_and(|(_, body)| body.ends_with_the_connection());
        if is_whole {
            // What follows it is nothing.
            let _ = self.end_answer(at, masks);
        }
        if self.is_reading() && !self.is_client_broken {
            self.break_client(at);
        }
        let cut = match self.answer.take() {
            Some((head, body)) => (Some(head.status), head.bytes + body.bytes + self.server.len() as u64),
            None => (status_of(&self.server), self.server.len() as u64),
        };
        self.server = BytesMut::new();
        if let (status, bytes @ 1..) = cut {
            let clock = self.clock.take();
            self.answered(at).answer = OpenAnswer::Cut { status, bytes, clock };
        }
        self.left(EndedBy::Recorder, at);
        for exchange in std::mem::take(&mut self.open) {
            self.hand_over(exchange, by_reset, masks);
        }
    }

    fn hand_over(&mut self, exchange: OpenExchange, by_reset: bool, masks: &Masks) {
        let OpenExchange { started, sent, request, answer, .. } = exchange;
        let mut times = ExchangeTimes::default();
        // Of a connection that goes on nothing is cut.
        let (ended_by, end) = self.ended.unwrap_or((EndedBy::Recorder, sent));
        let answer = match (answer, &request) {
            (OpenAnswer::Read(answer), OpenRequest::Read(_, transaction_id)) => {
                times = answer.clock.times(sent, answer.last);
                let transaction_id = transaction_id.as_deref();
                answer.masked(AnswerMask { transaction_id, keeps_area: masks.keeps_area }, times)
            }
            // Of which part it is the answer is not known.
            (OpenAnswer::Read(answer), _) => answer.unparsed(),
            (OpenAnswer::Broken { status, bytes }, _) => RecordedAnswer::Unparsed { status, bytes },
            (OpenAnswer::Cut { status, bytes, clock }, _) => {
                times = clock.map_or(times, |clock| clock.times(sent, end));
                RecordedAnswer::Cut { status, bytes, by_reset, ended_by }
            }
            (OpenAnswer::None, _) if self.is_server_broken => {
                RecordedAnswer::Unparsed { status: None, bytes: 0 }
            }
            (OpenAnswer::None, _) => {
                times.last_byte_us = micros(end.saturating_duration_since(sent));
                RecordedAnswer::Cut { status: None, bytes: 0, by_reset, ended_by }
            }
        };
        let request = match request {
            OpenRequest::Read(shape, _) => RecordedRequest::Shape(*shape),
            OpenRequest::Reading(bytes) | OpenRequest::Broken(bytes) => RecordedRequest::Unparsed { bytes },
        };
        self.ordinal += 1;
        times.connect_us = self.connect.take().map(micros);
        times.upload_us = micros(sent.saturating_duration_since(started));
        self.done.push(ReadExchange { started, ordinal: self.ordinal, request, answer, times });
    }
}

impl AnswerClock {
    fn times(self, sent: Instant, last: Instant) -> ExchangeTimes {
        ExchangeTimes {
            connect_us: None,
            upload_us: 0,
            first_byte_us: micros(self.first.saturating_duration_since(sent)),
            last_byte_us: micros(last.saturating_duration_since(sent)),
            reads: self.reads,
        }
    }
}

impl ReadAnswer {
    fn unparsed(&self) -> RecordedAnswer {
        RecordedAnswer::Unparsed { status: Some(self.head.status), bytes: self.head.bytes + self.body.bytes }
    }

    fn masked(&self, mask: AnswerMask, times: ExchangeTimes) -> RecordedAnswer {
        let Some(body) = mask.body(&self.body.body) else { return self.unparsed() };
        let head = mask.head(&self.head.text);
        RecordedAnswer::Whole(KeptAnswer {
            status: self.head.status,
            head,
            framing: self.head.framing,
            body,
            first_byte_ms: times.first_byte_us / 1000,
            last_byte_ms: times.last_byte_us / 1000,
            stays_open: self.head.stays_open,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conformance::recording::exchange::BodyShape;

    const FOUND: &str = r#"{"errorCode":"6018","error":"Sukses"}"#;

    enum Said<'a> {
        Client(&'a [u8]),
        Server(&'a [u8]),
    }
    use Said::{Client, Server};

    /// Reads a connection in pieces. Returns what was recorded, in short, and whether nothing is held at the end.
    fn read_in(said: &[Said], piece: usize, by_reset: bool) -> Vec<String> {
        let mut masks = Masks { tokens: Tokens::default(), keeps_area: false };
        let mut reader = ConnectionReader::new(Duration::from_micros(7));
        let at = Instant::now();
        for part in said {
            match part {
                Client(bytes) => {
                    bytes.chunks(piece).for_each(|bytes| reader.read_client(bytes, at, &mut masks));
                }
                Server(bytes) => {
                    bytes.chunks(piece).for_each(|bytes| reader.read_server(bytes, at, &mut masks));
                }
            }
        }
        reader.end(by_reset, at, &mut masks);
        assert_eq!(reader.held(), 0);
        let done = reader.take_done();
        let ordinals: Vec<_> = done.iter().map(|exchange| exchange.ordinal as usize).collect();
        assert_eq!(ordinals, (1..=done.len()).collect::<Vec<_>>());
        assert!(done.iter().all(|exchange| exchange.times.connect_us.is_some() == (exchange.ordinal == 1)));
        done.iter().map(short).collect()
    }

    fn short(exchange: &ReadExchange) -> String {
        let request = match &exchange.request {
            RecordedRequest::Unparsed { bytes } => format!("?{bytes}"),
            RecordedRequest::Shape(shape) => {
                let bytes = match &shape.body {
                    BodyShape::Empty => 0,
                    BodyShape::Object { bytes, .. }
                    | BodyShape::Other { bytes, .. }
                    | BodyShape::NotJson { bytes } => *bytes,
                };
                format!("{} {:?} {bytes}", shape.method, shape.framing)
            }
        };
        let answer = match &exchange.answer {
            RecordedAnswer::Whole(answer) => {
                format!(
                    "{} {:?} {}{}",
                    answer.status,
                    answer.framing,
                    answer.body.len(),
                    if answer.stays_open { "" } else { " closes" }
                )
            }
            RecordedAnswer::Unparsed { status, bytes } => format!("?{} {bytes}", status.unwrap_or_default()),
            RecordedAnswer::Cut { status, bytes, by_reset, .. } => {
                format!("cut {} {bytes}{}", status.unwrap_or_default(), if *by_reset { " reset" } else { "" })
            }
        };
        format!("{request} -> {answer}")
    }

    #[track_caller]
    fn check(said: &[Said], expected: &[&str]) {
        for piece in [1, 2, 7, usize::MAX] {
            assert_eq!(read_in(said, piece, false), expected, "{piece}");
        }
    }

    fn post(body: &str) -> Vec<u8> {
        format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn answer(fields: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}").into_bytes()
    }

    fn found() -> Vec<u8> {
        answer(&format!("Content-Length: {}\r\n", FOUND.len()), FOUND)
    }

    #[test]
    fn exchanges_are_paired_one_by_one_and_pipelined() {
        let (post, found) = (post("{}"), found());
        let once = "POST ContentLength 2 -> 200 ContentLength 37";
        check(&[Client(&post), Server(&found)], &[once]);
        check(
            &[Client(&post), Server(&found), Client(b"\r\n"), Client(&post), Server(&found)],
            &[once, once],
        );
        let both = post.repeat(2);
        check(&[Client(&both), Server(&found.repeat(2))], &[once, once]);
        check(&[Client(&both), Server(&found)], &[once, "POST ContentLength 2 -> cut 0 0"]);
    }

    #[test]
    fn bodies_end_as_they_are_framed() {
        let chunked = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nA: b\r\n\r\n";
        let chunks =
            answer("Transfer-Encoding: chunked\r\n", &format!("{:x}\r\n{FOUND}\r\n0\r\n\r\n", FOUND.len()));
        check(
            &[Client(chunked), Server(&chunks), Client(chunked), Server(&chunks)],
            &["POST Chunked 2 -> 200 Chunked 37"; 2],
        );
        let until_close = answer("", FOUND);
        check(&[Client(&post("{}")), Server(&until_close)], &["POST ContentLength 2 -> 200 Close 37 closes"]);
        let closes = answer("Connection: close\r\nContent-Length: 37\r\n", FOUND);
        check(
            &[Client(&post("")), Server(&closes)],
            &["POST ContentLength 0 -> 200 ContentLength 37 closes"],
        );
        let head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
        let heads = b"HTTP/1.1 200 OK\r\nContent-Length: 37\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        check(
            &[Client(head), Server(heads)],
            &["HEAD None 0 -> 200 ContentLength 0", "GET None 0 -> 204 Close 0"],
        );
    }

    #[test]
    fn interim_answers_are_not_exchanges() {
        let head = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let interim = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let expected = "POST ContentLength 2 -> 200 ContentLength 37";
        check(&[Client(head), Server(interim), Client(b"{}"), Server(&found())], &[expected]);
        // An answer that does not wait for the body.
        check(&[Client(head), Server(&found()), Client(b"{}")], &[expected]);
        check(&[Client(head), Server(&found())], &["?70 -> ?200 76"]);
        let upgrade = b"HTTP/1.1 101 Switching Protocols\r\n\r\nsiti";
        check(
            &[Client(&post("")), Server(upgrade), Client(b"siti")],
            &["POST ContentLength 0 -> ?101 40", "?4 -> ?0 0"],
        );
    }

    #[test]
    fn what_is_cut_has_lengths() {
        let (post, found) = (post("{}"), found());
        for by_reset in [false, true] {
            let end = if by_reset { " reset" } else { "" };
            for (said, expected) in [
                (&[Client(&post)][..], format!("POST ContentLength 2 -> cut 0 0{end}")),
                (&[Client(&post[..30])], format!("?30 -> cut 0 0{end}")),
                (&[Client(&post[..post.len() - 1])], format!("?{} -> cut 0 0{end}", post.len() - 1)),
                (&[Client(&post), Server(&found[..10])], format!("POST ContentLength 2 -> cut 0 10{end}")),
                (&[Client(&post), Server(&found[..20])], format!("POST ContentLength 2 -> cut 200 20{end}")),
                (&[Client(&post), Server(&found[..50])], format!("POST ContentLength 2 -> cut 200 50{end}")),
            ] {
                assert_eq!(read_in(said, 3, by_reset), [expected]);
            }
        }
        let until_close = answer("", FOUND);
        assert_eq!(
            read_in(&[Client(&post), Server(&until_close)], 9, true),
            ["POST ContentLength 2 -> cut 200 56 reset"]
        );
        check(&[], &[]);
    }

    #[test]
    fn after_what_cannot_be_parsed_there_are_lengths_only() {
        let (post, found) = (post("{}"), found());
        let refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        check(&[Client(b"siti\r\n\r\n"), Server(refused)], &["?8 -> ?400 47"]);
        check(
            &[Client(b"siti\r\n\r\n"), Server(refused), Client(&post), Server(&found)],
            &["?58 -> ?400 123"],
        );
        check(
            &[Client(&post), Server(&found), Client(b"\x16\x03siti"), Server(refused)],
            &["POST ContentLength 2 -> 200 ContentLength 37", "?6 -> ?400 47"],
        );
        check(
            &[Client(&post), Server(b"siti"), Client(&post), Server(&found)],
            &["POST ContentLength 2 -> ?0 80", "?50 -> ?0 0"],
        );
        check(
            &[Client(&post), Server(b"HTTP/1.1 502 X\r\n siti\r\n\r\n")],
            &["POST ContentLength 2 -> ?502 25"],
        );
        let both = answer("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "{}");
        check(&[Client(&post), Server(&both)], &["POST ContentLength 2 -> ?200 68"]);
        check(
            &[Client(&post), Server(&answer("Content-Length: 4\r\n", "siti"))],
            &["POST ContentLength 2 -> ?200 42"],
        );
        check(&[Server(refused)], &["?0 -> ?400 47"]);
        check(
            &[Client(&post[..30]), Server(&found), Server(&found), Client(&post[30..])],
            &["?30 -> ?200 76", "?20 -> ?200 76"],
        );
        let malformed = answer("Transfer-Encoding: chunked\r\n", "2\r\nabX");
        check(&[Client(&post), Server(&malformed)], &["POST ContentLength 2 -> ?200 53"]);
        let early = b"POST /a HTTP/1.1";
        check(
            &[Client(early), Server(refused), Client(b" siti\r\n\r\n"), Server(&found)],
            &["?25 -> ?400 123"],
        );
    }

    #[test]
    fn memory_is_bounded() {
        let long = format!("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", (16 << 20) + 1);
        assert_eq!(
            read_in(&[Client(long.as_bytes()), Client(&[b'a'; 1000])], 500, false),
            [format!("?{} -> cut 0 0", long.len() + 1000)]
        );
        let head = format!("POST /a HTTP/1.1\r\nHost: x\r\nX: {}", "a".repeat(70_000));
        assert_eq!(read_in(&[Client(head.as_bytes())], 1000, false), [format!("?{} -> cut 0 0", head.len())]);
        let mut masks = Masks { tokens: Tokens::default(), keeps_area: false };
        let mut reader = ConnectionReader::new(Duration::ZERO);
        reader.read_client(&b"\r\n".repeat(1000), Instant::now(), &mut masks);
        assert_eq!(reader.held(), 0);
        let endless = answer("", &"a".repeat((16 << 20) + 1));
        let found = read_in(&[Client(&post("")), Server(&endless)], 1 << 20, false);
        assert_eq!(found, [format!("POST ContentLength 0 -> ?200 {}", endless.len())]);
    }

    #[test]
    fn times_are_from_the_end_of_the_request() {
        let mut masks = Masks { tokens: Tokens::default(), keeps_area: false };
        let mut reader = ConnectionReader::new(Duration::ZERO);
        let (begin, post, found) = (Instant::now(), post("{}"), found());
        let at = |ms| begin + Duration::from_millis(ms);
        reader.read_client(&post[..20], at(0), &mut masks);
        reader.read_client(&post[20..], at(10), &mut masks);
        reader.read_server(&found[..20], at(30), &mut masks);
        reader.read_server(&found[20..50], at(40), &mut masks);
        reader.read_server(&found[50..], at(60), &mut masks);
        let exchange = &reader.take_done()[0];
        let expected = ExchangeTimes {
            connect_us: Some(0),
            upload_us: 10_000,
            first_byte_us: 20_000,
            last_byte_us: 50_000,
            reads: 3,
        };
        assert_eq!((exchange.started, exchange.times), (begin, expected));
        let RecordedAnswer::Whole(answer) = &exchange.answer else { panic!("{:?}", exchange.answer) };
        assert_eq!((answer.first_byte_ms, answer.last_byte_ms), (20, 50), "the same in milliseconds");
    }

    #[test]
    fn a_cut_answer_says_who_ended_the_connection_first_and_when() {
        let (begin, post, found) = (Instant::now(), post("{}"), found());
        let at = |ms| begin + Duration::from_millis(ms);
        for (left, expected, last_byte_us) in [
            (&[(EndedBy::Client, 3000), (EndedBy::Server, 3001)][..], EndedBy::Client, 2_990_000),
            (&[(EndedBy::Server, 500), (EndedBy::Client, 501)], EndedBy::Server, 490_000),
            (&[], EndedBy::Recorder, 8_990_000),
        ] {
            for (bytes, first_byte_us, reads) in [(0, 0, 0), (20, 90_000, 1)] {
                let mut masks = Masks { tokens: Tokens::default(), keeps_area: false };
                let mut reader = ConnectionReader::new(Duration::ZERO);
                reader.read_client(&post, at(10), &mut masks);
                if bytes > 0 {
                    reader.read_server(&found[..bytes], at(100), &mut masks);
                }
                left.iter().for_each(|(side, ms)| reader.left(*side, at(*ms)));
                reader.end(false, at(9000), &mut masks);
                let exchange = &reader.take_done()[0];
                let status = (bytes > 0).then_some(200);
                let bytes = bytes as u64;
                let cut = RecordedAnswer::Cut { status, bytes, by_reset: false, ended_by: expected };
                assert_eq!(exchange.answer, cut);
                let times =
                    ExchangeTimes { connect_us: Some(0), upload_us: 0, first_byte_us, last_byte_us, reads };
                assert_eq!(exchange.times, times, "{left:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_a_loss_of_lengths(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
            by_reset: bool,
        ) {
            let post = post("{}");
            let both = [post.repeat(2), found().repeat(2)].map(|mut bytes| {
                for (at, byte) in &changes {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes
            });
            let mut said = Vec::new();
            let [mut client, mut server] = [&both[0][..], &both[1][..]];
            for cut in cuts {
                let (now, later) = client.split_at(cut.index(client.len() + 1));
                said.push(Client(now));
                client = later;
                let (now, later) = server.split_at(cut.index(server.len() + 1));
                said.push(Server(now));
                server = later;
            }
            let recorded = read_in(&said, 11, by_reset);
            // A client that said something has left a trace.
            let is_something = |part: &Said| matches!(part, Client(bytes) if !bytes.iter().all(|byte| b"\r\n".contains(byte)));
            prop_assert!(!recorded.is_empty() || !said.iter().any(is_something));
        }
    }
}
