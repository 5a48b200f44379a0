//! All keys of a simulator: the server's own, and the customers' keys.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{PrivateKey, file};
use crate::base::suggestion;

/// Key ring: the server's key and the customers' keys. Clones share the cached keys.
#[derive(Clone)]
pub struct KeyRing {
    server: Arc<PrivateKey>,
    directory: Option<PathBuf>,
    others: Arc<Mutex<OtherKeys>>,
}

/// Keys that only some customers use.
#[derive(Default)]
struct OtherKeys {
    /// By file name, with the bytes each was parsed from, so that a reload parses only changed files.
    named: BTreeMap<String, (Vec<u8>, Arc<PrivateKey>)>,
    /// Generated for customers created over the admin API, by customer id.
    generated: BTreeMap<String, Arc<PrivateKey>>,
    /// All of them, the newest last.
    by_age: Vec<Arc<PrivateKey>>,
}

// A derived Debug would print the files.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others.lock();
        let keys: Vec<_> = std::iter::once(&self.server).chain(&others.by_age).collect();
        f.debug_struct("KeyRing").field("directory", &self.directory).field("keys", &keys).finish()
    }
}

impl OtherKeys {
    /// Replaces a key by a new one; either may be missing.
    fn replace(&mut self, old: Option<&Arc<PrivateKey>>, new: Option<&Arc<PrivateKey>>) {
        self.by_age.retain(|key| !old.is_some_and(|old| Arc::ptr_eq(key, old)));
        self.by_age.extend(new.cloned());
    }
}

impl KeyRing {
    /// Creates a ring with the server's key. Customers' key files are read from `directory`.
    #[must_use]
    pub fn new(server: PrivateKey, directory: Option<PathBuf>) -> KeyRing {
        KeyRing { server: Arc::new(server), directory, others: Arc::default() }
    }

    /// Returns the key of customers without one of their own.
    #[must_use]
    pub fn server(&self) -> &Arc<PrivateKey> {
        &self.server
    }

    /// Returns the key in the file `name` of the keys directory. Reads the file each time, parses it only if it changed.
    ///
    /// # Errors
    /// When `name` is not a plain file name, or the file is missing or unusable.
    pub fn named(&self, name: &str) -> Result<Arc<PrivateKey>, String> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(format!("{name:?} is not a file name in the keys directory, such as \"bank.pem\""));
        }
        let directory = self.directory.as_ref().ok_or("there is no keys directory to read it from")?;
        let path = directory.join(name);
        let pem = file::read_bytes(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => missing(directory, name, self.server.bits()),
            _ => format!("{}: {}", path.display(), file::in_words(&error)),
        })?;
        if let Some((cached_pem, key)) = self.others.lock().named.get(name)
            && *cached_pem == pem
        {
            return Ok(Arc::clone(key));
        }
        let key = file::read_private(&pem, name)
            .map_err(|message| format!("{} {}", path.display(), message.replace("FILE", name)))?;
        let key = Arc::new(key);
        let mut others = self.others.lock();
        let old = others.named.insert(name.to_owned(), (pem, Arc::clone(&key)));
        others.replace(old.as_ref().map(|(_, old)| old), Some(&key));
        Ok(key)
    }

    /// Returns the key generated for a customer; generates one as long as the server's when there is none.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn made_for(&self, customer_id: &str) -> Result<Arc<PrivateKey>, String> {
        if let Some(key) = self.others.lock().generated.get(customer_id) {
            return Ok(Arc::clone(key));
        }
        // Outside the lock: key generation takes tens of milliseconds.
        let key = Arc::new(PrivateKey::generate(format!("the key of {customer_id}"), self.server.bits())?);
        let mut others = self.others.lock();
        if let Some(meanwhile) = others.generated.get(customer_id) {
            return Ok(Arc::clone(meanwhile));
        }
        others.generated.insert(customer_id.to_owned(), Arc::clone(&key));
        others.replace(None, Some(&key));
        Ok(key)
    }

    /// Returns the key generated for a customer as PEM, for a store; `None` where none was.
    #[must_use]
    pub fn generated_pem(&self, customer_id: &str) -> Option<String> {
        let key = Arc::clone(self.others.lock().generated.get(customer_id)?);
        key.private_pem()
    }

    /// Sets the key generated for a customer to that of an earlier run.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn restore(&self, customer_id: &str, pem: &str) -> Result<(), String> {
        let key = Arc::new(file::read_private(pem.as_bytes(), &format!("the key of {customer_id}"))?);
        let mut others = self.others.lock();
        others.generated.insert(customer_id.to_owned(), Arc::clone(&key));
        others.replace(None, Some(&key));
        Ok(())
    }

    /// Removes the key generated for a customer, if any.
    pub fn forget(&self, customer_id: &str) {
        let mut others = self.others.lock();
        let old = others.generated.remove(customer_id);
        others.replace(old.as_ref(), None);
    }

    /// Returns the known keys of `size` bytes except `excluded`, at most `max`: the server's first, then the customers' own, newest first.
    #[must_use]
    pub fn others(&self, excluded: &PrivateKey, size: usize, max: usize) -> Vec<Arc<PrivateKey>> {
        let others = self.others.lock();
        let all = std::iter::once(&self.server).chain(others.by_age.iter().rev());
        let wanted = all.filter(|key| key.size() == size && key.fingerprint() != excluded.fingerprint());
        wanted.take(max).cloned().collect()
    }
}

