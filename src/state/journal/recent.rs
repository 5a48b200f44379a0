//! Warnings about likely client mistakes, by comparison with the journal: a reused transactionId, a retry without back-off.
//!
//! Retries are judged in real time, from the end of the failed answer: on a frozen clock every retry would be one without back-off. A retry
//! may reuse the transactionId of the first attempt. Only requests of the same run of a customer's state are compared, as far back as the
//! journal goes.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::{Entry, State};
use crate::base::time;
use crate::domain::warnings::Warning;
use crate::protocol::AnsweredBy;

/// A retry sooner than this after a failure counts as one without back-off.
const BACK_OFF: Duration = Duration::from_secs(1);

/// What a request can have in common with others. Keeps only the hash of a transactionId, whose length is unbounded.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestMarks {
    /// Run of the customer's state that the request belongs to; `None` when it is not compared.
    instance: Option<u64>,
    /// Real time of arrival.
    arrived: Option<Instant>,
    transaction: Option<u64>,
    image: Option<[u8; 32]>,
}

impl RequestMarks {
    /// Returns the marks of a request with this transactionId and the SHA-256 of its photo.
    #[must_use]
    pub fn new(transaction_id: Option<&str>, image: Option<[u8; 32]>) -> RequestMarks {
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let transaction = transaction_id.filter(|text| !text.is_empty()).map(hash);
        RequestMarks { transaction, image, ..RequestMarks::default() }
    }

    /// Returns the marks of a request that arrived then (real time) and belongs to this run of a customer's state.
    #[must_use]
    pub fn of(self, instance: Option<u64>, arrived: Instant) -> RequestMarks {
        RequestMarks { instance, arrived: Some(arrived), ..self }
    }

    fn same_transaction(&self, other: &RequestMarks) -> bool {
        self.transaction.is_some() && self.transaction == other.transaction
    }

    fn transaction_key(&self) -> Option<Key> {
        Some((self.instance?, Mark::Transaction(self.transaction?)))
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        let image = self.instance.zip(self.image).map(|(instance, image)| (instance, Mark::Image(image)));
        self.transaction_key().into_iter().chain(image)
    }
}

type Key = (u64, Mark);

/// Mark that two requests can share: the same transactionId or the same photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mark {
    Transaction(u64),
    Image([u8; 32]),
}

/// Index of a journal's entries: the newest with each mark. Holds only entries that the journal keeps, so it is bounded with it.
#[derive(Debug, Default)]
pub(super) struct RecentIndex(HashMap<Key, Newest>);

#[derive(Clone, Copy, Debug)]
struct Newest {
    id: u64,
    /// Uses of the mark up to and including this one; counted anew once no earlier use is in the journal.
    uses: usize,
}

/// An earlier request that a new one is compared with.
pub(super) struct Earlier<'a> {
    pub entry: &'a Entry,
    pub marks: &'a RequestMarks,
}

