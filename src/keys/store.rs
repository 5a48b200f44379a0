//! The keys directory: `private.pem` (PKCS#8, for its owner only) and `public.pem` (SPKI).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};

use super::PrivateKey;

/// File names in the keys directory (SPEC 2).
const PRIVATE: &str = "private.pem";
const PUBLIC: &str = "public.pem";

/// A key that cannot be read, made or written.
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

/// Whether the server's key was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Read,
    Generated,
}

/// Reads `private.pem`, or makes it and `public.pem` when it is missing.
///
/// # Errors
/// When a file cannot be read, written or used; the message names it.
pub fn read_or_generate(directory: &Path, bits: usize) -> Result<(PrivateKey, Origin), KeyError> {
    let path = directory.join(PRIVATE);
    let (key, origin) = if path.exists() {
        (read_private(&path, "the server's key")?, Origin::Read)
    } else {
        (generate(directory, &path, bits)?, Origin::Generated)
    };
    write_public(&directory.join(PUBLIC), key.public_pem())?;
    Ok((key, origin))
}

/// Reads one private key: PKCS#8 or PKCS#1, PEM.
pub fn read_private(path: &Path, name: &str) -> Result<PrivateKey, KeyError> {
    let pem =
        fs::read_to_string(path).map_err(|error| KeyError::new(path, format!("cannot be read: {error}")))?;
    parse_private(&pem, name).map_err(|message| KeyError::new(path, message))
}

pub fn parse_private(pem: &str, name: &str) -> Result<PrivateKey, String> {
    if pem.contains("PUBLIC KEY-----") {
        return Err(
            "is a public key; the simulator needs the private half to open what clients encrypt".to_owned()
        );
    }
    if pem.contains("ENCRYPTED") {
        return Err(
            "is protected by a passphrase; write it without one (openssl pkey -in old.pem -out new.pem)"
                .to_owned(),
        );
    }
    let rsa = RsaPrivateKey::from_pkcs8_pem(pem).or_else(|pkcs8| {
        RsaPrivateKey::from_pkcs1_pem(pem).map_err(|pkcs1| {
            let error =
                if pem.contains("BEGIN RSA PRIVATE KEY") { pkcs1.to_string() } else { pkcs8.to_string() };
            format!("is not a private RSA key in PEM, PKCS#8 or PKCS#1: {error}")
        })
    })?;
    PrivateKey::new(name, rsa)
}

fn generate(directory: &Path, path: &Path, bits: usize) -> Result<PrivateKey, KeyError> {
    let key =
        PrivateKey::generate("the server's key", bits).map_err(|message| KeyError::new(path, message))?;
    let pem = key
        .rsa
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| KeyError::new(path, format!("cannot be encoded: {error}")))?;
    fs::create_dir_all(directory)
        .map_err(|error| KeyError::new(directory, format!("cannot be made: {error}")))?;
    write_whole(path, pem.as_bytes(), true)
        .map_err(|error| KeyError::new(path, format!("cannot be written: {error}")))?;
    Ok(key)
}

/// Keeps `public.pem` the public half of `private.pem`, also when a user brings only the latter.
fn write_public(path: &Path, pem: &str) -> Result<(), KeyError> {
    if fs::read_to_string(path).is_ok_and(|existing| existing == pem) {
        return Ok(());
    }
    write_whole(path, pem.as_bytes(), false)
        .map_err(|error| KeyError::new(path, format!("cannot be written: {error}")))
}

/// Writes beside the file and renames, so that nobody ever reads half a key.
fn write_whole(path: &Path, bytes: &[u8], owner_only: bool) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if owner_only {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = owner_only;
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&beside, path)).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_then_reused() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        let (made, origin) = read_or_generate(&keys, 1024).unwrap();
        assert_eq!(origin, Origin::Generated);
        let (read, origin) = read_or_generate(&keys, 2048).unwrap();
        assert_eq!(origin, Origin::Read);
        assert_eq!(made.public_pem(), read.public_pem());
        assert_eq!(fs::read_to_string(keys.join(PUBLIC)).unwrap(), made.public_pem());
        let private = fs::read_to_string(keys.join(PRIVATE)).unwrap();
        assert!(private.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 2, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn the_private_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        read_or_generate(directory.path(), 1024).unwrap();
        let mode = fs::metadata(directory.path().join(PRIVATE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_wrong_file_says_what_it_is() {
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
