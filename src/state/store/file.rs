//! The file of a store: SQLite with a write-ahead log. A commit hands the step to the kernel, so a killed process loses nothing; with
//! `synchronous = "full"` it also waits for the disk.
//!
//! Beside the file `PATH` are SQLite's `PATH-wal` and `PATH-shm`, and `PATH-lock`, which the process holds that uses the store.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};

use super::{StoreError, StoreSubject, StoreWrite, set};

/// Marks the file as this program's: "frsi".
const APPLICATION_ID: i32 = 0x6672_7369;

/// Version of the tables and of what is in them.
const FORMAT: i32 = 1;

/// How long another process that reads or copies the file may block a commit.
const BUSY: Duration = Duration::from_secs(5);

/// Bytes of a database's head that are looked at: what it is, and the size of its pages (4096: the default, and this program's).
const HEAD: u64 = 18;

const TABLES: &str = "
    CREATE TABLE field (subject TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (subject, name)) WITHOUT ROWID;
    CREATE TABLE journal (id INTEGER PRIMARY KEY, customer_id TEXT, entry TEXT NOT NULL, sending TEXT NOT NULL);
";

/// The subject of what the store says of itself.
const STORE: &str = "store";
/// The subject and the field with the journal's newest id.
pub const JOURNAL: &str = "journal";
pub const LAST_ID: &str = "last_id";

/// What a store belongs to. A start with another seed or key is refused: answers would differ in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreIdentity {
    pub seed: u64,
    /// SHA-256 of the server's public key, in hexadecimal.
    pub key: String,
    /// Digest of the fixture files.
    pub fixtures: String,
}

impl StoreIdentity {
    /// Compares with what a store says of itself; `another` is what else could be named. Returns whether the fixtures differ.
    ///
    /// # Errors
    /// When the store belongs to another seed or another server key.
    pub(super) fn compare<'a>(&self, field: impl Fn(&str) -> &'a str, another: &str) -> Result<bool, String> {
        if field("seed") != self.seed.to_string() {
            return Err(format!(
                "was made with --seed {}, and this start has --seed {}: start with that seed, or name {another}",
                field("seed"),
                self.seed
            ));
        }
        if field("key") != self.key {
            let short = |digest: &str| digest.chars().take(16).collect::<String>();
            return Err(format!(
                "was made with another server key (SHA-256 of public.pem begins with {}, this start's with {}): \
                 start with the keys directory that it was made with, or name {another}",
                short(field("key")),
                short(&self.key)
            ));
        }
        Ok(field("fixtures") != self.fixtures)
    }
}

/// What a store holds at the start.
#[derive(Debug, Default)]
pub struct StoredState {
    /// Whether the fixtures differ from those of the last start.
    pub fixtures_differ: bool,
    /// Fields by subject.
    pub fields: BTreeMap<String, BTreeMap<String, String>>,
    /// The journal, oldest first.
    pub entries: Vec<StoredEntry>,
}

/// An entry of a stored journal, as [`super::JournalRecord`] wrote it.
#[derive(Debug)]
pub struct StoredEntry {
    pub entry: String,
    pub sending: String,
}

impl StoredState {
    /// Returns a field.
    #[must_use]
    pub fn field(&self, subject: &str, name: &str) -> Option<&str> {
        Some(self.fields.get(subject)?.get(name)?.as_str())
    }

