//! The samples of `docs/how-to/ci.md` are tested files: each block after `<!-- file: PATH -->` is the complete file.
//!
//! To update the blocks: `FRSIM_WRITE_SAMPLES=1 cargo test --test it samples::`.

use std::fs;
use std::path::{Path, PathBuf};

const MARK: &str = "<!-- file: ";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the language of a code block by file name.
fn language(path: &str) -> &str {
    match path.rsplit('.').next() {
        Some("py") => "python",
        Some("yml") => "yaml",
        Some("rs") => "rust",
        Some(extension) => extension,
        None => "text",
    }
}

/// Inserts the files after their marks. Returns the page and the file names.
fn with_files(page: &str) -> (String, Vec<String>) {
    let (mut text, mut names) = (String::new(), Vec::new());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        text.extend([line, "\n"]);
        let Some(name) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else { continue };
        text.push_str(&format!("\n```{}\n{}```\n", language(name), read(name)));
        names.push(name.to_owned());
        // Skips the old content: a blank line and a block, or nothing.
        let mut behind = lines.clone().skip(1);
        if behind.next().is_some_and(|line| line.starts_with("```")) {
            let length = behind.position(|line| line == "```").expect("the end of a block");
            lines.nth(length + 2);
        }
    }
    (text, names)
}

#[test]
fn the_ci_page_shows_tested_files() {
    let page = read("docs/how-to/ci.md");
    let (wanted, names) = with_files(&page);
    if std::env::var_os("FRSIM_WRITE_SAMPLES").is_some() {
        return fs::write(root().join("docs/how-to/ci.md"), &wanted).unwrap();
    }
    assert!(page == wanted, "docs/how-to/ci.md shows something else than {names:?}; see the head of this file");
    for path in files("docs/ci").iter().filter(|path| !path.ends_with("requirements.txt")) {
        let shown = names.iter().any(|name| root().join(name) == *path);
        assert!(shown, "docs/how-to/ci.md does not show {}", path.display());
    }
}

#[test]
fn every_sample_of_the_ci_page_is_tested() {
    // The package does not contain .ci.
    if !root().join(".ci").exists() {
        return;
    }
    let (helpers, tests) = (read(".ci/helpers"), read("tests/it/main.rs"));
    assert!(read(".ci/run").contains(".ci/helpers "), ".ci/run runs the samples");
    for name in with_files(&read("docs/how-to/ci.md")).1 {
        let is_run = match name.strip_prefix("tests/it/").and_then(|name| name.strip_suffix(".rs")) {
            Some(module) => tests.contains(&format!("mod {module};")),
            // .ci/helpers names jobs and containers in loops, without their extensions.
            None => helpers.contains(name.trim_start_matches("docs/ci/").split('.').next().unwrap()),
        };
        let of_a_container =
            name.starts_with("docs/ci/testcontainers/") && helpers.contains("docs/ci/testcontainers");
        assert!(is_run || of_a_container, "{name} is not tested");
    }
}

fn files(below: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(below)).unwrap().map(|entry| entry.unwrap().path());
    let (directories, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    for directory in directories {
        let inner = directory.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        files.extend(self::files(&inner));
    }
    files
}

#[test]
fn a_block_is_replaced_and_the_rest_stays() {
    let file = read("docs/ci/requirements.txt");
    let mark = format!("{MARK}docs/ci/requirements.txt -->");
    let right = format!("before\n\n{mark}\n\n```txt\n{file}```\n\nbehind\n");
    for page in [
        right.clone(),
        format!("before\n\n{mark}\n\n```txt\nold\nlines\n```\n\nbehind\n"),
        format!("before\n\n{mark}\n\n```txt\n```\n\nbehind\n"),
        format!("before\n\n{mark}\n\nbehind\n"),
    ] {
        assert_eq!(with_files(&page).0, right, "{page}");
    }
}
