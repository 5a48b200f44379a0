//! Sending of a request on the wire: what has left the socket, and how it ended. Set by the request's task, read by others at the same
//! time, without locking the journal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::announced::Announced;
use crate::domain::faults::End;

/// State of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The answer is decided; it may be partly sent or not yet sent.
    InFlight,
    /// What was to be sent was sent, and the connection ended as it was to end.
    Done,
    /// The client ended the connection first, or the simulator was stopped.
    Aborted,
}

/// How the exchange ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SentEnd {
    /// Everything that the head sent announces has left; of the faults `raw` and `garbage`, all their bytes.
    Complete,
    /// Closed by the simulator before that, or without a byte.
    Fin,
    /// Reset by the simulator before that, or without a byte.
    Rst,
    /// The client left, or the simulator was stopped.
    None,
    /// Under way.
    #[default]
    Pending,
}

impl From<End> for SentEnd {
    fn from(end: End) -> SentEnd {
        match end {
            End::Fin => SentEnd::Fin,
            End::Rst => SentEnd::Rst,
        }
    }
}

/// What left the socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// HTTP status of the head that was sent; null when no whole head was.
    pub status: Option<u16>,
    /// Bytes sent, those of the head included.
    pub bytes: u64,
    pub end: SentEnd,
}

impl Sent {
    /// Returns the state of a request of which this was sent.
    #[must_use]
    pub fn state(self) -> State {
        match self.end {
            SentEnd::Pending => State::InFlight,
            SentEnd::None => State::Aborted,
            SentEnd::Complete | SentEnd::Fin | SentEnd::Rst => State::Done,
        }
    }
}

/// Sending of a request.
#[derive(Debug, Default)]
pub struct Sending {
    announced: OnceLock<Announced>,
    bytes: AtomicU64,
    /// Set just before the last bytes leave.
    leaving: OnceLock<Ended>,
    ended: OnceLock<Ended>,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    sent: Sent,
    elapsed: Duration,
    /// In real time.
    at: Instant,
}

/// The progress, as an entry shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SendingRecord {
    pub state: State,
    pub sent: Sent,
    /// Real time from the end of the request head to the end of the answer, in microseconds; 0 while in flight.
    pub elapsed_us: u64,
}

impl Sending {
    /// Sets what the answer announces; before its first byte.
    pub fn announce(&self, announced: Announced) {
        let _ = self.announced.set(announced);
    }

    /// Counts bytes that have left.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Returns what will have been sent when the `last` bytes have left; `end` if that is not everything.
    #[must_use]
    pub fn foresee(&self, last: usize, end: SentEnd) -> Sent {
        self.after(self.bytes.load(Relaxed) + last as u64, end)
    }

    /// Shows the request as ended from now on with what is foreseen, unless it ends otherwise. Called just before the last bytes leave: a
    /// client that has its answer and looks at the journal must not find it in flight.
    pub fn leave(&self, sent: Sent, elapsed: Duration, at: Instant) {
        let _ = self.leaving.set(Ended { sent, elapsed, at });
    }

    /// Sets the end. `end` is how the simulator ended the exchange; `None` when it was cut. Only the first end has an effect.
    pub(super) fn end(&self, end: Option<End>, elapsed: Duration, at: Instant) {
        let sent = self.foresee(0, end.map_or(SentEnd::None, SentEnd::from));
        let _ = self.ended.set(Ended { sent, elapsed, at });
    }

    /// Sets what another replica foresees, or how it ended.
    pub(super) fn follow(&self, record: &SendingRecord, is_over: bool) {
        let elapsed = Duration::from_micros(record.elapsed_us);
        let place = if is_over { &self.ended } else { &self.leaving };
        let _ = place.set(Ended { sent: record.sent, elapsed, at: Instant::now() });
    }

    /// Ends what another replica had under way when it was gone: as it foresaw, else as cut. Returns whether it had not ended.
    pub(super) fn cut(&self) -> bool {
        let cut =
            || Ended { sent: self.foresee(0, SentEnd::None), elapsed: Duration::ZERO, at: Instant::now() };
        self.ended.set(self.leaving.get().copied().unwrap_or_else(cut)).is_ok()
    }

    /// Returns whether it has ended, not only as foreseen.
    pub(super) fn is_over(&self) -> bool {
        self.ended.get().is_some()
    }

    /// What was sent after so many bytes; `end` if they are not all.
    fn after(&self, bytes: u64, end: SentEnd) -> Sent {
        let announced = self.announced.get().copied().unwrap_or_default();
        let end = if announced.is_complete(bytes) { SentEnd::Complete } else { end };
        Sent { status: announced.status_after(bytes), bytes, end }
    }

