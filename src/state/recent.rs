//! Recent requests of a customer, to detect likely client mistakes: a reused transactionId, a retry without back-off.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::journal::{Entry, State};
use crate::base::time;
use crate::domain::warnings::Warning;
use crate::protocol::AnsweredBy;

/// Max. tracked requests per customer.
const MOST: usize = 1000;

/// A retry sooner than this after a failure counts as one without back-off.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Key data of a request, for comparison with others. Keeps only the hash of a transactionId, whose length is unbounded.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey {
    ordinal: u64,
    transaction: Option<u64>,
    image: Option<[u8; 32]>,
    at: Timestamp,
    /// Real time of arrival.
    arrived: Option<Instant>,
}

impl RequestKey {
    /// Creates the key of the customer's `ordinal`-th request; `at` is simulator time, `arrived` real time.
    #[must_use]
    pub fn new(
        ordinal: u64,
        transaction_id: Option<&str>,
        image: Option<[u8; 32]>,
        at: Timestamp,
        arrived: Option<Instant>,
    ) -> RequestKey {
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let transaction = transaction_id.filter(|text| !text.is_empty()).map(hash);
        RequestKey { ordinal, transaction, image, at, arrived }
    }

    fn same_transaction(&self, other: &RequestKey) -> bool {
        self.transaction.is_some() && self.transaction == other.transaction
    }

    /// Returns the keys that another request can share.
    fn marks(&self) -> impl Iterator<Item = MatchKey> {
        let transaction = self.transaction.map(MatchKey::Transaction);
        transaction.into_iter().chain(self.image.map(MatchKey::Image))
    }
}

/// Key that two requests can share: the same transactionId or the same photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum MatchKey {
    Transaction(u64),
    Image([u8; 32]),
}

/// A tracked request.
#[derive(Debug)]
struct TrackedRequest {
    sent: RequestKey,
    /// Uses of its transactionId up to and including this one; counted anew once no earlier use is tracked any more.
    uses: usize,
    /// Id of its journal entry, once it has one.
    id: Option<u64>,
    ended: Option<(Instant, Option<FailureKind>)>,
}

/// How a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FailureKind {
    /// Text for the message: a code, a status, a fault, or that no whole answer was sent.
    told: String,
    /// Whether the failure is transient: the same request may succeed later.
    passing: bool,
}

impl FailureKind {
    fn of(entry: &Entry, state: State) -> Option<FailureKind> {
        let failed = |told: String, passing| Some(FailureKind { told, passing });
        if state == State::Aborted {
            return failed("no whole answer".to_owned(), true);
        }
        // A fault may make a good answer unusable, so a retry with the same transactionId is legitimate.
        if let Some(fault) = &entry.fault {
            return failed(format!("the fault {}", fault.kind), true);
        }
        match (&entry.answer.code, entry.answer.status) {
            (Some(code), _) if code.is_busy() => failed(code.to_string(), true),
            (Some(code), _) => (code.stage() == AnsweredBy::Frontend)
                .then(|| FailureKind { told: code.to_string(), passing: false }),
            (None, Some(status)) if status < 500 => None,
            (None, Some(status)) => failed(format!("HTTP {status}"), true),
            (None, None) => failed("no answer".to_owned(), true),
        }
    }
}

/// Recent requests of a customer.
#[derive(Debug, Default)]
pub struct RecentRequests {
    /// Oldest first.
    known: VecDeque<TrackedRequest>,
    /// Number of evicted requests; it is the sequence number of the oldest tracked one.
    gone: usize,
    /// Sequence number of the latest request with each key.
    latest: HashMap<MatchKey, usize>,
}

impl RecentRequests {
    /// Returns at most one warning about a request. A retry after a failure may reuse the transactionId of the first attempt.
    #[must_use]
    pub fn check(&self, sent: &RequestKey) -> Option<Warning> {
        self.retry_without_backoff(sent).or_else(|| self.repeated(sent))
    }

