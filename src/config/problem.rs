//! What is wrong with a fixture: file, line, column, and what was meant.

use std::fmt;
use std::ops::Range;

use crate::base::suggestion;

/// One problem in the fixtures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as the user would name it.
    pub file: String,
    /// Line and column from 1, columns in characters; `None` for a problem of the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What was meant, or what to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a file as a whole.
    #[must_use]
    pub fn of_file(file: &str, message: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), place: None, message: message.into(), hint: None }
    }

    /// A problem at the value behind a path of keys, such as `["access", "allow"]`.
    #[must_use]
    pub fn at(file: &str, text: &str, path: &[impl AsRef<str>], message: impl Into<String>) -> Problem {
        let place = locate(text, path).map(|span| line_and_column(text, span.start));
        Problem { place, ..Problem::of_file(file, message) }
    }

    /// A problem at a byte of the file.
    #[must_use]
    pub fn at_offset(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Problem {
        Problem { place: Some(line_and_column(text, offset)), ..Problem::of_file(file, message) }
    }

    /// What the TOML parser says.
    #[must_use]
    pub fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Problem {
        let message = error.message().replace('\n', ", ");
        Problem {
            place: error.span().map(|span| line_and_column(text, span.start)),
            hint: suggestion::hint(&message),
            ..Problem::of_file(file, shortened(&message))
        }
    }

    /// Several problems, a line each.
    #[must_use]
    pub fn list(problems: &[Problem]) -> String {
        problems.iter().map(|problem| format!("\n  {problem}")).collect()
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

/// Without serde's list of names where the hint has it.
pub(super) fn shortened(message: &str) -> String {
    match message.split_once(", expected") {
        Some((head, _)) if head.starts_with("unknown field") => {
            head.replacen("unknown field", "unknown key", 1)
        }
        _ => message.to_owned(),
    }
}

/// Line and column of a byte offset, from 1.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Where the value behind a path of keys and indices stands; as far as the path exists.
pub(super) fn locate(text: &str, path: &[impl AsRef<str>]) -> Option<Range<usize>> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let mut value = document.get_ref().get(first.as_ref())?;
    for key in rest {
        let next = match value.get_ref() {
            toml::de::DeValue::Table(table) => table.get(key.as_ref()),
            toml::de::DeValue::Array(array) => {
                key.as_ref().parse::<usize>().ok().and_then(|index| array.get(index))
            }
            _ => None,
        };
        let Some(next) = next else { break };
        value = next;
    }
    Some(value.span())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// A path of keys to what is wrong in a customer, and what it is.
pub type FieldError = (Vec<String>, String);

pub(super) fn wrong(path: &[&str], message: impl Into<String>) -> FieldError {
    (path.iter().map(ToString::to_string).collect(), message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        assert_eq!(line_and_column("a\nbé\nc", 0), (1, 1));
        assert_eq!(line_and_column("a\nbéd\nc", 5), (2, 3));
        assert_eq!(line_and_column("a\n", 99), (2, 1));
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        let text = "customer_id = \"x\"\n[access]\nallow = [\"10.0.0.0/8\"]\n";
        let problem = Problem::at("f.toml", text, &["access", "allow"], "bad").hint("do");
        assert_eq!(problem.to_string(), "f.toml:3:9: bad (do)");
        assert_eq!(Problem::at("f.toml", text, &["quota"], "bad").to_string(), "f.toml: bad");
    }
}