/// Says that a key file is missing, and how to make it.
fn missing(directory: &Path, name: &str, bits: usize) -> String {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let names: Vec<_> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    let keys =
        names.iter().map(String::as_str).filter(|name| name.ends_with(".pem") && *name != "public.pem");
    let suggestion = suggestion::suffix(name, keys);
    let path = shell_quoted(&directory.join(name).display().to_string());
    let create = match directory.is_dir() {
        true => String::new(),
        false => format!("mkdir -p {} && ", shell_quoted(&directory.display().to_string())),
    };
    let gap = if suggestion.is_empty() { ";" } else { "" };
    format!(
        "there is no key file {name:?}{suggestion}{gap} to make one, run: {create}openssl genrsa -out {path} {bits}"
    )
}

/// Quotes a path for a shell, where that is needed.
fn shell_quoted(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::store;
    use super::*;

    #[test]
    fn a_missing_key_file_is_named_with_the_command_that_makes_it() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("bank's keys");
        let server = PrivateKey::generate("the server's key", 1024).unwrap();
        let ring = KeyRing::new(server, Some(keys.clone()));
        let message = ring.named("bank.pem").unwrap_err();
        let (said, command) = message.split_once("run: ").unwrap();
        assert!(said.starts_with("there is no key file \"bank.pem\""), "{said}");
        let run = std::process::Command::new("sh").args(["-c", command]).output();
        match run {
            Ok(out) if out.status.success() => assert_eq!(ring.named("bank.pem").unwrap().bits(), 1024),
            _ if std::env::var_os("CI").is_none() => return eprintln!("SKIPPED: openssl is not installed"),
            other => panic!("openssl must be installed under CI: {command}: {other:?}"),
        }
        assert!(ring.named("bnk.pem").unwrap_err().contains("; did you mean \"bank.pem\"?"));
    }

    #[test]
    fn debug_shows_no_private_key() {
        let directory = tempfile::tempdir().unwrap();
        store::read_or_generate(directory.path(), 1024).unwrap();
        let server = PrivateKey::generate("the server's key", 1024).unwrap();
        let ring = KeyRing::new(server, Some(directory.path().to_owned()));
        ring.named("private.pem").unwrap();
        let pem = fs::read_to_string(directory.path().join("private.pem")).unwrap();
        let shown = format!("{ring:?}");
        assert!(shown.contains("private.pem") && shown.contains("1024"), "{shown}");
        assert!(!shown.contains("PRIVATE KEY") && pem.lines().all(|line| !shown.contains(line)), "{shown}");
    }

    #[test]
    fn other_keys_are_the_servers_then_the_newest_first() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let made = tempfile::tempdir().unwrap();
            store::read_or_generate(made.path(), 1024).unwrap();
            fs::copy(made.path().join("private.pem"), directory.path().join(name)).unwrap();
        };
        let server = PrivateKey::generate("the server's key", 1024).unwrap();
        let ring = KeyRing::new(server, Some(directory.path().to_owned()));
        for name in ["z.pem", "a.pem"] {
            write(name);
            ring.named(name).unwrap();
        }
        let made = ring.made_for("bank").unwrap();
        let names = |excluded: &PrivateKey, max| {
            let others = ring.others(excluded, 128, max);
            others.iter().map(|key| key.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&made, 9), ["the server's key", "a.pem", "z.pem"]);
        assert_eq!(names(ring.server(), 9), ["the key of bank", "a.pem", "z.pem"]);
        assert_eq!(names(ring.server(), 1), ["the key of bank"]);
        assert!(ring.others(&made, 256, 9).is_empty(), "none has this size");
        // A changed file is a new key; a removed customer's is forgotten.
        write("z.pem");
        ring.named("z.pem").unwrap();
        ring.forget("bank");
        assert_eq!(names(ring.server(), 9), ["z.pem", "a.pem"]);
    }
}
