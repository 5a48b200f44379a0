//! A request as it reaches the engine, and its admission: which customer calls, the request's ordinal, the rules that hold for it, and
//! what they decide before the body is read.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::customer::Customer;
use crate::domain::faults::Upload;
use crate::domain::rules::{Facts, Rule, RuleEffects};
use crate::domain::warnings::Headers;
use crate::state::customer_state::{InFlight, SharedState, StateDraft};
use crate::state::store::redis::SharedStore;
use crate::state::worker_pool::WorkerPool;

/// What is known of a request before its body.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// As in the path, decoded.
    pub customer_id: String,
    /// `None` in an explanation that names none: the customer's first.
    pub methode: Option<String>,
    /// The path as sent; `None` in an explanation: that of customer and methode.
    pub path: Option<String>,
    /// The TCP peer, or the client that a configured proxy names.
    pub peer: Option<IpAddr>,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// `None` where the headers are not known, as in an explanation of a body.
    pub headers: Option<Headers>,
}

/// A request that HTTP refuses before it is a customer's.
#[derive(Debug)]
pub struct RefusedRequest {
    /// Number of the connection, from 1.
    pub connection: u64,
    pub peer: Option<IpAddr>,
    /// customer_id and methode of the path, where it names them.
    pub target: Option<(String, String)>,
    pub user_agent: Option<String>,
    pub trace_id: Option<String>,
    pub status: u16,
    pub reason: String,
    /// Method and path, for the reason; the path as sent, where it names no customer.
    pub request: Option<(String, String)>,
    pub hint: String,
}

/// A request that was counted, and what rules decided before its body was read.
#[derive(Debug)]
pub struct Admission {
    /// `None` for an unknown customer.
    pub(super) caller: Option<Caller>,
    /// Ordinal of this request among the customer's requests, from 1; `None` for an unknown customer.
    pub(super) ordinal: Option<u64>,
    /// The customer's requests under way, this one included.
    pub(super) in_flight: u64,
    /// On the customer's clock.
    pub(super) now: Timestamp,
    /// In real time.
    pub(super) arrived: Instant,
    /// What rules decided from the head alone.
    pub(super) effects: RuleEffects,
    /// Whether the customer's rule counters overflowed for the first time.
    pub(super) counters_overflowed: bool,
}

/// The customer that calls, as it was when the request arrived: later changes apply to later requests.
#[derive(Debug)]
pub(super) struct Caller {
    pub customer: Arc<Customer>,
    pub state: SharedState,
    /// Where replicas share the state: what the request is decided on instead.
    pub draft: Option<LateDraft>,
    /// Which run of the customer's state this is, see [`CustomerState::instance`](crate::state::customer_state::CustomerState).
    pub instance: u64,
    /// The active rules, in the order in which they are tried.
    pub rules: Vec<Arc<Rule>>,
    /// `None` where the matcher's capacity has no limit.
    pub pool: Option<PoolShare>,
    in_flight: InFlight,
}

/// The worker pool that a request goes to, and how long it occupies a worker.
#[derive(Debug)]
pub(super) struct PoolShare {
    pub pool: Arc<WorkerPool>,
    pub service_time: Duration,
}

/// A draft of a customer's state, made as late as possible: others may overtake it from then on.
#[derive(Debug)]
pub(super) struct LateDraft {
    shared: Arc<SharedStore>,
    draft: OnceLock<StateDraft>,
}

impl LateDraft {
    pub(super) fn new(shared: &Arc<SharedStore>) -> LateDraft {
        LateDraft { shared: Arc::clone(shared), draft: OnceLock::new() }
    }

    fn of(&self, state: &SharedState) -> &SharedState {
        &self.draft.get_or_init(|| StateDraft::of(state, &self.shared, None)).state
    }

    /// Returns the draft, if something was decided.
    pub(super) fn taken(self) -> Option<StateDraft> {
        self.draft.into_inner()
    }
}

impl Caller {
    pub(super) fn new(customer: Arc<Customer>, state: SharedState, in_flight: InFlight) -> Caller {
        Caller { customer, state, draft: None, instance: 0, rules: Vec::new(), pool: None, in_flight }
    }

    /// Returns the state that the request is decided on: the customer's, or a copy of it as it is when this is first called.
    pub(super) fn deciding(&self) -> &SharedState {
        self.draft.as_ref().map_or(&self.state, |draft| draft.of(&self.state))
    }

    /// Counts the request where all replicas do.
    pub(super) fn count(&mut self, in_flight: InFlight) {
        self.in_flight = in_flight;
    }
}

impl Admission {
    pub(super) fn customer(&self) -> Option<&Customer> {
        self.caller.as_ref().map(|caller| &*caller.customer)
    }

    /// What happens to the upload, where a rule decided that.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        self.effects.fault.as_ref().and_then(|(fault, _)| fault.upload())
    }

    /// Fault and rule that decided what happens to the upload.
    #[must_use]
    pub fn upload_rule(&self) -> Option<(&'static str, String)> {
        let (fault, rule) = self.effects.fault.as_ref()?;
        Some((fault.kind().name, rule.clone()))
    }

    /// Whether the customer's rule counters overflowed for the first time with the request's head.
    #[must_use]
    pub fn counters_overflowed(&self) -> bool {
        self.counters_overflowed
    }

    /// Ends the request: it no longer counts as in flight. Dropping the admission does the same.
    pub fn finish(&mut self) {
        if let Some(caller) = &mut self.caller {
            caller.in_flight.release();
        }
    }

    /// What conditions can be compared with before the body is read.
    pub(super) fn head_facts<'a>(&self, head: &'a RequestHead) -> Facts<'a> {
        Facts {
            headers: head.headers.as_ref().map_or(&[], |headers| headers.all.as_slice()),
            ordinal: self.ordinal.unwrap_or(1),
            in_flight: self.in_flight,
            now: self.now,
            peer: head.peer,
            ..Facts::default()
        }
    }
}
