//! All keys of a simulator: the server's own, and those that customers name.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::{PrivateKey, store};

/// The server's key and the customers'.
#[derive(Clone)]
pub struct KeyRing {
    server: Arc<PrivateKey>,
    directory: Option<PathBuf>,
    /// By file name, with the PEM text each was made from, so that a reload parses only what changed.
    named: BTreeMap<String, (String, Arc<PrivateKey>)>,
}

// A derived Debug would print the PEM texts.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> =
            std::iter::once(&self.server).chain(self.named.values().map(|(_, key)| key)).collect();
        f.debug_struct("KeyRing").field("directory", &self.directory).field("keys", &keys).finish()
    }
}

impl KeyRing {
    /// A ring with the server's key. `directory` is where customers' keys are looked for.
    #[must_use]
    pub fn new(server: PrivateKey, directory: Option<PathBuf>) -> KeyRing {
        KeyRing { server: Arc::new(server), directory, named: BTreeMap::new() }
    }

    /// The key that customers without one of their own use.
    #[must_use]
    pub fn server(&self) -> &Arc<PrivateKey> {
        &self.server
    }

    /// The key in the file `name` of the keys directory, read now unless its text is known.
    ///
    /// # Errors
    /// When `name` is no plain file name, or the file is missing or unusable.
    pub fn named(&mut self, name: &str) -> Result<Arc<PrivateKey>, String> {
        if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(format!("{name:?} is no file name in the keys directory, such as \"bank.pem\""));
        }
        let directory = self.directory.as_ref().ok_or("there is no keys directory to read it from")?;
        let path = directory.join(name);
        let pem = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some((known, key)) = self.named.get(name)
            && *known == pem
        {
            return Ok(Arc::clone(key));
        }
        let key =
            store::parse_private(&pem, name).map_err(|message| format!("{} {message}", path.display()))?;
        let key = Arc::new(key);
        self.named.insert(name.to_owned(), (pem, Arc::clone(&key)));
        Ok(key)
    }

    /// Every known key but `but`, the server's first.
    pub fn others<'a>(&'a self, but: &'a PrivateKey) -> impl Iterator<Item = &'a Arc<PrivateKey>> {
        std::iter::once(&self.server)
            .chain(self.named.values().map(|(_, key)| key))
            .filter(|key| key.public_pem() != but.public_pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_private_key() {
        let directory = tempfile::tempdir().unwrap();
        store::read_or_generate(directory.path(), 1024).unwrap();
        let server = PrivateKey::generate("the server's key", 1024).unwrap();
        let mut ring = KeyRing::new(server, Some(directory.path().to_owned()));
        ring.named("private.pem").unwrap();
        let pem = fs::read_to_string(directory.path().join("private.pem")).unwrap();
        let shown = format!("{ring:?}");
        assert!(shown.contains("private.pem") && shown.contains("1024"), "{shown}");
        assert!(!shown.contains("PRIVATE KEY") && pem.lines().all(|line| !shown.contains(line)), "{shown}");
    }
}
