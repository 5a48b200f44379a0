//! The journal's file: JSON Lines, one whole object a line, whatever happens while it is written.
//!
//! A disk may be full in the middle of a line. What was written of it is cut off again; where that is impossible, as in a pipe, the rest
//! is written before the next line. What a killed run has left of a line is cut off at the start.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::de::IgnoredAny;

/// A file that lines are appended to.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    /// The rest of a line that was written in part.
    rest: Vec<u8>,
    /// Whether the last line could not be written.
    is_failing: bool,
}

/// How an entry's line begins.
const START: &[u8] = b"{\"id\":";

/// Max bytes that are read to find the last line: more than an entry has.
const MAX_LINE: u64 = 1 << 20;

impl JournalFile {
    /// Opens a file, or creates it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<JournalFile> {
        // What cannot be read, such as a device, has no incomplete line to be cut off.
        if fs::metadata(path).is_ok_and(|found| found.is_file()) {
            let _ = mend(path);
        }
        Ok(JournalFile::from(File::options().create(true).append(true).open(path)?))
    }

    /// Appends a line, or nothing of it. Returns an error only when writing begins to fail.
    pub fn append(&mut self, line: &str) -> Option<io::Error> {
        let error = self.write_line(line.as_bytes()).err();
        let begins_to_fail = error.is_some() && !self.is_failing;
        self.is_failing = error.is_some();
        error.filter(|_| begins_to_fail)
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let rest = std::mem::take(&mut self.rest);
        let (written, result) = self.write(&rest);
        if let Err(error) = result {
            self.rest = rest[written..].to_vec();
            return Err(error);
        }
        let (written, result) = self.write(line);
        if result.is_err() && written > 0 && self.cut(written as u64).is_err() {
            self.rest = line[written..].to_vec();
        }
        result
    }

    /// Writes bytes. Returns also how many were written.
    fn write(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.file.write(&bytes[written..]) {
                Ok(0) => return (written, Err(ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }

    /// Cuts off the bytes that were written last.
    fn cut(&mut self, written: u64) -> io::Result<()> {
        let end = self.file.stream_position()?;
        if end != self.file.metadata()?.len() {
            // Another program writes to it, too.
            return Err(ErrorKind::ResourceBusy.into());
        }
        self.file.set_len(end.saturating_sub(written))
    }
}

impl From<File> for JournalFile {
    fn from(file: File) -> JournalFile {
        JournalFile { file, rest: Vec::new(), is_failing: false }
    }
}

/// Ends the last line of a file where it has no line break: cuts it off if it is a part of an entry, else adds the line break.
fn mend(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LINE)))?;
    let mut end = Vec::new();
    (&mut file).take(MAX_LINE).read_to_end(&mut end)?;
    let last = memchr::memrchr(b'\n', &end).map_or(&*end, |at| &end[at + 1..]);
    if last.is_empty() {
        return Ok(());
    }
    let is_of_entry = last.starts_with(START) || START.starts_with(last);
    if is_of_entry && serde_json::from_slice::<IgnoredAny>(last).is_err() {
        return file.set_len(length - last.len() as u64);
    }
    file.seek(SeekFrom::End(0))?;
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_of_a_line_is_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        for (before, after) in [
            ("", ""),
            ("{\"id\":1}\n", "{\"id\":1}\n"),
            ("{\"id\":1}\n{\"id\":2,\"at\":\"20", "{\"id\":1}\n"),
            ("{\"id\":1}\n{\"i", "{\"id\":1}\n"),
            ("{\"id\":1,\"a\":\"", ""),
            ("{\"id\":1}\n{\"id\":2}", "{\"id\":1}\n{\"id\":2}\n"),
            ("somebody's notes", "somebody's notes\n"),
        ] {
            fs::write(&path, before).unwrap();
            assert!(JournalFile::open(&path).unwrap().append("{\"id\":3}\n").is_none());
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{after}{{\"id\":3}}\n"), "{before}");
        }
    }

    #[test]
    fn a_part_of_a_line_is_cut_off_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        fs::write(&path, "{\"id\":1}\n").unwrap();
        let mut file = JournalFile::open(&path).unwrap();
        assert_eq!(file.write(b"{\"id\":2,\"a").0, 10);
        file.cut(10).unwrap();
        assert!(file.append("{\"id\":3}\n").is_none());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"id\":1}\n{\"id\":3}\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_nothing_can_be_cut_off_a_line_is_completed_before_the_next() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut file = JournalFile::from(File::from(std::os::fd::OwnedFd::from(writer)));
        let long = format!("{{\"id\":1,\"text\":\"{}\"}}\n", "x".repeat(100_000));
        let told: Vec<_> = (0..3).map(|_| file.append(&long).is_some()).collect();
        assert_eq!(told, [true, false, false], "told once");
        let mut read = vec![0; 60_000];
        reader.read_exact(&mut read).unwrap();
        assert!(file.append("{\"id\":2}\n").is_none(), "the rest of the first and the second fit now");
        drop(file);
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), format!("{long}{{\"id\":2}}\n"));
    }
}
