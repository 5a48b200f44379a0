//! Writes to stdout and stderr. No other module of the command line does.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

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

/// Asks for a line on the terminal without showing what is typed. `None` where stdin or stderr is not a terminal.
///
/// # Errors
/// The terminal cannot be read.
#[cfg(unix)]
pub fn ask_hidden(question: &str) -> io::Result<Option<String>> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    if !stdin.is_terminal() || !stderr_is_terminal() {
        return Ok(None);
    }
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(&stdin, OptionalActions::Now, &hidden)?;
    let _ = stderr().write_all(question.as_bytes());
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    read?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Asks nothing: what is typed could not be hidden.
#[cfg(not(unix))]
pub fn ask_hidden(_: &str) -> io::Result<Option<String>> {
    Ok(None)
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

/// Returns whether output to stdout may be coloured, as [`is_colourful`].
pub fn stdout_is_colourful() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Returns whether stdout is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    stderr().is_terminal()
}

/// Returns the width of the terminal that stderr is, in columns.
pub fn stderr_width() -> Option<usize> {
    terminal_size::terminal_size_of(stderr())
        .map(|(width, _)| usize::from(width.0))
        .filter(|width| *width > 0)
}

/// Returns the width of the terminal that stdout is, in columns.
pub fn stdout_width() -> Option<usize> {
    terminal_size::terminal_size_of(io::stdout())
        .map(|(width, _)| usize::from(width.0))
        .filter(|width| *width > 0)
}
