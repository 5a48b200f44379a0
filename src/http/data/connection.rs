//! One connection, in one task: head, body, response, and the next head, strictly one after the other. What a client sends ahead stays in
//! the kernel beyond one bounded buffer. Timeouts are those of [`Timeouts`], in real time: on an injected timer a test that lets no client
//! wait would cut its own connections.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::chunks::{ChunkDecoder, ChunkError};
use super::head::{BodyFraming, Head, HeadError, HeadFinder, MAX_HEAD};
use super::socket::Socket;
use crate::domain::faults::Step;
use crate::http::state::AppState;
use crate::http::timeouts::{LINGER, Timeouts};
use crate::state::timer::Timer;

/// How much is read at once outside of bodies.
const READ_SIZE: usize = 8 << 10;

/// How much a body's buffer grows at first; later it doubles. Memory follows what has arrived, not what was announced.
const FIRST_GROWTH: usize = 64 << 10;

/// Max bytes that are read and dropped in one wait of a fault: a client that sends without end would cost processor time.
const MAX_DROPPED: usize = 16 << 20;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection between two requests, or within one.
pub struct Connection<S> {
    pub number: u64,
    /// The TCP peer, or the client that the PROXY header names.
    pub peer: Option<SocketAddr>,
    socket: S,
    /// Read and not used yet.
    buffer: BytesMut,
    finder: HeadFinder,
    timeouts: Timeouts,
}

/// What comes next on a connection.
pub enum Next {
    Request(Head),
    Refused(HeadError),
    /// The client has ended it, or was idle for too long.
    Closed,
}

/// What comes after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The next request.
    NextRequest,
    /// FIN, and a moment in which the client may read its response.
    Linger,
    /// The close itself.
    Close,
}

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is, or is announced to be, larger than allowed.
    TooLarge,
    /// The connection ended before the body.
    Ended,
    /// The chunks are malformed.
    Malformed,
    /// It did not arrive in time.
    TooSlow,
}

impl<S: Socket> Connection<S> {
    /// A connection whose first bytes were read already.
    pub fn new(socket: S, number: u64, peer: Option<SocketAddr>, first: &[u8], timeouts: Timeouts) -> Self {
        Connection { number, peer, socket, buffer: first.into(), finder: HeadFinder::default(), timeouts }
    }

