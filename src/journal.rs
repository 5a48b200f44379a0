//! The journal: what was asked, what was found, what was answered. A ring bounded in bytes, the oldest out first.
//!
//! Never a photo, never a credential, neither plain nor encrypted; NIKs are masked unless asked for.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::checks::Finding;
use crate::clock;
use crate::evidence::{Photo, PhotoFormat};
use crate::nik::District;
use crate::protocol::{Body, Candidate, Code, Field, Shape};

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The answer is decided; its first byte may not have left yet.
    InFlight,
    /// The whole answer was handed to the socket.
    Done,
    /// The connection ended first.
    Aborted,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// From 1, in order of arrival.
    pub id: u64,
    #[serde(serialize_with = "instant")]
    pub at: Timestamp,
    pub customer_id: String,
    pub methode: String,
    /// The connection it came on, from 1.
    pub connection: u64,
    /// The how manieth request of the customer; null for a customer nobody knows.
    pub ordinal: Option<u64>,
    pub state: State,
    pub request: Request,
    pub findings: Vec<Finding>,
    /// What was let pass, and what looks like a mistake.
    pub warnings: Vec<Warning>,
    /// The rule that decided the reply.
    pub rule: Option<String>,
    pub delay: Option<String>,
    pub fault: Option<String>,
    pub answer: Reply,
    /// From the end of the request's head to the end of the answer, in real microseconds.
    pub elapsed_us: u64,
}

/// What was asked, without photo and credentials.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Request {
    pub peer: Option<IpAddr>,
    pub body_bytes: usize,
    pub transaction_id: Option<String>,
    pub transaction_source: Option<String>,
    /// As a number; null when it is none.
    pub threshold: Option<f64>,
    pub ip: Option<String>,
    pub image: Option<Image>,
    pub user_agent: Option<String>,
}

/// A photo, as far as it may be remembered.
#[derive(Clone, Debug, Serialize)]
pub struct Image {
    pub sha256: String,
    pub bytes: usize,
    pub format: Option<PhotoFormat>,
    pub width: Option<u32>,
    pub height: Option<u32>,
}

/// What was answered.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `errorCode`; null where the document has no answer.
    pub code: Option<Code>,
    pub shape: Option<Shape>,
    pub candidates: Vec<Found>,
    /// Length of the body.
    pub bytes: usize,
    /// Whether it used up quota.
    pub charged: bool,
    /// Why this answer.
    pub reason: String,
    pub hint: Option<String>,
}

/// A candidate, its NIK masked unless asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    pub nik: String,
    /// Where it was first issued; null when no district has its first six digits.
    pub region: Option<String>,
    pub score: f32,
}

/// Something that was let pass though it should not be relied on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub name: &'static str,
    pub message: String,
}

fn instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&clock::rfc3339_millis(*at))
}

impl Request {
    /// What may be remembered of a body.
    #[must_use]
    pub fn of(body: &Body, body_bytes: usize, photo: Option<&Photo>) -> Request {
        let text = |field: Field| body.text(field).map(|text| crate::protocol::body::cut(text, 100));
        Request {
            body_bytes,
            transaction_id: text(Field::TransactionId),
            transaction_source: text(Field::TransactionSource),
            threshold: body.threshold().filter(|threshold| threshold.is_finite()),
            ip: text(Field::Ip),
            image: photo.and_then(Image::of),
            ..Request::default()
        }
    }
}

