//! Sources of fixture files: the set embedded in the binary, and a directory whose files replace those of the same name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use super::built_in::{built_in, demo_picture};
use super::problem::Problem;

/// One fixture file.
#[derive(Clone)]
pub struct File {
    /// Name to show in messages.
    pub shown: String,
    /// Content.
    pub bytes: Cow<'static, [u8]>,
}

// A derived Debug would print accounts and photos.
impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("shown", &self.shown).field("bytes", &self.bytes.len()).finish()
    }
}

/// Files by their path in the fixture directory, with `/` as the separator on every system.
pub type Files = BTreeMap<String, File>;

/// Reads the built-in files, overlaid by those of `directory`.
///
/// # Errors
/// When the directory or a file in it cannot be read.
pub fn read(directory: Option<&Path>) -> Result<Files, Problem> {
    let mut files = built_in();
    if let Some(root) = directory {
        read_into(&mut files, root, "").map_err(|ReadError { path, source }| {
            Problem::of_file(&path.display().to_string(), format!("cannot be read: {source}"))
        })?;
    }
    Ok(files)
}

/// Returns whether a file of this name is a fixture, and not one that an editor or the system left there. Files in `customers/`
/// that are not TOML can be referenced by rules.
pub(super) fn is_fixture(name: &str) -> bool {
    !name.split('/').any(is_leftover)
        && (name == "simulator.toml"
            || name.strip_prefix("customers/").is_some_and(|file| !file.contains('/'))
            || name.starts_with("gallery/"))
}

/// Returns whether a directory of this name holds fixtures.
pub(super) fn is_folder(name: &str) -> bool {
    !name.split('/').any(is_leftover)
        && (name == "customers" || name == "gallery" || name.starts_with("gallery/"))
}

/// Returns whether a name is hidden (`.#demo.toml` of Emacs, `._demo.toml` of macOS, `.demo.toml.swp` of vi), a backup or a partial copy.
pub(super) fn is_leftover(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~') || name.ends_with(".tmp") || name.ends_with(".part")
}

/// Returns whether a change of this path in the directory may change the fixtures. `..data` is the symbolic link that Kubernetes
/// switches to replace all files of a mounted configuration at once.
pub(crate) fn concerns(name: &str) -> bool {
    is_fixture(name) || is_folder(name) || name == "..data"
}

/// A file or directory that cannot be read.
#[derive(Debug)]
pub(super) struct ReadError {
    pub path: PathBuf,
    pub source: io::Error,
}

pub(super) fn read_into(files: &mut Files, root: &Path, subdirectory: &str) -> Result<(), ReadError> {
    let directory = root.join(subdirectory);
    let entries = fs::read_dir(&directory).map_err(|source| ReadError { path: directory.clone(), source })?;
    for entry in entries {
        let entry = entry.map_err(|source| ReadError { path: directory.clone(), source })?;
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        let name = if subdirectory.is_empty() { file_name } else { format!("{subdirectory}/{file_name}") };
        if is_fixture(&name) || is_folder(&name) {
            read_entry(files, root, name).or_else(ignore_not_found)?;
        }
    }
    Ok(())
}

pub(super) fn read_entry(files: &mut Files, root: &Path, name: String) -> Result<(), ReadError> {
    let path = root.join(&name);
    // Follows symbolic links: a mounted configuration consists of them.
    let metadata = fs::metadata(&path).map_err(|source| ReadError { path: path.clone(), source })?;
    if metadata.is_dir() && is_folder(&name) {
        return read_into(files, root, &name);
    }
    if metadata.is_file() && is_fixture(&name) {
        let bytes = fs::read(&path).map_err(|source| ReadError { path: path.clone(), source })?;
        // Memory: an unchanged copy, as `init` writes it, shares the bytes of the built-in file.
        let built_in = files.remove(&name).map(|file| file.bytes).filter(|known| *known == bytes);
        let bytes = built_in.unwrap_or(Cow::Owned(bytes));
        files.insert(name, File { shown: path.display().to_string(), bytes });
    }
    Ok(())
}

/// Ignores files that do not exist: dangling links, and files removed since the directory was listed.
pub(super) fn ignore_not_found(failed: ReadError) -> Result<(), ReadError> {
    if failed.source.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(failed) }
}

/// Writes the built-in files into `directory`.
///
/// # Errors
/// When a file already exists (unless `force`), or cannot be written. Nothing is written when one exists.
pub fn write_built_in(directory: &Path, force: bool) -> Result<Vec<PathBuf>, String> {
    let files = built_in();
    let targets: Vec<_> = files.keys().map(|name| directory.join(name)).collect();
    if let Some(existing) = targets.iter().find(|path| path.exists()).filter(|_| !force) {
        return Err(format!(
            "{} already exists; nothing was written (--force overwrites)",
            existing.display()
        ));
    }
    for (path, file) in targets.iter().zip(files.values()) {
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(path, &file.bytes))
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"\xFF").unwrap();
        }
        directory
    }

    fn read_from(directory: &Path) -> Vec<String> {
        let mut files = Files::new();
        read_into(&mut files, directory, "").unwrap();
        files.into_keys().collect()
    }

    #[test]
    fn only_fixtures_are_read() {
        let good = ["customers/a.toml", "gallery/b/c.jpg", "gallery/gallery.toml", "simulator.toml"];
        let others = [
            ".simulator.toml.swp",
            "README.md",
            "customers/#a.toml#",
            "customers/._a.toml",
            "customers/a.toml.tmp",
            "customers/a.toml~",
            "customers/below/b.toml",
            "gallery/.thumbnails/c.jpg",
            "gallery/c.jpg~",
        ];
        let directory = directory_with(&[&good[..], &others].concat());
        assert_eq!(read_from(directory.path()), good);
    }

    #[cfg(unix)]
    #[test]
    fn dangling_links_are_ignored_and_other_links_are_followed() {
        use std::os::unix::fs::symlink;
        let elsewhere = directory_with(&["b.toml"]);
        let directory = directory_with(&["customers/a.toml"]);
        let customers = directory.path().join("customers");
        symlink("me@host.1234", customers.join(".#a.toml")).unwrap();
        symlink("nowhere", customers.join("gone.toml")).unwrap();
        symlink("nowhere", directory.path().join("gallery")).unwrap();
        symlink(elsewhere.path().join("b.toml"), customers.join("b.toml")).unwrap();
        assert_eq!(read_from(directory.path()), ["customers/a.toml", "customers/b.toml"]);
    }

    #[test]
    fn an_unchanged_copy_of_a_built_in_file_shares_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        write_built_in(directory.path(), false).unwrap();
        fs::write(directory.path().join("simulator.toml"), "").unwrap();
        let files = read(Some(directory.path())).unwrap();
        for (name, file) in &files {
            assert_eq!(matches!(file.bytes, Cow::Borrowed(_)), name != "simulator.toml", "{name}");
            assert!(Path::new(&file.shown).starts_with(directory.path()), "{name}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let file = File { shown: "a.toml".to_owned(), bytes: Cow::Borrowed(&[77; 3]) };
        assert_eq!(format!("{file:?}"), "File { shown: \"a.toml\", bytes: 3 }");
    }

    #[test]
    fn the_directory_itself_must_exist() {
        let directory = tempfile::tempdir().unwrap();
        assert!(read(Some(&directory.path().join("none"))).is_err());
    }
}
