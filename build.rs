//! Passes the commit to the compiler: from git in a checkout, from `.cargo_vcs_info.json` in a cargo package, else "unknown".

use std::fs;
use std::path::Path;
use std::process::Command;

/// The file with the commit that `cargo package` writes into a package.
const VCS_INFO: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let (hash, date) =
        from_package().or_else(from_git).unwrap_or_else(|| ("unknown".to_owned(), String::new()));
    let short = hash.get(..7).unwrap_or_default();
    println!("cargo:rustc-env=BUILT_FROM_COMMIT={hash}");
    println!("cargo:rustc-env=BUILT_FROM={}", format!("{short} {date}").trim());
}

/// Returns the commit of a package. Tried first: an unpacked package may be inside the checkout of another project.
fn from_package() -> Option<(String, String)> {
    let info = fs::read_to_string(VCS_INFO).ok()?;
    println!("cargo:rerun-if-changed={VCS_INFO}");
    let hash = info.split("\"sha1\": \"").nth(1)?.split('"').next()?;
    is_hash(hash).then(|| (hash.to_owned(), String::new()))
}

/// Returns the commit of a checkout and its date: the commit's own date, so that builds of a commit are the same on every day.
fn from_git() -> Option<(String, String)> {
    if !Path::new(".git").exists() {
        return None;
    }
    // Files that a commit, a checkout or a reset changes. A missing file would make cargo rerun this script on every build.
    for name in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", name])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    let shown = git(&["show", "--no-patch", "--no-show-signature", "--format=%H %cs", "HEAD"])?;
    let (hash, date) = shown.split_once(' ')?;
    is_hash(hash).then(|| (hash.to_owned(), date.to_owned()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn is_hash(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
