//! Reads NIKs from the arguments, or from lines of stdin.

use std::fs;
use std::io::{self, BufRead, Read};

use super::progress::Progress;

/// Max bytes kept of a line. A longer line is not a NIK anyway.
const MAX_LINE_BYTES: u64 = 4096;

/// Calls `each` with every NIK: the arguments, or without any, the non-blank lines of stdin, trimmed.
pub fn each(arguments: &[String], mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    if !arguments.is_empty() {
        return arguments.iter().try_for_each(|nik| each(nik));
    }
    let (in_bytes, progress) = match length_of_stdin() {
        Some(length) => (true, Progress::of(Some(length))),
        None => (false, Progress::of(None)),
    };
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    while let Some(bytes) = next(&mut stdin, &mut line)? {
        let nik = String::from_utf8_lossy(line.trim_ascii());
        if !nik.is_empty() {
            each(&nik)?;
        }
        progress.advance(if in_bytes { bytes } else { 1 });
    }
    Ok(())
}

/// Reads a line, truncated to [`MAX_LINE_BYTES`]. Returns its full number of bytes, or `None` at the end.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
    line.clear();
    let kept = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', line)?;
    let truncated = kept as u64 == MAX_LINE_BYTES && !line.ends_with(b"\n");
    let skipped = if truncated { reader.skip_until(b'\n')? } else { 0 };
    Ok((kept > 0).then_some((kept + skipped) as u64))
}

/// Returns the length of stdin if it is a file.
fn length_of_stdin() -> Option<u64> {
    fs::metadata("/dev/stdin").ok().filter(fs::Metadata::is_file).map(|file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_truncated_and_counted_in_full() {
        let text = format!("1\r\n\n{}\n2", "9".repeat(10_000));
        let mut reader = text.as_bytes();
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while let Some(bytes) = next(&mut reader, &mut line).unwrap() {
            lines.push((bytes, line.len()));
        }
        assert_eq!(lines, [(3, 3), (1, 1), (10_001, 4096), (1, 1)]);
    }
}
