//! `check`: validates fixtures; `check --policy` prints the policy table.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::terminal::{eprint_line, say, width};
use super::{Failure, fixture_directory, load};
use crate::config::{self, source};
use crate::domain::policy::{FIXED, KEYS};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Directory of the fixtures [default: ./fixtures when it exists, else the built-in ones]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print the policy table: what is documented about the endpoint and what is assumed
    #[arg(long)]
    policy: bool,
    /// Directory of the keys that customers reference
    #[arg(long, value_name = "DIR", default_value = "keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
}

pub fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    if args.policy {
        say(policy_table(width()).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = fixture_directory(args.directory.as_deref())?;
    if let Some(root) = directory.as_deref() {
        // Before the errors: a file that is ignored may be the cause of one.
        let files = source::read(directory.as_deref()).unwrap_or_default();
        config::ignored(root, &files).iter().for_each(|file| eprint_line(format_args!("note: {file}")));
    }
    let fixtures = load(directory.as_deref(), &args.keys)?;
    fixtures.warnings.iter().for_each(|warning| eprint_line(format_args!("warning: {warning}")));
    let location =
        directory.map_or_else(|| "the built-in fixtures".to_owned(), |path| path.display().to_string());
    say(format_args!(
        "{location}: OK, {} customers, {} identities in the gallery",
        fixtures.customers.len(),
        fixtures.gallery.identities().len()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the policy table: of each key its standing and default on one line, and below it the other values and the meaning, wrapped.
fn policy_table(width: usize) -> String {
    let mut text = String::from("key               standing   default\n\n");
    let keys = KEYS.iter().map(|key| {
        let head = format!("{:<17} {:<10} {}", key.name, key.standing.to_string(), key.default);
        (head, format!("{}; other values: {}", key.meaning, key.others))
    });
    let fixed = FIXED
        .iter()
        .map(|(name, standing, meaning)| (format!("{name:<17} {standing}"), (*meaning).to_owned()));
    let title = ("fixed behaviour, without a key:".to_owned(), String::new());
    for (head, body) in keys.chain([title]).chain(fixed) {
        let first = wrapped(&head, width, 29);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{first}");
        if !body.is_empty() {
            let _ =
                writeln!(text, "    {}", wrapped(&body, width.saturating_sub(4), 0).replace('\n', "\n    "));
        }
        text.push('\n');
    }
    text
}

/// Breaks a text into lines of at most `width` characters, at blanks; lines behind the first are indented.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines = vec![String::new()];
    // Blanks that align are kept: only a single blank is a place to break.
    for word in text.split_inclusive(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > indent && length + word.trim_end().chars().count() > width {
            lines.push(" ".repeat(indent));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_table_fits_the_terminal_and_has_every_key() {
        for width in [60, 80, 120] {
            let table = policy_table(width);
            let longest = table.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width) && longest > Some(width - 20), "{width}: {longest:?}");
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            for key in &KEYS {
                let rows = [format!("{} {} {}", key.name, key.standing, key.default), key.meaning.to_owned()];
                assert!(rows.iter().all(|row| words(&table).contains(&words(row))), "{}", key.name);
            }
            assert!(FIXED.iter().all(|(name, ..)| table.contains(name)));
        }
    }
}
