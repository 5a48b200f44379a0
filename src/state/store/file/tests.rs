//! Tests of the file: what is read back, and what is refused in which words.

use std::fs;
use std::sync::Arc;

use super::*;

#[derive(Debug)]
struct Record(u64, Option<&'static str>);

impl super::super::JournalRecord for Record {
    fn id(&self) -> u64 {
        self.0
    }

    fn customer_id(&self) -> Option<&str> {
        self.1
    }

    fn entry_text(&self) -> String {
        format!("entry {}", self.0)
    }

    fn sending_text(&self) -> String {
        "sending".to_owned()
    }
}

fn identity() -> StoreIdentity {
    StoreIdentity { seed: 7, key: "ab".repeat(32), fixtures: "f".to_owned() }
}

fn open(path: &Path) -> (StoreFile, StoredState) {
    StoreFile::open(path, &identity(), false).unwrap()
}

#[track_caller]
fn refused(path: &Path, identity: &StoreIdentity) -> String {
    let opened = StoreFile::open(path, identity, false);
    opened.map(drop).expect_err(&path.display().to_string()).message
}

fn add(id: u64, customer_id: Option<&'static str>) -> StoreWrite {
    StoreWrite::Add(Arc::new(Record(id, customer_id)))
}

#[test]
fn what_is_committed_is_read_back_and_a_rewrite_replaces_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let (mut file, stored) = open(&path);
    assert!(stored.fields.is_empty());
    let (a, b): (StoreSubject, StoreSubject) = ("a".into(), "b".into());
    let writes = [
        set(&a, "one", "1"),
        set(&a, "one", "2"),
        set(&a, "gone", "3"),
        StoreWrite::Remove { subject: Arc::clone(&a), field: "gone".to_owned() },
        set(&b, "one", "4"),
        StoreWrite::Clear(Arc::clone(&b)),
        set(&b, "two", "5"),
        add(1, None),
        add(2, Some("x")),
        add(3, Some("y")),
        add(4, Some("x")),
        StoreWrite::DropEntries(1),
        StoreWrite::ClearEntries(Some("x".to_owned())),
        StoreWrite::End { id: 2, sending: "gone".to_owned(), is_over: true },
        StoreWrite::End { id: 3, sending: "done".to_owned(), is_over: true },
    ];
    file.commit(&writes).unwrap();
    drop(file);
    let (mut file, stored) = open(&path);
    assert!(!stored.fixtures_differ);
    let shown = |stored: &StoredState| {
        let fields = stored.fields.iter().flat_map(|(subject, fields)| {
            fields.iter().map(move |(name, value)| format!("{subject}.{name}={value}"))
        });
        let entries = stored.entries.iter().map(|entry| format!("{} {}", entry.entry, entry.sending));
        fields.chain(entries).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(shown(&stored), "a.one=2, b.two=5, journal.last_id=4, entry 3 done");
    file.rewrite(&[set(&b, "one", "6"), add(9, None)]).unwrap();
    drop(file);
    assert_eq!(shown(&open(&path).1), "b.one=6, journal.last_id=9, entry 9 sending");
}

#[test]
fn the_newest_id_is_only_raised() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let (mut file, _) = open(&path);
    let last_id = |file: &StoreFile| {
        load(&file.connection).unwrap().field(JOURNAL, LAST_ID).map(|id| id.parse::<u64>().unwrap())
    };
    // The ring has lost its newest entries: a whole state has its own number for the newest id.
    file.rewrite(&[add(9, None), set(&JOURNAL.into(), LAST_ID, "12")]).unwrap();
    assert_eq!(last_id(&file), Some(12));
    file.commit(&[add(10, None)]).unwrap();
    assert_eq!(last_id(&file), Some(12));
    file.commit(&[add(13, None), add(11, None)]).unwrap();
    assert_eq!(last_id(&file), Some(13));
    file.commit(&[add(100, None)]).unwrap();
    assert_eq!(last_id(&file), Some(100), "compared as numbers");
}

#[test]
fn an_interrupted_first_start_leaves_a_file_that_counts_as_new() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    private(&path, true).unwrap();
    drop(prepare(connect(&path).unwrap(), false).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().len(), 4096, "SQLite has written its head");
    let (mut file, stored) = open(&path);
    assert!(stored.fields.is_empty());
    file.commit(&[set(&"a".into(), "one", "1")]).unwrap();
    drop(file);
    assert_eq!(open(&path).1.field("a", "one"), Some("1"));
}

