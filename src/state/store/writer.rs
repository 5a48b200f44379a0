//! The one thread that writes: takes what has come together, commits it as one transaction, and tells who waits.
//!
//! When the file cannot be written, as on a full disk, memory goes on and steps are dropped. From time to time the whole state is written
//! instead: what is missing is in it. While it is collected steps come in again; they follow it, and writing one twice does no harm.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::file::{StoreFile, StoreIdentity, StoredState};
use super::{Store, StoreError, StoreTesting, StoreWrite};

/// How long a step waits for others when nobody waits for it.
const LINGER: Duration = Duration::from_millis(5);

/// The same in the test's mode in which answers come first.
const LATE: Duration = Duration::from_millis(300);

/// Pause before the whole state is tried again; it doubles up to the max.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Returns the writes that make the whole state; `None` once the simulator is gone.
pub type WholeState = Box<dyn Fn() -> Option<Vec<StoreWrite>> + Send>;

/// Receives what a person should know.
pub type StoreReport = Box<dyn Fn(&str) + Send>;

/// An open store, whose steps wait until its thread is started.
#[derive(Debug)]
pub struct OpenStore {
    store: Arc<Store>,
    file: StoreFile,
}

impl OpenStore {
    /// Opens the store in a file, and creates it where there is none. Returns it with what it holds.
    ///
    /// # Errors
    /// Why the file cannot be used: in use, foreign, newer, damaged, or of a simulator with another seed or key.
    pub fn open(
        path: &Path,
        identity: &StoreIdentity,
        is_synchronous: bool,
        testing: StoreTesting,
    ) -> Result<(OpenStore, StoredState), StoreError> {
        let (file, stored) = StoreFile::open(path, identity, is_synchronous)?;
        Ok((OpenStore { store: Arc::new(Store::new(path.to_owned(), testing)), file }, stored))
    }

    /// Returns the handle for what hands over its changes.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system refuses it.
    pub fn start(self, whole_state: WholeState, report: StoreReport) -> io::Result<StoreWriter> {
        let OpenStore { store, file } = self;
        let task = WriterTask { store: Arc::clone(&store), file, whole_state, report };
        let thread = std::thread::Builder::new().name("frsim-store".to_owned()).spawn(move || task.run())?;
        Ok(StoreWriter { store, thread: Some(thread) })
    }
}

/// Handle of the thread that writes. Dropping it commits what is left and closes the file.
#[derive(Debug)]
pub struct StoreWriter {
    store: Arc<Store>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        self.store.queue.lock().is_closed = true;
        self.store.wake.notify_one();
        // It fails only when the thread panicked; the panic was shown then.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct WriterTask {
    store: Arc<Store>,
    file: StoreFile,
    whole_state: WholeState,
    report: StoreReport,
}

impl Drop for WriterTask {
    /// However the thread ends, nobody waits for it any more.
    fn drop(&mut self) {
        self.store.failing.store(true, Ordering::Relaxed);
        self.stop_collecting();
        self.store.done.send_replace(u64::MAX);
    }
}

impl WriterTask {
    fn run(mut self) {
        while let Some((writes, pushed)) = self.next() {
            match self.commit(&writes) {
                Ok(()) => drop(self.store.done.send_replace(pushed)),
                Err(error) => self.recover(&error),
            }
        }
    }

    /// Waits for steps, and a moment for more. Returns them and the number of the last; `None` at the end.
    fn next(&self) -> Option<(Vec<StoreWrite>, u64)> {
        let linger = if self.store.testing.answers_first { LATE } else { LINGER };
        let mut queue = self.store.queue.lock();
        while queue.writes.is_empty() && !queue.is_closed {
            self.store.wake.wait(&mut queue);
        }
        let until = Instant::now() + linger;
        while !queue.is_urgent && !queue.is_closed {
            if self.store.wake.wait_until(&mut queue, until).timed_out() {
                break;
            }
        }
        queue.is_urgent = false;
        let writes = std::mem::take(&mut queue.writes);
        (!writes.is_empty()).then_some((writes, queue.pushed))
    }

    fn commit(&mut self, writes: &[StoreWrite]) -> Result<(), String> {
        self.file.limit_pages(self.store.testing.max_pages.load(Ordering::Relaxed))?;
        self.file.commit(writes)
    }

    /// Says that the file cannot be written, lets everybody go on, and writes the whole state as soon as that is possible again.
    fn recover(&mut self, error: &str) {
        self.store.failing.store(true, Ordering::Relaxed);
        let path = self.store.path.display().to_string();
        self.stop_collecting();
        // Nobody waits for a commit any more.
        self.store.done.send_replace(u64::MAX);
        (self.report)(&format!(
            "the store {path} cannot be written: {error}; the simulator goes on in memory, and writes everything once it can"
        ));
        let mut pause = FIRST_PAUSE;
        loop {
            let is_last = self.pause(pause);
            let pushed = self.collect_again();
            match self.rewrite() {
                Ok(()) => {
                    self.store.failing.store(false, Ordering::Relaxed);
                    self.store.done.send_replace(pushed);
                    return (self.report)(&format!(
                        "the store {path} can be written again; nothing is missing in it"
                    ));
                }
                Err(error) if is_last => {
                    let end = format!(
                        "the store {path} still cannot be written: {error}; what changed since is lost"
                    );
                    self.stop_collecting();
                    return (self.report)(&end);
                }
                Err(_) => self.stop_collecting(),
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn rewrite(&mut self) -> Result<(), String> {
        let writes = (self.whole_state)().ok_or("the simulator has ended")?;
        self.file.limit_pages(self.store.testing.max_pages.load(Ordering::Relaxed))?;
        self.file.rewrite(&writes)
    }

    fn stop_collecting(&self) {
        let mut queue = self.store.queue.lock();
        queue.is_dropping = true;
        queue.writes.clear();
    }

    /// Takes steps again; returns the number of the last before.
    fn collect_again(&self) -> u64 {
        let mut queue = self.store.queue.lock();
        queue.is_dropping = false;
        queue.pushed
    }

    /// Waits; returns whether the store is being closed.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut queue = self.store.queue.lock();
        while !queue.is_closed {
            if self.store.wake.wait_until(&mut queue, until).timed_out() {
                break;
            }
        }
        queue.is_closed
    }
}
