//! Watching the fixture directory, so that an edit is in force within a second.

use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Editors write a file in several steps, and a mounted configuration swaps several files: wait until it is quiet.
const QUIET: Duration = Duration::from_millis(100);

/// A watch on a directory. It ends when dropped.
pub struct Watch {
    /// Dropped first, which closes the channel and so ends the thread.
    watcher: Option<RecommendedWatcher>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Calls `changed` after every burst of changes below `directory`.
    ///
    /// # Errors
    /// When the system refuses to watch.
    pub fn start(directory: &Path, changed: impl Fn() + Send + 'static) -> io::Result<Watch> {
        let (events, received) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is no change; a lost event is.
            if !event.as_ref().is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                let _ = events.send(());
            }
        })
        .map_err(io::Error::other)?;
        watcher.watch(directory, RecursiveMode::Recursive).map_err(io::Error::other)?;
        let thread = std::thread::Builder::new()
            .name("frsim-fixtures".to_owned())
            .spawn(move || debounce(&received, &changed))?;
        Ok(Watch { watcher: Some(watcher), thread: Some(thread) })
    }
}

fn debounce(received: &Receiver<()>, changed: &impl Fn()) {
    while received.recv().is_ok() {
        while received.recv_timeout(QUIET).is_ok() {}
        changed();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.watcher.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
