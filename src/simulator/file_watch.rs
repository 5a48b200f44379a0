//! Watching the fixture directory, so that an edit is in force within a second.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::config::source;

/// Editors write a file in several steps, and a mounted configuration swaps several files: wait until it is quiet.
const QUIET: Duration = Duration::from_millis(100);

/// But not forever: something may be written all the time.
const LONGEST: Duration = Duration::from_millis(500);

/// A watch on a directory. It ends when dropped.
pub struct FileWatcher {
    news: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// What the watching thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something below the directory.
    Changed,
    /// The directory itself was made, moved or removed: a watch stays with what it was put on.
    Remade,
    Stop,
}

impl FileWatcher {
    /// Calls `changed` after every burst of changes to fixtures below `directory`. The directory may be removed and made again.
    ///
    /// # Errors
    /// When the system refuses to watch.
    pub fn start(directory: &Path, changed: impl Fn() + Send + 'static) -> io::Result<FileWatcher> {
        let directory = std::path::absolute(directory)?;
        let (news, received) = mpsc::channel();
        let (sieve, events) = (EventFilter::new(&directory), news.clone());
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // A failed watch may have lost an event.
            let told = event.map_or(Some(Signal::Changed), |event| sieve.sort(&event));
            let _ = told.map(|news| events.send(news));
        })
        .map_err(io::Error::other)?;
        watcher.watch(&directory, RecursiveMode::Recursive).map_err(io::Error::other)?;
        // Tells when the directory is made again. Where that is not allowed, it is watched as long as it stands.
        let _ = directory.parent().map(|parent| watcher.watch(parent, RecursiveMode::NonRecursive));
        let thread = std::thread::Builder::new()
            .name("frsim-fixtures".to_owned())
            .spawn(move || debounce(&received, || watch_again(&mut watcher, &directory), &changed))?;
        Ok(FileWatcher { news, thread: Some(thread) })
    }
}

impl Drop for FileWatcher {
    fn drop(&mut self) {
        // The thread ends, and its watcher with it.
        let _ = self.news.send(Signal::Stop);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Neither has to work: the directory may be gone, or gone again.
fn watch_again(watcher: &mut RecommendedWatcher, directory: &Path) {
    let _ = watcher.unwatch(directory);
    let _ = watcher.watch(directory, RecursiveMode::Recursive);
}

fn debounce(received: &Receiver<Signal>, mut watch_again: impl FnMut(), changed: &impl Fn()) {
    while let Ok(mut news) = received.recv() {
        let deadline = Instant::now() + LONGEST;
        loop {
            match news {
                Signal::Changed => {}
                Signal::Remade => watch_again(),
                Signal::Stop => return,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match received.recv_timeout(QUIET.min(left)) {
                Ok(next) => news = next,
                Err(_) => break,
            }
        }
        changed();
    }
}

/// Tells changes to fixtures from everything else that happens.
struct EventFilter {
    /// The directory as it was named, and as systems that resolve links name it in events.
    names: [PathBuf; 2],
}

impl EventFilter {
    fn new(directory: &Path) -> EventFilter {
        let resolved = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        EventFilter { names: [directory.to_owned(), resolved] }
    }

    fn sort(&self, event: &Event) -> Option<Signal> {
        if matches!(event.kind, EventKind::Access(_)) {
            return None;
        }
        if event.paths.is_empty() {
            // Events were lost.
            return Some(Signal::Changed);
        }
        let is_whole = |path: &PathBuf| self.names.contains(path);
        let moves = !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
        if moves && event.paths.iter().any(is_whole) {
            return Some(Signal::Remade);
        }
        event.paths.iter().any(|path| self.is_fixture(path)).then_some(Signal::Changed)
    }

    fn is_fixture(&self, path: &Path) -> bool {
        let below = self.names.iter().find_map(|name| path.strip_prefix(name).ok());
        let parts = below.map(|path| path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>());
        parts.is_some_and(|parts| source::concerns(&parts.join("/")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// What `simulator.toml` says whenever something changed.
    fn watched(directory: &Path) -> (FileWatcher, Receiver<Option<String>>) {
        let (sender, news) = mpsc::channel();
        let path = directory.join("simulator.toml");
        let watch = FileWatcher::start(directory, move || drop(sender.send(fs::read_to_string(&path).ok())));
        (watch.unwrap(), news)
    }

    #[track_caller]
    fn wait_for(news: &Receiver<Option<String>>, expected: Option<&str>) {
        while news.recv_timeout(Duration::from_secs(10)).expect("news in time").as_deref() != expected {}
    }

    #[test]
    fn what_is_written_all_the_time_is_reloaded_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let (_watch, news) = watched(directory.path());
        let enough = AtomicBool::new(false);
        let heard = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    fs::write(directory.path().join("simulator.toml"), "a").unwrap();
                }
            });
            let heard = news.recv_timeout(Duration::from_secs(5));
            enough.store(true, Ordering::Relaxed);
            heard
        });
        assert!(heard.is_ok());
    }

    #[test]
    fn a_directory_that_is_removed_and_made_again_is_watched_again() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("fixtures");
        let write = |text: &str| fs::write(directory.join("simulator.toml"), text).unwrap();
        fs::create_dir(&directory).unwrap();
        let (_watch, news) = watched(&directory);
        for round in ["a", "b"] {
            write(round);
            wait_for(&news, Some(round));
            write("again");
            wait_for(&news, Some("again"));
            fs::remove_dir_all(&directory).unwrap();
            wait_for(&news, None);
            fs::create_dir(&directory).unwrap();
        }
        write("c");
        wait_for(&news, Some("c"));
        // A whole directory put in the place of another.
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("simulator.toml"), "d").unwrap();
        fs::rename(&directory, parent.path().join("old")).unwrap();
        fs::rename(&other, &directory).unwrap();
        wait_for(&news, Some("d"));
        write("e");
        wait_for(&news, Some("e"));
    }

    #[test]
    fn only_what_concerns_fixtures_is_news() {
        let sieve = EventFilter { names: [PathBuf::from("/f"), PathBuf::from("/real/f")] };
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        for (kind, path, expected) in [
            (written, "/f/simulator.toml", Some(Signal::Changed)),
            (written, "/real/f/customers/a.toml", Some(Signal::Changed)),
            (EventKind::Create(CreateKind::Folder), "/f/customers", Some(Signal::Changed)),
            (renamed, "/f/gallery/x", Some(Signal::Changed)),
            (EventKind::Remove(RemoveKind::File), "/f/gallery/x/y.jpg", Some(Signal::Changed)),
            // A mounted configuration is swapped by this link.
            (renamed, "/f/..data", Some(Signal::Changed)),
            (EventKind::Create(CreateKind::Folder), "/f", Some(Signal::Remade)),
            (renamed, "/f", Some(Signal::Remade)),
            (EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), "/f", None),
            (EventKind::Access(AccessKind::Any), "/f/simulator.toml", None),
            (written, "/f/notes.txt", None),
            (written, "/f/customers/.#a.toml", None),
            (written, "/f/customers/a.toml.tmp", None),
            (written, "/f/gallery/.x.jpg.swp", None),
            (written, "/f/gallery/x.jpg~", None),
            (written, "/fx/simulator.toml", None),
        ] {
            let event = Event::new(kind).add_path(PathBuf::from(path));
            assert_eq!(sieve.sort(&event), expected, "{kind:?} {path}");
        }
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(sieve.sort(&lost), Some(Signal::Changed));
    }
}
