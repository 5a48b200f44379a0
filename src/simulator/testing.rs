//! Test helpers of a running simulator: build requests, list and verify received requests, move the clock, change customers.

use std::fmt;
use std::ops::{RangeFrom, RangeInclusive, RangeToInclusive};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Simulator;
use super::setup::{self, TestError, customer_input, find_customer, parse, parse_id};
use crate::config::source;
use crate::domain::customer::Customer;
use crate::engine::Scope;
use crate::http::client_request::{Fields, Request};
use crate::keys;
use crate::state::clock::ClockMove;
use crate::state::journal::{Entry, ExpectedCount, Match, MatchReport};
use crate::state::store::redis::Turn;

/// Failed verification: the number of matching requests is not the expected one. Holds the count and the nearest misses. `{}` and
/// `{:?}` print the same, so that `unwrap` in a test shows everything.
#[derive(Clone, PartialEq)]
pub struct VerificationFailed {
    /// Expected and actual count.
    message: String,
    /// Matching requests of the journal, and the nearest misses.
    pub report: MatchReport,
}

impl fmt::Display for VerificationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for miss in &self.report.nearest {
            write!(f, "\n  request {} differs:", miss.id)?;
            for (field, difference) in &miss.differs {
                write!(f, " {field} is {}, expected {};", difference.got, difference.want)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for VerificationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for VerificationFailed {}

/// Expected number of requests: a number, or a range such as `1..`, `..=3` and `2..=4`.
impl From<u64> for ExpectedCount {
    fn from(count: u64) -> ExpectedCount {
        ExpectedCount { exactly: Some(count), ..ExpectedCount::default() }
    }
}

impl From<RangeFrom<u64>> for ExpectedCount {
    fn from(range: RangeFrom<u64>) -> ExpectedCount {
        ExpectedCount { at_least: Some(range.start), ..ExpectedCount::default() }
    }
}

impl From<RangeToInclusive<u64>> for ExpectedCount {
    fn from(range: RangeToInclusive<u64>) -> ExpectedCount {
        ExpectedCount { at_most: Some(range.end), ..ExpectedCount::default() }
    }
}

impl From<RangeInclusive<u64>> for ExpectedCount {
    fn from(range: RangeInclusive<u64>) -> ExpectedCount {
        ExpectedCount { at_least: Some(*range.start()), at_most: Some(*range.end()), exactly: None }
    }
}

impl Simulator {
    /// Builds a valid request of a customer: its account encrypted with its key, an allowed address, a photo of a person in the
    /// built-in gallery, threshold 7, and a unique `transactionId`.
    ///
    /// # Errors
    /// When no customer has the id.
    pub fn request(&self, customer_id: &str) -> Result<Request, TestError> {
        let customer = self.customer(customer_id)?;
        let key = keys::read_public_pem(customer.key.public_pem()).map_err(TestError)?;
        let fields = Fields {
            transaction_id: &format!("T-{}", self.next_transaction()),
            transaction_source: "test",
            threshold: "7",
            image: source::demo_picture(),
            user_id: &customer.account.user_id,
            password: &customer.account.password,
            ip: &customer.allowed_address().to_string(),
        };
        Request::new(self.url_of(&customer), key, fields).map_err(TestError)
    }

    fn url_of(&self, customer: &Customer) -> String {
        let methode = customer.methode.first().map_or("", String::as_str);
        format!("{}{}", self.url(), self.engine().fixtures().path_of(&customer.id, methode))
    }

    /// Returns all journal entries, oldest first. NIKs are masked unless the simulator shows them.
    #[must_use]
    pub fn received(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.entries();
        entries.reverse();
        entries
    }

    /// Verifies the number of matching requests in the journal, and returns it. The filter has `"customer_id"`, `"code"`,
    /// `"transaction_id"` and the other keys of [`Match`], with the patterns and ranges of rules.
    ///
    /// ```
    /// # use dukcapil_fr_sim::Simulator;
    /// # use serde_json::json;
    /// # let simulator = Simulator::builder().key_bits(1024).start_blocking()?;
    /// simulator.verify(json!({ "customer_id": "demo", "code": "6018" }), 0)?;
    /// assert!(simulator.verify(json!({ "customer_id": "demo" }), 1..).is_err());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The actual count and the nearest misses, or what is wrong with the filter.
    pub fn verify(
        &self,
        filter: impl Serialize,
        count: impl Into<ExpectedCount>,
    ) -> Result<u64, VerificationFailed> {
        let expected = count.into();
        let filter: Match = parse(&filter)
            .map_err(|TestError(message)| VerificationFailed::of(message, MatchReport::default()))?;
        let allowed =
            expected.counts().map_err(|message| VerificationFailed::of(message, MatchReport::default()))?;
        let entries = self.entries();
        let report = MatchReport::of(&entries, &filter);
        if allowed.contains(&report.count) {
            return Ok(report.count);
        }
        Err(VerificationFailed::of(format!("{} requests match, expected {expected}", report.count), report))
    }

    /// Advances the simulator's clock, and every customer clock that follows it. Returns the new time.
    ///
    /// # Errors
    /// When the new time would be after the year 9999.
    pub fn advance(&self, by: Duration) -> Result<Timestamp, TestError> {
        let _turn = self.turn()?;
        let reading = self.engine().clock.change(ClockMove::Advance(by)).map_err(TestError)?;
        Ok(reading.now)
    }

    /// Creates a customer, or replaces the one with the id: the model of the fixture files as JSON, with an optional `"ttl"`.
    ///
    /// # Errors
    /// What is wrong with the customer, and where.
    pub fn put_customer(&self, id: &str, customer: impl Serialize) -> Result<(), TestError> {
        let _turn = self.turn()?;
        setup::put_customer(self.engine(), id, &customer)
    }

    /// Creates a customer with a generated id and account, as `POST /customers` does, and returns the id.
    ///
    /// # Errors
    /// What is wrong with the customer, and where.
    pub fn create_customer(&self, customer: impl Serialize) -> Result<String, TestError> {
        let input = customer_input(&customer)?;
        let _turn = self.turn()?;
        let created = self.engine().create_customer(input);
        created.map(|entry| entry.customer.id.clone()).map_err(|error| TestError(error.to_string()))
    }

    /// Creates a rule of a customer, before its other rules, or replaces the one with the name.
    ///
    /// # Errors
    /// What is wrong with the rule, or that no customer has the id.
    pub fn put_rule(&self, customer_id: &str, name: &str, rule: impl Serialize) -> Result<(), TestError> {
        let _turn = self.turn()?;
        setup::put_rule(self.engine(), customer_id, name, &rule)
    }

    /// Resets the chosen state, for one customer or all.
    ///
    /// # Errors
    /// When no customer has the id, or the customer cannot be reset.
    pub fn reset(&self, scope: Scope, customer_id: Option<&str>) -> Result<(), TestError> {
        let id = customer_id
            .map(|id| self.customer(id).and_then(|customer| parse_id(&customer.id)))
            .transpose()?;
        let _turn = self.turn()?;
        self.engine().reset(scope, id.as_ref()).map_err(|error| TestError(error.to_string()))
    }

    /// Waits for the turn to change what replicas share.
    fn turn(&self) -> Result<Option<Turn>, TestError> {
        self.engine().take_turn_blocking().map_err(|no_turn| TestError(no_turn.to_string()))
    }

    /// Returns the journal's entries, newest first; of replicas, all that any of them has answered.
    fn entries(&self) -> Vec<Arc<Entry>> {
        if let Some(shared) = self.engine().shared() {
            // While the store is down these are those that came before.
            let _ = shared.caught_up_blocking();
        }
        self.engine().journal.entries().0
    }

    fn customer(&self, customer_id: &str) -> Result<Arc<Customer>, TestError> {
        find_customer(self.engine(), customer_id)
    }
}

impl VerificationFailed {
    fn of(message: String, report: MatchReport) -> VerificationFailed {
        VerificationFailed { message, report }
    }
}