    fn retry_without_backoff(&self, sent: &RequestKey) -> Option<Warning> {
        let last = self.latest(sent.marks())?;
        let (ended, failure) = last.ended.as_ref()?;
        let failure = failure.as_ref()?;
        let after = sent.arrived?.saturating_duration_since(*ended);
        let is_transaction = sent.same_transaction(&last.sent);
        // The same photo with another transactionId counts as a retry only after a transient failure.
        if after >= BACK_OFF || !(is_transaction || failure.passing) {
            return None;
        }
        let what = if is_transaction { "transactionId" } else { "image" };
        let (millis, request, told) = (after.as_millis(), last.name(), &failure.told);
        let message = format!(
            "the same {what} comes {millis} ms after {request} ended with {told}; wait before a retry, and longer each time"
        );
        Some(Warning { name: "retry_without_backoff", message })
    }

    fn repeated(&self, sent: &RequestKey) -> Option<Warning> {
        let last = self.latest(sent.transaction.map(MatchKey::Transaction))?;
        if matches!(last.ended, Some((_, Some(_)))) {
            return None;
        }
        let times = match last.uses {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let (request, at) = (last.name(), time::rfc3339_millis(last.sent.at));
        let under_way = if last.ended.is_none() { ", which is still under way" } else { "" };
        let message =
            format!("the transactionId was used before: {times}, last in {request} at {at}{under_way}");
        Some(Warning { name: "repeated_transaction_id", message })
    }

    /// Tracks a request; evicts the oldest when the limit is reached.
    pub fn record(&mut self, sent: RequestKey) {
        if sent.transaction.is_none() && sent.image.is_none() {
            return;
        }
        if self.known.len() >= MOST {
            self.evict_oldest();
        }
        let before = self.latest(sent.transaction.map(MatchKey::Transaction)).map_or(0, |known| known.uses);
        let number = self.gone + self.known.len();
        self.latest.extend(sent.marks().map(|mark| (mark, number)));
        self.known.push_back(TrackedRequest { sent, uses: before + 1, id: None, ended: None });
    }

    fn evict_oldest(&mut self) {
        let Some(oldest) = self.known.pop_front() else { return };
        for mark in oldest.sent.marks() {
            if self.latest.get(&mark) == Some(&self.gone) {
                self.latest.remove(&mark);
            }
        }
        self.gone += 1;
    }

    /// Returns the latest tracked request with one of these keys.
    fn latest(&self, marks: impl IntoIterator<Item = MatchKey>) -> Option<&TrackedRequest> {
        let number = marks.into_iter().filter_map(|mark| self.latest.get(&mark)).max()?;
        self.known.get(number - self.gone)
    }

    /// Sets the journal id of a request.
    pub fn journaled(&mut self, ordinal: u64, id: u64) {
        if let Some(known) = self.find(ordinal) {
            known.id = Some(id);
        }
    }

    /// Records that a request ended, with this entry and state.
    pub fn ended(&mut self, ordinal: u64, (entry, state): (&Entry, State), now: Instant) {
        if let Some(known) = self.find(ordinal) {
            known.ended = Some((now, FailureKind::of(entry, state)));
        }
    }

    /// Finds a tracked request by ordinal. Searches from the newest, where it usually is.
    fn find(&mut self, ordinal: u64) -> Option<&mut TrackedRequest> {
        self.known.iter_mut().rev().find(|known| known.sent.ordinal == ordinal)
    }
}

impl TrackedRequest {
    fn name(&self) -> String {
        self.id.map_or_else(|| "a request".to_owned(), |id| format!("request {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;
    use crate::state::journal::FaultRecord;
    use crate::state::journal::tests::entry;

    /// Simulated customer whose requests start and end at times chosen by the test.
    struct Customer {
        recent: RecentRequests,
        start: Instant,
        ordinal: u64,
    }

    impl Customer {
        fn new() -> Customer {
            Customer { recent: RecentRequests::default(), start: Instant::now(), ordinal: 0 }
        }

        /// Sends a request at `millis`; returns the warning.
        fn sends(&mut self, millis: u64, transaction_id: &str, image: u8) -> Option<String> {
            self.ordinal += 1;
            let arrived = Some(self.start + Duration::from_millis(millis));
            let at = "2026-11-21T10:00:00+07:00".parse().unwrap();
            let sent = RequestKey::new(self.ordinal, Some(transaction_id), Some([image; 32]), at, arrived);
            let warning = self.recent.check(&sent);
            self.recent.record(sent);
            self.recent.journaled(self.ordinal, 100 + self.ordinal);
            warning.map(|warning| format!("{}: {}", warning.name, warning.message))
        }

        /// Ends the last request with a code.
        fn ends(&mut self, millis: u64, code: Code) {
            self.ends_with(millis, &entry("demo", code), State::Done);
        }

        fn ends_with(&mut self, millis: u64, entry: &Entry, state: State) {
            self.recent.ended(self.ordinal, (entry, state), self.start + Duration::from_millis(millis));
        }
    }

    #[test]
    fn a_transaction_id_used_twice_is_told_with_when_where_and_how_often() {
        let mut customer = Customer::new();
        for (millis, expected) in [
            (0, None),
            (5000, Some("once, last in request 101")),
            (9000, Some("2 times, last in request 102")),
        ] {
            let told = customer.sends(millis, "T-1", millis as u8);
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            let expected = expected.unwrap_or_default();
            assert!(told.is_none_or(|told| told.contains(expected) && told.contains("10:00:00.000+07:00")));
            customer.ends(millis + 1, Code::FOUND);
        }
        assert_eq!(customer.sends(9500, "T-2", 9), None);
        let told = customer.sends(9600, "T-2", 10).unwrap();
        assert!(told.ends_with("which is still under way"), "{told}");
        assert_eq!([customer.sends(9700, "", 11), customer.sends(9800, "", 12)], [None, None]);
    }

    #[test]
    fn a_retry_soon_after_a_failure_is_told_and_one_that_waited_is_not() {
        let mut customer = Customer::new();
        assert_eq!(customer.sends(0, "T-1", 1), None);
        customer.ends(3000, Code::BUSY);
        let told = customer.sends(3012, "T-1", 1).unwrap();
        assert_eq!(
            told,
            "retry_without_backoff: the same transactionId comes 12 ms after request 101 ended with 6014; \
             wait before a retry, and longer each time"
        );
        customer.ends(3100, Code::BUSY);
        assert_eq!(customer.sends(4100, "T-1", 1), None, "a second later");
        customer.ends(4200, Code::FOUND);
        assert!(customer.sends(4300, "T-1", 1).unwrap().starts_with("repeated_transaction_id"));
    }

    #[test]
    fn a_new_transaction_id_does_not_hide_a_retry_of_the_same_photo() {
        let mut customer = Customer::new();
        customer.sends(0, "T-1", 1);
        customer.ends(10, Code::BUSY);
        assert!(customer.sends(20, "T-2", 1).unwrap().contains("the same image"));
        customer.ends(30, Code::PARAMETERS);
        assert_eq!(customer.sends(40, "T-3", 1), None, "a mistake put right is no retry");
        customer.ends(50, Code::FOUND);
        assert_eq!(customer.sends(60, "T-4", 1), None);
    }

    #[test]
    fn broken_connections_statuses_and_faults_are_failures_too() {
        let mut customer = Customer::new();
        customer.sends(0, "T-1", 1);
        customer.ends_with(10, &entry("demo", Code::FOUND), State::Aborted);
        assert!(customer.sends(20, "T-1", 1).unwrap().contains("no whole answer"));
        let mut gateway = entry("demo", Code::FOUND);
        (gateway.answer.code, gateway.answer.status) = (None, Some(502));
        customer.ends_with(30, &gateway, State::Done);
        assert!(customer.sends(40, "T-1", 1).unwrap().contains("HTTP 502"));
        let mut damaged = entry("demo", Code::FOUND);
        damaged.fault = Some(FaultRecord::new("bitflip", "noise"));
        customer.ends_with(50, &damaged, State::Done);
        assert!(
            customer.sends(60, "T-1", 1).unwrap().contains("after request 103 ended with the fault bitflip")
        );
        customer.ends_with(70, &damaged, State::Done);
        assert_eq!(customer.sends(1070, "T-1", 1), None, "a second later");
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let mut customer = Customer::new();
        for number in 0..=MOST {
            customer.sends(0, &format!("T-{number}"), 0);
        }
        assert_eq!((customer.recent.known.len(), customer.recent.latest.len()), (MOST, MOST + 1));
        assert_eq!(customer.sends(0, "T-0", 1), None);
        assert!(customer.sends(0, &format!("T-{MOST}"), 2).is_some());
    }
}
