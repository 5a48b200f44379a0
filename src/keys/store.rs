//! The keys directory: `private.pem` (PKCS#8, readable by its owner only) and `public.pem` (SPKI).
//!
//! Several simulators may start on one empty directory at once: the first to publish a key wins, the others read it. A key is published
//! by a hard link, which never replaces an existing file, as a rename would.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rsa::pkcs8::{EncodePrivateKey, LineEnding};

use super::{PrivateKey, file};

/// File names in the keys directory (SPEC 2).
const PRIVATE: &str = "private.pem";
const PUBLIC: &str = "public.pem";

/// A key that cannot be read, generated or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", path.display())]
pub struct KeyError {
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub message: String,
}

impl KeyError {
    fn new(path: &Path, message: impl Into<String>) -> KeyError {
        KeyError { path: path.to_owned(), message: message.into() }
    }
}

/// Whether the server's key was read or generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    Read,
    Generated,
}

/// Origin of the server's key.
#[derive(Debug)]
pub struct OpenedKey {
    pub origin: KeyOrigin,
    /// Why `public.pem` is not the public half of the key; the key itself is usable.
    pub warning: Option<KeyError>,
}

/// Whether a file of this name in the keys directory may be the key of a customer: a change of it is read at once. The server's own
/// key stays as it was at the start.
pub(crate) fn is_customers_key(name: &str) -> bool {
    !["", PRIVATE, PUBLIC].contains(&name)
        && !name.starts_with('.')
        && !name.contains('/')
        && !name.ends_with(".tmp")
        && !name.ends_with('~')
}

/// Name of the server's key in messages.
const SERVERS_KEY: &str = "the server's key";

/// Reads `private.pem` and writes nothing; `None` when there is none.
///
/// # Errors
/// When it cannot be read or used; the message names it.
pub fn read(directory: &Path) -> Result<Option<PrivateKey>, KeyError> {
    let path = directory.join(PRIVATE);
    match file::read_bytes(&path) {
        Ok(bytes) => file::read_private(&bytes, SERVERS_KEY)
            .map(Some)
            .map_err(|message| KeyError::new(&path, message.replace("FILE", PRIVATE))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::new(&path, file::in_words(&error))),
    }
}

/// Reads `private.pem`, or generates it when it is missing; writes its public half to `public.pem` when there is none. Never replaces a
/// `public.pem`: it may be all that somebody has of a key.
///
/// # Errors
/// When `private.pem` cannot be read, written or used, or `public.pem` does not belong to it; the message names the file.
pub fn read_or_generate(directory: &Path, bits: usize) -> Result<(PrivateKey, OpenedKey), KeyError> {
    let public = directory.join(PUBLIC);
    remove_left_over(directory);
    // Before the private key is looked for: parallel first starts publish the private key first.
    let stands_there = public.symlink_metadata().is_ok_and(|found| found.is_file() || found.is_symlink());
    let (key, origin) = match read(directory)? {
        Some(key) => (key, KeyOrigin::Read),
        None if stands_there => return Err(KeyError::new(&public, ALONE)),
        None => generate(directory, bits, publish)?,
    };
    let warning = match keep_public(&public, &key) {
        Ok(()) => None,
        Err(PublicFault::Foreign(message)) => return Err(KeyError::new(&public, message)),
        Err(PublicFault::Unusable(message)) => Some(KeyError::new(&public, message)),
    };
    Ok((key, OpenedKey { origin, warning }))
}

const ALONE: &str = "stands alone: there is no private.pem beside it, and a new key would not belong to it. Put the private key that belongs \
                     to it beside it as private.pem, or move public.pem away and let the simulator generate both";

/// Why `public.pem` is not the public half of the key.
enum PublicFault {
    /// It is somebody's, and is kept.
    Foreign(String),
    /// It cannot be read or written.
    Unusable(String),
}

/// Generates a key and publishes it, or reads the one that was published first.
fn generate(
    directory: &Path,
    bits: usize,
    publish: fn(&Path, &Path) -> io::Result<()>,
) -> Result<(PrivateKey, KeyOrigin), KeyError> {
    let path = directory.join(PRIVATE);
    let failed = |message: String| KeyError::new(&path, message);
    let key = PrivateKey::generate(SERVERS_KEY, bits).map_err(failed)?;
    let pem = key
        .rsa
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| failed(format!("cannot be encoded: {error}")))?;
    fs::create_dir_all(directory)
        .map_err(|error| KeyError::new(directory, format!("cannot be created: {error}")))?;
    match write_atomically(&path, pem.as_bytes(), true, publish) {
        Ok(()) => Ok((key, KeyOrigin::Generated)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match read(directory)? {
            Some(winner) => Ok((winner, KeyOrigin::Read)),
            None => Err(failed("is a dangling symbolic link".to_owned())),
        },
        Err(error) => Err(failed(format!("cannot be written: {error}"))),
    }
}

/// Links the complete file `temporary` to its final name, unless that name is taken.
fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => rename_if_free(temporary, path),
        linked => linked,
    }
}

