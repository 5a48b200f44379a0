//! The ledger: how many calls were made to a target for a customer, by day in Jakarta. A line is on disk before its call leaves, so that
//! neither a crash nor a second run exceeds the day's budget.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::{json, time};

/// One call: when, where to and which case; never what was sent.
#[derive(Debug, Serialize, Deserialize)]
struct LedgerLine {
    day: String,
    target: String,
    customer_id: String,
    case: String,
}

/// The file of all calls. It is locked: one run at a time writes to it.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    target: String,
    customer_id: String,
    /// Calls of this target and customer, by day.
    made: Vec<(String, u32)>,
    budget: u32,
}

impl Ledger {
    /// Opens the file, or creates it with its directory, and counts the calls of this target and customer.
    ///
    /// # Errors
    /// It cannot be read or written, another run has it, or a line in it is not one of a ledger.
    pub fn open(path: &Path, target: &str, customer_id: &str, budget: u32) -> io::Result<Ledger> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another conformance run is using this ledger"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut ledger = Ledger {
            target: target.to_owned(),
            customer_id: customer_id.to_owned(),
            made: Vec::new(),
            budget,
            file: file.try_clone()?,
        };
        let (mut whole_bytes, mut at) = (0, 0);
        let mut reader = BufReader::new(&file);
        let mut text = String::new();
        while reader.read_line(&mut text)? > 0 {
            at += 1;
            if !text.ends_with('\n') {
                // A line that a crash cut off was written before its call, so the call was never made.
                ledger.file.set_len(whole_bytes)?;
                break;
            }
            whole_bytes += text.len() as u64;
            match serde_json::from_str::<LedgerLine>(&text) {
                Ok(line) if line.target == target && line.customer_id == customer_id => {
                    ledger.count(&line.day)
                }
                Ok(_) => {}
                Err(_) => return Err(io::Error::other(format!("line {at} is not one of a ledger"))),
            }
            text.clear();
        }
        Ok(ledger)
    }

    fn count(&mut self, day: &str) {
        match self.made.iter_mut().find(|(known, _)| known == day) {
            Some((_, count)) => *count += 1,
            None => self.made.push((day.to_owned(), 1)),
        }
    }

    /// Calls of that day so far.
    #[must_use]
    pub fn made_on(&self, now: Timestamp) -> u32 {
        let day = time::jakarta_day(now).to_string();
        self.made.iter().find(|(known, _)| *known == day).map_or(0, |(_, count)| *count)
    }

    /// Counts a call that is about to be made, on disk. Returns false when the day's budget is used up: then it must not be made.
    ///
    /// # Errors
    /// The line could not be written: the call must not be made either.
    pub fn charge(&mut self, case: &str, now: Timestamp) -> io::Result<bool> {
        if self.made_on(now) >= self.budget {
            return Ok(false);
        }
        let day = time::jakarta_day(now).to_string();
        let line = LedgerLine {
            day: day.clone(),
            target: self.target.clone(),
            customer_id: self.customer_id.clone(),
            case: case.to_owned(),
        };
        self.file.write_all((json::text(&line) + "\n").as_bytes())?;
        self.file.sync_data()?;
        self.count(&day);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn calls_count_by_target_customer_and_day_in_jakarta_and_survive_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/ledger.jsonl");
        let (evening, morning) = (at("2026-12-01T16:59:00Z"), at("2026-12-01T17:00:00Z"));
        for (target, customer, now, left) in [
            ("a:80", "bank", evening, 2),
            ("a:80", "bank", evening, 0),
            ("a:80", "other", evening, 2),
            ("b:80", "bank", evening, 2),
            // Midnight in Jakarta.
            ("a:80", "bank", morning, 2),
            ("a:80", "bank", morning, 0),
        ] {
            let mut ledger = Ledger::open(&path, target, customer, 2).unwrap();
            assert_eq!(2 - ledger.made_on(now), left);
            for _ in 0..left {
                assert!(ledger.charge("4.6/21", now).unwrap());
            }
            assert!(!ledger.charge("4.6/21", now).unwrap(), "beyond the budget");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 8);
        assert_eq!(
            text.lines().next(),
            Some(r#"{"day":"2026-12-01","target":"a:80","customer_id":"bank","case":"4.6/21"}"#)
        );
    }

    #[test]
    fn one_run_at_a_time_and_no_foreign_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let first = Ledger::open(&path, "a", "b", 2).unwrap();
        assert!(
            Ledger::open(&path, "a", "b", 2).unwrap_err().to_string().contains("another conformance run")
        );
        drop(first);
        std::fs::write(&path, "hello\n").unwrap();
        assert!(Ledger::open(&path, "a", "b", 2).unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn a_line_that_a_crash_cut_off_does_not_count_and_does_not_spoil_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger");
        let now = at("2026-12-01T10:00:00+07:00");
        assert!(Ledger::open(&path, "a", "b", 9).unwrap().charge("x", now).unwrap());
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        assert!(Ledger::open(&path, "a", "b", 9).unwrap().charge("y", now).unwrap());
        assert_eq!(Ledger::open(&path, "a", "b", 9).unwrap().made_on(now), 2);
    }
}
