//! Non-blocking log writer. A separate thread writes a bounded queue to stderr, so that a slow reader does not block answers. Lines
//! that do not fit are dropped and counted, and the count is logged.
//!
//! Not `tracing-appender`: when stderr is not read, its end prints a line to stdout, which belongs to the ready line, and panics if that
//! fails; it waits one second at most, however steadily a slow reader reads; and it brings eight crates.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::throttle::{Throttle, receive_until};

/// Max queued lines: at most about a megabyte.
const MAX_QUEUED: usize = 4096;

/// Flush at the end: how long the writer may make no progress, and the max number of such waits.
const FLUSH_WAIT: Duration = Duration::from_millis(500);
const MAX_FLUSH_WAITS: usize = 10;

/// Handle to the log queue. [`Log::end`] flushes and closes it.
#[derive(Debug)]
pub struct Log {
    writer: Mutex<Option<LogWriter>>,
    counts: Arc<Counts>,
}

/// The writing thread, seen from the others.
#[derive(Debug)]
struct LogWriter {
    queue: SyncSender<LogLine>,
    /// Never receives a message; disconnected when the thread ends.
    done: Receiver<()>,
}

#[derive(Debug)]
struct LogLine {
    /// Number of lines dropped before this one.
    dropped: u64,
    text: String,
    /// When the line is of a request: its time and its outcome, for the throttle.
    request: Option<(Instant, String)>,
    /// Whether it comes behind all requests, also those that the throttle still hides.
    is_last: bool,
}

#[derive(Debug, Default)]
struct Counts {
    /// Dropped lines that are not logged yet.
    dropped: AtomicU64,
    written: AtomicU64,
}

impl Log {
    /// Starts the thread that writes to `out`. `notice` formats the line with the number of dropped lines. With a throttle, lines of requests
    /// above its rate become summaries.
    pub fn start(
        out: impl Write + Send + 'static,
        notice: fn(u64) -> String,
        throttle: Option<Throttle>,
    ) -> io::Result<Log> {
        Log::with_capacity(MAX_QUEUED, out, notice, throttle)
    }

    fn with_capacity(
        capacity: usize,
        mut out: impl Write + Send + 'static,
        notice: fn(u64) -> String,
        throttle: Option<Throttle>,
    ) -> io::Result<Log> {
        let (queue, lines) = mpsc::sync_channel(capacity);
        let (alive, done) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        std::thread::Builder::new().name("frsim-log".to_owned()).spawn(move || {
            write_all(&lines, &shared, notice, throttle, &mut out);
            drop(alive);
        })?;
        Ok(Log { writer: Mutex::new(Some(LogWriter { queue, done })), counts })
    }

    /// Queues a line. Never blocks.
    pub fn write(&self, text: String) {
        self.queue(text, None, false);
    }

    /// Queues the last line, behind the summary of what the throttle hides. Never blocks.
    pub fn write_last(&self, text: String) {
        self.queue(text, None, true);
    }

    /// Queues the line of a request with this outcome, for the throttle. Never blocks.
    pub fn write_request(&self, text: String, outcome: String) {
        self.queue(text, Some((Instant::now(), outcome)), false);
    }

    fn queue(&self, text: String, request: Option<(Instant, String)>, is_last: bool) {
        let writer = self.writer.lock();
        let Some(LogWriter { queue, .. }) = writer.as_ref() else { return };
        let line = LogLine { dropped: self.counts.dropped.swap(0, Relaxed), text, request, is_last };
        if let Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) = queue.try_send(line) {
            self.counts.dropped.fetch_add(line.dropped + 1, Relaxed);
        }
    }

    /// Closes the queue and waits until it is written. Stops waiting when the reader makes no progress.
    pub fn end(&self) {
        let Some(LogWriter { queue, done }) = self.writer.lock().take() else { return };
        drop(queue);
        let mut written = self.counts.written.load(Relaxed);
        for _ in 0..MAX_FLUSH_WAITS {
            if done.recv_timeout(FLUSH_WAIT) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            let before = std::mem::replace(&mut written, self.counts.written.load(Relaxed));
            if written == before {
                return;
            }
        }
    }
}

