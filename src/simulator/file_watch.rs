//! Watches the fixture directory, and the keys that fixtures may name: an edit is active within a second.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::source;
use crate::keys;

/// Debounce interval. Editors write a file in several steps, and a mounted configuration swaps several files.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// Longest wait for a quiet moment: a file may be written continuously.
const MAX_DEBOUNCE: Duration = Duration::from_millis(500);

/// How often is looked whether a directory was made. Its parent is not watched for that: a store in it changes with every answer.
const ABSENT_POLL: Duration = Duration::from_millis(500);

/// Watches the directories until dropped.
pub struct FileWatcher {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// Message to the watching thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something below a directory changed.
    Changed,
    /// A directory itself was created, moved or removed. The watch stays on the old directory, so it is renewed.
    Replaced,
    /// A directory was created that was absent at the start.
    Made,
    Stop,
}

impl FileWatcher {
    /// Calls `changed` after every burst of changes to fixtures below `directory`, and to customers' keys in `keys`. The directories may
    /// be removed and created again, and `directory` may be created later.
    ///
    /// # Errors
    /// When the operating system refuses the watch.
    pub fn start(
        directory: &Path,
        keys: Option<&Path>,
        changed: impl Fn() + Send + 'static,
    ) -> io::Result<FileWatcher> {
        let fixtures = WatchedDirectory::new(directory, RecursiveMode::Recursive, source::concerns)?;
        let keys =
            keys.map(|keys| WatchedDirectory::new(keys, RecursiveMode::NonRecursive, keys::is_customers_key));
        let watched: Vec<_> = std::iter::once(fixtures).chain(keys.transpose()?).collect();
        let (signals, received) = mpsc::channel();
        let (filter, sender) = (EventFilter(watched.clone()), signals.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // After an error an event may be missing, so reload.
            let signal = event.map_or(Some(Signal::Changed), |event| filter.classify(&event));
            let _ = signal.map(|signal| sender.send(signal));
        })
        .map_err(io::Error::other)?;
        let absent: Vec<_> =
            watched.iter().map(|one| one.roots[0].clone()).filter(|path| !path.exists()).collect();
        for one in watched.iter().filter(|one| !absent.contains(&one.roots[0])) {
            watch_parent(&mut watcher, one, &watched);
            watcher.watch(&one.roots[0], one.mode).map_err(io::Error::other)?;
        }
        let renew = move |is_new: bool| {
            if is_new {
                watched.iter().for_each(|one| watch_parent(&mut watcher, one, &watched));
            }
            renew_watches(&mut watcher, &watched);
        };
        let thread = std::thread::Builder::new()
            .name("frsim-fixtures".to_owned())
            .spawn(move || debounce(&received, absent, renew, &changed))?;
        Ok(FileWatcher { signals, thread: Some(thread) })
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        // Ends the thread, which drops the watcher.
        let _ = self.signals.send(Signal::Stop);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Watches the parent of a directory, which reports when the directory is created again. Without permission for it, the watch ends with the
/// directory. A parent that is watched already, as the fixtures around the keys, stays as it is.
fn watch_parent(watcher: &mut RecommendedWatcher, one: &WatchedDirectory, all: &[WatchedDirectory]) {
    let parent = one.roots[0].parent();
    let parent = parent.filter(|parent| !all.iter().any(|other| parent.starts_with(&other.roots[0])));
    let _ = parent.map(|parent| watcher.watch(parent, RecursiveMode::NonRecursive));
}

/// Ignores errors: a directory may not exist at this moment.
fn renew_watches(watcher: &mut RecommendedWatcher, watched: &[WatchedDirectory]) {
    for WatchedDirectory { roots: [path, _], mode, .. } in watched {
        let _ = watcher.unwatch(path);
        let _ = watcher.watch(path, *mode);
    }
}

/// Waits for the first signal of a burst, or for an absent directory to be made.
fn first_signal(received: &Receiver<Signal>, absent: &mut Vec<PathBuf>) -> Option<Signal> {
    while !absent.is_empty() {
        match received.recv_timeout(ABSENT_POLL) {
            Err(RecvTimeoutError::Timeout) if absent.iter().all(|path| !path.exists()) => {}
            Err(RecvTimeoutError::Timeout) => {
                absent.retain(|path| !path.exists());
                return Some(Signal::Made);
            }
            other => return other.ok(),
        }
    }
    received.recv().ok()
}

/// Calls `changed` after each burst. `renew_watch` is told whether a directory was made for the first time.
fn debounce(
    received: &Receiver<Signal>,
    mut absent: Vec<PathBuf>,
    mut renew_watch: impl FnMut(bool),
    changed: &impl Fn(),
) {
    while let Some(mut signal) = first_signal(received, &mut absent) {
        let deadline = Instant::now() + MAX_DEBOUNCE;
        loop {
            match signal {
                Signal::Changed => {}
                Signal::Replaced => renew_watch(false),
                Signal::Made => renew_watch(true),
                Signal::Stop => return,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match received.recv_timeout(DEBOUNCE.min(left)) {
                Ok(next) => signal = next,
                Err(_) => break,
            }
        }
        changed();
    }
}

/// A directory that is watched.
#[derive(Clone)]
struct WatchedDirectory {
    /// The directory as configured, and with links resolved as some systems report it in events.
    roots: [PathBuf; 2],
    mode: RecursiveMode,
    /// Whether a change of a path below the directory matters.
    concerns: fn(&str) -> bool,
}

impl WatchedDirectory {
    fn new(
        directory: &Path,
        mode: RecursiveMode,
        concerns: fn(&str) -> bool,
    ) -> io::Result<WatchedDirectory> {
        let directory = std::path::absolute(directory)?;
        let resolved = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        Ok(WatchedDirectory { roots: [directory, resolved], mode, concerns })
    }

    fn contains(&self, path: &Path) -> bool {
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root).ok());
        let parts = below.map(|path| path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>());
        parts.is_some_and(|parts| (self.concerns)(&parts.join("/")))
    }
}

