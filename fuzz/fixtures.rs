//! Fixture files: what the fuzz target `fixtures` and `tests/it/fuzzed.rs` check.

use std::fs;
use std::path::PathBuf;

use dukcapil_fr_sim::internals::config::{StartPolicy, load, source};
use dukcapil_fr_sim::internals::keys::{KeyRing, PrivateKey};

/// A fixture directory whose files are replaced.
pub struct FixtureFiles {
    directory: PathBuf,
    keys: KeyRing,
    /// Names and texts of good files, to be edited.
    pub good: Vec<(String, Vec<u8>)>,
}

impl FixtureFiles {
    /// Uses a directory that does not exist yet.
    pub fn start(directory: PathBuf) -> FixtureFiles {
        for below in ["customers", "gallery"] {
            fs::create_dir_all(directory.join(below)).expect("a directory");
        }
        let built_in = source::built_in().into_iter().filter(|(name, _)| name.ends_with(".toml"));
        let good = built_in.map(|(name, file)| (name, file.bytes.into_owned())).collect();
        let key = PrivateKey::generate("the server's key", 1024).expect("a key");
        FixtureFiles { directory, keys: KeyRing::new(key, None), good }
    }

    /// Loads the built-in files with this one in the place of one of them. Returns whether they are valid.
    ///
    /// # Panics
    /// When they are not, and no problem says why and in which file.
    pub fn check(&self, name: &str, text: &[u8]) -> bool {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file");
        let loaded = load(Some(&self.directory), self.keys.clone(), &StartPolicy::default());
        fs::remove_file(&path).expect("a file");
        let Err(problems) = loaded else { return true };
        assert!(!problems.is_empty());
        for problem in &problems {
            assert!(!problem.message.is_empty() && problem.message.len() < 2000, "{problem}");
            assert!(!problem.file.is_empty(), "{problem}");
        }
        false
    }
}

impl Drop for FixtureFiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