impl RecentIndex {
    pub(super) fn insert(&mut self, marks: &RequestMarks, id: u64) {
        for key in marks.keys() {
            let newest = self.0.entry(key).or_insert(Newest { id, uses: 0 });
            *newest = Newest { id, uses: newest.uses + 1 };
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Removes an entry that the journal no longer keeps.
    pub(super) fn remove(&mut self, marks: &RequestMarks, id: u64) {
        for key in marks.keys() {
            if self.0.get(&key).is_some_and(|newest| newest.id == id) {
                self.0.remove(&key);
            }
        }
    }

    /// Returns at most one warning about a request that is not in the index yet. `find` returns the entry with an id.
    pub(super) fn warning<'a>(
        &self,
        marks: &RequestMarks,
        find: impl Fn(u64) -> Option<Earlier<'a>>,
    ) -> Option<Warning> {
        let newest = marks.keys().filter_map(|key| self.0.get(&key)).map(|newest| newest.id).max();
        let retry = newest.and_then(&find).and_then(|last| retry_without_backoff(marks, &last));
        retry.or_else(|| {
            let newest = self.0.get(&marks.transaction_key()?)?;
            repeated(&find(newest.id)?, newest.uses)
        })
    }
}

fn retry_without_backoff(marks: &RequestMarks, last: &Earlier) -> Option<Warning> {
    let failure = RequestFailure::of(last.entry)?;
    let after = marks.arrived?.saturating_duration_since(last.entry.sending.ended_at()?);
    let is_transaction = marks.same_transaction(last.marks);
    // The same photo with another transactionId counts as a retry only after a transient failure.
    if after >= BACK_OFF || !(is_transaction || failure.is_transient) {
        return None;
    }
    let what = if is_transaction { "transactionId" } else { "image" };
    let (millis, id, name) = (after.as_millis(), last.entry.id, failure.name);
    let message = format!(
        "the same {what} comes {millis} ms after request {id} ended with {name}; wait before a retry, and longer each time"
    );
    Some(Warning { name: "retry_without_backoff".into(), message })
}

fn repeated(last: &Earlier, uses: usize) -> Option<Warning> {
    // A fault that leaves the answer intact is slow: its client may have given up before.
    if last.entry.fault.is_some() || RequestFailure::of(last.entry).is_some() {
        return None;
    }
    let times = if uses == 1 { "once".to_owned() } else { format!("{uses} times") };
    let (id, at) = (last.entry.id, time::rfc3339_millis(last.entry.at));
    let in_flight =
        if last.entry.sending.state() == State::InFlight { ", which is still in flight" } else { "" };
    let message =
        format!("the transactionId was used before: {times}, last in request {id} at {at}{in_flight}");
    Some(Warning { name: "repeated_transaction_id".into(), message })
}

/// How a request failed.
struct RequestFailure {
    /// A code, a status, a fault, or that no whole answer was sent.
    name: String,
    /// Whether the same request may succeed later.
    is_transient: bool,
}

impl RequestFailure {
    /// Returns how a request failed; `None` when it did not, or is in flight.
    fn of(entry: &Entry) -> Option<RequestFailure> {
        let transient = |name: String| Some(RequestFailure { name, is_transient: true });
        match entry.sending.state() {
            State::InFlight => return None,
            State::Aborted => return transient("no whole answer".to_owned()),
            State::Done => {}
        }
        // A fault may make a good answer unusable, so a retry with the same transactionId is legitimate.
        if let Some(fault) = entry.fault.as_ref().filter(|fault| fault.spoils) {
            return transient(format!("the fault {}", fault.kind));
        }
        match (&entry.answer.code, entry.answer.status) {
            (Some(code), _) if code.is_busy() => transient(code.to_string()),
            (Some(code), _) => (code.stage() == AnsweredBy::Frontend)
                .then(|| RequestFailure { name: code.to_string(), is_transient: false }),
            (None, Some(status)) if status < 500 => None,
            (None, Some(status)) => transient(format!("HTTP {status}")),
            (None, None) => transient("no answer".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::faults::{End, FaultKind};
    use crate::protocol::Code;
    use crate::state::journal::tests::entry;
    use crate::state::journal::{FaultRecord, Journal};

    /// Requests of one customer whose start and end times the test chooses.
    struct Customer {
        journal: Journal,
        start: Instant,
        instance: u64,
    }

    impl Customer {
        fn new(journal_bytes: usize) -> Customer {
            let journal = Journal::new(journal_bytes, None).unwrap();
            Customer { journal, start: Instant::now(), instance: 1 }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        /// Sends a request at `millis`; returns the warning.
        fn sends(&self, millis: u64, transaction_id: &str, image: u8) -> Option<String> {
            let marks = RequestMarks::new(Some(transaction_id), Some([image; 32]));
            let marks = marks.of(Some(self.instance), self.at(millis));
            let warning = self.journal.repetition(&marks);
            let added = self.journal.add(entry("demo", Code::FOUND), marks);
            assert_eq!(added.warnings, warning.clone().into_iter().collect::<Vec<_>>());
            warning.map(|warning| format!("{}: {}", warning.name, warning.message))
        }

        /// Sends a request at `millis` that ends a millisecond later as `change` says; returns the warning.
        fn exchanges(
            &self,
            millis: u64,
            (transaction_id, image): (&str, u8),
            state: State,
            change: impl FnOnce(&mut Entry),
        ) -> Option<String> {
            let marks = RequestMarks::new(Some(transaction_id), Some([image; 32]));
            let marks = marks.of(Some(self.instance), self.at(millis));
            let mut sent = entry("demo", Code::FOUND);
            change(&mut sent);
            let added = self.journal.add(sent, marks);
            let end = (state == State::Done).then_some(End::Fin);
            self.journal.end(&added, end, Duration::from_millis(1), self.at(millis + 1));
            added.warnings.first().map(|warning| format!("{}: {}", warning.name, warning.message))
        }

        /// Sends a request that is answered with `code`.
        fn answered(&self, millis: u64, transaction_id: &str, image: u8, code: Code) -> Option<String> {
            self.exchanges(millis, (transaction_id, image), State::Done, |entry| {
                entry.answer.code = Some(code)
            })
        }
    }

    const ENOUGH: usize = 1 << 20;

    #[test]
    fn a_transaction_id_used_twice_is_reported_with_when_where_and_how_often() {
        let customer = Customer::new(ENOUGH);
        for (millis, expected) in
            [(0, None), (5000, Some("once, last in request 1")), (9000, Some("2 times, last in request 2"))]
        {
            let warning = customer.answered(millis, "T-1", millis as u8, Code::FOUND);
            assert_eq!(warning.is_some(), expected.is_some(), "{warning:?}");
            let expected = expected.unwrap_or_default();
            let says = |text: &str| text.contains(expected) && text.contains("10:00:00.000+07:00");
            assert!(warning.is_none_or(|warning| says(&warning)));
        }
        assert_eq!(customer.sends(9500, "T-2", 9), None);
        let warning = customer.sends(9600, "T-2", 10).unwrap();
        assert!(warning.ends_with("which is still in flight"), "{warning}");
        assert_eq!([customer.sends(9700, "", 11), customer.sends(9800, "", 12)], [None, None]);
    }

    #[test]
    fn a_retry_soon_after_a_failure_is_reported_and_one_that_waited_is_not() {
        let customer = Customer::new(ENOUGH);
        assert_eq!(customer.answered(0, "T-1", 1, Code::BUSY), None);
        assert_eq!(
            customer.answered(13, "T-1", 1, Code::BUSY).unwrap(),
            "retry_without_backoff: the same transactionId comes 12 ms after request 1 ended with 6014; \
             wait before a retry, and longer each time"
        );
        assert_eq!(customer.answered(1014, "T-1", 1, Code::FOUND), None, "a second later");
        assert!(customer.sends(1100, "T-1", 1).unwrap().starts_with("repeated_transaction_id"));
    }

    #[test]
    fn a_new_transaction_id_does_not_hide_a_retry_of_the_same_photo() {
        let customer = Customer::new(ENOUGH);
        customer.answered(0, "T-1", 1, Code::BUSY);
        assert!(customer.answered(20, "T-2", 1, Code::PARAMETERS).unwrap().contains("the same image"));
        assert_eq!(customer.answered(40, "T-3", 1, Code::FOUND), None, "a corrected mistake is not a retry");
        assert_eq!(customer.sends(60, "T-4", 1), None);
    }

    #[test]
    fn broken_connections_statuses_and_faults_are_failures_too() {
        let customer = Customer::new(ENOUGH);
        let same = ("T-1", 1);
        customer.exchanges(0, same, State::Aborted, |_| {});
        let gateway = |entry: &mut Entry| (entry.answer.code, entry.answer.status) = (None, Some(502));
        assert!(customer.exchanges(20, same, State::Done, gateway).unwrap().contains("no whole answer"));
        let damaged = |entry: &mut Entry| {
            entry.fault = Some(FaultRecord::new(FaultKind::find("bitflip").unwrap(), "noise"))
        };
        assert!(customer.exchanges(40, same, State::Done, damaged).unwrap().contains("HTTP 502"));
        let warning = customer.exchanges(60, same, State::Done, damaged).unwrap();
        assert!(warning.contains("after request 3 ended with the fault bitflip"), "{warning}");
        assert_eq!(customer.sends(1061, "T-1", 1), None, "a second later");
        let slow = |entry: &mut Entry| {
            entry.fault = Some(FaultRecord::new(FaultKind::find("dribble").unwrap(), "d"))
        };
        customer.exchanges(5000, ("T-2", 2), State::Done, slow);
        assert_eq!(customer.sends(5010, "T-2", 2), None, "its client may have got the answer or not");
    }

    #[test]
    fn only_the_same_run_of_a_customer_is_compared_with_and_only_what_the_journal_keeps() {
        let mut customer = Customer::new(ENOUGH);
        customer.answered(0, "T-1", 1, Code::FOUND);
        customer.instance = 2;
        assert_eq!(customer.answered(2000, "T-1", 1, Code::FOUND), None, "another run");
        assert!(customer.answered(4000, "T-1", 1, Code::FOUND).is_some());
        customer.journal.clear(None);
        assert_eq!(customer.answered(6000, "T-1", 1, Code::FOUND), None, "cleared");
    }

    #[test]
    fn the_index_is_bounded_with_the_journal() {
        let customer = Customer::new(20_000);
        for number in 0..100 {
            customer.answered(0, &format!("T-{number}"), number, Code::FOUND);
        }
        assert!(customer.journal.fill().dropped > 0);
        assert_eq!(customer.answered(9000, "T-0", 0, Code::FOUND), None, "dropped");
        assert!(customer.answered(9000, "T-99", 99, Code::FOUND).is_some());
        let kept = customer.journal.fill().entries;
        assert!(
            customer.journal.indexed() <= 2 * kept,
            "{} marks of {kept} entries",
            customer.journal.indexed()
        );
    }
}
