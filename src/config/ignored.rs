//! Files in a fixture directory that are not read, and what their writer probably meant.

use std::fs;
use std::path::Path;

use super::problem::Problem;
use super::source::{Files, is_fixture, is_folder, is_leftover};
use crate::base::suggestion;

/// Names of the directories with fixtures.
const FOLDERS: [&str; 2] = ["customers", "gallery"];

/// Extensions of files that are meant as fixtures, in lower case.
const CONFIGURATIONS: [&str; 6] = ["toml", "tml", "yaml", "yml", "json", "txt"];

/// Max files of one directory that are named.
const MAX_NAMED: usize = 20;

/// Returns a problem for every file below `root` that has no effect: it is not read, or nothing that is read names it. `files` are those
/// that are read.
#[must_use]
pub fn ignored(root: &Path, files: &Files) -> Vec<Problem> {
    let mut unread = Vec::new();
    collect(root, "", &mut unread);
    let unnamed = files.iter().filter(|(name, file)| {
        is_below(root, &file.shown) && !name.ends_with(".toml") && !is_named(name, files)
    });
    unread.extend(unnamed.map(|(name, _)| name.clone()));
    unread.sort();
    unread
        .iter()
        .map(|name| {
            let problem = Problem::of_file(&root.join(name).display().to_string(), "is ignored");
            match meant(name, files) {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        })
        .collect()
}

fn is_below(root: &Path, shown: &str) -> bool {
    Path::new(shown).starts_with(root)
}

/// Collects what is not read below a directory. Of a directory that is not meant for fixtures, only its own name.
fn collect(root: &Path, below: &str, unread: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else { return };
    let mut named = 0;
    for entry in entries.flatten() {
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        let name = if below.is_empty() { file_name.clone() } else { format!("{below}/{file_name}") };
        let is_directory = root.join(&name).is_dir();
        if is_leftover(&file_name) || is_companion(&file_name) || (!is_directory && is_fixture(&name)) {
            continue;
        }
        if is_directory && (is_folder(&name) || meant_folder(&name).is_some()) {
            collect(root, &name, unread);
        } else if named < MAX_NAMED {
            named += 1;
            unread.push(if is_directory { format!("{name}/") } else { name });
        }
    }
}

/// Whether a file is about the fixtures and not one of them: a page to read, or a schema for an editor.
fn is_companion(file_name: &str) -> bool {
    let lower = file_name.to_lowercase();
    lower.ends_with(".md") || lower.ends_with(".schema.json") || lower.starts_with("license")
}

/// Returns the directory that a directory with another name is probably meant to be.
fn meant_folder(name: &str) -> Option<&'static str> {
    suggestion::closest(name.split('/').next()?, FOLDERS)
}

/// Whether a file of fixtures names this one.
fn is_named(name: &str, files: &Files) -> bool {
    let short = name.split_once('/').map_or(name, |(_, short)| short);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(short);
    files.iter().any(|(other, file)| other.ends_with(".toml") && text(&file.bytes))
}

/// Returns what the writer of a file that is ignored probably meant.
fn meant(name: &str, files: &Files) -> Option<String> {
    let (folder, file_name) = name.rsplit_once('/').unwrap_or(("", name));
    if file_name.is_empty() {
        return None;
    }
    let (stem, extension) = file_name.rsplit_once('.').unwrap_or((file_name, ""));
    let stem = stem.strip_suffix(".toml").unwrap_or(stem);
    let is_configuration = CONFIGURATIONS.contains(&extension.to_lowercase().as_str());
    let folder = if folder.is_empty() { None } else { meant_folder(folder) };
    let rename = |right: String| match (right == name, files.contains_key(&right)) {
        (true, _) => None,
        (_, true) => Some(format!("there is {right} already; fixtures are TOML")),
        _ if extension.eq_ignore_ascii_case("toml") => Some(format!("rename it to {right}")),
        _ => Some(format!("fixtures are TOML: write it as {right}")),
    };
    match folder {
        Some("customers") if is_configuration => rename(format!("customers/{stem}.toml")),
        Some("gallery") if is_configuration => rename("gallery/gallery.toml".to_owned()),
        Some("customers") => Some("no rule names it".to_owned()),
        Some(_) if name.starts_with("gallery/") => Some("no identity of gallery.toml names it".to_owned()),
        Some(folder) => Some(format!("the directory is {folder}/")),
        None if name.contains('/') => None,
        None if is_configuration && suggestion::closest(stem, ["simulator"]).is_some() => {
            rename("simulator.toml".to_owned())
        }
        None if is_configuration && stem.eq_ignore_ascii_case("gallery") => {
            rename("gallery/gallery.toml".to_owned())
        }
        None if is_configuration => rename(format!("customers/{stem}.toml")),
        None if ["png", "jpg", "jpeg"].contains(&extension.to_lowercase().as_str()) => {
            Some(format!("move it to gallery/{file_name}, and name it in gallery/gallery.toml"))
        }
        None if extension == "pem" => Some("keys are in the directory of --keys".to_owned()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source;

    #[test]
    fn what_is_ignored_is_named_with_what_is_meant() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let cases = [
            ("bank.yaml", "fixtures are TOML: write it as customers/bank.toml"),
            ("bank.toml", "rename it to customers/bank.toml"),
            ("Simulator.toml", "there is simulator.toml already; fixtures are TOML"),
            ("simulator.yml", "there is simulator.toml already; fixtures are TOML"),
            ("customer/shop.toml", "rename it to customers/shop.toml"),
            ("Customers/a.toml", "rename it to customers/a.toml"),
            ("customers/Bank.TOML", "rename it to customers/Bank.toml"),
            ("customers/b.json", "fixtures are TOML: write it as customers/b.toml"),
            ("customers/b.toml.txt", "fixtures are TOML: write it as customers/b.toml"),
            ("customers/old/c.toml", "rename it to customers/c.toml"),
            ("customers/unused.csv", "no rule names it"),
            ("galery/d.jpg", "the directory is gallery/"),
            ("gallery/unknown.jpg", "no identity of gallery.toml names it"),
            ("me.jpg", "move it to gallery/me.jpg, and name it in gallery/gallery.toml"),
            ("bank.pem", "keys are in the directory of --keys"),
            ("notes/", ""),
        ];
        let used =
            ["customers/delays.csv", "customers/demo.toml", "customers/.x.swp", "README.md", "x.schema.json"];
        for name in cases.iter().map(|(name, _)| *name).chain(used) {
            let name = if name.ends_with('/') { format!("{name}inside.toml") } else { name.to_owned() };
            fs::create_dir_all(root.join(&name).parent().unwrap()).unwrap();
            fs::write(root.join(&name), "delay = { from = 'delays.csv' }").unwrap();
        }
        let found = ignored(root, &source::read(Some(root)).unwrap());
        let said: Vec<_> = found
            .iter()
            .map(|problem| {
                let name = problem.file.strip_prefix(&format!("{}/", root.display())).unwrap();
                (name, problem.hint.as_deref().unwrap_or_default())
            })
            .collect();
        let mut expected = cases;
        expected.sort_unstable();
        assert_eq!(said, expected);
    }

    #[test]
    fn nothing_is_ignored_in_the_built_in_fixtures() {
        let directory = tempfile::tempdir().unwrap();
        source::write_built_in(directory.path(), false).unwrap();
        let files = source::read(Some(directory.path())).unwrap();
        assert_eq!(ignored(directory.path(), &files), []);
    }
}
