//! Tables of the reference as Markdown in two languages, and the blocks between marks that hold them.

use std::collections::BTreeMap;

/// Texts by table and name.
pub type Texts = BTreeMap<String, BTreeMap<String, String>>;

/// A cell of a table.
pub enum Cell {
    /// The same in all languages.
    Plain(String),
    /// A sentence: its key in the texts, and the code's own English. `None`: the English is in `docs/texts.toml`.
    Said(String, Option<String>),
}

impl Cell {
    pub fn code(text: impl std::fmt::Display) -> Cell {
        Cell::Plain(backticks(&text.to_string()))
    }
}

/// Returns a text as code; nothing for an empty one.
pub fn backticks(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

pub fn plain(text: impl std::fmt::Display) -> Cell {
    Cell::Plain(text.to_string())
}

/// A sentence of which the code has the English text.
pub fn said(key: impl Into<String>, english: impl Into<String>) -> Cell {
    Cell::Said(key.into(), Some(english.into()))
}

/// A table of a block, below a heading if it has one.
pub struct Table {
    pub heading: Option<String>,
    pub head: &'static [&'static str],
    pub rows: Vec<Vec<Cell>>,
}

/// What stands between `<!-- generated: NAME -->` and `<!-- end -->`.
pub struct Block {
    pub name: &'static str,
    pub tables: Vec<Table>,
}

impl Block {
    pub fn new(name: &'static str, head: &'static [&'static str], rows: Vec<Vec<Cell>>) -> Block {
        Block { name, tables: vec![Table { heading: None, head, rows }] }
    }

    /// Returns the keys of the block's sentences, with the code's own English.
    pub fn sentences(&self) -> impl Iterator<Item = (&String, &Option<String>)> {
        let cells = self.tables.iter().flat_map(|table| table.rows.iter().flatten());
        cells.filter_map(|cell| match cell {
            Cell::Said(key, english) => Some((key, english)),
            Cell::Plain(_) => None,
        })
    }

    /// Returns the block in Markdown. `word` translates a column's name, `sentence` what is said.
    fn markdown(
        &self,
        word: &dyn Fn(&str) -> String,
        sentence: &dyn Fn(&str, Option<&str>) -> String,
    ) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let table = |table: &Table| {
            let heading = table.heading.as_ref().map_or_else(String::new, |text| format!("## {text}\n\n"));
            let head = line(table.head.iter().map(|name| word(name)).collect());
            let rule = line(vec!["---".to_owned(); table.head.len()]);
            let cell = |cell: &Cell| match cell {
                Cell::Plain(text) => text.clone(),
                Cell::Said(key, english) => sentence(key, english.as_deref()),
            };
            // A line break or a pipe would end the cell.
            let plain = |text: String| text.replace('\n', " ").replace('|', "\\|");
            let rows = table.rows.iter().map(|row| line(row.iter().map(|one| plain(cell(one))).collect()));
            format!("{heading}{head}{rule}{}", rows.collect::<String>())
        };
        self.tables.iter().map(table).collect::<Vec<_>>().join("\n")
    }

    /// Returns the block in a language: English, whose texts complete the code's, or another, whose texts replace them.
    pub fn in_language(&self, texts: &Texts, is_english: bool) -> String {
        let find = |table: &str, key: &str| texts.get(table).and_then(|texts| texts.get(key)).cloned();
        let missing = |key: &str| format!("MISSING {}.{key}", self.name);
        let word = |name: &str| {
            if is_english { name.to_owned() } else { find("head", name).unwrap_or_else(|| missing(name)) }
        };
        let sentence = |key: &str, english: Option<&str>| {
            let own = english.filter(|_| is_english).map(str::to_owned);
            own.or_else(|| find(self.name, key)).unwrap_or_else(|| missing(key))
        };
        self.markdown(&word, &sentence)
    }
}

const MARK: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// Returns a page with its blocks made anew by `block`, and the names of its blocks.
pub fn with_blocks(page: &str, block: &dyn Fn(&str) -> String) -> (String, Vec<String>) {
    let (mut made, mut names, mut rest) = (String::new(), Vec::new(), page);
    while let Some((before, behind)) = rest.split_once(MARK) {
        let (name, behind) = behind.split_once(" -->\n").expect("a name in the mark");
        let (_, behind) = behind.split_once(END).unwrap_or_else(|| panic!("{name} has no {END}"));
        made += &format!("{before}{MARK}{name} -->\n\n{}\n{END}", block(name));
        names.push(name.to_owned());
        rest = behind;
    }
    (made + rest, names)
}
