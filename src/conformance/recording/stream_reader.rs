//! Pairs the requests and answers in a copy of a connection's two byte streams. After a message that cannot be parsed, the rest of the
//! connection is lengths only.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::exchange::{ExchangeTimes, RecordedAnswer, RecordedRequest, RequestShape};
use super::message_reader::{
    AnswerHeadBytes, BodyReader, RequestHeadBytes, Unparsable, answer_head, request_head, status_of,
};
use super::request_mask::{RequestParts, SentValues, shape_of};
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
    Read(Box<RequestShape>, SentValues),
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
                // Empty lines between requests belong to none.
                if self.client.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                    return Ok(());
                }
                if !self.is_reading() {
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
            let (shape, sent) = shape_of(&parts, &mut masks.tokens);
            exchange.request = OpenRequest::Read(Box::new(shape), sent);
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
            self.begin(at);
            self.is_client_broken = true;
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

    /// The request that is being read is not understood: of it and what follows, only lengths are kept.
    fn break_client(&mut self, at: Instant) {
        self.is_client_broken = true;
        let bytes = self.client.len() as u64;
        let read = self.request.take().map_or(0, |(head, body)| head.bytes + body.bytes);
        self.client = BytesMut::new();
        if !self.is_reading() {
            self.begin(at);
        }
        if let Some(exchange) = self.open.back_mut() {
            exchange.request = OpenRequest::Broken(read + bytes);
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
        if let (status, bytes @ 1..) = cut {
            let clock = self.clock.take();
            self.answered(at).answer = OpenAnswer::Cut { status, bytes, clock };
        }
        for exchange in std::mem::take(&mut self.open) {
            self.hand_over(exchange, by_reset, masks);
        }
    }

    fn hand_over(&mut self, exchange: OpenExchange, by_reset: bool, masks: &Masks) {
        let OpenExchange { started, sent, request, answer, .. } = exchange;
        let mut times = ExchangeTimes::default();
        let answer = match (answer, &request) {
            (OpenAnswer::Read(answer), OpenRequest::Read(_, values)) => {
                times = answer.clock.times(sent, answer.last);
                answer.masked(values, masks.keeps_area, times)
            }
            // What it may repeat is not known.
            (OpenAnswer::Read(answer), _) => answer.unparsed(),
            (OpenAnswer::Broken { status, bytes }, _) => RecordedAnswer::Unparsed { status, bytes },
            (OpenAnswer::Cut { status, bytes, clock }, _) => {
                times = clock.map_or(times, |clock| clock.times(sent, clock.first));
                RecordedAnswer::Cut { status, bytes, by_reset }
            }
            (OpenAnswer::None, _) if self.is_server_broken => {
                RecordedAnswer::Unparsed { status: None, bytes: 0 }
            }
            (OpenAnswer::None, _) => RecordedAnswer::Cut { status: None, bytes: 0, by_reset },
        };
        let request = match request {
            OpenRequest::Read(shape, _) => RecordedRequest::Shape(*shape),
            OpenRequest::Reading(bytes) | OpenRequest::Broken(bytes) => RecordedRequest::Unparsed { bytes },
        };
        self.ordinal += 1;
        times.connect_us = self.connect.take().map(micros);
        self.done.push(ReadExchange { started, ordinal: self.ordinal, request, answer, times });
    }
}

impl AnswerClock {
    fn times(self, sent: Instant, last: Instant) -> ExchangeTimes {
        ExchangeTimes {
            connect_us: None,
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

    fn masked(&self, values: &SentValues, keeps_area: bool, times: ExchangeTimes) -> RecordedAnswer {
        let masked = values
            .with_mask(keeps_area, |mask| Some((mask.head(&self.head.text), mask.body(&self.body.body)?)));
        let Some((head, body)) = masked else { return self.unparsed() };
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
