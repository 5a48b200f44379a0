//! NIKs as they are given: arguments, or lines of stdin.

use std::fs;
use std::io::{self, BufRead, Read};

use super::progress::Progress;

/// What is kept of a line, in bytes. Longer ones are no NIKs anyway.
const LONGEST: u64 = 4096;

/// Hands every NIK to `each`: the arguments, or without any the lines of stdin that are not blank, less the blanks around them.
pub fn each(arguments: &[String], mut each: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    if !arguments.is_empty() {
        return arguments.iter().try_for_each(|nik| each(nik));
    }
    let (size, progress) = match length_of_stdin() {
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
        progress.advance(if size { bytes } else { 1 });
    }
    Ok(())
}

/// Reads a line; gives the number of its bytes, or `None` at the end.
fn next(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
    line.clear();
    let kept = reader.by_ref().take(LONGEST).read_until(b'\n', line)?;
    let cut = kept as u64 == LONGEST && !line.ends_with(b"\n");
    let skipped = if cut { reader.skip_until(b'\n')? } else { 0 };
    Ok((kept > 0).then_some((kept + skipped) as u64))
}

/// Where stdin is a file, how long that is.
fn length_of_stdin() -> Option<u64> {
    fs::metadata("/dev/stdin").ok().filter(fs::Metadata::is_file).map(|file| file.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_and_counted_whole() {
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
