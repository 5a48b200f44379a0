//! The layers of `ARCHITECTURE.md`, read from the imports themselves: arrows point down only, no file is part of a circle, one type name
//! has one meaning, and locks are taken only where the architecture says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use crate::tidy::{code_of, root, sources};

/// From the bottom up. A layer imports from those before it and from itself.
const LAYERS: [&str; 11] = [
    "base",
    "protocol",
    "keys",
    "domain",
    "config",
    "state",
    "engine",
    "http",
    "simulator",
    "conformance",
    "cli",
];

/// Files beside the layers.
const LOOSE: [&str; 4] = ["internals.rs", "lib.rs", "main.rs", "version.rs"];

/// A path below the crate's root, such as `["domain", "checks", "Finding"]`.
type Names = Vec<String>;

/// Every module with its production code, without comments.
static MODULES: LazyLock<BTreeMap<Names, String>> = LazyLock::new(|| {
    let only_tests = |path: &Path| path.ends_with("tests.rs") || path.ends_with("simulation.rs");
    let files = sources("src").into_iter().filter(|path| !only_tests(path));
    files
        .map(|path| {
            let code = code_of(&path);
            let code = code.lines().map(|line| line.split("//").next().unwrap_or_default());
            let below = path.strip_prefix(root().join("src")).unwrap().with_extension("");
            let mut names: Names = below.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
            names.pop_if(|last| last == "mod");
            (names, code.collect::<Vec<_>>().join("\n"))
        })
        .collect()
});

/// What `pub use` publishes under another path, and where it is defined.
static RE_EXPORTS: LazyLock<BTreeMap<Names, Names>> = LazyLock::new(|| {
    let published = |(module, code): (&Names, &String)| {
        let leaves = use_statements(code).into_iter().filter(|(is_public, _)| *is_public);
        let paths = leaves.filter_map(|(_, path)| absolute(&path, module, code)).collect::<Vec<_>>();
        paths
            .into_iter()
            .map(|path| ([&module[..], &path[path.len() - 1..]].concat(), path))
            .collect::<Vec<_>>()
    };
    MODULES.iter().flat_map(published).collect()
});

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// The paths that the `use` statements name, one a leaf, and whether the statement is `pub`.
fn use_statements(code: &str) -> Vec<(bool, Names)> {
    let statement = regex(r"(?m)^\s*(pub(?:\([^)]*\))? )?use ([^;{]+)(?:\{([^;{}]*)\})?;");
    let expected = regex(r"(?m)^\s*(pub(?:\([^)]*\))? )?use ").find_iter(code).count();
    assert_eq!(statement.find_iter(code).count(), expected, "an import with a tree in a tree: write two");
    let leaves = |captures: regex::Captures| {
        let is_public = captures.get(1).is_some();
        let leaves = captures.get(3).map_or("", |list| list.as_str()).split(',').map(str::trim);
        let leaves: Vec<String> = leaves
            .filter(|leaf| !leaf.is_empty() || captures.get(3).is_none())
            .map(|leaf| format!("{}{}", &captures[2], leaf.trim_start_matches("self")))
            .collect();
        leaves.into_iter().map(move |path| (is_public, names(&path))).collect::<Vec<_>>()
    };
    statement.captures_iter(code).flat_map(leaves).collect()
}

fn names(path: &str) -> Names {
    let path = path.split(" as ").next().unwrap_or_default();
    path.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// A path seen from the crate's root; `None` when it is another crate's.
fn absolute(path: &[String], module: &[String], code: &str) -> Option<Names> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" if rest.first().is_some_and(|next| next == "super") => {
            absolute(rest, &module[..module.len() - 1], code)
        }
        "super" => Some([&module[..module.len() - 1], rest].concat()),
        child => code.contains(&format!("mod {child};")).then(|| [module, path].concat()),
    }
}

/// The module in which something is defined, through all re-exports.
fn defined_in(path: &[String]) -> Option<Names> {
    (1..=path.len()).rev().find_map(|length| {
        let (stem, rest) = path.split_at(length);
        if MODULES.contains_key(stem) {
            return Some(stem.to_vec());
        }
        RE_EXPORTS.get(stem).and_then(|origin| defined_in(&[origin, rest].concat()))
    })
}

