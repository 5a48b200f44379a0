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

/// A hidden argument would be in the scripts, but not in the manual.
#[test]
fn every_shell_is_offered_only_flags_that_the_manual_has() {
    let flag = regex::Regex::new(r#"--([a-z][a-z-]+)|(?:"|-s \w) -l ([a-z][a-z-]+)"#).unwrap();
    let flags = |text: &str| -> BTreeSet<String> {
        let names = flag.captures_iter(text).filter_map(|found| found.get(1).or(found.get(2)));
        names.map(|name| name.as_str().to_owned()).collect()
    };
    let command = regex::Regex::new(r"dukcapil-fr-sim-([a-z-]+)\(1\)").unwrap();
    let (mut known, mut pages) = (BTreeSet::new(), vec![String::new()]);
    while let Some(path) = pages.pop() {
        let arguments: Vec<_> = std::iter::once("man").chain(path.split_terminator('-')).collect();
        let page = stdout_of(&arguments).replace("\\-", "-");
        known.extend(flags(&page));
        let below = command.captures_iter(&page).map(|found| found[1].to_owned());
        pages.extend(below.filter(|name| name.len() > path.len() && !name.ends_with("help")));
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let offered = flags(&stdout_of(&["completions", shell]));
        assert!(offered.len() > 50, "{shell}: {offered:?}");
        let hidden: Vec<_> = offered.difference(&known).collect();
        assert!(hidden.is_empty(), "{shell} offers {hidden:?}");
    }
}

#[test]
fn bash_completes_commands_flags_and_values_also_behind_subcommands() {
    let script = stdout_of(&["completions", "bash"]);
    for (words, expected) in [
        ("heal", "healthcheck"),
        ("--pre", "--preset"),
        ("serve --pre", "--preset"),
        ("serve --log ", "text json"),
        ("call --cust", "--customer"),
        ("nik p", "parse"),
        ("nik parse --js", "--json"),
        ("record d", "diff"),
        ("record diff --rep", "--report"),
        ("conformance run --gr", "--group"),
        ("schema conf", "conformance-report"),
    ] {
        let asked = format!(
            r#"
            what=$(complete -p dukcapil-fr-sim | sed 's/.*-F \([^ ]*\).*/\1/')
            IFS=' ' read -ra COMP_WORDS <<< "dukcapil-fr-sim {words}"
            [[ "{words}" == *' ' ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            "$what" dukcapil-fr-sim "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
            echo "${{COMPREPLY[@]}}""#
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &format!("{script}\n{asked}")])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), expected, "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }
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
