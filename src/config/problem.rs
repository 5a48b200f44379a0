//! Errors in fixture files: file, line, column, message and hint.

use std::fmt;
use std::ops::Range;

use crate::base::suggestion;

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
        let position = locate(text, path).map(|span| line_and_column(text, span.start));
        Problem { position, ..Problem::of_file(file, message) }
    }

    /// Creates an error from one of the TOML parser.
    #[must_use]
    pub fn of_toml(file: &str, text: &str, error: &toml::de::Error) -> Problem {
        let message = error.message().replace('\n', ", ");
        Problem {
            position: error.span().map(|span| line_and_column(text, span.start)),
            hint: suggestion::hint(&message),
            ..Problem::of_file(file, shortened(&message))
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

/// Removes serde's list of expected names from an "unknown field" message: the hint has it.
pub(super) fn shortened(message: &str) -> String {
    match message.split_once(", expected") {
        Some((head, _)) if head.starts_with("unknown field") => {
            head.replacen("unknown field", "unknown key", 1)
        }
        _ => message.to_owned(),
    }
}

/// Returns line and column of a byte offset, from 1.
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Returns the span of the value that a path of keys and indices leads to, or of its deepest existing ancestor.
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
