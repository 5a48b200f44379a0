//! Rules about the source tree that the compiler does not check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dukcapil_fr_sim::internals::config::source;

#[path = "../../examples/draw_gallery/files.rs"]
mod files;
#[path = "../../examples/draw_gallery/portrait/mod.rs"]
mod portrait;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn sources(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(below)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The production code of a file: what stands before its tests.
pub fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()
}

pub fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_source_file_has_a_header() {
    for path in ["src", "tests", "examples", "benches"].iter().flat_map(|below| sources(below)) {
        assert!(fs::read_to_string(&path).unwrap().starts_with("//! "), "{}", path.display());
    }
}

/// The states that cannot be, and where each would show. A default in their place would answer with an empty text, and hide the mistake.
const IMPOSSIBLE: [(&str, &str); 8] = [
    ("base/json.rs", "the project's own types serialize"),
    ("conformance/answer.rs", "a fixed pattern compiles"),
    ("config/built_in.rs", "the built-in gallery has this picture"),
    ("domain/evidence/photo.rs", "the same text was decoded before, in the same mode"),
    ("domain/matcher/picture.rs", "a built-in picture decodes"),
    ("engine/decision.rs", "a failed finding has a code"),
    ("engine/evaluation.rs", "a fit photo has a digest"),
    ("engine/evaluation/compose.rs", "only documented codes are accepted as a rule's sample"),
];

#[test]
fn production_code_panics_only_in_states_that_cannot_be() {
    let reason = regex::Regex::new(r#"\.expect\(\s*"([^"]*)""#).unwrap();
    let mut found = BTreeSet::new();
    for path in sources("src").into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for forbidden in [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "unreachable!(", "dbg!("] {
            assert!(!code.contains(forbidden), "{forbidden} in {}", path.display());
        }
        let file = path.strip_prefix(root().join("src")).unwrap().display().to_string();
        let reasons = reason.captures_iter(code).map(|captures| captures[1].to_owned()).collect::<Vec<_>>();
        assert_eq!(reasons.len(), code.matches(".expect(").count(), "an expect without a reason in {file}");
        found.extend(reasons.into_iter().map(|reason| (file.clone(), reason)));
    }
    let listed = IMPOSSIBLE.map(|(file, reason)| (file.to_owned(), reason.to_owned()));
    assert_eq!(found, listed.into(), "what cannot be is said in this list");
}

#[test]
fn the_committed_pictures_are_up_to_date() {
    assert_eq!(files::FILES.len(), portrait::PORTRAITS);
    for (index, name) in files::FILES.iter().enumerate() {
        let drawn = files::encode(&portrait::draw(index), name).unwrap();
        let committed = fs::read(root().join("fixtures/gallery").join(name)).unwrap();
        assert!(drawn == committed, "{name} is not what the project draws");
    }
}

#[test]
fn only_few_files_write_to_the_terminal() {
    for path in sources("src") {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        // The nik commands stream a million lines through their own buffer, with a progress bar.
        let places = ["src/cli/terminal.rs", "src/cli/nik/output.rs", "src/cli/nik/progress.rs"];
        let is_the_place = places.iter().any(|place| path.ends_with(place));
        for forbidden in ["println!(", "print!(", "eprintln!(", "eprint!(", "io::stdout()", "io::stderr()"] {
            let may = is_the_place && forbidden.starts_with("io::");
            assert!(may || !code.contains(forbidden), "{forbidden} in {}", path.display());
        }
    }
}

/// Returns whether a text contains a private key in PEM: as in a file, with any line ends, or in a string literal of any language.
fn contains_private_key(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    text.split("-----BEGIN ").skip(1).any(|behind| {
        let Some((kind, behind)) = behind.split_once("-----") else { return false };
        let base64 = behind
            .replace("\\n", "")
            .replace("\\r", "")
            .chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '\\' | '"' | '\'' | ','))
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='))
            .take(32)
            .count();
        // Encrypted PKCS#1 has headers before its base64.
        kind.ends_with("PRIVATE KEY") && (base64 == 32 || behind.trim_start().starts_with("Proc-Type"))
    })
}