    /// Reads the next head: idle for the idle timeout, then for the head timeout from its first byte on.
    pub async fn next(&mut self) -> Next {
        if self.buffer.is_empty() && !matches!(timeout(self.timeouts.idle, self.fill()).await, Ok(Ok(1..))) {
            return Next::Closed;
        }
        let deadline = Instant::now() + self.timeouts.head;
        loop {
            match self.finder.find(&self.buffer) {
                Ok(Some((head, length))) => {
                    let _ = self.buffer.split_to(length);
                    return Next::Request(head);
                }
                Ok(None) => {}
                Err(error) => return Next::Refused(error),
            }
            match tokio::time::timeout_at(deadline, self.fill()).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Next::Closed,
                // Empty lines alone are not a request.
                Err(_) if self.buffer.iter().all(u8::is_ascii_whitespace) => return Next::Closed,
                Err(_) => return Next::Refused(HeadError::too_slow()),
            }
        }
    }

    /// Reads into the buffer, which a head cannot outgrow. 0 at the end.
    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        self.socket.read_buf(&mut (&mut self.buffer).limit(READ_SIZE.max(MAX_HEAD / 8))).await
    }

    /// Tells a client that waits for it that its body is wanted.
    ///
    /// # Errors
    /// As [`Connection::write`].
    pub async fn accept_body(&mut self, head: &Head) -> io::Result<()> {
        if head.expects_continue { self.write(CONTINUE).await } else { Ok(()) }
    }

    /// Reads a body of at most `max_bytes`.
    ///
    /// # Errors
    /// Why it was not read. The connection cannot be used for another request then.
    pub async fn read_body(&mut self, framing: BodyFraming, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let limit = self.timeouts.body;
        let read = async {
            match framing {
                BodyFraming::Length(length) => self.read_length(announced(length, max_bytes)?).await,
                BodyFraming::Chunked => self.read_chunks(max_bytes).await,
            }
        };
        timeout(limit, read).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn read_length(&mut self, length: usize) -> Result<Vec<u8>, BodyError> {
        let buffered = self.buffer.split_to(length.min(self.buffer.len()));
        let mut body = Vec::new();
        body.reserve_exact(buffered.len().max(FIRST_GROWTH.min(length)));
        body.extend_from_slice(&buffered);
        while body.len() < length {
            let left = length - body.len();
            if body.len() == body.capacity() {
                body.reserve_exact(body.len().max(FIRST_GROWTH).min(left));
            }
            let room = body.capacity() - body.len();
            match self.socket.read_buf(&mut (&mut body).limit(left.min(room))).await {
                Ok(1..) => {}
                _ => return Err(BodyError::Ended),
            }
        }
        Ok(body)
    }

    async fn read_chunks(&mut self, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let (mut decoder, mut body) = (ChunkDecoder::default(), Vec::new());
        loop {
            match decoder.decode(&mut self.buffer, &mut body, max_bytes) {
                Ok(true) => return Ok(body),
                Ok(false) => {}
                Err(ChunkError::Malformed) => return Err(BodyError::Malformed),
                Err(ChunkError::TooLarge) => return Err(BodyError::TooLarge),
            }
            if !matches!(self.fill().await, Ok(1..)) {
                return Err(BodyError::Ended);
            }
        }
    }

    /// Reads a body at so many bytes a second: the socket is left alone meanwhile, so that the client feels it. The pauses do not count as
    /// the client's time.
    ///
    /// # Errors
    /// As [`Connection::read_body`].
    pub async fn read_body_slowly(
        &mut self,
        framing: BodyFraming,
        max_bytes: usize,
        bytes_per_second: u64,
        timer: &dyn Timer,
    ) -> Result<Vec<u8>, BodyError> {
        let length = match framing {
            BodyFraming::Length(length) => Some(announced(length, max_bytes)?),
            BodyFraming::Chunked => None,
        };
        let (mut decoder, mut body) = (ChunkDecoder::default(), Vec::new());
        let mut left = self.timeouts.body;
        loop {
            let before = body.len();
            let is_complete = match length {
                Some(length) => {
                    let piece = self.buffer.split_to(self.buffer.len().min(length - before).min(READ_SIZE));
                    body.extend_from_slice(&piece);
                    body.len() == length
                }
                None => match decoder.decode(&mut self.buffer, &mut body, max_bytes) {
                    Ok(is_complete) => is_complete,
                    Err(ChunkError::Malformed) => return Err(BodyError::Malformed),
                    Err(ChunkError::TooLarge) => return Err(BodyError::TooLarge),
                },
            };
            let came = body.len() - before;
            if came > 0 {
                timer.sleep(Duration::from_secs_f64(came as f64 / bytes_per_second as f64)).await;
            }
            if is_complete {
                return Ok(body);
            }
            if !self.buffer.is_empty() && length.is_some() {
                continue;
            }
            let began = Instant::now();
            match timeout(left, self.fill()).await {
                Ok(Ok(1..)) => left = left.saturating_sub(began.elapsed()),
                Ok(_) => return Err(BodyError::Ended),
                Err(_) => return Err(BodyError::TooSlow),
            }
        }
    }

    /// Reads and drops the first bytes of a body. A client that sends no more in time is not waited for.
    pub async fn skip(&mut self, mut bytes: usize) {
        let limit = self.timeouts.body;
        let read = async {
            loop {
                let skipped = bytes.min(self.buffer.len());
                let _ = self.buffer.split_to(skipped);
                bytes -= skipped;
                if bytes == 0 || !matches!(self.fill().await, Ok(1..)) {
                    return;
                }
            }
        };
        let _ = timeout(limit, read).await;
    }

    /// Writes bytes. A client that reads nothing for the idle timeout is cut.
    ///
    /// # Errors
    /// When the client has gone, or does not read.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match timeout(self.timeouts.idle, self.socket.write(bytes)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(written)) => bytes = &bytes[written..],
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        Ok(())
    }

    /// Carries out a plan: sends, waits, and ends, exactly in this order.
    ///
    /// # Errors
    /// When the client ends the connection first, or does not read.
    pub async fn run(&mut self, steps: &[Step], app: &AppState) -> io::Result<()> {
        let mut late = Duration::ZERO;
        for step in steps {
            match step {
                Step::Send(bytes) => self.write(bytes).await?,
                Step::Wait(time) => late = self.wait_for_end(sleep(&*app.timer, *time, late)).await?,
                Step::WaitForClient => self.wait_for_end(stopping(app)).await?,
                Step::Fin => self.shut_down().await?,
                Step::Rst => self.socket.reset().await?,
            }
        }
        Ok(())
    }

    /// Waits for something, unless the client ends the connection before.
    ///
    /// # Errors
    /// When it does.
    pub async fn wait<T>(&self, what: impl Future<Output = T>) -> io::Result<T> {
        tokio::select! {
            biased;
            done = what => Ok(done),
            () = self.socket.read_closed() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Waits as [`Connection::wait`] does, on a connection that serves no further request: what the client still sends is dropped. Unread, more
    /// than the kernel's buffer would hide the client's end, which comes behind it.
    async fn wait_for_end<T>(&mut self, what: impl Future<Output = T>) -> io::Result<T> {
        let drain = async |socket: &mut S| {
            let (mut scratch, mut left) = ([0; READ_SIZE], MAX_DROPPED);
            while left > 0 {
                match socket.read(&mut scratch).await {
                    Ok(count @ 1..) => left = left.saturating_sub(count),
                    _ => return,
                }
            }
            socket.read_closed().await;
        };
        tokio::select! {
            biased;
            done = what => Ok(done),
            () = drain(&mut self.socket) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Sends FIN.
    ///
    /// # Errors
    /// When the connection has ended already.
    pub async fn shut_down(&mut self) -> io::Result<()> {
        self.socket.shutdown().await
    }

    /// Ends the connection behind a response: sends FIN, then reads and drops what the client still sends, for a moment. A close with unread
    /// bytes would reset the connection, and the client would never see its response.
    pub async fn linger(&mut self) {
        let _ = self.shut_down().await;
        let mut scratch = [0; READ_SIZE];
        let drain = async { while let Ok(1..) = self.socket.read(&mut scratch).await {} };
        let _ = timeout(LINGER, drain).await;
    }
}

/// The announced length of a body, if that is allowed.
pub fn announced(length: u64, max_bytes: usize) -> Result<usize, BodyError> {
    usize::try_from(length).ok().filter(|length| *length <= max_bytes).ok_or(BodyError::TooLarge)
}

/// Sleeps for `time`, less what earlier sleeps took too long; returns what is left of that. Timers have steps of a millisecond: hundreds of
/// short sleeps would add up to twice the time asked for.
async fn sleep(timer: &dyn Timer, time: Duration, late: Duration) -> Duration {
    let (asked, late) = (time.saturating_sub(late), late.saturating_sub(time));
    if asked.is_zero() {
        return late;
    }
    let begun = timer.now();
    timer.sleep(asked).await;
    late + timer.now().saturating_duration_since(begun).saturating_sub(asked)
}

/// Completes when the simulator stops: hanging faults are cut then.
async fn stopping(app: &AppState) {
    // The sender lives in `app`, so this ends only when it says so.
    let _ = app.stopping.subscribe().wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    /// Every sleep takes a millisecond longer than asked for.
    struct Sluggish(Mutex<std::time::Instant>);

    impl Timer for Sluggish {
        fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
            *self.0.lock().unwrap() += time + Duration::from_millis(1);
            std::future::ready(()).boxed()
        }

        fn now(&self) -> std::time::Instant {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn what_a_sleep_takes_too_long_the_next_ones_are_shorter() {
        let begun = std::time::Instant::now();
        let timer = Sluggish(Mutex::new(begun));
        let mut late = Duration::ZERO;
        for _ in 0..400 {
            late = sleep(&timer, Duration::from_micros(600), late).now_or_never().unwrap();
        }
        let took = timer.now() - begun;
        assert!((240..=242).contains(&took.as_millis()), "{took:?}");
    }
}
