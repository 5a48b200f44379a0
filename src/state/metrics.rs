//! Numbers for a monitoring system, in the OpenMetrics text format. One registry a simulator; its labels are bounded.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::journal::{Entry, Usage};
use super::timing::StageTimes;
use crate::protocol::{Code, Outcome};

/// Media type of [`Metrics::scrape`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Customers that have numbers of their own, at most; the others share those of `other`.
const MAX_CUSTOMERS: usize = 200;

/// Upper bounds of the histograms, in seconds: from a decoded body to a client's patience.
const BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    customer: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CustomerLabels {
    customer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MatcherLabels {
    matcher: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// What is looked up when the numbers are asked for.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Answers of the data listener under way.
    pub in_flight: usize,
    /// Connections of the data listener so far.
    pub connections: u64,
    pub waiting_calls: usize,
    pub event_readers: usize,
    pub journal: Option<Usage>,
    /// What is left today, of the customers that have a quota.
    pub quota_left: Vec<(String, u64)>,
    pub capacities: Vec<CapacityUsage>,
}

/// How busy a matcher of bounded capacity is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityUsage {
    /// Whose it is.
    pub matcher: String,
    pub workers: u64,
    pub busy: u64,
    /// Requests in its queue.
    pub waiting: u64,
}

/// A simulator's numbers.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// The customers that have numbers of their own.
    customers: Mutex<HashSet<String>>,
    requests: Family<AnswerLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    answers: Histogram,
    stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    gauges: Gauges,
}

