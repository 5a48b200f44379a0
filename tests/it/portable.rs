//! The source builds on other systems than the one that the tests run on: what only Unix or only Linux has is behind a `cfg`.
//!
//! There is no other system here to build for, so this reads the source. A line with a name that only Unix has is allowed where the file opens
//! with a `#![cfg(...)]`, where the file's `mod` has a `#[cfg(...)]`, or where the line, or a block around it, has one.

use std::fs;
use std::path::Path;

use crate::tidy::{root, sources};

/// What only Unix has, of the standard library and of crates; split, so that this list is not found.
const UNIX_ONLY: [&[&str]; 10] = [
    &["std::os::", "unix"],
    &["std::os::", "fd"],
    &["std::os::", "linux"],
    &["signal::", "unix"],
    &["rustix", "::"],
    &["libc", "::"],
    &["rlimit::", "Resource"],
    &["rlimit::", "setrlimit"],
    &["Unix", "Stream"],
    &["nix", "::"],
];

/// Returns whether a line is an attribute that holds only on Unix, or only on one of its systems.
fn is_guard(line: &str) -> bool {
    let line = line.trim_start();
    let is_cfg = line.starts_with("#[cfg(") || line.starts_with("#![cfg(");
    is_cfg && !line.contains("not(") && (line.contains("unix") || line.contains("target_os"))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Returns whether the attributes and comments above a line have a guard.
fn is_guarded_above(lines: &[&str], index: usize) -> bool {
    let above = lines[..index].iter().rev();
    let mut attached = above.take_while(|line| line.trim_start().starts_with(['#', '/']));
    attached.any(|line| is_guard(line))
}

/// Returns the numbers of lines, from 1, that name what only Unix has and that nothing guards.
fn unguarded(text: &str) -> Vec<usize> {
    let lines: Vec<_> = text.lines().collect();
    let head = lines.iter().take_while(|line| line.is_empty() || line.starts_with(['/', '#']));
    if head.into_iter().any(|line| line.starts_with("#![") && is_guard(line)) {
        return Vec::new();
    }
    let names_unix = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        UNIX_ONLY.iter().any(|name| {
            code.match_indices(&name.concat())
                .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    let is_unguarded = |&index: &usize| {
        let mut around = indent(lines[index]) + 1;
        // The line itself, then each line that opens a block around it.
        !(0..=index).rev().any(|above| {
            let line = lines[above];
            if line.trim().is_empty() || indent(line) >= around {
                return false;
            }
            around = indent(line);
            is_guarded_above(&lines, above)
        })
    };
    (0..lines.len())
        .filter(|&index| names_unix(lines[index]))
        .filter(is_unguarded)
        .map(|index| index + 1)
        .collect()
}

/// Returns whether the file's `mod`, in its parent, has a guard.
fn is_declared_with_a_guard(path: &Path) -> bool {
    let module = if path.ends_with("mod.rs") { path.parent().unwrap() } else { path };
    let name = module.file_stem().unwrap().to_str().unwrap();
    let directory = module.parent().unwrap();
    let parents = ["mod.rs", "lib.rs", "main.rs"].map(|name| directory.join(name));
    parents
        .into_iter()
        .chain([directory.with_extension("rs")])
        .filter_map(|parent| fs::read_to_string(parent).ok())
        .any(|text| {
            let lines: Vec<_> = text.lines().collect();
            let declared = (0..lines.len()).find(|&index| {
                lines[index].trim_start_matches("pub ").trim_start_matches("pub(crate) ")
                    == format!("mod {name};")
            });
            declared.is_some_and(|index| is_guarded_above(&lines, index))
        })
}

#[test]
fn what_only_unix_has_is_behind_a_cfg() {
    let mut found = 0;
    // Benches, examples and fuzz targets are this project's own tools, for Linux: they read /proc.
    let files = sources("src").into_iter().chain(sources("tests")).chain([root().join("build.rs")]);
    for path in files.filter(|path| path.exists()) {
        let text = fs::read_to_string(&path).unwrap();
        found += usize::from(UNIX_ONLY.iter().any(|name| text.contains(&name.concat())));
        let lines = unguarded(&text);
        assert!(
            lines.is_empty() || is_declared_with_a_guard(&path),
            "{}:{lines:?} has no #[cfg(unix)] or the like",
            path.display()
        );
    }
    assert!(found > 10, "only {found} files were found");
}

#[test]
fn a_guard_is_found_and_a_missing_one_too() {
    let call = format!("{}{}", "libc", "::getpid()");
    for (text, expected) in [
        (format!("fn a() {{\n    {call}\n}}\n"), vec![2]),
        (format!("#[cfg(unix)]\nfn a() {{\n    {call}\n}}\n"), vec![]),
        (
            format!(
                "#[cfg(unix)]\n/// Words.\n#[must_use]\nfn a() {{\n    if b {{\n        {call}\n    }}\n}}\n"
            ),
            vec![],
        ),
        (format!("fn a() {{\n    #[cfg(target_os = \"linux\")]\n    {call};\n    {call};\n}}\n"), vec![4]),
        (format!("#[cfg(not(unix))]\nfn a() {{\n    {call}\n}}\n"), vec![3]),
        (format!("#[cfg(test)]\nfn a() {{\n    {call}\n}}\n"), vec![3]),
        (format!("#[cfg(unix)]\nfn a() {{}}\n\nfn b() {{\n    {call}\n}}\n"), vec![5]),
        (format!("//! Words.\n\n#![cfg(unix)]\n\nfn b() {{\n    {call}\n}}\n"), vec![]),
        (format!("// {call}\nfn my{call} {{}}\n"), vec![]),
    ] {
        assert_eq!(unguarded(&text), expected, "{text}");
    }
}
