//! The samples of `docs/how-to/ci.md` and of `docs/how-to/clients` are tested files: each block after `<!-- file: PATH -->` is the complete file.
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

const KIT_PAGES: &str = "docs/how-to/clients";

/// Returns the pages with samples: `docs/how-to/ci.md` and those of the test kits.
fn pages() -> Vec<String> {
    let kits = files(KIT_PAGES).into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"));
    let kits = kits.map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
    ["docs/how-to/ci.md".to_owned()].into_iter().chain(kits).collect()
}

#[test]
fn the_pages_show_tested_files() {
    let mut shown = Vec::new();
    for page in pages() {
        let text = read(&page);
        let (wanted, names) = with_files(&text);
        if std::env::var_os("FRSIM_WRITE_SAMPLES").is_some() {
            fs::write(root().join(&page), &wanted).unwrap();
        } else {
            assert!(text == wanted, "{page} shows something else than {names:?}; see the head of this file");
        }
        shown.extend(names.into_iter().map(|name| root().join(name)));
    }
    for path in files("docs/ci").into_iter().chain(files(KIT_PAGES)) {
        let is_sample = path.extension().is_none_or(|end| end != "md") && !path.ends_with("requirements.txt");
        assert!(!is_sample || shown.contains(&path), "no page shows {}", path.display());
    }
}

/// `.ci/helpers` runs the commands of each page of a kit; they copy the page's sample and the kit's file.
#[test]
fn the_pages_of_the_kits_have_commands_for_an_empty_directory() {
    let pages: Vec<_> = pages().into_iter().filter(|page| page.starts_with(KIT_PAGES)).collect();
    assert_eq!(pages.len(), 6, "{pages:?}: five kits, and what they have in common");
    for page in pages.iter().filter(|page| !page.ends_with("/README.md")) {
        let text = read(page);
        let (_, behind) = text.split_once("<!-- played -->\n\n```sh\n").expect(page);
        let (commands, _) = behind.split_once("\n```\n").expect(page);
        let copied: Vec<_> =
            commands.split_whitespace().filter_map(|word| word.strip_prefix("../dukcapil-fr-sim/")).collect();
        assert!(copied.iter().any(|path| path.starts_with("clients/")), "{page}: {copied:?}");
        for path in &copied {
            assert!(
                root().join(path).exists() || !root().join("clients").exists(),
                "{page}: there is no {path}"
            );
        }
        for name in with_files(&text).1 {
            assert!(copied.contains(&name.as_str()), "{page} shows {name}, and its commands do not copy it");
        }
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
    assert!(
        helpers.contains("for page in docs/how-to/clients/*.md"),
        ".ci/helpers runs the pages of the kits"
    );
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

/// All kits have the same words, so that one page can describe them.
#[test]
fn every_kit_has_every_word_of_the_table() {
    if !root().join("clients").exists() {
        return;
    }
    let page = read(format!("{KIT_PAGES}/README.md"));
    let (_, table) = page.split_once("| of a customer |").unwrap();
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| `")?.split('`').next());
    let words: Vec<_> = rows.filter(|word| *word != "id").collect();
    assert!(words.len() > 10 && words.contains(&"enrol") && words.contains(&"state"), "{words:?}");
    for (kit, definition) in [
        ("python/dukcapil_fr_sim.py", r"def WORD\("),
        ("node/dukcapil-fr-sim.mjs", r"  (async )?WORD\("),
        ("java/DukcapilFrSim.java", r"public [\w<>, ]+ WORD\("),
        ("php/DukcapilFrSim.php", r"public function WORD\("),
        ("go/dukcapilfrsim.go", r"func \(c \*Customer\) (?i:WORD)\("),
    ] {
        let code = read(format!("clients/{kit}"));
        for word in &words {
            // pytest's fixture deletes the customer.
            if (kit.starts_with("python"), *word) == (true, "delete") {
                continue;
            }
            let is_defined = regex::Regex::new(&definition.replace("WORD", word)).unwrap().is_match(&code);
            assert!(is_defined, "clients/{kit} has no {word}");
        }
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