/// Replaces [`publish`] where there are no hard links, as on FAT. The directory is locked meanwhile; where it cannot be, two first starts
/// at the same instant can race.
fn rename_if_free(temporary: &Path, path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(temporary, path)
}

/// Writes `public.pem` when there is none, also when a user supplies only `private.pem`. A file of the same key in another dress stays.
fn keep_public(path: &Path, key: &PrivateKey) -> Result<(), PublicFault> {
    match file::read_bytes(path) {
        Ok(bytes) => is_half_of(&bytes, key).map_err(PublicFault::Foreign),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match write_atomically(path, key.public_pem().as_bytes(), false, publish) {
                // A parallel start wrote it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && path.exists() => {
                    keep_public(path, key)
                }
                written => {
                    written.map_err(|error| PublicFault::Unusable(format!("cannot be written: {error}")))
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            Err(PublicFault::Unusable("cannot be written: it is a directory".to_owned()))
        }
        Err(error) => Err(PublicFault::Unusable(file::in_words(&error))),
    }
}

/// Checks that the bytes of `public.pem` are the public half of a key.
fn is_half_of(bytes: &[u8], key: &PrivateKey) -> Result<(), String> {
    const REMEDY: &str = "It is never overwritten: move it away, and the next start writes the one that belongs to private.pem; or put the \
                          private key that belongs to it in the place of private.pem";
    let found = file::read_public(bytes)
        .map_err(|message| format!("{}. {REMEDY}", message.replace("FILE", PUBLIC)))?;
    if found.key == rsa::PublicKey::from(&*key.rsa) {
        return Ok(());
    }
    Err(format!("does not belong to private.pem beside it. {REMEDY}"))
}