/// Filters file system events: only changes to fixtures and customers' keys pass.
struct EventFilter(Vec<WatchedDirectory>);

impl EventFilter {
    fn classify(&self, event: &Event) -> Option<Signal> {
        if matches!(event.kind, EventKind::Access(_)) {
            return None;
        }
        if event.paths.is_empty() {
            // The system lost events.
            return Some(Signal::Changed);
        }
        let is_root = |path: &PathBuf| self.0.iter().any(|watched| watched.roots.contains(path));
        let moves = !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        if moves && event.paths.iter().any(is_root) {
            return Some(Signal::Replaced);
        }
        let concerns = |path: &PathBuf| self.0.iter().any(|watched| watched.contains(path));
        event.paths.iter().any(concerns).then_some(Signal::Changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Sends the content of `simulator.toml` after every change.
    fn watch_content(directory: &Path) -> (FileWatcher, Receiver<Option<String>>) {
        let (sender, contents) = mpsc::channel();
        let path = directory.join("simulator.toml");
        let watch =
            FileWatcher::start(directory, None, move || drop(sender.send(fs::read_to_string(&path).ok())));
        (watch.unwrap(), contents)
    }

    #[track_caller]
    fn wait_for(contents: &Receiver<Option<String>>, expected: Option<&str>) {
        while contents.recv_timeout(Duration::from_secs(10)).expect("a change").as_deref() != expected {}
    }

    #[test]
    fn a_continuously_written_file_is_still_reloaded() {
        let directory = tempfile::tempdir().unwrap();
        let (_watch, contents) = watch_content(directory.path());
        let done = AtomicBool::new(false);
        let received = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::write(directory.path().join("simulator.toml"), "a").unwrap();
                }
            });
            let received = contents.recv_timeout(Duration::from_secs(5));
            done.store(true, Ordering::Relaxed);
            received
        });
        assert!(received.is_ok());
    }

    #[test]
    fn a_recreated_directory_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("fixtures");
        let write = |text: &str| fs::write(directory.join("simulator.toml"), text).unwrap();
        fs::create_dir(&directory).unwrap();
        let (_watch, contents) = watch_content(&directory);
        for round in ["a", "b"] {
            write(round);
            wait_for(&contents, Some(round));
            write("again");
            wait_for(&contents, Some("again"));
            fs::remove_dir_all(&directory).unwrap();
            wait_for(&contents, None);
            fs::create_dir(&directory).unwrap();
        }
        write("c");
        wait_for(&contents, Some("c"));
        // Another directory is moved to this path.
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("simulator.toml"), "d").unwrap();
        fs::rename(&directory, parent.path().join("old")).unwrap();
        fs::rename(&other, &directory).unwrap();
        wait_for(&contents, Some("d"));
        write("e");
        wait_for(&contents, Some("e"));
    }

    #[test]
    fn a_directory_that_is_made_later_is_watched() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("fixtures");
        let (_watch, contents) = watch_content(&directory);
        fs::create_dir(&directory).unwrap();
        wait_for(&contents, None);
        for round in ["a", "b"] {
            fs::write(directory.join("simulator.toml"), round).unwrap();
            wait_for(&contents, Some(round));
        }
    }

    #[test]
    fn only_changes_to_fixtures_pass_the_filter() {
        let roots = ["/f", "/real/f"].map(PathBuf::from);
        let fixtures = WatchedDirectory { roots, mode: RecursiveMode::Recursive, concerns: source::concerns };
        let keys = WatchedDirectory {
            roots: ["/k", "/k"].map(PathBuf::from),
            mode: RecursiveMode::NonRecursive,
            concerns: keys::is_customers_key,
        };
        let filter = EventFilter(vec![fixtures, keys]);
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        for (kind, path, expected) in [
            (written, "/f/simulator.toml", Some(Signal::Changed)),
            (written, "/real/f/customers/a.toml", Some(Signal::Changed)),
            (EventKind::Create(CreateKind::Folder), "/f/customers", Some(Signal::Changed)),
            (renamed, "/f/gallery/x", Some(Signal::Changed)),
            (EventKind::Remove(RemoveKind::File), "/f/gallery/x/y.jpg", Some(Signal::Changed)),
            // Kubernetes swaps a mounted configuration through this link.
            (renamed, "/f/..data", Some(Signal::Changed)),
            (EventKind::Create(CreateKind::Folder), "/f", Some(Signal::Replaced)),
            (renamed, "/f", Some(Signal::Replaced)),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "/f", None),
            (EventKind::Access(AccessKind::Any), "/f/simulator.toml", None),
            (written, "/f/notes.txt", None),
            (written, "/f/customers/.#a.toml", None),
            (written, "/f/customers/a.toml.tmp", None),
            (written, "/f/gallery/.x.jpg.swp", None),
            (written, "/f/gallery/x.jpg~", None),
            (written, "/fx/simulator.toml", None),
            (EventKind::Create(CreateKind::File), "/k/bank.pem", Some(Signal::Changed)),
            (EventKind::Remove(RemoveKind::File), "/k/bank.key", Some(Signal::Changed)),
            (EventKind::Create(CreateKind::Folder), "/k", Some(Signal::Replaced)),
            (written, "/k/private.pem", None),
            (written, "/k/public.pem", None),
            (written, "/k/private.0123456789abcdef.tmp", None),
            (written, "/k/.bank.pem.swp", None),
            (written, "/k/below/bank.pem", None),
        ] {
            let event = Event::new(kind).add_path(PathBuf::from(path));
            assert_eq!(filter.classify(&event), expected, "{kind:?} {path}");
        }
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(filter.classify(&lost), Some(Signal::Changed));
    }
}
