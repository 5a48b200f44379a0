//! One connection, in one task: head, body, response, and the next head, strictly one after the other. What a client sends ahead stays in
//! the kernel beyond one bounded buffer. Timeouts are those of [`Timeouts`], in real time: on an injected timer a test that lets no client
//! wait would cut its own connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::head::{Head, HeadError};
use super::head_finder::{HeadFinder, MAX_HEAD};
use super::socket::Socket;
use crate::domain::faults::Step;
use crate::http::state::AppState;
use crate::http::timeouts::{LINGER, Timeouts};
use crate::state::journal::Entry;
use crate::state::timer::Timer;

/// How much is read at once outside of bodies.
pub(super) const READ_SIZE: usize = 8 << 10;

/// How much a socket takes at once, if it takes anything: less than any system's send buffer.
const LAST_BYTES: usize = 4 << 10;

/// Max bytes that are read and dropped in one wait of a fault: a client that sends without end would cost processor time.
const MAX_DROPPED: usize = 16 << 20;

/// A connection between two requests, or within one.
pub struct Connection<S> {
    pub number: u64,
    /// The TCP peer, or the client that the PROXY header names.
    pub peer: Option<SocketAddr>,
    pub(super) socket: S,
    /// Read and not used yet.
    pub(super) buffer: BytesMut,
    finder: HeadFinder,
    pub(super) timeouts: Timeouts,
    /// Entry of the request that is being answered: what is written is counted there.
    answered: Option<Arc<Entry>>,
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

impl<S: Socket> Connection<S> {
    /// A connection whose first bytes were read already.
    pub fn new(socket: S, number: u64, peer: Option<SocketAddr>, first: &[u8], timeouts: Timeouts) -> Self {
        let (buffer, finder) = (first.into(), HeadFinder::default());
        Connection { number, peer, socket, buffer, finder, timeouts, answered: None }
    }

    /// Reads the next head: idle for the idle timeout, then for the head timeout from its first byte on.
    pub async fn next(&mut self) -> Next {
        self.answered = None;
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
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_SIZE);
        self.socket.read_buf(&mut (&mut self.buffer).limit(READ_SIZE.max(MAX_HEAD / 8))).await
    }

    /// Writes bytes. A client that reads nothing for the idle timeout is cut.
    ///
    /// # Errors
    /// When the client has gone, or does not read.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match timeout(self.timeouts.idle, self.socket.write(bytes)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(written)) => {
                    bytes = &bytes[written..];
                    if let Some(entry) = &self.answered {
                        entry.sending.add(written);
                    }
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        Ok(())
    }

    /// Counts what is written from now on in this entry, as its answer; until the next request.
    pub fn count_in(&mut self, entry: Option<Arc<Entry>>) {
        self.answered = entry;
    }

    /// Writes the end of an answer. Calls `before_last` with the number of bytes left, when they are no more than a socket takes at once.
    ///
    /// # Errors
    /// As [`Connection::write`].
    pub async fn write_last(&mut self, bytes: &[u8], before_last: impl FnOnce(usize)) -> io::Result<()> {
        let (first, last) = bytes.split_at(bytes.len().saturating_sub(LAST_BYTES));
        self.write(first).await?;
        before_last(last.len());
        self.write(last).await
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