    /// Returns a field as a number; 0 when there is none.
    ///
    /// # Errors
    /// When it is no number.
    pub fn number(&self, subject: &str, name: &str) -> Result<u64, String> {
        let text = self.field(subject, name).unwrap_or("0");
        text.parse().map_err(|_| format!("the field {name} of the subject {subject}"))
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct StoreFile {
    connection: Connection,
    max_pages: u32,
    /// Held as long as the file is used.
    _lock: File,
}

impl StoreFile {
    pub(super) fn open(
        path: &Path,
        identity: &StoreIdentity,
        is_synchronous: bool,
    ) -> Result<(StoreFile, StoredState), StoreError> {
        let error = |message: String| StoreError { path: path.to_owned(), message };
        let unusable = |source: io::Error| error(format!("cannot be opened: {source}"));
        let mut start = Vec::new();
        // Closed before SQLite opens the file: a process that closes a file gives up all locks that it has on it.
        private(path, true).and_then(|file| file.take(HEAD).read_to_end(&mut start)).map_err(unusable)?;
        let is_empty = start.is_empty();
        if !is_empty && !start.starts_with(b"SQLite format 3\0") {
            return Err(error(FOREIGN.to_owned()));
        }
        if !is_empty && is_cut(path, &start) {
            return Err(StoreError::damaged(path, "its end is missing"));
        }
        let lock = lock(path)?;
        let connection = connect(path).map_err(|failure| explained(path, &failure))?;
        let is_new = is_empty || is_blank(&connection).map_err(|failure| explained(path, &failure))?;
        if !is_new {
            verify(&connection, path)?;
        }
        only_for_owner(path).map_err(unusable)?;
        let prepared = prepare(connection, is_synchronous);
        let mut connection = prepared.map_err(|failure| explained(path, &failure))?;
        if is_new {
            create(&mut connection, identity).map_err(|failure| explained(path, &failure))?;
            return Ok((StoreFile { connection, max_pages: 0, _lock: lock }, StoredState::default()));
        }
        let mut stored = load(&connection).map_err(|failure| explained(path, &failure))?;
        let field = |name: &str| stored.field(STORE, name).unwrap_or_default();
        stored.fixtures_differ = identity.compare(field, "another file").map_err(error)?;
        stored.fields.remove(STORE);
        let mut file = StoreFile { connection, max_pages: 0, _lock: lock };
        let subject: StoreSubject = STORE.into();
        let noted = file.commit(&[set(&subject, "fixtures", &*identity.fixtures)]);
        noted.map_err(|failure| error(format!("cannot be written: {failure}")))?;
        Ok((file, stored))
    }

    /// Commits these writes, all or none.
    pub(super) fn commit(&mut self, writes: &[StoreWrite]) -> Result<(), String> {
        self.transact(writes, false).map_err(|failure| failure.to_string())
    }

    /// Replaces everything by these writes, at once or not at all.
    pub(super) fn rewrite(&mut self, writes: &[StoreWrite]) -> Result<(), String> {
        self.transact(writes, true).map_err(|failure| failure.to_string())
    }

    fn transact(&mut self, writes: &[StoreWrite], is_whole: bool) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if is_whole {
            transaction.execute("DELETE FROM field WHERE subject <> ?", [STORE])?;
            transaction.execute("DELETE FROM journal", [])?;
        }
        apply(&transaction, writes)?;
        transaction.commit()
    }

    /// Limits the file to so many pages; 0: no limit. For tests of a full disk.
    pub(super) fn limit_pages(&mut self, pages: u32) -> Result<(), String> {
        if pages != self.max_pages {
            let limit = if pages == 0 { i64::from(u32::MAX - 1) } else { i64::from(pages) };
            let query = format!("PRAGMA max_page_count = {limit}");
            self.connection.query_row(&query, [], |_| Ok(())).map_err(|failure| failure.to_string())?;
            self.max_pages = pages;
        }
        Ok(())
    }
}

/// Copies a store to another file, also while a simulator uses it. The copy is one state, as if the simulator had been killed then.
///
/// # Errors
/// When the file is not a store, or the copy cannot be written or exists.
pub fn backup(path: &Path, to: &Path) -> Result<(), StoreError> {
    let error = |message: String| StoreError { path: path.to_owned(), message };
    if !path.is_file() {
        return Err(error("does not exist".to_owned()));
    }
    let connection = connect(path).map_err(|failure| explained(path, &failure))?;
    verify(&connection, path)?;
    let not_copied = |reason: String| error(format!("cannot be copied to {}: {reason}", to.display()));
    let copy = private(to, false).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => not_copied("this file exists; name another".to_owned()),
        _ => not_copied(source.to_string()),
    })?;
    let target = to.to_str().ok_or_else(|| not_copied("its name is not text in UTF-8".to_owned()))?;
    let copied = connection.execute("VACUUM INTO ?", [target]);
    copied
        .map_err(|failure| failure.to_string())
        .and_then(|_| copy.sync_all().map_err(|e| e.to_string()))
        .map_err(|reason| {
            // Half a copy would pass for a whole one.
            let _ = std::fs::remove_file(to);
            not_copied(reason)
        })
}

const FOREIGN: &str = "is not a store of dukcapil-fr-sim; name another file";

/// Opens a file; creates one that only its owner may read where there is none. Unless it `may_exist`, one that does is an error.
fn private(path: &Path, may_exist: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(may_exist).create_new(!may_exist);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn only_for_owner(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
fn only_for_owner(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Returns whether a part of a page is missing, which SQLite takes for zeros. With a write-ahead log it puts the page there itself.
fn is_cut(path: &Path, head: &[u8]) -> bool {
    let page = head.get(16..18).map_or(0, |size| u64::from(u16::from_be_bytes([size[0], size[1]])));
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let has_log = std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0);
    !has_log && (page == 0 || !bytes.is_multiple_of(page))
}

/// Returns the path of a file that belongs to a store.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Takes the lock of a store: two processes on one file would count apart.
fn lock(path: &Path) -> Result<File, StoreError> {
    let error = |message: String| StoreError { path: path.to_owned(), message };
    let lock_path = beside(path, "-lock");
    let unusable = |source: io::Error| error(format!("cannot be opened: {}: {source}", lock_path.display()));
    let mut file = private(&lock_path, true).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let owner = std::fs::read_to_string(&lock_path).unwrap_or_default();
            let owner = owner.trim().parse::<u32>().map_or(String::new(), |id| format!(" (process {id})"));
            return Err(error(format!(
                "is in use by another simulator{owner}; stop that one, or name another file"
            )));
        }
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
    }
    // For the message above only.
    let _ =
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn prepare(connection: Connection, is_synchronous: bool) -> rusqlite::Result<Connection> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", if is_synchronous { "FULL" } else { "NORMAL" })?;
    // After a burst the log gives its space back.
    connection.query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn create(connection: &mut Connection, identity: &StoreIdentity) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    let subject: StoreSubject = STORE.into();
    let StoreIdentity { seed, key, fixtures } = identity;
    let writes = [
        set(&subject, "seed", seed.to_string()),
        set(&subject, "key", key),
        set(&subject, "fixtures", fixtures),
        set(&subject, "made_by", crate::version::VERSION),
    ];
    apply(&transaction, &writes)?;
    transaction.commit()
}

