//! Lines on their way to stderr. A thread of their own writes them, so that a reader who does not read stops no answer; lines
//! that find no room are dropped, and their number is said afterwards.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines that may wait: about a megabyte at most.
const ROOM: usize = 4096;

/// At the end, how long the writer may get nowhere, and how often that is looked at.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOKS: usize = 10;

/// The lines' way in. It ends with [`Log::end`].
#[derive(Debug)]
pub struct Log {
    queue: Mutex<Option<SyncSender<LogLine>>>,
    counts: Arc<Counts>,
    writer: Mutex<Option<Writer>>,
}

#[derive(Debug)]
struct LogLine {
    /// Lines that found no room before this one.
    dropped: u64,
    text: String,
}

#[derive(Debug, Default)]
struct Counts {
    /// Dropped and not said yet.
    dropped: AtomicU64,
    written: AtomicU64,
}

#[derive(Debug)]
struct Writer {
    thread: JoinHandle<()>,
    /// Never gets anything; closed when the thread is done.
    done: Receiver<()>,
}

impl Log {
    /// Starts the thread that writes to `out`. `notice` is the line that says how many were dropped.
    pub fn start(out: impl Write + Send + 'static, notice: fn(u64) -> String) -> io::Result<Log> {
        Log::with_room(ROOM, out, notice)
    }

    fn with_room(
        room: usize,
        mut out: impl Write + Send + 'static,
        notice: fn(u64) -> String,
    ) -> io::Result<Log> {
        let (queue, lines) = mpsc::sync_channel(room);
        let (alive, done) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = std::thread::Builder::new().name("frsim-log".to_owned()).spawn(move || {
            write_all(&lines, &shared, notice, &mut out);
            drop(alive);
        })?;
        let writer = Mutex::new(Some(Writer { thread, done }));
        Ok(Log { queue: Mutex::new(Some(queue)), counts, writer })
    }

    /// Hands a line over. Never waits for its writing.
    pub fn write(&self, text: String) {
        let queue = lock(&self.queue);
        let Some(queue) = queue.as_ref() else { return };
        let line = LogLine { dropped: self.counts.dropped.swap(0, Relaxed), text };
        if let Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) = queue.try_send(line) {
            self.counts.dropped.fetch_add(line.dropped + 1, Relaxed);
        }
    }

    /// Waits until everything handed over is written; not for a reader who has stopped reading.
    pub fn end(&self) {
        drop(lock(&self.queue).take());
        let Some(writer) = lock(&self.writer).take() else { return };
        let mut written = self.counts.written.load(Relaxed);
        for _ in 0..LOOKS {
            if writer.done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected) {
                let _ = writer.thread.join();
                return;
            }
            let before = std::mem::replace(&mut written, self.counts.written.load(Relaxed));
            if written == before {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_all(lines: &Receiver<LogLine>, counts: &Counts, notice: fn(u64) -> String, out: &mut impl Write) {
    let mut put = |text: &str| {
        // A terminal that went away must not stop the endpoint.
        let _ = out.write_all(format!("{text}\n").as_bytes());
        counts.written.fetch_add(1, Relaxed);
    };
    loop {
        let line = match lines.try_recv() {
            Ok(line) => Some(line),
            // All that waited is written: nothing may follow for a long time, so what was dropped is said now.
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                let dropped = counts.dropped.swap(0, Relaxed);
                if dropped > 0 {
                    put(&notice(dropped));
                }
                lines.recv().ok()
            }
        };
        let Some(line) = line else { return };
        if line.dropped > 0 {
            put(&notice(line.dropped));
        }
        put(&line.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Sender;

    /// Tells what is to be written, then waits until it may be; forever free once the other end is gone.
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

    fn gated(room: usize) -> (Log, Receiver<String>, Sender<()>) {
        let (written, read) = mpsc::channel();
        let (opener, open) = mpsc::channel();
        let log = Log::with_room(room, Gate { written, open }, |count| format!("{count} dropped")).unwrap();
        (log, read, opener)
    }

    #[test]
    fn lines_without_room_are_dropped_and_counted_where_they_are_missing() {
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
    fn the_end_waits_for_every_line() {
        let (log, read, opener) = gated(100);
        drop(opener);
        let lines: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        lines.iter().for_each(|line| log.write(line.clone()));
        log.end();
        assert_eq!(read.try_iter().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>(), lines);
        log.write("too late".to_owned());
    }

    #[test]
    fn the_end_does_not_wait_for_a_reader_who_reads_nothing() {
        let (log, _read, _opener) = gated(1);
        log.write("a".to_owned());
        log.end();
    }
}