#[test]
fn another_seed_or_key_is_refused_by_name_and_other_fixtures_are_only_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    open(&path);
    let seed = StoreIdentity { seed: 8, ..identity() };
    let message = refused(&path, &seed);
    assert!(message.contains("was made with --seed 7, and this start has --seed 8"), "{message}");
    let key = StoreIdentity { key: "cd".repeat(32), ..identity() };
    let message = refused(&path, &key);
    assert!(message.contains("another server key") && message.contains("abababab"), "{message}");
    let fixtures = StoreIdentity { fixtures: "g".to_owned(), ..identity() };
    assert!(StoreFile::open(&path, &fixtures, false).unwrap().1.fixtures_differ);
    assert!(!StoreFile::open(&path, &fixtures, false).unwrap().1.fixtures_differ, "told once");
}

#[test]
fn foreign_newer_and_damaged_files_are_refused_and_stay_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    let (mut file, _) = open(&path);
    let subject: StoreSubject = "a".into();
    let many: Vec<_> = (0..500).map(|number| set(&subject, number.to_string(), "x".repeat(100))).collect();
    file.commit(&many).unwrap();
    drop(file);
    let whole = fs::read(&path).unwrap();
    let foreign = directory.path().join("foreign.db");
    let connection = Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let newer = directory.path().join("newer.db");
    fs::write(&newer, &whole).unwrap();
    let connection = Connection::open(&newer).unwrap();
    connection.pragma_update(None, "user_version", FORMAT + 1).unwrap();
    drop(connection);
    let cut = |bytes: usize| whole[..bytes].to_vec();
    let mut garbled = whole.clone();
    garbled[4096 * 3..4096 * 4].fill(0x5a);
    for (what, bytes, part) in [
        ("text", b"hello, this is a text".to_vec(), FOREIGN),
        ("one byte", cut(1), FOREIGN),
        ("another database", fs::read(&foreign).unwrap(), FOREIGN),
        ("newer", fs::read(&newer).unwrap(), "has format 2, and this version"),
        ("cut in the head", cut(50), "its end is missing"),
        ("cut behind a page", cut(4096), "is damaged"),
        ("cut in a page", cut(4096 + 100), "its end is missing"),
        ("cut in the middle", cut(whole.len() / 2), "is damaged"),
        ("cut at the end", cut(whole.len() - 1), "its end is missing"),
        ("garbled", garbled, "is damaged"),
    ] {
        let path = directory.path().join(format!("{what}.db"));
        fs::write(&path, &bytes).unwrap();
        let message = refused(&path, &identity());
        assert!(message.contains(part), "{what}: {message}");
        assert!(fs::read(&path).unwrap() == bytes, "{what} was changed");
    }
}

#[test]
fn a_file_is_used_by_one_at_a_time_and_readable_by_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.db");
    fs::write(&path, "").unwrap();
    let (_file, _) = open(&path);
    let message = refused(&path, &identity());
    let wanted = format!("is in use by another simulator (process {})", std::process::id());
    assert!(message.contains(&wanted), "{message}");
    #[cfg(unix)]
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&entry.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
    }
    let missing = refused(&directory.path().join("no/x.db"), &identity());
    assert!(missing.contains("cannot be opened"), "{missing}");
}

#[test]
fn full_waits_for_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    for (is_synchronous, level) in [(false, 1), (true, 2)] {
        let path = directory.path().join(format!("{is_synchronous}.db"));
        let (file, _) = StoreFile::open(&path, &identity(), is_synchronous).unwrap();
        let query =
            |name| file.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(query("synchronous"), level);
        let mode: String =
            file.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}

#[test]
fn a_copy_is_whole_made_while_the_file_is_used_and_never_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (directory.path().join("x.db"), directory.path().join("copy.db"));
    assert!(backup(&path, &copy).unwrap_err().message.contains("does not exist"));
    let (mut file, _) = open(&path);
    file.commit(&[set(&"a".into(), "one", "1"), add(5, None)]).unwrap();
    backup(&path, &copy).unwrap();
    file.commit(&[set(&"a".into(), "one", "2")]).unwrap();
    assert!(backup(&path, &copy).unwrap_err().message.contains("this file exists"));
    let (_file, stored) = open(&copy);
    assert_eq!((stored.field("a", "one"), stored.entries.len()), (Some("1"), 1));
    fs::write(directory.path().join("text"), "hello").unwrap();
    let to = directory.path().join("other.db");
    assert!(backup(&directory.path().join("text"), &to).unwrap_err().message.contains(FOREIGN));
    assert!(!to.exists());
}
