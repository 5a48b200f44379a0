//! Writes to stdout and stderr. No other module of the command line does.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use anstream::{AutoStream, ColorChoice};

use super::Failure;

/// Prints a line to stdout.
///
/// # Errors
/// A broken pipe, as in `check --policy | head`, is a failure without a message and with exit code 0.
pub fn say(line: impl Display) -> Result<(), Failure> {
    // One write per line, so that a reader sees complete lines.
    let line = format!("{line}\n");
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::unread()),
        Err(error) => Err(Failure::no(format!("stdout: {error}"))),
    }
}

/// Prints a line to stderr. Ignores errors: there is nowhere to report them.
pub fn eprint_line(line: impl Display) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Returns stderr, for writing many lines.
pub fn stderr() -> io::Stderr {
    io::stderr()
}

/// Returns the width of the terminal that stdout is, in characters: at most 120, which people read well; else 80.
pub fn width() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(80, |(terminal_size::Width(columns), _)| usize::from(columns).clamp(40, 120))
}

/// Returns whether output to stderr may be coloured: it is a terminal, unless `NO_COLOR`, `CLICOLOR` or `CLICOLOR_FORCE` say otherwise.
pub fn is_colourful() -> bool {
    AutoStream::choice(&stderr()) != ColorChoice::Never
}
