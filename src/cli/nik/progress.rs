//! Progress bar on stderr, shown only if stderr is a terminal and stdout is not.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

const KNOWN: &str = "{wide_bar} {percent:>3} %, {eta} left";
const UNKNOWN: &str = "{spinner} {human_pos} NIKs in {elapsed}";

/// A progress bar. Cleared when dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Creates a bar with a total in NIKs or bytes, or a spinner without.
    pub fn of(total: Option<u64>) -> Progress {
        if io::stdout().is_terminal() || !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), KNOWN),
            None => (ProgressBar::new_spinner(), UNKNOWN),
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Progress(bar.with_style(style))
    }

    pub fn advance(&self, by: u64) {
        self.0.inc(by);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
