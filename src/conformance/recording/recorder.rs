//! Writes a recording in a thread of its own. The traffic hands over copies and never waits: what the thread or its disk cannot keep up
//! with becomes lengths, and when the disk refuses, the recording stops.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp, Unit};

use super::exchange::{
    EndReason, EndedBy, RecordedAnswer, RecordedExchange, RecordedRequest, RecordingHeader, RecordingLine,
};
use super::stream_reader::{ConnectionReader, Masks, ReadExchange};
use super::tokens::Tokens;
use crate::base::{json, time};

/// Max bytes of traffic in memory: those that wait for the thread, and those of messages that are not whole.
pub const MAX_HELD: usize = 256 << 20;
/// What a copy costs beside its bytes.
const COPY_OVERHEAD: usize = 128;

/// Who sent bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamSide {
    Client,
    Server,
}

/// What happens on a connection.
enum StreamEvent {
    Opened {
        connect: Duration,
    },
    Bytes {
        side: StreamSide,
        bytes: Bytes,
        at: Instant,
    },
    /// From here on bytes are counted only.
    Lost {
        at: Instant,
    },
    /// A side sends no more.
    Left {
        side: StreamSide,
        at: Instant,
    },
    Ended {
        by_reset: bool,
        at: Instant,
        uncopied: [u64; 2],
    },
}

enum RecorderMessage {
    Stream { connection: u64, event: StreamEvent },
    End { why: EndReason },
}

/// How a recording went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingSummary {
    pub exchanges: u64,
    /// Those of which a request or an answer is lengths only, or cut.
    pub partly: u64,
    /// Connections that were not recorded to their end because the recorder could not keep up.
    pub lost: u64,
    /// Why the recording is not whole; `None` when it is.
    pub failure: Option<String>,
}

/// What the thread tells while it records.
#[derive(Debug, PartialEq, Eq)]
pub enum RecorderNews {
    /// The file could not be written: the recording has stopped.
    Failed(String),
    /// As many exchanges as wanted are recorded.
    Full,
}

/// Records until it is ended or dropped.
pub struct Recorder {
    handle: RecorderHandle,
    thread: JoinHandle<RecordingSummary>,
}

/// Hands copies to the recorder.
#[derive(Clone)]
pub struct RecorderHandle {
    messages: Sender<RecorderMessage>,
    held: Arc<AtomicUsize>,
    has_stopped: Arc<AtomicBool>,
    max_held: usize,
}

/// How a recording is made.
pub struct RecorderSettings {
    pub header: RecordingHeader,
    pub max_calls: Option<u64>,
    /// Bytes; [`MAX_HELD`] but in tests.
    pub max_held: usize,
}

impl Recorder {
    /// Writes the header, and starts the thread. `tell` is called in it.
    ///
    /// # Errors
    /// The header cannot be written, or the system refuses a thread.
    pub fn start(
        mut out: Box<dyn Write + Send>,
        settings: RecorderSettings,
        tell: impl Fn(RecorderNews) + Send + 'static,
    ) -> io::Result<Recorder> {
        let masks = Masks { tokens: Tokens::default(), keeps_area: settings.header.keeps_area };
        write_line(&mut *out, &RecordingLine::Recording(settings.header))?;
        let (messages, received) = channel();
        let handle = RecorderHandle {
            messages,
            held: Arc::default(),
            has_stopped: Arc::default(),
            max_held: settings.max_held,
        };
        let writer = RecordingWriter {
            out,
            tell: Box::new(tell),
            max_calls: settings.max_calls.unwrap_or(u64::MAX),
            masks,
            connections: HashMap::new(),
            held: Arc::clone(&handle.held),
            has_stopped: Arc::clone(&handle.has_stopped),
            summary: RecordingSummary::default(),
            start: (Instant::now(), Timestamp::now()),
        };
        let thread =
            std::thread::Builder::new().name("recorder".to_owned()).spawn(|| writer.run(received))?;
        Ok(Recorder { handle, thread })
    }

    /// For the traffic.
    #[must_use]
    pub fn handle(&self) -> RecorderHandle {
        self.handle.clone()
    }

