//! What is written into a store, whatever it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of what a field belongs to, such as `c:demo`.
pub type StoreSubject = Arc<str>;

/// A change of what is stored.
#[derive(Clone, Debug)]
pub enum StoreWrite {
    Set {
        subject: StoreSubject,
        field: String,
        value: String,
    },
    Remove {
        subject: StoreSubject,
        field: String,
    },
    /// Removes all fields of a subject.
    Clear(StoreSubject),
    /// Adds an entry to the journal, or replaces it.
    Add(Arc<dyn JournalRecord>),
    /// Sets how an entry's sending stands, as [`JournalRecord::sending_text`].
    End {
        id: u64,
        sending: String,
        /// Whether the exchange has ended; else it is about to.
        is_over: bool,
    },
    /// Removes the entries up to this id.
    DropEntries(u64),
    /// Removes a customer's entries; `None`: all.
    ClearEntries(Option<String>),
}

/// An entry of the journal, as far as a store is concerned. It is made text by the thread that writes.
pub trait JournalRecord: fmt::Debug + Send + Sync {
    fn id(&self) -> u64;
    fn customer_id(&self) -> Option<&str>;
    /// The entry as JSON.
    fn entry_text(&self) -> String;
    /// State, what was sent, and duration, as JSON.
    fn sending_text(&self) -> String;
}

/// Returns the write that sets a field.
pub fn set(subject: &StoreSubject, field: impl Into<String>, value: impl Into<String>) -> StoreWrite {
    StoreWrite::Set { subject: Arc::clone(subject), field: field.into(), value: value.into() }
}

/// Why a store cannot be used; the message begins behind the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store {} {message}", path.display())]
pub struct StoreError {
    pub path: PathBuf,
    pub message: String,
}

impl StoreError {
    /// Returns the error of something in the store that this program cannot have written.
    #[must_use]
    pub fn damaged(path: &Path, what: impl fmt::Display) -> StoreError {
        let message = format!(
            "is damaged: {what}; put a backup in its place, or move the file away to begin with an empty one"
        );
        StoreError { path: path.to_owned(), message }
    }
}