impl Image {
    fn of(photo: &Photo) -> Option<Image> {
        Some(Image {
            sha256: hex(&photo.sha256?),
            bytes: photo.bytes.len(),
            format: photo.format,
            width: photo.dimensions.map(|(width, _)| width),
            height: photo.dimensions.map(|(_, height)| height),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Found {
    /// A candidate as the journal keeps it.
    #[must_use]
    pub fn of(candidate: &Candidate, show_nik: bool) -> Found {
        let nik = if show_nik { candidate.nik.clone() } else { masked(&candidate.nik) };
        let region = District::of_nik(&candidate.nik).map(ToString::to_string);
        Found { nik, region, score: candidate.score }
    }
}

/// `317503XXXXXXXXXX`: the region stays, every later digit goes.
#[must_use]
pub fn masked(nik: &str) -> String {
    nik.chars().enumerate().map(|(at, c)| if at >= 6 && c.is_ascii_digit() { 'X' } else { c }).collect()
}

impl Entry {
    /// About how many bytes of memory the entry takes: its own size and that of its texts.
    fn weight(&self) -> usize {
        let findings: usize =
            self.findings.iter().map(|f| 120 + f.reason.len() + f.hint.as_ref().map_or(0, |h| h.len())).sum();
        let warnings: usize = self.warnings.iter().map(|w| 48 + w.message.len()).sum();
        let texts = [
            &self.request.transaction_id,
            &self.request.transaction_source,
            &self.request.ip,
            &self.request.user_agent,
        ];
        let texts: usize = texts.iter().map(|text| text.as_ref().map_or(0, String::len)).sum();
        let candidates: usize = self
            .answer
            .candidates
            .iter()
            .map(|found| 80 + found.region.as_ref().map_or(0, String::len))
            .sum();
        let names = self.customer_id.len() + self.methode.len() + self.answer.reason.len() + 64;
        size_of::<Entry>() + findings + warnings + texts + names + candidates
    }
}

/// Which entries to give. All that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub customer_id: Option<String>,
    pub code: Option<String>,
    /// Only entries at or after this instant.
    pub since: Option<Timestamp>,
}

impl Filter {
    fn takes(&self, entry: &Entry) -> bool {
        let code = entry.answer.code.as_ref().map(Code::as_str);
        self.customer_id.as_ref().is_none_or(|wanted| *wanted == entry.customer_id)
            && self.code.as_deref().is_none_or(|wanted| Some(wanted) == code)
            && self.since.is_none_or(|since| entry.at >= since)
    }
}

#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<(usize, Entry)>,
    bytes: usize,
    last_id: u64,
    dropped: u64,
    file: Option<File>,
}

/// The ring, and the file that entries are appended to.
#[derive(Debug)]
pub struct Journal {
    ring: Mutex<Ring>,
    most_bytes: usize,
}

impl Journal {
    /// A journal of at most `most_bytes`.
    #[must_use]
    pub fn new(most_bytes: usize) -> Journal {
        Journal { ring: Mutex::default(), most_bytes }
    }

    /// Appends every finished entry to `path` as well, one JSON object a line.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn append_to(&self, path: &Path) -> io::Result<()> {
        self.lock().file = Some(File::options().create(true).append(true).open(path)?);
        Ok(())
    }

    /// Adds an entry and gives it its id.
    pub fn add(&self, mut entry: Entry) -> u64 {
        let mut ring = self.lock();
        ring.last_id += 1;
        entry.id = ring.last_id;
        let weight = entry.weight();
        ring.bytes += weight;
        ring.entries.push_back((weight, entry));
        while ring.bytes > self.most_bytes {
            let Some((weight, _)) = ring.entries.pop_front() else { break };
            ring.bytes -= weight;
            ring.dropped += 1;
        }
        ring.last_id
    }

    /// Says how an entry ended. Gives it back, unless the ring has lost it.
    pub fn finish(&self, id: u64, state: State, elapsed_us: u64) -> Option<Entry> {
        let mut ring = self.lock();
        let index = ring.entries.iter().rposition(|(_, entry)| entry.id == id)?;
        let entry = &mut ring.entries[index].1;
        entry.state = state;
        entry.elapsed_us = elapsed_us;
        let entry = entry.clone();
        if let Some(file) = &mut ring.file {
            let mut line = serde_json::to_vec(&entry).unwrap_or_default();
            line.push(b'\n');
            // A full disk must not stop the endpoint.
            let _ = file.write_all(&line);
        }
        Some(entry)
    }

    /// The entries that `filter` takes, newest first, at most `limit`; and how many the ring has lost.
    #[must_use]
    pub fn list(&self, filter: &Filter, limit: usize) -> (Vec<Entry>, u64) {
        let ring = self.lock();
        let newest_first = ring.entries.iter().rev().map(|(_, entry)| entry);
        (newest_first.filter(|entry| filter.takes(entry)).take(limit).cloned().collect(), ring.dropped)
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Entry> {
        self.lock().entries.iter().map(|(_, entry)| entry).find(|entry| entry.id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(customer: &str, code: Code) -> Entry {
        Entry {
            id: 0,
            at: "2026-11-21T03:00:00Z".parse().unwrap(),
            customer_id: customer.to_owned(),
            methode: "CALL_FN".to_owned(),
            connection: 1,
            ordinal: Some(1),
            state: State::InFlight,
            request: Request::default(),
            findings: Vec::new(),
            warnings: Vec::new(),
            rule: None,
            delay: None,
            fault: None,
            answer: Reply { status: 200, code: Some(code), ..Reply::default() },
            elapsed_us: 0,
        }
    }

    #[test]
    fn entries_come_newest_first_and_filtered() {
        let journal = Journal::new(1 << 20);
        journal.add(entry("a", Code::FOUND));
        journal.add(entry("b", Code::BUSY));
        journal.add(entry("a", Code::BUSY));
        let ids =
            |filter: Filter| journal.list(&filter, 10).0.iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids(Filter::default()), [3, 2, 1]);
        assert_eq!(ids(Filter { customer_id: Some("a".into()), ..Filter::default() }), [3, 1]);
        assert_eq!(ids(Filter { code: Some("6014".into()), ..Filter::default() }), [3, 2]);
        let later = "2026-11-21T03:00:01Z".parse().ok();
        assert!(ids(Filter { since: later, ..Filter::default() }).is_empty());
        assert_eq!(journal.list(&Filter::default(), 1).0.len(), 1);
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_counts_what_it_lost() {
        let weight = entry("a", Code::FOUND).weight();
        let journal = Journal::new(3 * weight);
        for _ in 0..5 {
            journal.add(entry("a", Code::FOUND));
        }
        let (kept, dropped) = journal.list(&Filter::default(), 10);
        assert_eq!(kept.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5, 4, 3]);
        assert_eq!(dropped, 2);
        assert!(journal.finish(1, State::Done, 1).is_none());
        assert!(journal.get(1).is_none() && journal.get(4).is_some());
    }

    #[test]
    fn a_finished_entry_is_appended_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.jsonl");
        let journal = Journal::new(1 << 20);
        journal.append_to(&path).unwrap();
        let id = journal.add(entry("a", Code::FOUND));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
        journal.finish(id, State::Done, 42).unwrap();
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((line["state"].as_str(), line["elapsed_us"].as_u64()), (Some("done"), Some(42)));
        assert_eq!(line["at"].as_str(), Some("2026-11-21T10:00:00.000+07:00"));
    }

    #[test]
    fn niks_are_masked_behind_the_region() {
        assert_eq!(masked("3175031708909001"), "317503XXXXXXXXXX");
        assert_eq!(masked("317503XXXXXXXXXX"), "317503XXXXXXXXXX");
        assert_eq!(masked("12"), "12");
    }

    #[test]
    fn a_candidate_is_kept_with_the_name_of_its_region() {
        let found = |nik: &str, show| {
            let found = Found::of(&Candidate { nik: nik.to_owned(), score: 20.0 }, show);
            (found.nik, found.region)
        };
        let cakung =
            Some("Cakung, Kota Administrasi Jakarta Timur, Daerah Khusus Ibukota Jakarta".to_owned());
        assert_eq!(found("3175061708909001", false), ("317506XXXXXXXXXX".to_owned(), cakung.clone()));
        assert_eq!(found("3175061708909001", true), ("3175061708909001".to_owned(), cakung));
        assert_eq!(found("9999991708909001", false), ("999999XXXXXXXXXX".to_owned(), None));
    }
}