    /// Writes what is left and the last line. Waits for the disk.
    #[must_use]
    pub fn end(self, why: EndReason) -> RecordingSummary {
        let _ = self.handle.messages.send(RecorderMessage::End { why });
        let stopped = |_| RecordingSummary {
            failure: Some("the recorder stopped by a mistake of this program".to_owned()),
            ..RecordingSummary::default()
        };
        self.thread.join().unwrap_or_else(stopped)
    }
}

/// Hands over the copies of one connection.
pub struct ConnectionTap {
    recorder: RecorderHandle,
    connection: u64,
    is_lost: AtomicBool,
    uncopied: [AtomicUsize; 2],
}

impl RecorderHandle {
    /// A connection that was made.
    #[must_use]
    pub fn opened(&self, connection: u64, connect: Duration) -> ConnectionTap {
        self.send(connection, StreamEvent::Opened { connect });
        let recorder = self.clone();
        ConnectionTap { recorder, connection, is_lost: AtomicBool::new(false), uncopied: Default::default() }
    }

    fn send(&self, connection: u64, event: StreamEvent) {
        if !self.has_stopped.load(Ordering::Relaxed) {
            // Without its thread there is nothing to record.
            let _ = self.messages.send(RecorderMessage::Stream { connection, event });
        }
    }
}

impl ConnectionTap {
    /// Bytes that came. Never waits.
    pub fn copy(&self, side: StreamSide, bytes: Bytes) {
        let (cost, at) = (bytes.len() + COPY_OVERHEAD, Instant::now());
        if !self.is_lost.load(Ordering::Relaxed) {
            if self.recorder.held.fetch_add(cost, Ordering::Relaxed) + cost <= self.recorder.max_held {
                return self.recorder.send(self.connection, StreamEvent::Bytes { side, bytes, at });
            }
            self.recorder.held.fetch_sub(cost, Ordering::Relaxed);
            self.is_lost.store(true, Ordering::Relaxed);
            self.recorder.send(self.connection, StreamEvent::Lost { at });
        }
        self.uncopied[side as usize].fetch_add(bytes.len(), Ordering::Relaxed);
    }

    /// A side has ended its stream, or its socket failed.
    pub fn left(&self, side: StreamSide) {
        self.recorder.send(self.connection, StreamEvent::Left { side, at: Instant::now() });
    }

    /// The connection has ended.
    pub fn end(self, by_reset: bool) {
        let uncopied = self.uncopied.map(|bytes| bytes.into_inner() as u64);
        let event = StreamEvent::Ended { by_reset, at: Instant::now(), uncopied };
        self.recorder.send(self.connection, event);
    }
}

/// What the thread has.
struct RecordingWriter {
    out: Box<dyn Write + Send>,
    tell: Box<dyn Fn(RecorderNews) + Send>,
    max_calls: u64,
    masks: Masks,
    connections: HashMap<u64, ConnectionReader>,
    held: Arc<AtomicUsize>,
    has_stopped: Arc<AtomicBool>,
    summary: RecordingSummary,
    start: (Instant, Timestamp),
}

impl RecordingWriter {
    fn run(mut self, messages: Receiver<RecorderMessage>) -> RecordingSummary {
        for message in messages {
            let has_stopped = self.has_stopped.load(Ordering::Relaxed);
            match message {
                RecorderMessage::Stream { .. } if has_stopped => {}
                RecorderMessage::Stream { connection, event } => self.read(connection, event),
                RecorderMessage::End { why } => {
                    self.end_all();
                    if !self.has_stopped.load(Ordering::Relaxed) || self.is_full() {
                        let at = time::rfc3339_millis(Timestamp::now());
                        self.write(&RecordingLine::End { at, why: why.name().to_owned() });
                    }
                    break;
                }
            }
        }
        self.summary
    }

    fn is_full(&self) -> bool {
        self.summary.exchanges >= self.max_calls
    }