/// Returns whether a database is nobody's and has no tables: a first start was interrupted before [`create`].
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let is_unmarked = number("application_id")? == 0 && number("user_version")? == 0;
    let tables =
        || connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    Ok(is_unmarked && tables()? == 0)
}

/// Looks whether a file is a store of this program, in a format that it reads.
fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let error = |message: String| StoreError { path: path.to_owned(), message };
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let numbers = number("application_id").and_then(|id| Ok((id, number("user_version")?)));
    match numbers.map_err(|failure| explained(path, &failure))? {
        (APPLICATION_ID, FORMAT) => Ok(()),
        (APPLICATION_ID, other) => Err(error(format!(
            "has format {other}, and this version ({}) reads format {FORMAT}: start the version that wrote it, or name another file",
            crate::version::VERSION
        ))),
        _ => Err(error(FOREIGN.to_owned())),
    }
}

fn load(connection: &Connection) -> rusqlite::Result<StoredState> {
    let mut stored = StoredState::default();
    let mut query = connection.prepare("SELECT subject, name, value FROM field")?;
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (subject, name, value) = row?;
        stored.fields.entry(subject).or_default().insert(name, value);
    }
    let mut query = connection.prepare("SELECT entry, sending FROM journal ORDER BY id")?;
    let rows = query.query_map([], |row| Ok(StoredEntry { entry: row.get(0)?, sending: row.get(1)? }))?;
    stored.entries = rows.collect::<rusqlite::Result<_>>()?;
    Ok(stored)
}

fn apply(connection: &Connection, writes: &[StoreWrite]) -> rusqlite::Result<()> {
    let mut last_id = None;
    for write in writes {
        match write {
            StoreWrite::Set { subject, field, value } => put(connection, subject, field, value)?,
            StoreWrite::Remove { subject, field } => {
                let sql = "DELETE FROM field WHERE subject = ? AND name = ?";
                connection.prepare_cached(sql)?.execute(params![&**subject, field])?;
            }
            StoreWrite::Clear(subject) => {
                connection.prepare_cached("DELETE FROM field WHERE subject = ?")?.execute([&**subject])?;
            }
            StoreWrite::Add(record) => {
                let sql =
                    "INSERT OR REPLACE INTO journal (id, customer_id, entry, sending) VALUES (?, ?, ?, ?)";
                let row = params![
                    number(record.id()),
                    record.customer_id(),
                    record.entry_text(),
                    record.sending_text()
                ];
                connection.prepare_cached(sql)?.execute(row)?;
                last_id = last_id.max(Some(record.id()));
            }
            StoreWrite::End { id, sending, is_over: _ } => {
                let sql = "UPDATE journal SET sending = ? WHERE id = ?";
                connection.prepare_cached(sql)?.execute(params![sending, number(*id)])?;
            }
            StoreWrite::DropEntries(id) => {
                connection.prepare_cached("DELETE FROM journal WHERE id <= ?")?.execute([number(*id)])?;
            }
            StoreWrite::ClearEntries(None) => {
                connection.prepare_cached("DELETE FROM journal")?.execute([])?;
            }
            StoreWrite::ClearEntries(Some(customer_id)) => {
                connection
                    .prepare_cached("DELETE FROM journal WHERE customer_id = ?")?
                    .execute([customer_id])?;
            }
        }
    }
    last_id.map_or(Ok(()), |id| raise_last_id(connection, id))
}

/// Sets the journal's newest id, unless the store has a greater one: the newest entries may have been removed.
fn raise_last_id(connection: &Connection, id: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO field (subject, name, value) VALUES (?, ?, ?)
               ON CONFLICT (subject, name) DO UPDATE SET value = excluded.value
               WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)";
    connection.prepare_cached(sql)?.execute(params![JOURNAL, LAST_ID, id.to_string()]).map(drop)
}

fn put(connection: &Connection, subject: &str, field: &str, value: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO field (subject, name, value) VALUES (?, ?, ?)
               ON CONFLICT (subject, name) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute([subject, field, value]).map(drop)
}

/// SQLite's integers are signed.
fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Says what is wrong with a file in words.
fn explained(path: &Path, failure: &rusqlite::Error) -> StoreError {
    let error = |message: String| StoreError { path: path.to_owned(), message };
    match failure.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => error(FOREIGN.to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => StoreError::damaged(path, failure),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            error("is locked by another program that writes to it; end that one".to_owned())
        }
        Some(_) => error(format!("cannot be used: {failure}")),
        // A table or a column is missing, or holds something else.
        None => StoreError::damaged(path, failure),
    }
}

#[cfg(test)]
mod tests;
