//! Key files as people have them: PEM of every kind, DER, the base64 alone, JWK, XML; with any line ends, quotes and encodings around
//! them. What is no RSA key of the wanted half is refused by what it is, with the command that makes the wanted one of it.
//!
//! Messages never show what is in a file.

mod der;
#[cfg(test)]
mod tests;
mod text;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::PrivateKey;

/// Max size of a key file, in bytes. A chain of certificates has some ten thousand.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// One thing that a key file holds.
#[derive(Debug)]
enum Item {
    Public(Box<rsa::PublicKey>),
    Private(Box<rsa::PrivateKey>),
    Foreign(Foreign),
}

/// Something that is no RSA key in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Foreign {
    /// What it is, behind "is".
    what: &'static str,
    /// What to do where a public key is wanted. `FILE` stands for the file's name, here and below.
    for_public: &'static str,
    /// What to do where a private key is wanted.
    for_private: &'static str,
}

const MAKE_PUBLIC: &str =
    "the public half of a private key: openssl pkey -in private.pem -pubout -out public.pem";
const MAKE_PRIVATE: &str =
    "a new private key: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem";

impl Foreign {
    /// Something of which no RSA key can be made.
    const fn of(what: &'static str) -> Foreign {
        Foreign { what, for_public: MAKE_PUBLIC, for_private: MAKE_PRIVATE }
    }
}

/// A public key, and what to tell about where it stood.
#[derive(Debug)]
pub struct PublicKeyFile {
    pub key: rsa::PublicKey,
    /// Said when the file holds more than this key.
    pub note: Option<String>,
}

/// Reads the public key in the bytes of a file.
///
/// # Errors
/// When there is none; the message says what there is, and begins behind the file's name.
pub fn read_public(bytes: &[u8]) -> Result<PublicKeyFile, String> {
    let items = text::items(bytes);
    let count = items.len();
    let mut publics = Vec::new();
    let mut others = Vec::new();
    for item in items {
        match item {
            Item::Public(key) => publics.push(*key),
            other => others.push(other),
        }
    }
    if publics.is_empty() {
        return Err(others.first().map_or_else(|| EMPTY.to_owned(), refuse_public));
    }
    let key = publics.swap_remove(0);
    let different = publics.iter().any(|other| *other != key);
    let note = (count > 1).then(|| {
        let with = if others.iter().any(|item| matches!(item, Item::Private(_))) {
            ", a private key among them"
        } else {
            ""
        };
        let which = if different { "the first public key" } else { "the public key" };
        format!("has {count} parts{with}; {which} is used")
    });
    Ok(PublicKeyFile { key, note })
}

/// Reads the private key in the bytes of a file.
///
/// # Errors
/// When there is none, or more than one; the message says what there is, and begins behind the file's name.
pub fn read_private(bytes: &[u8], name: &str) -> Result<PrivateKey, String> {
    let mut privates = Vec::new();
    let mut others = Vec::new();
    for item in text::items(bytes) {
        match item {
            Item::Private(key) => privates.push(*key),
            other => others.push(other),
        }
    }
    match privates.pop() {
        Some(key) if privates.iter().all(|other| *other == key) => PrivateKey::new(name, key),
        Some(_) => Err("holds several private keys; keep one of them in the file".to_owned()),
        None => Err(others.first().map_or_else(|| EMPTY.to_owned(), refuse_private)),
    }
}

const EMPTY: &str = "is empty; was it copied or written to the end?";

fn refuse_public(item: &Item) -> String {
    match item {
        Item::Foreign(foreign) => {
            format!("is {}, not a public RSA key; {}", foreign.what, foreign.for_public)
        }
        _ => "is a private key, which clients must never have; give them its public half: openssl pkey -in FILE -pubout -out public.pem"
            .to_owned(),
    }
}

fn refuse_private(item: &Item) -> String {
    match item {
        Item::Foreign(foreign) => {
            format!("is {}, not a private RSA key in the clear; {}", foreign.what, foreign.for_private)
        }
        _ => "is a public key; the simulator needs the private key to decrypt what clients send".to_owned(),
    }
}

/// Reads a public key file.
///
/// # Errors
/// When it cannot be read, or holds no public key; the message names the file and says what to do.
pub fn read_public_file(path: &Path) -> Result<PublicKeyFile, String> {
    let shown = path.display().to_string();
    let bytes = read_bytes(path).map_err(|error| {
        let missing = error.kind() == ErrorKind::NotFound;
        let hint = if missing { "; the simulator generates it on the first start" } else { "" };
        format!("{shown}: {}{hint}", in_words(&error))
    })?;
    let mut file =
        read_public(&bytes).map_err(|message| format!("{shown}: {}", message.replace("FILE", &shown)))?;
    file.note = file.note.map(|note| format!("{shown} {note}"));
    Ok(file)
}

/// Returns what the operating system says of a file that cannot be read.
pub fn in_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::IsADirectory => "is a directory; name the key file in it".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Reads a key file, unless it is far larger than any.
///
/// # Errors
/// When it cannot be read, or is too large.
pub fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 MiB, so it is no key file"));
    }
    Ok(bytes)
}