    fn read(&mut self, connection: u64, event: StreamEvent) {
        if let StreamEvent::Opened { connect } = event {
            self.connections.insert(connection, ConnectionReader::new(connect));
            return;
        }
        let Some(reader) = self.connections.get_mut(&connection) else { return };
        let before = reader.held();
        let (mut cost, mut has_ended) = (0, false);
        match event {
            StreamEvent::Opened { .. } => {}
            StreamEvent::Bytes { side, bytes, at } => {
                cost = bytes.len() + COPY_OVERHEAD;
                match side {
                    StreamSide::Client => reader.read_client(&bytes, at, &mut self.masks),
                    StreamSide::Server => reader.read_server(&bytes, at, &mut self.masks),
                }
            }
            StreamEvent::Lost { at } => {
                self.summary.lost += 1;
                reader.break_both(at);
            }
            StreamEvent::Left { side, at } => {
                reader.left(
                    match side {
                        StreamSide::Client => EndedBy::Client,
                        StreamSide::Server => EndedBy::Server,
                    },
                    at,
                );
            }
            StreamEvent::Ended { by_reset, at, uncopied: [client, server] } => {
                reader.count_client(client, at);
                reader.count_server(server, at);
                reader.end(by_reset, at, &mut self.masks);
                has_ended = true;
            }
        }
        let done = reader.take_done();
        let after = if has_ended { 0 } else { reader.held() };
        self.held.fetch_add(after, Ordering::Relaxed);
        self.held.fetch_sub(before + cost, Ordering::Relaxed);
        if has_ended {
            self.connections.remove(&connection);
        }
        done.into_iter().for_each(|exchange| self.write_exchange(connection, exchange));
    }

    /// Ends the connections that are still open.
    fn end_all(&mut self) {
        let mut open: Vec<u64> = self.connections.keys().copied().collect();
        open.sort_unstable();
        for connection in open {
            self.read(
                connection,
                StreamEvent::Ended { by_reset: false, at: Instant::now(), uncopied: [0; 2] },
            );
        }
    }

    fn write_exchange(&mut self, connection: u64, exchange: ReadExchange) {
        if self.has_stopped.load(Ordering::Relaxed) {
            return;
        }
        let ReadExchange { started, ordinal, request, answer, times } = exchange;
        let is_whole = matches!((&request, &answer), (RecordedRequest::Shape(_), RecordedAnswer::Whole(_)));
        let since =
            SignedDuration::try_from(started.saturating_duration_since(self.start.0)).unwrap_or_default();
        let at = self.start.1.checked_add(since).unwrap_or(self.start.1);
        let number = self.summary.exchanges + 1;
        let line = RecordedExchange {
            number,
            connection,
            ordinal,
            // To the microsecond: which of two exchanges was first must be seen.
            at: time::rfc3339(at.round(Unit::Microsecond).unwrap_or(at)),
            request,
            answer,
            times,
        };
        if self.write(&RecordingLine::Exchange(Box::new(line))) {
            self.summary.exchanges = number;
            self.summary.partly += u64::from(!is_whole);
            if self.is_full() {
                self.has_stopped.store(true, Ordering::Relaxed);
                (self.tell)(RecorderNews::Full);
            }
        }
    }

    /// Writes a line. Returns whether it is written; if not, the recording stops.
    fn write(&mut self, line: &RecordingLine) -> bool {
        match write_line(&mut *self.out, line) {
            Ok(()) => true,
            Err(error) => {
                self.has_stopped.store(true, Ordering::Relaxed);
                self.connections.clear();
                self.summary.failure = Some(error.to_string());
                (self.tell)(RecorderNews::Failed(error.to_string()));
                false
            }
        }
    }
}