#[test]
fn every_form_of_a_private_key_is_detected() {
    let base64 = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"; 2];
    for kind in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "] {
        for line_end in ["\n", "\r\n", "\r", "\\n", "\\r\\n", "\\n\\\n    ", "\",\n  \""] {
            let pem = format!("x = \"-----BEGIN {kind}PRIVATE KEY-----{line_end}{}", base64.join(line_end));
            assert!(contains_private_key(pem.as_bytes()), "{pem}");
        }
    }
    let headed = format!("-----BEGIN RSA PRIVATE KEY{}\nProc-Type: 4,ENCRYPTED\n", "-----");
    assert!(contains_private_key(headed.as_bytes()));
    for harmless in [
        "-----BEGIN PUBLIC KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCMIIEvQ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----",
    ] {
        assert!(!contains_private_key(harmless.as_bytes()), "{harmless}");
    }
}

/// Returns the files below `path` that git tracks. Without git or a repository, as in the package, the test is skipped with a message;
/// in CI that is an error.
pub fn tracked_files(path: &str) -> Option<Vec<String>> {
    let listed =
        std::process::Command::new("git").args(["ls-files", "-z", path]).current_dir(root()).output();
    let Some(listed) = listed.ok().filter(|out| root().join(".git").exists() && out.status.success()) else {
        assert!(std::env::var_os("CI").is_none(), "CI needs git, and a checkout with .git");
        eprintln!("SKIPPED: no git, or no .git");
        return None;
    };
    let names = String::from_utf8(listed.stdout).unwrap();
    Some(names.split_terminator('\0').map(str::to_owned).collect())
}

#[test]
fn no_private_key_is_committed() {
    let Some(names) = tracked_files(".") else { return };
    assert!(names.iter().any(|name| name == "Cargo.toml"), "git lists the tree");
    for name in names {
        // A file may be deleted but still be listed.
        let text = fs::read(root().join(&name)).unwrap_or_default();
        assert!(!contains_private_key(&text), "{name} contains a private key");
    }
}

#[test]
fn the_built_in_fixtures_are_those_that_git_tracks() {
    let Some(tracked) = tracked_files("fixtures") else { return };
    let built_in: Vec<_> = source::built_in().into_keys().map(|name| format!("fixtures/{name}")).collect();
    assert_eq!(built_in, tracked, "src/config/built_in.rs lists the files of the repository's own fixtures");
}

/// `./fixtures` and `./keys` of the repository belong to its user, and may hold anything.
#[test]
fn tests_run_the_binary_outside_the_repository() {
    let runs_it = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(concat!("CARGO_BIN_", "EXE"));
    let found: BTreeSet<_> = sources("tests").into_iter().filter(runs_it).collect();
    let allowed = ["binary.rs", "nik_commands.rs"].map(|name| root().join("tests/it").join(name));
    assert_eq!(found, allowed.into(), "run it with binary::command, which leaves the repository");
}

/// The parts of a page in backticks, outside its blocks of code.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("    ")).flat_map(|line| line.split('`').skip(1).step_by(2))
}

#[test]
fn the_guides_name_tests_and_files_that_exist() {
    let code: String = ["src", "tests"]
        .iter()
        .flat_map(|below| sources(below))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let is_test = |span: &str| {
        span.matches('_').count() > 2
            && span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let is_path = |span: &str| span.contains('/') && [".rs", "/"].iter().any(|end| span.ends_with(end));
    let mut named = 0;
    for guide in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(guide);
        for span in code_spans(&text).filter(|span| is_test(span)) {
            assert!(code.contains(&format!("fn {span}(")), "{guide}: no test is named {span}");
            named += 1;
        }
        for path in code_spans(&text).filter(|span| is_path(span) && !span.contains(char::is_uppercase)) {
            let exists = ["", "src"].iter().any(|below| root().join(below).join(path).exists());
            assert!(exists, "{guide}: {path} does not exist");
            named += 1;
        }
    }
    assert!(named > 80, "only {named} names were found");
    assert!(read("ARCHITECTURE.md").lines().count() <= 150, "ARCHITECTURE.md is one page");
}
