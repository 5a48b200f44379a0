//! The reference: the tables of `docs/reference` and `docs/id/reference` come from the code. `UPDATE_DOCS=1` writes them anew.
//!
//! What the code does not say itself is in `docs/texts.toml` in English, and all of it in `docs/id/texts.toml` in Indonesian.

mod command_line;
mod page;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use dukcapil_fr_sim::internals::domain::faults::{Fault, FaultSpec};
use dukcapil_fr_sim::internals::domain::http_answer::{HeadStyle, HttpAnswer};
use dukcapil_fr_sim::internals::domain::warnings::WARNINGS;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::tidy::{code_of, read, root, sources};
use page::{Block, Texts, with_blocks};

const HOW: &str = "UPDATE_DOCS=1 cargo test --test it reference::";

/// The folders of pages, and where the texts of each language are.
const LANGUAGES: [(&str, &str); 2] =
    [("docs/reference", "docs/texts.toml"), ("docs/id/reference", "docs/id/texts.toml")];

fn texts(name: &str) -> Texts {
    toml::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn assert_written(name: &str, made: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return fs::write(root().join(name), made).expect("a file");
    }
    assert!(fs::read_to_string(root().join(name)).unwrap_or_default() == made, "{name} is old: {HOW}");
}

#[test]
fn the_reference_has_what_the_code_has() {
    let blocks: Vec<Block> = tables::blocks();
    for (folder, file) in LANGUAGES {
        let texts = texts(file);
        let mut shown = Vec::new();
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = format!("{folder}/{}", entry.expect("an entry").file_name().to_string_lossy());
            if !name.ends_with(".md") {
                continue;
            }
            let block = |name: &str| {
                let block = blocks.iter().find(|block| block.name == name);
                block
                    .unwrap_or_else(|| panic!("no table {name}"))
                    .in_language(&texts, folder == "docs/reference")
            };
            let (made, names) = with_blocks(&read(&name), &block);
            shown.extend(names);
            assert_written(&name, &made);
        }
        shown.sort_unstable();
        let mut known: Vec<_> = blocks.iter().map(|block| block.name).collect();
        known.sort_unstable();
        assert_eq!(shown, known, "{folder} has each table once");
    }
    assert_written("docs/reference/openapi.json", &format!("{:#}\n", tables::api()));
}

#[test]
fn each_sentence_has_its_text_in_each_language_and_no_text_is_left_over() {
    let blocks = tables::blocks();
    let key = |table: &str, name: &str| format!("[{table}] {name}");
    for (folder, file) in LANGUAGES {
        let is_english = folder == "docs/reference";
        let mut wanted: BTreeMap<String, String> = BTreeMap::new();
        for block in &blocks {
            for (name, english) in block.sentences().filter(|(_, english)| !is_english || english.is_none()) {
                wanted.insert(key(block.name, name), english.clone().unwrap_or_default());
            }
            let words = block.tables.iter().flat_map(|table| table.head).filter(|_| !is_english);
            wanted.extend(words.map(|word| (key("head", word), String::new())));
        }
        let given: BTreeSet<_> = texts(file)
            .iter()
            .flat_map(|(table, texts)| texts.keys().map(move |name| key(table, name)))
            .collect();
        let missing: Vec<_> = wanted.iter().filter(|(key, _)| !given.contains(*key)).collect();
        let left_over: Vec<_> = given.iter().filter(|name| !wanted.contains_key(*name)).collect();
        assert!(
            missing.is_empty() && left_over.is_empty(),
            "{file} lacks {missing:#?} and has unused {left_over:#?}"
        );
    }
}

#[test]
fn the_defaults_of_faults_are_those_of_the_table() {
    let answer = HttpAnswer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: vec![b'x'; 1000],
        style: HeadStyle::Plain,
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let planned = |toml: &str| {
        let spec: FaultSpec = toml::from_str(toml).expect(toml);
        let fault = Fault::new(&spec).expect(toml);
        format!("{:?} {:?}", fault.upload(), fault.plan(&answer, &mut ChaCha8Rng::seed_from_u64(1)))
    };
    for (kind, parameter, default) in &tables::DEFAULTS {
        let bare = format!("kind = '{kind}'\n");
        assert_eq!(planned(&bare), planned(&format!("{bare}{parameter} = {default}")), "{kind}");
    }
}

#[test]
fn every_warning_is_in_the_table() {
    let name = regex::Regex::new(r#"(?:warning\(|Warning \{ name:)\s*"(\w+)""#).expect("a pattern");
    let code: String = sources("src").iter().map(|path| code_of(path)).collect();
    let found: BTreeSet<_> = name.captures_iter(&code).map(|found| found[1].to_owned()).collect();
    let listed: BTreeSet<_> = WARNINGS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}