fn write_line(out: &mut dyn Write, line: &RecordingLine) -> io::Result<()> {
    out.write_all((json::text(line) + "\n").as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const POST: &[u8] = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{\"errorCode\":\"5004\",\"error\":\"x\"}\n";

    fn settings(max_calls: Option<u64>, max_held: usize) -> RecorderSettings {
        let header = RecordingHeader {
            schema: 1,
            tool: String::new(),
            suite: 1,
            recording: String::new(),
            started: String::new(),
            target: String::new(),
            keeps_area: false,
        };
        RecorderSettings { header, max_calls, max_held }
    }

    /// A disk that takes a write when the test says so, or refuses it.
    struct Disk {
        permits: Receiver<io::Result<()>>,
        written: Sender<String>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv_timeout(MINUTE).map_err(io::Error::other)??;
            let _ = self.written.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn disk() -> (Disk, Sender<io::Result<()>>, Receiver<String>) {
        let ((permit, permits), (written, lines)) = (channel(), channel());
        (Disk { permits, written }, permit, lines)
    }

    fn talk(recorder: &RecorderHandle, connection: u64) {
        let tap = recorder.opened(connection, Duration::ZERO);
        tap.copy(StreamSide::Client, Bytes::from_static(POST));
        tap.copy(StreamSide::Server, Bytes::from_static(ANSWER));
        tap.end(false);
    }

    #[test]
    fn a_slow_disk_does_not_delay_the_traffic_and_leaves_lengths() {
        let (disk, permit, lines) = disk();
        permit.send(Ok(())).unwrap();
        let recorder = Recorder::start(Box::new(disk), settings(None, 100_000), |_| ()).unwrap();
        // The disk does not take the first exchange, and all these calls return.
        talk(&recorder.handle(), 1);
        let tap = recorder.handle().opened(2, Duration::ZERO);
        tap.copy(StreamSide::Client, Bytes::from_static(POST));
        for _ in 0..300 {
            tap.copy(StreamSide::Server, Bytes::from_static(&[b'a'; 1000]));
        }
        tap.end(false);
        assert!(recorder.handle.held.load(Ordering::Relaxed) <= 100_000);
        let held = Arc::clone(&recorder.handle.held);
        (0..3).for_each(|_| permit.send(Ok(())).unwrap());
        let summary = recorder.end(EndReason::Signal);
        assert_eq!(summary, RecordingSummary { exchanges: 2, partly: 1, lost: 1, failure: None });
        let lines: Vec<_> = lines.try_iter().collect();
        assert!(lines[2].contains(r#""answer":{"unparsed":{"status":null,"bytes":300000}}"#), "{}", lines[2]);
        assert!(lines[3].contains(r#""why":"signal""#));
        assert_eq!(held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_full_disk_ends_the_recording_once_and_nothing_else() {
        let (disk, permit, lines) = disk();
        permit.send(Ok(())).unwrap();
        permit.send(Ok(())).unwrap();
        permit.send(Err(io::Error::from(io::ErrorKind::StorageFull))).unwrap();
        let (news, told) = channel();
        let tell = move |one| drop(news.send(one));
        let recorder = Recorder::start(Box::new(disk), settings(None, MAX_HELD), tell).unwrap();
        let handle = recorder.handle();
        (1..=4).for_each(|connection| talk(&handle, connection));
        assert!(matches!(told.recv_timeout(MINUTE), Ok(RecorderNews::Failed(_))));
        // The traffic goes on.
        talk(&handle, 5);
        let summary = recorder.end(EndReason::Signal);
        assert!(summary.exchanges == 1 && summary.failure.is_some(), "{summary:?}");
        assert_eq!(told.recv_timeout(MINUTE), Err(RecvTimeoutError::Disconnected), "it is told once");
        assert_eq!(lines.try_iter().count(), 2, "the header and an exchange");
    }

    #[test]
    fn a_recording_ends_with_as_many_calls_as_wanted() {
        let (disk, permit, lines) = disk();
        (0..4).for_each(|_| permit.send(Ok(())).unwrap());
        let (news, told) = channel();
        let tell = move |one| drop(news.send(one));
        let recorder = Recorder::start(Box::new(disk), settings(Some(2), MAX_HELD), tell).unwrap();
        (1..=4).for_each(|connection| talk(&recorder.handle(), connection));
        assert_eq!(told.recv_timeout(MINUTE), Ok(RecorderNews::Full));
        assert_eq!(
            recorder.end(EndReason::MaxCalls),
            RecordingSummary { exchanges: 2, partly: 0, lost: 0, failure: None }
        );
        let lines: Vec<_> = lines.try_iter().collect();
        assert!(lines.len() == 4 && lines[3].contains("max-calls"), "{lines:?}");
    }

    #[test]
    fn a_connection_that_is_open_at_the_end_is_recorded_as_far_as_it_went() {
        let (disk, permit, lines) = disk();
        (0..4).for_each(|_| permit.send(Ok(())).unwrap());
        let recorder = Recorder::start(Box::new(disk), settings(None, MAX_HELD), |_| ()).unwrap();
        let tap = recorder.handle().opened(1, Duration::ZERO);
        tap.copy(StreamSide::Client, Bytes::from_static(POST));
        assert_eq!(
            recorder.end(EndReason::Time),
            RecordingSummary { exchanges: 1, partly: 1, lost: 0, failure: None }
        );
        let lines: Vec<_> = lines.try_iter().collect();
        assert!(lines[1].contains(r#""answer":{"cut""#) && lines[2].contains(r#""why":"time""#), "{lines:?}");
    }
}
