//! What a test asks of a running simulator: ready requests, what was received, whether that was right, and another time.

use std::fmt;
use std::ops::{RangeFrom, RangeInclusive, RangeToInclusive};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Simulator;
use super::setup::{self, TestError, id_of, known, read, wanted};
use crate::config::source;
use crate::domain::customer::Customer;
use crate::engine::Scope;
use crate::http::client_request::{Fields, Request};
use crate::keys;
use crate::state::clock::ClockMove;
use crate::state::journal::{Entry, ExpectedCount, Match, MatchReport};

/// The journal has not as many requests as it should: how many it has, and what came near. Printed the same with `{}` and
/// `{:?}`, so that `unwrap` in a test tells all of it.
#[derive(Clone, PartialEq)]
pub struct VerificationFailed {
    /// What was expected, and found.
    message: String,
    /// What the journal has of it.
    pub tally: MatchReport,
}

impl fmt::Display for VerificationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for miss in &self.tally.nearest {
            write!(f, "\n  request {} differs:", miss.id)?;
            for (field, difference) in &miss.differs {
                write!(f, " {field} is {}, wanted {};", difference.got, difference.want)?;
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

/// How many requests there should be: a number, or a range such as `1..`, `..=3` and `2..=4`.
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

/// The picture that a ready request carries: of somebody in the built-in gallery.
const PICTURE: &str = "gallery/siti.jpg";

impl Simulator {
    /// A ready request of a customer: its account encrypted with its key, an address that it may call from, a picture of
    /// somebody in the built-in gallery, threshold 7, and a `transactionId` of its own.
    ///
    /// # Errors
    /// When nobody has the id.
    pub fn request(&self, customer_id: &str) -> Result<Request, TestError> {
        let customer = self.customer(customer_id)?;
        let key = keys::read_public_pem(customer.key.public_pem()).map_err(TestError)?;
        let fields = Fields {
            transaction_id: &format!("T-{}", self.next_transaction()),
            transaction_source: "test",
            threshold: "7",
            image: &source::built_in().remove(PICTURE).map(|file| file.bytes).unwrap_or_default(),
            user_id: &customer.account.user_id,
            password: &customer.account.password,
            ip: &allowed_address(&customer),
        };
        Request::new(self.url_of(&customer), key, fields).map_err(TestError)
    }

    fn url_of(&self, customer: &Customer) -> String {
        let methode = customer.methode.first().map_or("", String::as_str);
        format!("{}{}", self.url(), self.engine().fixtures().path_of(&customer.id, methode))
    }

    /// Everything the journal has, the oldest first. NIKs are masked unless the simulator shows them.
    #[must_use]
    pub fn received(&self) -> Vec<Arc<Entry>> {
        let (mut entries, _) = self.engine().journal.entries();
        entries.reverse();
        entries
    }

    /// Whether the journal has as many requests that match as it should: `"customer_id"`, `"code"`, `"transaction_id"` and the
    /// other keys of [`Match`], with the patterns and ranges of rules.
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
    /// How many there are and what came near; or what is wrong with the match.
    pub fn verify(
        &self,
        wanted: impl Serialize,
        count: impl Into<ExpectedCount>,
    ) -> Result<u64, VerificationFailed> {
        let expected = count.into();
        let wanted: Match = read(&wanted)
            .map_err(|TestError(message)| VerificationFailed::of(message, MatchReport::default()))?;
        let right =
            expected.counts().map_err(|message| VerificationFailed::of(message, MatchReport::default()))?;
        let (entries, _) = self.engine().journal.entries();
        let tally = MatchReport::of(&entries, &wanted);
        if right.contains(&tally.count) {
            return Ok(tally.count);
        }
        Err(VerificationFailed::of(format!("{} requests match, expected {expected}", tally.count), tally))
    }

    /// Moves the simulator's clock forward, and with it every customer's that follows it. Gives the instant it then shows.
    ///
    /// # Errors
    /// When it would leave the year 9999.
    pub fn advance(&self, by: Duration) -> Result<Timestamp, TestError> {
        let reading = self.engine().clock.change(ClockMove::Advance(by)).map_err(TestError)?;
        Ok(reading.now)
    }

    /// Puts a customer, in place of the one with its id: the model of the fixture files as JSON, with an optional `"ttl"`.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn put_customer(&self, id: &str, customer: impl Serialize) -> Result<(), TestError> {
        setup::put_customer(self.engine(), id, &customer)
    }

    /// Puts a customer with an id and an account of its own, as `POST /customers` does, and gives its id.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn create_customer(&self, customer: impl Serialize) -> Result<String, TestError> {
        let wanted = wanted(&customer)?;
        let made = self.engine().create_customer(wanted);
        made.map(|listed| listed.customer.id.clone()).map_err(|refusal| TestError(refusal.to_string()))
    }

    /// Puts a rule of a customer, before those that it has.
    ///
    /// # Errors
    /// What is wrong with it, or that nobody has the id.
    pub fn put_rule(&self, customer_id: &str, name: &str, rule: impl Serialize) -> Result<(), TestError> {
        setup::put_rule(self.engine(), customer_id, name, &rule)
    }

    /// Takes something back to the beginning: for one customer, or for all.
    ///
    /// # Errors
    /// When nobody has the id, or the customer cannot be taken back.
    pub fn reset(&self, scope: Scope, customer_id: Option<&str>) -> Result<(), TestError> {
        let id = customer_id.map(|id| self.customer(id).and_then(|known| id_of(&known.id))).transpose()?;
        self.engine().reset(scope, id.as_ref()).map_err(|refusal| TestError(refusal.to_string()))
    }

    fn customer(&self, customer_id: &str) -> Result<Arc<Customer>, TestError> {
        known(self.engine(), customer_id)
    }
}

impl VerificationFailed {
    fn of(message: String, tally: MatchReport) -> VerificationFailed {
        VerificationFailed { message, tally }
    }
}

/// An address that the customer may call from: this machine's, or the first of its list.
fn allowed_address(customer: &Customer) -> String {
    let loopback = std::net::Ipv4Addr::LOCALHOST.into();
    let listed = customer.allow.iter().flatten().map(|allowed| allowed.0.addr()).next();
    match listed {
        Some(address) if !customer.allows(loopback) => address.to_string(),
        _ => loopback.to_string(),
    }
}
