//! Release artifacts besides the simulator: version, completions, manual, package, notices, container files.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use dukcapil_fr_sim::internals::version::{COMMIT, VERSION, WITH_COMMIT};

use crate::binary::command;
use crate::tidy::{read, root, tracked_files};

/// Returns the output of a successful command.
fn stdout_of(args: &[&str]) -> String {
    let output = command(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_version_names_the_commit_that_was_built() {
    assert_eq!(stdout_of(&["--version"]), format!("dukcapil-fr-sim {WITH_COMMIT}\n"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join(".git").exists() {
        // Not HEAD, because there may be newer commits than the build. .ci/run checks for HEAD.
        let git =
            Command::new("git").args(["show", "-s", "--format=%H %cs", COMMIT]).current_dir(root).output();
        let said = String::from_utf8(git.unwrap().stdout).unwrap();
        let (hash, day) = said.trim().split_once(' ').unwrap();
        assert_eq!(COMMIT, hash);
        assert_eq!(WITH_COMMIT, format!("{VERSION} ({} {day})", &hash[..7]));
    } else {
        // A package knows its commit, a plain copy does not.
        assert_eq!(COMMIT != "unknown", root.join(".cargo_vcs_info.json").exists());
    }
}

#[test]
fn completions_list_commands_and_flags_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout_of(&["completions", shell]);
        for word in ["healthcheck", "admin-listen", "generate"] {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
    let unknown = command(&["completions", "tcsh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn bash_accepts_its_completions() {
    let script = stdout_of(&["completions", "bash"]);
    let asked = r#"
        what=$(complete -p dukcapil-fr-sim | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=(dukcapil-fr-sim heal) COMP_CWORD=1
        "$what" dukcapil-fr-sim heal dukcapil-fr-sim
        echo "${COMPREPLY[@]}""#;
    let output = Command::new("bash")
        .args(["--norc", "-c", &format!("{script}\n{asked}")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "healthcheck", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let whole = stdout_of(&["man"]);
    assert!(
        whole.contains(".TH dukcapil-fr-sim 1")
            && whole.contains("FRSIM_ADMIN_TOKEN")
            && whole.contains(VERSION),
        "{whole}"
    );
    let help = stdout_of(&["--help"]);
    let commands: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim().split(' ').next())
        .collect();
    assert!(commands.contains(&"serve") && commands.contains(&"nik"), "{commands:?}");
    for name in commands.into_iter().filter(|name| *name != "help") {
        assert!(whole.contains(&format!("dukcapil\\-fr\\-sim\\-{name}(1)")), "{name} is not in the manual");
        let page = stdout_of(&["man", name]);
        assert!(page.contains(&format!(".TH dukcapil-fr-sim-{name} 1")), "{name}: {page}");
    }
    assert!(stdout_of(&["man", "nik", "parse"]).contains(".TH dukcapil-fr-sim-nik-parse 1"));
    let unknown = command(&["man", "healtcheck"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("unknown command healtcheck"));
}

/// `.ci/release_notes` takes the section of the version that is tagged.
#[test]
fn the_changelog_tells_this_version_and_the_page_of_examples_names_all() {
    let changelog = read("CHANGELOG.md");
    let mut sections = changelog.lines().filter_map(|line| line.strip_prefix("## ")?.split(' ').next());
    assert!(sections.any(|section| section == VERSION), "CHANGELOG.md has no section ## {VERSION}");
    // The package contains no examples.
    let Some(tracked) = tracked_files("examples").filter(|_| root().join("examples").exists()) else {
        return;
    };
    let page = read("examples/README.md");
    let named: BTreeSet<_> = tracked
        .iter()
        .filter_map(|path| path.split('/').nth(1))
        .filter(|name| *name != "README.md")
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        assert!(page.contains(&format!("[{name}](")), "examples/README.md does not name {name}");
    }
}

/// Each relative link leads to a file.
#[test]
fn links_between_the_pages_lead_to_files() {
    let pages = tracked_files(".").unwrap_or_default().into_iter().filter(|path| path.ends_with(".md"));
    let link = regex::Regex::new(r"\]\(([^)#:\s]+)(#[^)]*)?\)").unwrap();
    let mut checked = 0;
    for page in pages.filter(|page| !page.starts_with("tests/")) {
        let text = read(&page);
        for target in link.captures_iter(&text).map(|found| found[1].to_owned()) {
            let path = root().join(&page).parent().unwrap().join(&target);
            assert!(path.exists(), "{page} links to {target}, which does not exist");
            checked += 1;
        }
    }
    assert!(checked == 0 || checked > 60, "only {checked} links were found");
}

#[test]
fn the_notices_list_the_dependencies_of_the_binary() {
    let notices = stdout_of(&["notices"]);
    assert!(
        notices.contains("github.com/cahyadsn/wilayah")
            && notices.contains("GNU LESSER GENERAL PUBLIC LICENSE")
    );
    let manifest = include_str!("../../Cargo.toml");
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> = dependencies.lines().filter_map(|line| Some(line.split_once(" =")?.0)).collect();
    assert!(names.contains(&"rsa") && names.contains(&"actix-web"), "{names:?}");
    for name in names {
        assert!(notices.contains(&format!("\n| {name} | ")), "no notice of {name}");
    }
}
