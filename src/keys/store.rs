//! The keys directory: `private.pem` (PKCS#8, readable by its owner only) and `public.pem` (SPKI).
//!
//! Several simulators may start on one empty directory at once: the first to publish a key wins, the others read it. A key is published
//! by a hard link, which never replaces an existing file, as a rename would.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};

use super::PrivateKey;

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
    match fs::read_to_string(&path) {
        Ok(pem) => {
            parse_private(&pem, SERVERS_KEY).map(Some).map_err(|message| KeyError::new(&path, message))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyError::new(&path, format!("cannot be read: {error}"))),
    }
}

/// Reads `private.pem`, or generates it when it is missing; writes its public half to `public.pem`.
///
/// # Errors
/// When `private.pem` cannot be read, written or used; the message names it.
pub fn read_or_generate(directory: &Path, bits: usize) -> Result<(PrivateKey, OpenedKey), KeyError> {
    let (key, origin) = match read(directory)? {
        Some(key) => (key, KeyOrigin::Read),
        None => generate(directory, bits, publish)?,
    };
    let warning = write_public(&directory.join(PUBLIC), key.public_pem()).err();
    Ok((key, OpenedKey { origin, warning }))
}

/// Parses one private key: PKCS#8 or PKCS#1, PEM.
pub fn parse_private(pem: &str, name: &str) -> Result<PrivateKey, String> {
    if pem.contains("PUBLIC KEY-----") {
        return Err(
            "is a public key; the simulator needs the private key to decrypt what clients send".to_owned()
        );
    }
    if pem.contains("ENCRYPTED") {
        return Err(
            "is protected by a passphrase; remove the passphrase (openssl pkey -in old.pem -out new.pem)"
                .to_owned(),
        );
    }
    let rsa = rsa::PrivateKey::from_pkcs8_pem(pem).or_else(|pkcs8| {
        rsa::PrivateKey::from_pkcs1_pem(pem).map_err(|pkcs1| {
            let error =
                if pem.contains("BEGIN RSA PRIVATE KEY") { pkcs1.to_string() } else { pkcs8.to_string() };
            format!("is not a private RSA key in PEM, PKCS#8 or PKCS#1: {error}")
        })
    })?;
    PrivateKey::new(name, rsa)
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
        Err(error) if error.kind() != ErrorKind::AlreadyExists => rename_under_lock(temporary, path),
        linked => linked,
    }
}

/// Replaces [`publish`] where there are no hard links, as on FAT: locks the directory, then renames. Where the directory cannot be
/// locked either, two first starts at the same instant can race.
fn rename_under_lock(temporary: &Path, path: &Path) -> io::Result<()> {
    let directory = File::open(path.parent().unwrap_or(path));
    let _locked = directory.and_then(|directory| directory.lock().map(|()| directory));
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    fs::rename(temporary, path)
}

/// Keeps `public.pem` the public half of `private.pem`, also when a user supplies only the latter.
fn write_public(path: &Path, pem: &str) -> Result<(), KeyError> {
    if fs::read_to_string(path).is_ok_and(|existing| existing == pem) {
        return Ok(());
    }
    write_atomically(path, pem.as_bytes(), false, |temporary, path| fs::rename(temporary, path))
        .map_err(|error| KeyError::new(path, format!("cannot be written: {error}")))
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
            |directory| generate(directory, 1024, rename_under_lock).unwrap().0.public_pem().to_owned(),
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
        for (content, expected) in [
            ("", "is not a private RSA key"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is a public key"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "passphrase",
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
                "is not a private RSA key",
            ),
        ] {
            fs::write(&path, content).unwrap();
            let error = read_or_generate(directory.path(), 2048).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("private.pem"), "{error}");
        }
    }
}
