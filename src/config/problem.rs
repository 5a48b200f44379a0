//! Errors in fixture files: file, line, column, message and hint.

use std::fmt;

use toml::de::{DeTable, DeValue};

use crate::base::reading::{Misread, Mistake};

/// One error in the fixtures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, as shown to the user.
    pub file: String,
    /// Line and column from 1, columns in characters; `None` for an error of the whole file.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

impl Problem {
    /// Creates an error of a whole file.
    #[must_use]
    pub fn of_file(file: &str, message: impl Into<String>) -> Problem {
        Problem { file: file.to_owned(), position: None, message: message.into(), hint: None }
    }

    /// Creates an error at the value that a path of keys leads to, such as `["access", "allow"]`.
    #[must_use]
    pub fn at(file: &str, text: &str, path: &[impl AsRef<str>], message: impl Into<String>) -> Problem {
        Problem { position: position(text, path, false), ..Problem::of_file(file, message) }
    }

    /// Creates an error from one of the TOML parser.
    #[must_use]
    pub(super) fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Problem {
        let position = error.span().map(|span| line_and_column(text, span.start));
        Problem { position, ..Problem::of_file(file, error.message().replace('\n', ", ")) }
    }

    /// Creates an error from a value that cannot be read.
    #[must_use]
    pub(super) fn of_misread(file: &str, text: &str, misread: Misread) -> Problem {
        let Misread { path, message, hint, mistake } = misread;
        Problem {
            position: position(text, &path, mistake == Mistake::Key),
            hint,
            ..Problem::of_file(file, message)
        }
    }

    /// Formats several errors, one per line.
    #[must_use]
    pub fn list(problems: &[Problem]) -> String {
        problems.iter().map(|problem| format!("\n  {problem}")).collect()
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

/// Returns line and column of a byte offset, from 1.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Returns line and column of the value that a path of keys and indices leads to, or of its deepest existing ancestor; with `of_key`
/// those of its key.
fn position(text: &str, path: &[impl AsRef<str>], of_key: bool) -> Option<(usize, usize)> {
    let document = DeTable::parse(text).ok()?.into_inner();
    let mut value = &DeValue::Table(document);
    let mut span = None;
    for (index, key) in path.iter().map(AsRef::as_ref).enumerate() {
        let next = match value {
            DeValue::Table(table) => table.get_key_value(key).map(|(name, value)| (Some(name.span()), value)),
            DeValue::Array(array) => {
                key.parse::<usize>().ok().and_then(|index| array.get(index)).map(|value| (None, value))
            }
            _ => None,
        };
        let Some((name, next)) = next else { break };
        span = name.filter(|_| of_key && index + 1 == path.len()).or(Some(next.span()));
        value = next.get_ref();
    }
    span.map(|span| line_and_column(text, span.start))
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// Error in a field: the path of keys that leads to it, and the message.
pub type FieldError = (Vec<String>, String);

pub(super) fn field_error(path: &[&str], message: impl Into<String>) -> FieldError {
    (path.iter().map(ToString::to_string).collect(), message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
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