/// Locks a directory while temporary files are in it: who finds one without the lock knows that its start was killed. Not for long, and
/// not where a directory cannot be locked: `None` then.
fn lock(directory: &Path) -> Option<File> {
    let file = File::open(directory).ok()?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

/// Two seconds: another start holds the lock for some milliseconds.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Removes the temporary files that killed starts have left: they may hold a private key.
fn remove_left_over(directory: &Path) {
    let found = || {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| is_temporary(path)).collect::<Vec<_>>()
    };
    if found().is_empty() {
        return;
    }
    // Others are listed once it is certain that nobody is writing them.
    if let Some(_locked) = lock(directory) {
        for path in found() {
            // A directory that cannot be written stays as it is.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a file is a temporary one of [`write_atomically`]: `private.0123456789abcdef.tmp`.
fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stems = [PRIVATE, PUBLIC].map(|name| name.trim_end_matches("pem"));
    let number = stems.iter().find_map(|stem| name.strip_prefix(stem)?.strip_suffix(".tmp"));
    number.is_some_and(|number| number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Writes a temporary file, then moves it to its final name, so that nobody reads a partial key.
fn write_atomically(
    path: &Path,
    bytes: &[u8],
    owner_only: bool,
    finalize: fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if owner_only {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = owner_only;
    let _locked = lock(path.parent().unwrap_or(path));
    let temporary = path.with_extension(format!("{:016x}.tmp", rand::random::<u64>()));
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let named = written.and_then(|()| finalize(&temporary, path));
    // Fails when the file was renamed; that is fine.
    let _ = fs::remove_file(&temporary);
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_generated_once_and_then_reused() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        let (generated, opened) = read_or_generate(&keys, 1024).unwrap();
        assert_eq!(opened.origin, KeyOrigin::Generated);
        let (read, opened) = read_or_generate(&keys, 2048).unwrap();
        assert_eq!(opened.origin, KeyOrigin::Read);
        assert_eq!(generated.public_pem(), read.public_pem());
        assert_eq!(fs::read_to_string(keys.join(PUBLIC)).unwrap(), generated.public_pem());
        let private = fs::read_to_string(keys.join(PRIVATE)).unwrap();
        assert!(private.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 2, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn the_private_file_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        read_or_generate(directory.path(), 1024).unwrap();
        let mode = fs::metadata(directory.path().join(PRIVATE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn parallel_first_starts_end_with_one_key() {
        type Start = fn(&Path) -> String;
        let starts: [Start; 2] = [
            |directory| read_or_generate(directory, 1024).unwrap().0.public_pem().to_owned(),
            // For file systems without hard links.
            |directory| generate(directory, 1024, rename_if_free).unwrap().0.public_pem().to_owned(),
        ];
        for start in starts {
            let directory = tempfile::tempdir().unwrap();
            let barrier = std::sync::Barrier::new(8);
            let keys: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
                let begin = || {
                    barrier.wait();
                    start(directory.path())
                };
                let starts: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
                starts.into_iter().map(|start| start.join().unwrap()).collect()
            });
            assert_eq!(keys.len(), 1);
            let (kept, _) = read_or_generate(directory.path(), 1024).unwrap();
            assert!(keys.contains(kept.public_pem()));
            assert_eq!(fs::read_to_string(directory.path().join(PUBLIC)).unwrap(), kept.public_pem());
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary file is left");
        }
    }

    #[test]
    fn what_a_killed_start_left_is_removed_at_the_next_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let names = ["private.0123456789abcdef.tmp", "public.fedcba9876543210.tmp"];
        let others =
            ["private.tmp", "private.0123456789abcdeg.tmp", "bank.0123456789abcdef.tmp", "private.pem.tmp"];
        for round in 0..2 {
            for name in names.iter().chain(&others) {
                fs::write(directory.path().join(name), "-").unwrap();
            }
            read_or_generate(directory.path(), 1024).unwrap();
            let left = names.iter().filter(|name| directory.path().join(name).exists()).count();
            assert_eq!(
                (left, fs::read_dir(directory.path()).unwrap().count()),
                (0, others.len() + 2),
                "{round}"
            );
        }
        // A start that is under way holds the lock.
        let locked = lock(directory.path()).unwrap();
        let path = directory.path().join(names[0]);
        fs::write(&path, "-").unwrap();
        std::thread::scope(|scope| {
            let start = scope.spawn(|| read_or_generate(directory.path(), 1024).unwrap());
            assert!(path.exists());
            drop(locked);
            start.join().unwrap();
        });
        assert!(!path.exists());
    }

    #[test]
    fn reading_alone_writes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(&directory.path().join("none")).unwrap().is_none());
        read_or_generate(directory.path(), 1024).unwrap();
        fs::remove_file(directory.path().join(PUBLIC)).unwrap();
        assert!(read(directory.path()).unwrap().is_some());
        assert!(!directory.path().join(PUBLIC).exists());
    }

    #[test]
    fn a_public_file_that_cannot_be_written_is_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        // No user may rename a file over a directory.
        fs::create_dir_all(directory.path().join(PUBLIC).join("x")).unwrap();
        for origin in [KeyOrigin::Generated, KeyOrigin::Read] {
            let (_, opened) = read_or_generate(directory.path(), 1024).unwrap();
            assert_eq!(opened.origin, origin);
            assert!(opened.warning.unwrap().to_string().contains("public.pem: cannot be written"));
        }
    }

    #[test]
    fn an_invalid_file_is_diagnosed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(PRIVATE);
        let public = PrivateKey::generate("x", 1024).unwrap().public_pem().to_owned();
        for (content, expected) in [
            ("", "is empty"),
            (
                "rubbish",
                "is a text file without a key in it, not a private RSA key in the clear; a new private key: openssl genpkey",
            ),
            (&public, "is a public key"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "passphrase",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "not a private RSA key",
            ),
        ] {
            fs::write(&path, content).unwrap();
            let error = read_or_generate(directory.path(), 2048).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("private.pem"), "{error}");
        }
    }

    #[test]
    fn a_public_file_of_another_key_is_never_overwritten() {
        let others = PrivateKey::generate("x", 1024).unwrap().public_pem().to_owned();
        for with_private in [true, false] {
            for (content, expected) in [
                (
                    others.as_str(),
                    if with_private { "does not belong to private.pem" } else { "stands alone" },
                ),
                (
                    "ssh-rsa AAAA me@host",
                    if with_private { "is a public key of OpenSSH" } else { "stands alone" },
                ),
                ("", if with_private { "is empty" } else { "stands alone" }),
            ] {
                let directory = tempfile::tempdir().unwrap();
                if with_private {
                    read_or_generate(directory.path(), 1024).unwrap();
                }
                let path = directory.path().join(PUBLIC);
                fs::write(&path, content).unwrap();
                for _ in 0..2 {
                    let error = read_or_generate(directory.path(), 1024).unwrap_err().to_string();
                    assert!(error.contains("public.pem: ") && error.contains(expected), "{error}");
                    assert!(error.contains("move") && error.contains("private.pem"), "{error}");
                    assert_eq!(fs::read_to_string(&path).unwrap(), content);
                    assert_eq!(
                        directory.path().join(PRIVATE).exists(),
                        with_private,
                        "no key is generated beside it"
                    );
                }
            }
        }
    }

    #[test]
    fn a_public_file_of_the_same_key_stays_as_it_is() {
        use rsa::pkcs1::EncodeRsaPublicKey;
        let directory = tempfile::tempdir().unwrap();
        let (key, _) = read_or_generate(directory.path(), 1024).unwrap();
        let path = directory.path().join(PUBLIC);
        let pkcs1 = rsa::PublicKey::from(&*key.rsa).to_pkcs1_pem(LineEnding::CRLF).unwrap();
        let with_private = fs::read_to_string(directory.path().join(PRIVATE)).unwrap() + key.public_pem();
        for content in
            [&key.public_pem().replace('\n', "\r\n"), &pkcs1, &format!("\u{FEFF}{pkcs1}"), &with_private]
        {
            fs::write(&path, content).unwrap();
            let (_, opened) = read_or_generate(directory.path(), 1024).unwrap();
            assert!(opened.warning.is_none());
            assert_eq!(fs::read_to_string(&path).unwrap(), *content);
        }
    }
}