/// The modules that each module imports from, by `use` or by a path within its code.
static IMPORTS: LazyLock<BTreeMap<Names, BTreeSet<Names>>> = LazyLock::new(|| {
    let (statement, inline) =
        (regex(r"(?m)^\s*(pub(\([^)]*\))? )?use [^;]+;"), regex(r"\b(crate|super)(::\w+)+"));
    let imports = |(module, code): (&Names, &String)| {
        let used = use_statements(code).into_iter().filter(|(is_public, _)| !is_public).map(|(_, path)| path);
        let rest = statement.replace_all(code, "");
        let inline = inline.find_iter(&rest).map(|path| names(path.as_str())).collect::<Vec<_>>();
        let paths = used.chain(inline).filter_map(|path| absolute(&path, module, code));
        let found = paths.filter_map(|path| defined_in(&path)).filter(|other| other != module);
        (module.clone(), found.collect())
    };
    MODULES.iter().map(imports).collect()
});

#[test]
fn every_file_belongs_to_a_layer() {
    let listed = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap());
    let (folders, files): (Vec<_>, Vec<_>) = listed.partition(|entry| entry.path().is_dir());
    let names = |entries: Vec<fs::DirEntry>| {
        entries.iter().map(|entry| entry.file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(files), LOOSE.map(str::to_owned).into());
    assert_eq!(names(folders), LAYERS.map(str::to_owned).into());
}

#[test]
fn imports_point_down_only() {
    let height =
        |module: &Names| LAYERS.iter().position(|layer| module.first().is_some_and(|first| first == layer));
    let mut edges = 0;
    for (module, imported) in IMPORTS.iter().filter(|(module, _)| height(module).is_some()) {
        for other in imported.iter().filter(|other| height(other).is_some()) {
            assert!(height(other) <= height(module), "{} imports {}", module.join("/"), other.join("/"));
            edges += 1;
        }
    }
    assert!(edges > 500, "only {edges} imports were found");
}

#[test]
fn no_file_is_part_of_a_circle_of_imports() {
    // Files that import nothing that is left are taken away until none is; what stays is in a circle or above one.
    let mut left = IMPORTS.clone();
    loop {
        let leaves: Vec<_> = left
            .iter()
            .filter(|(_, imported)| !imported.iter().any(|other| left.contains_key(other)))
            .map(|(module, _)| module.clone())
            .collect();
        if leaves.is_empty() {
            break;
        }
        leaves.iter().for_each(|module| drop(left.remove(module)));
    }
    left.values_mut().for_each(|imported| imported.retain(|other| IMPORTS.contains_key(other)));
    assert!(
        left.is_empty(),
        "a circle is among {:?}",
        left.keys().map(|module| module.join("/")).collect::<Vec<_>>()
    );
}

#[test]
fn one_type_name_has_one_meaning() {
    let definition =
        regex(r"(?m)^\s*(?:pub(?:\([\w: ]+\))? )?(?:struct|enum|trait|union|type) (\w+)\b[^=;]*?[{(;=<]");
    let associated = regex(r"(?m)^ +type \w+ = ");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, code) in MODULES.iter() {
        for captures in definition.captures_iter(&associated.replace_all(code, "")) {
            found.entry(captures[1].to_owned()).or_default().insert(module.join("/"));
        }
    }
    assert!(found.len() > 300, "only {} types were found", found.len());
    found.retain(|_, modules| modules.len() > 1);
    assert!(found.is_empty(), "names of more than one type: {found:?}");
}

/// Locks outside `state`, where everything that requests share is, and why each is where it is.
const LOCKS_BESIDE_STATE: [(&str, &str); 8] = [
    ("cli/console", "what the summary at the end counts"),
    ("cli/log", "the queue of log lines between the threads and the one that writes"),
    ("config/built_rules", "rules that customers share, by their list"),
    ("engine/reload", "one reload at a time"),
    ("http/data/connection_limit", "how many connections there are"),
    ("http/state", "how many calls may wait, and how many may read events"),
    ("keys/ring", "keys that customers name, read once"),
    ("simulator/builder/start", "creates those of http/state"),
];

#[test]
fn locks_are_taken_in_state_and_in_few_places_beside_it() {
    let lock = regex(r"\b(Mutex|RwLock|ArcSwap|Semaphore)\b");
    let found = MODULES.iter().filter(|(_, code)| lock.is_match(code)).map(|(module, _)| module.join("/"));
    let found: BTreeSet<_> = found.filter(|module| !module.starts_with("state/")).collect();
    let known: BTreeSet<_> = LOCKS_BESIDE_STATE.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(found, known, "what a lock elsewhere is for is said in this list");
}