fn write_all(
    lines: &Receiver<LogLine>,
    counts: &Counts,
    notice: fn(u64) -> String,
    mut throttle: Option<Throttle>,
    out: &mut impl Write,
) {
    let mut write = |text: &str| {
        // Ignores errors: a closed terminal must not stop the endpoint.
        let _ = out.write_all(format!("{text}\n").as_bytes());
        counts.written.fetch_add(1, Relaxed);
    };
    loop {
        let line = match lines.try_recv() {
            Ok(line) => Some(line),
            // The queue is empty, maybe for a long time: log the drops now.
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                let dropped = counts.dropped.swap(0, Relaxed);
                if dropped > 0 {
                    write(&notice(dropped));
                }
                match receive_until(lines, throttle.as_ref().and_then(Throttle::deadline)) {
                    Ok(line) => Some(line),
                    Err(RecvTimeoutError::Disconnected) => None,
                    Err(RecvTimeoutError::Timeout) => {
                        let summary = throttle.as_mut().and_then(|throttle| throttle.roll(Instant::now()));
                        summary.iter().for_each(|summary| write(summary));
                        continue;
                    }
                }
            }
        };
        let Some(line) = line else { break };
        if line.dropped > 0 {
            write(&notice(line.dropped));
        }
        let (summary, is_shown) = match (&mut throttle, &line.request) {
            (Some(throttle), Some((at, outcome))) => throttle.admit(*at, outcome),
            (Some(throttle), None) if line.is_last => (throttle.flush(), true),
            _ => (None, true),
        };
        summary.iter().for_each(|summary| write(summary));
        if is_shown {
            write(&line.text);
        }
    }
    let summary = throttle.as_mut().and_then(Throttle::flush);
    summary.iter().for_each(|summary| write(summary));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Sender;

    /// Writer that reports each write, then blocks until it is allowed to return. Never blocks once `open` is disconnected.
    struct Gate {
        written: Sender<String>,
        open: Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.written.send(String::from_utf8_lossy(bytes).into_owned());
            let _ = self.open.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated(capacity: usize) -> (Log, Receiver<String>, Sender<()>) {
        let (written, read) = mpsc::channel();
        let (opener, open) = mpsc::channel();
        let log =
            Log::with_capacity(capacity, Gate { written, open }, |count| format!("{count} dropped"), None)
                .unwrap();
        (log, read, opener)
    }

    #[test]
    fn lines_beyond_the_capacity_are_dropped_and_counted_where_they_are_missing() {
        let (log, read, opener) = gated(2);
        let next = || read.recv_timeout(Duration::from_secs(10)).unwrap();
        log.write("a".to_owned());
        assert_eq!(next(), "a\n", "the writer has it, and waits");
        for text in ["b", "c", "lost", "lost", "lost"] {
            log.write(text.to_owned());
        }
        drop(opener);
        assert_eq!([next(), next(), next()], ["b\n", "c\n", "3 dropped\n"]);
        log.write("d".to_owned());
        log.end();
        assert_eq!(read.iter().collect::<Vec<_>>(), ["d\n"]);
    }

    #[test]
    fn end_waits_for_every_line() {
        let (log, read, opener) = gated(100);
        drop(opener);
        let lines: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        lines.iter().for_each(|line| log.write(line.clone()));
        log.end();
        assert_eq!(read.try_iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>(), lines);
        log.write("too late".to_owned());
        assert_eq!(read.recv(), Err(mpsc::RecvError));
    }

    #[test]
    fn end_does_not_wait_for_a_stalled_reader() {
        let (log, read, opener) = gated(1);
        log.write("a".to_owned());
        assert_eq!(
            read.recv_timeout(Duration::from_secs(10)).unwrap(),
            "a\n",
            "the writer has it, and waits"
        );
        log.write("b".to_owned());
        let (ended, end) = mpsc::channel();
        let ending = std::thread::spawn(move || {
            log.end();
            ended.send(()).unwrap();
        });
        assert_eq!(end.recv_timeout(Duration::from_secs(30)), Ok(()), "it waits for the reader");
        ending.join().unwrap();
        assert_eq!(read.try_recv(), Err(TryRecvError::Empty), "the writer still waits");
        drop(opener);
        assert_eq!(read.iter().collect::<Vec<_>>(), ["b\n"]);
    }
}
