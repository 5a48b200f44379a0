//! Pages in Markdown: their links lead somewhere, and what a console block shows is what its commands print.
//!
//! ```` ```console ```` blocks of `docs/tutorial` and `docs/how-to` are run in order, a page at a time, in an empty directory with a
//! simulator. `<!-- not run: REASON -->` before a block leaves it out. `...` at the end of a line or on one of its own stands for anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::binary::{Served, command};
use crate::openssl::are_installed;
use crate::tidy::{read, root, tracked_files};

/// Returns the Markdown pages of the repository.
fn pages() -> Vec<String> {
    let tracked = tracked_files(".").unwrap_or_default();
    tracked.into_iter().filter(|name| name.ends_with(".md") && root().join(name).exists()).collect()
}

/// Returns a page without its blocks of code.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let anchor = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    };
    prose(text).lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// A paragraph, an item or a row of an Indonesian page that leads to an English one has the mark (en), or says so.
#[test]
fn an_indonesian_page_says_which_pages_are_english() {
    let link = Regex::new(r"[^!]\[[^\]]*\]\(([^)#:\s]+\.md)[^)]*\)").unwrap();
    let is_indonesian = |page: &str| page.starts_with("docs/id/") || page == "README.id.md";
    let mut english = 0;
    for page in pages().into_iter().filter(|page| is_indonesian(page)) {
        let mut blocks = vec![String::new()];
        for line in prose(&read(&page)).lines() {
            if line.is_empty() || line.trim_start().starts_with(['|', '-']) {
                blocks.push(String::new());
            }
            blocks.last_mut().unwrap().extend([" ", line]);
        }
        let directory = root().join(&page).parent().unwrap().to_owned();
        for block in blocks {
            for found in link.captures_iter(&block) {
                let target = directory.join(&found[1]).canonicalize().unwrap();
                let target = target.strip_prefix(root().canonicalize().unwrap()).unwrap().to_owned();
                if !is_indonesian(target.to_str().unwrap()) {
                    english += 1;
                    let is_said = block.contains("(en)") || block.contains("bahasa Inggris");
                    assert!(is_said, "{page} does not say that {} is English: {block}", &found[1]);
                }
            }
        }
    }
    assert!(english > 30 || tracked_files(".").is_none(), "only {english} links");
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut checked = 0;
    for page in pages() {
        let text = read(&page);
        let directory = Path::new(&page).parent().unwrap_or(Path::new(""));
        for found in link.captures_iter(&prose(&text)) {
            let target = &found[1];
            if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { PathBuf::from(&page) } else { directory.join(file) };
            assert!(root().join(&path).exists(), "{page} links to {target}, which does not exist");
            let is_there = anchor.is_empty() || anchors(&read(path.to_str().unwrap())).contains(anchor);
            assert!(is_there, "{page} links to {target}, which has no such heading");
            checked += 1;
        }
    }
    // Without git there are no pages to check; `tracked_files` says so.
    assert!(checked > 150 || tracked_files(".").is_none(), "only {checked} links");
}

/// Runs the blocks of a page in order; the shell's variables last within a block.
fn run_blocks(page: &str) -> usize {
    let text = read(page);
    let directory = tempfile::tempdir().unwrap();
    let served = Served::plain(&["--seed", "0"]);
    let (endpoint, admin) = (served.value("endpoint"), served.value("admin"));
    let binary = command(&[]).get_program().to_owned();
    let tools = directory.path().join(".tools");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink(&binary, tools.join("dukcapil-fr-sim")).unwrap();
    std::os::unix::fs::symlink(crate::support::KEYS.path(), directory.path().join("keys")).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let mut count = 0;
    for part in text.split("```").collect::<Vec<_>>().chunks(2) {
        let [outside, block] = part else { break };
        let is_left_out = outside.trim_end().ends_with("-->") && outside.contains("<!-- not run: ");
        let Some(block) = block.strip_prefix("console\n").filter(|_| !is_left_out) else { continue };
        let mut steps: Vec<(String, String)> = Vec::new();
        for line in block.lines() {
            match (line.strip_prefix("$ "), line.strip_prefix("> "), steps.last_mut()) {
                (Some(shell), _, _) => steps.push((shell.to_owned(), String::new())),
                (None, Some(more), Some(last)) => last.0 += &format!("\n{more}"),
                (None, _, Some(last)) => last.1 += &format!("{line}\n"),
                (None, _, None) => panic!("{page}: a block begins without $: {line}"),
            }
        }
        for (shell, shown) in steps {
            let script =
                shell.replace("http://127.0.0.1:8080", &endpoint).replace("http://127.0.0.1:9090", &admin);
            let out = Command::new("sh")
                .args(["-uc", &script])
                .current_dir(directory.path())
                .env("PATH", &path)
                .env("FRSIM_URL", &endpoint)
                .env("FRSIM_ADMIN", &admin)
                .output()
                .unwrap();
            let printed = [out.stdout, out.stderr].concat();
            let printed = String::from_utf8_lossy(&printed)
                .replace(&*endpoint, "http://127.0.0.1:8080")
                .replace(&*admin, "http://127.0.0.1:9090");
            assert!(is_shown(&printed, &shown), "{page}: {shell}\nprints:\n{printed}\nand not:\n{shown}");
            count += 1;
        }
    }
    count
}

/// Returns whether the output is what is shown. Times, ids and numbers of a run differ.
fn is_shown(printed: &str, shown: &str) -> bool {
    let differing = [
        (r"\d+(\.\d+)? (ms|s|µs)\b", "TIME"),
        (r"#\d+", "#N"),
        (r"\d\d:\d\d:\d\d(\.\d+)?", "CLOCK"),
        (r"call-[0-9a-f]+", "ID"),
        (r" +", " "),
    ];
    let plain = |text: &str| {
        let text = differing.iter().fold(text.to_owned(), |text, (pattern, name)| {
            Regex::new(pattern).unwrap().replace_all(&text, *name).into_owned()
        });
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
    };
    let parts: Vec<_> = plain(shown).split("...").map(regex::escape).collect();
    Regex::new(&format!("(?s)^{}$", parts.join(".*"))).unwrap().is_match(&plain(printed))
}

#[test]
fn console_blocks_print_what_they_show() {
    if !are_installed(&["curl", "openssl", "base64"]) {
        return;
    }
    let folders = ["docs/tutorial/", "docs/how-to/", "docs/id/tutorial/", "docs/id/how-to/"];
    let pages = pages().into_iter().filter(|page| folders.iter().any(|folder| page.starts_with(folder)));
    let counts: Vec<_> = pages.map(|page| (run_blocks(&page), page)).collect();
    let run: usize = counts.iter().map(|(count, _)| count).sum();
    assert!(run > 20 || counts.is_empty(), "{counts:?}");
}
