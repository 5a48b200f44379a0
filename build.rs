//! Tells the compiler which commit is built: from git in a checkout, from cargo's own note in a package, else "unknown".

use std::fs;
use std::path::Path;
use std::process::Command;

/// What `cargo package` leaves in a package.
const NOTE: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let (hash, day) = noted().or_else(checked_out).unwrap_or_else(|| ("unknown".to_owned(), String::new()));
    let short = hash.get(..7).unwrap_or_default();
    println!("cargo:rustc-env=BUILT_FROM_COMMIT={hash}");
    println!("cargo:rustc-env=BUILT_FROM={}", format!("{short} {day}").trim());
}

/// The commit of a package. It is asked first: an unpacked package may lie within the checkout of something else.
fn noted() -> Option<(String, String)> {
    let note = fs::read_to_string(NOTE).ok()?;
    println!("cargo:rerun-if-changed={NOTE}");
    let hash = note.split("\"sha1\": \"").nth(1)?.split('"').next()?;
    is_hash(hash).then(|| (hash.to_owned(), String::new()))
}

/// The commit of a checkout, and its day. The day is the commit's own, so that the same commit gives the same binary on every day.
fn checked_out() -> Option<(String, String)> {
    if !Path::new(".git").exists() {
        return None;
    }
    // What a commit, a checkout or a reset touches. A file that is missing would make cargo run this at every build.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let shown = git(&["show", "--no-patch", "--no-show-signature", "--format=%H %cs", "HEAD"])?;
    let (hash, day) = shown.split_once(' ')?;
    is_hash(hash).then(|| (hash.to_owned(), day.to_owned()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

fn is_hash(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
