//! The one place where the command line writes to stdout and stderr.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use super::Failure;

/// A line on stdout. When nobody reads any more, as in `check --policy | head`, the command ends quietly.
pub fn say(line: impl Display) -> Result<(), Failure> {
    // One write: a reader sees whole lines.
    let line = format!("{line}\n");
    let mut stdout = io::stdout().lock();
    match stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::unread()),
        Err(error) => Err(Failure::no(format!("stdout: {error}"))),
    }
}

/// A line on stderr. Where that cannot be written, nothing could say so.
pub fn eprint_line(line: impl Display) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Stderr, for who writes many lines.
pub fn stderr() -> io::Stderr {
    io::stderr()
}

/// Whether what goes to stderr may be coloured.
pub fn is_colourful() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