/// Numbers that are set when they are asked for.
#[derive(Clone, Default)]
struct Gauges {
    in_flight: Gauge,
    connections: Counter,
    waiting_calls: Gauge,
    event_readers: Gauge,
    journal_entries: Gauge,
    journal_bytes: Gauge,
    journal_dropped: Counter,
    quota_left: Family<CustomerLabels, Gauge>,
    workers: Family<MatcherLabels, Gauge>,
    workers_busy: Family<MatcherLabels, Gauge>,
    queue: Family<MatcherLabels, Gauge>,
    uptime: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let mut registry = Registry::with_prefix("frsim");
        let metrics = Metrics {
            started: Instant::now(),
            customers: Mutex::default(),
            requests: Family::default(),
            faults: Family::default(),
            answers: histogram(),
            stages: Family::new_with_constructor(histogram),
            gauges: Gauges::default(),
            registry: Registry::default(),
        };
        let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") });
        registry.register("build", "Which program this is", build);
        registry.register("requests", "Requests by customer and code", metrics.requests.clone());
        registry.register("faults", "Faults by kind", metrics.faults.clone());
        registry.register_with_unit(
            "answer",
            "From a request's head to the end of its answer, delays and faults included",
            Unit::Seconds,
            metrics.answers.clone(),
        );
        registry.register_with_unit(
            "stage",
            "What the stages of an answer take",
            Unit::Seconds,
            metrics.stages.clone(),
        );
        metrics.gauges.register(&mut registry);
        Metrics { registry, ..metrics }
    }
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        let Gauges { in_flight, connections, waiting_calls, event_readers, .. } = self.clone();
        registry.register("in_flight", "Answers under way", in_flight);
        registry.register("connections", "Connections of the data listener", connections);
        registry.register("waiting_calls", "Calls of POST /requests/wait under way", waiting_calls);
        registry.register("event_readers", "Readers of GET /events", event_readers);
        let Gauges { journal_entries, journal_bytes, journal_dropped, quota_left, .. } = self.clone();
        registry.register("journal_entries", "Entries in the journal", journal_entries);
        registry.register_with_unit("journal_size", "Size of the journal", Unit::Bytes, journal_bytes);
        registry.register("journal_dropped", "Entries lost for want of room", journal_dropped);
        registry.register("quota_left", "What is left of today's quota", quota_left);
        let Gauges { workers, workers_busy, queue, uptime, .. } = self.clone();
        registry.register("matcher_workers", "Workers of a matcher", workers);
        registry.register("matcher_workers_busy", "Workers that have a request", workers_busy);
        registry.register("matcher_queue", "Requests that wait for a worker", queue);
        registry.register_with_unit("uptime", "Time since the start", Unit::Seconds, uptime);
    }

    fn set(&self, now: &Snapshot, uptime: Duration) {
        self.in_flight.set(whole(now.in_flight as u64));
        self.connections.inner().store(now.connections, Ordering::Relaxed);
        self.waiting_calls.set(whole(now.waiting_calls as u64));
        self.event_readers.set(whole(now.event_readers as u64));
        if let Some(Usage { entries, bytes, dropped }) = now.journal {
            self.journal_entries.set(whole(entries as u64));
            self.journal_bytes.set(whole(bytes as u64));
            self.journal_dropped.inner().store(dropped, Ordering::Relaxed);
        }
        self.uptime.set(uptime.as_secs_f64());
        self.quota_left.clear();
        for (customer, left) in now.quota_left.iter().take(MAX_CUSTOMERS) {
            self.quota_left.get_or_create(&CustomerLabels { customer: customer.clone() }).set(whole(*left));
        }
        let families = [&self.workers, &self.workers_busy, &self.queue];
        families.iter().for_each(|family| family.clear());
        for capacity in now.capacities.iter().take(MAX_CUSTOMERS) {
            let label = MatcherLabels { matcher: capacity.matcher.clone() };
            let numbers = [capacity.workers, capacity.busy, capacity.waiting];
            for (family, number) in families.iter().zip(numbers) {
                family.get_or_create(&label).set(whole(number));
            }
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Counts a request that has ended after so long.
    pub fn record(&self, entry: &Entry, elapsed: Duration) {
        let customer = self.customer(entry);
        self.requests.get_or_create(&AnswerLabels { customer, code: code(entry) }).inc();
        self.answers.observe(elapsed.as_secs_f64());
        if let Some(kind) = fault(entry) {
            self.faults.get_or_create(&FaultLabels { kind }).inc();
        }
    }

    /// Counts what the stages of an answer took.
    pub fn record_stages(&self, times: &StageTimes) {
        for (part, time) in times.iter() {
            self.stages.get_or_create(&StageLabels { stage: part.name() }).observe(time.as_secs_f64());
        }
    }

    /// All numbers as text.
    #[must_use]
    pub fn scrape(&self, now: &Snapshot) -> String {
        self.gauges.set(now, self.started.elapsed());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// The customer, as far as there is room; a customer nobody knows is `unknown`, whatever it is called.
    fn customer(&self, entry: &Entry) -> String {
        if entry.ordinal.is_none() {
            return "unknown".to_owned();
        }
        let mut customers = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        if !customers.contains(&entry.customer_id) {
            if customers.len() >= MAX_CUSTOMERS {
                return "other".to_owned();
            }
            customers.insert(entry.customer_id.clone());
        }
        entry.customer_id.clone()
    }
}

/// A code of the table; rules can make up any other.
fn code(entry: &Entry) -> &'static str {
    let known = |code: &Code| Outcome::find(code).map_or("other", |outcome| outcome.code);
    entry.answer.code.as_ref().map_or("none", known)
}

fn fault(entry: &Entry) -> Option<&'static str> {
    entry.fault.as_ref().map(|fault| fault.kind)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use crate::state::journal::FaultRecord;

    use super::*;
    use crate::state::journal::tests::entry;

    fn scrape(metrics: &Metrics) -> String {
        metrics.scrape(&Snapshot::default())
    }

    #[test]
    fn labels_are_bounded_whatever_comes() {
        let metrics = Metrics::default();
        for number in 0..MAX_CUSTOMERS + 50 {
            metrics.record(&entry(&format!("c{number}"), Code::FOUND), Duration::ZERO);
        }
        for number in 0..100 {
            let code = Code::new(&format!("X{number}")).unwrap();
            metrics.record(&entry("c0", code), Duration::ZERO);
            metrics.record(
                &Entry { ordinal: None, ..entry(&format!("u{number}"), Code::ACCOUNT) },
                Duration::ZERO,
            );
        }
        let text = scrape(&metrics);
        let series = text.lines().filter(|line| line.starts_with("frsim_requests_total")).count();
        assert_eq!(series, MAX_CUSTOMERS + 3, "one a customer, and three that are shared");
        for line in [
            r#"frsim_requests_total{customer="c0",code="6018"} 1"#,
            r#"frsim_requests_total{customer="other",code="6018"} 50"#,
            r#"frsim_requests_total{customer="c0",code="other"} 100"#,
            r#"frsim_requests_total{customer="unknown",code="5001"} 100"#,
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        }
    }

    #[test]
    fn faults_are_counted_by_kind_and_an_answer_without_a_code_as_none() {
        let metrics = Metrics::default();
        let mut hanging = entry("demo", Code::FOUND);
        hanging.fault = Some(FaultRecord::new("hang", "h"));
        hanging.answer.code = None;
        metrics.record(&hanging, Duration::ZERO);
        let text = scrape(&metrics);
        assert!(text.contains("frsim_faults_total{kind=\"hang\"} 1\n"), "{text}");
        assert!(text.contains("frsim_requests_total{customer=\"demo\",code=\"none\"} 1\n"), "{text}");
    }

    #[test]
    fn matchers_of_bounded_capacity_have_gauges_that_go_with_them() {
        let metrics = Metrics::default();
        let capacity = CapacityUsage { matcher: "demo".to_owned(), workers: 4, busy: 3, waiting: 2 };
        let text = metrics.scrape(&Snapshot { capacities: vec![capacity], ..Snapshot::default() });
        for line in
            ["workers{matcher=\"demo\"} 4", "workers_busy{matcher=\"demo\"} 3", "queue{matcher=\"demo\"} 2"]
        {
            assert!(text.contains(&format!("frsim_matcher_{line}\n")), "no {line} in {text}");
        }
        assert!(!scrape(&metrics).contains("matcher=\"demo\""), "gone with its customer");
    }
}