    fn last(&self) -> Option<&Ended> {
        self.ended.get().or_else(|| self.leaving.get())
    }

    /// Returns what has left the socket so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        let so_far = || Sent { end: SentEnd::Pending, ..self.foresee(0, SentEnd::Pending) };
        self.last().map_or_else(so_far, |ended| ended.sent)
    }

    /// Returns the present state.
    #[must_use]
    pub fn state(&self) -> State {
        self.last().map_or(State::InFlight, |ended| ended.sent.state())
    }

    /// Returns when the request ended, in real time; `None` while it is in flight.
    #[must_use]
    pub fn ended_at(&self) -> Option<Instant> {
        self.last().map(|ended| ended.at)
    }

    /// Returns the duration in microseconds; 0 until the request ends.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        self.last().map_or(0, |ended| u64::try_from(ended.elapsed.as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns the progress as an entry shows it.
    #[must_use]
    pub fn record(&self) -> SendingRecord {
        let sent = self.sent();
        SendingRecord { state: sent.state(), sent, elapsed_us: self.elapsed_us() }
    }
}

impl From<SendingRecord> for Sending {
    /// The sending of an entry of an earlier run. What was under way then was cut.
    fn from(SendingRecord { state: _, sent, elapsed_us }: SendingRecord) -> Sending {
        let end = if sent.end == SentEnd::Pending { SentEnd::None } else { sent.end };
        let (sent, elapsed) = (Sent { end, ..sent }, Duration::from_micros(elapsed_us));
        let ended = OnceLock::from(Ended { sent, elapsed, at: Instant::now() });
        Sending { bytes: AtomicU64::new(sent.bytes), ended, ..Sending::default() }
    }
}

impl Clone for Sending {
    fn clone(&self) -> Sending {
        Sending {
            announced: self.announced.clone(),
            bytes: AtomicU64::new(self.bytes.load(Relaxed)),
            leaving: self.leaving.clone(),
            ended: self.ended.clone(),
        }
    }
}

impl Serialize for Sending {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record().serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_response(bytes: &[u8]) -> Sending {
        let progress = Sending::default();
        progress.announce(Announced::by_response(200, bytes));
        progress
    }

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n{}";

    #[test]
    fn an_answer_is_pending_until_its_last_bytes_leave() {
        let progress = of_response(RESPONSE);
        let now = Instant::now();
        progress.add(5);
        assert_eq!(progress.sent(), Sent { status: None, bytes: 5, end: SentEnd::Pending });
        progress.add(14);
        assert_eq!(progress.sent(), Sent { status: Some(200), bytes: 19, end: SentEnd::Pending });
        assert_eq!((progress.state(), progress.elapsed_us()), (State::InFlight, 0));
        progress.leave(progress.foresee(2, SentEnd::Fin), Duration::from_micros(7), now);
        let complete = Sent { status: Some(200), bytes: 21, end: SentEnd::Complete };
        assert_eq!((progress.sent(), progress.state(), progress.elapsed_us()), (complete, State::Done, 7));
    }

    #[test]
    fn a_cut_answer_shows_what_really_left() {
        let now = Instant::now();
        for (bytes, end, sent) in [
            (0, Some(End::Rst), Sent { status: None, bytes: 0, end: SentEnd::Rst }),
            (0, None, Sent { status: None, bytes: 0, end: SentEnd::None }),
            (20, Some(End::Fin), Sent { status: Some(200), bytes: 20, end: SentEnd::Fin }),
            (20, None, Sent { status: Some(200), bytes: 20, end: SentEnd::None }),
            // Whatever the client does with a complete answer, it was complete.
            (21, None, Sent { status: Some(200), bytes: 21, end: SentEnd::Complete }),
            (21, Some(End::Rst), Sent { status: Some(200), bytes: 21, end: SentEnd::Complete }),
        ] {
            let progress = of_response(RESPONSE);
            // What was foreseen does not count once it is known.
            progress.leave(progress.foresee(RESPONSE.len(), SentEnd::Fin), Duration::ZERO, now);
            progress.add(bytes);
            progress.end(end, Duration::ZERO, now);
            progress.end(Some(End::Fin), Duration::ZERO, now);
            assert_eq!(progress.sent(), sent);
        }
    }

    #[test]
    fn without_a_byte_nothing_is_complete() {
        let progress = Sending::default();
        progress.end(Some(End::Fin), Duration::ZERO, Instant::now());
        assert_eq!(progress.sent(), Sent { status: None, bytes: 0, end: SentEnd::Fin });
    }
}
