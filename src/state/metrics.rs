//! Metrics in the OpenMetrics text format, for Prometheus. One registry per simulator, so several run in one process.
//!
//! Label cardinality is bounded, because clients choose the values: 200 customers, then `other`; `unknown` for an unknown customer id;
//! the codes of the outcome table, then `other`; HTTP statuses.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::face_engine::{FaceEngineCounts, FaceEngineStatus};
use super::journal::{Delivered, Entry, Sent, Usage};
use super::timing::StageTimes;
use crate::protocol::Outcome;

/// Media type of [`Metrics::scrape`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Max. customers with a label value of their own; further ones share `other`.
const MAX_CUSTOMERS: usize = 200;

/// Histogram buckets: upper bounds in seconds, from decoding a body to a client's timeout.
const BUCKETS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    customer: String,
    outcome: String,
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
struct FaceLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    store: String,
}

/// How a store stands that replicas share.
#[derive(Clone, Debug)]
pub struct StoreUsage {
    /// Its address.
    pub store: String,
    pub is_up: bool,
    /// How often its history went back.
    pub regressions: u64,
}

/// Values that are read at scrape time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Answers of the data listener in flight.
    pub in_flight: usize,
    /// Connections that the data listener has accepted so far.
    pub connections: u64,
    pub waiting_calls: usize,
    pub event_readers: usize,
    pub journal: Option<Usage>,
    /// Remaining quota today, of the customers that have a quota.
    pub quota_left: Vec<(String, u64)>,
    /// How often the face engine was asked, and how it is; `None` without one.
    pub faces: Option<(FaceEngineCounts, FaceEngineStatus)>,
    pub capacities: Vec<CapacityUsage>,
    pub store: Option<StoreUsage>,
}

/// Load of a matcher with bounded capacity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityUsage {
    /// Label value: the owner of the matcher.
    pub matcher: String,
    pub workers: u64,
    pub busy: u64,
    /// Requests in the queue.
    pub waiting: u64,
}

/// Metrics of one simulator.
pub struct Metrics {
    registry: Registry,
    started: Instant,
    /// Customers that have a label value of their own.
    customers: Mutex<HashSet<String>>,
    requests: Family<AnswerLabels, Counter>,
    faults: Family<FaultLabels, Counter>,
    answers: Histogram,
    stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    gauges: Gauges,
}

/// Metrics that are set at scrape time.
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
    faces: Family<FaceLabels, Counter>,
    /// Empty without a face engine: a family without members is not written.
    faces_failing: Family<[(&'static str, &'static str); 0], Gauge>,
    uptime: Gauge<f64, AtomicU64>,
    store_up: Family<StoreLabels, Gauge>,
    store_regressions: Family<StoreLabels, Counter>,
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
        registry.register("build", "Build information", build);
        registry.register(
            "requests",
            "Requests by customer and outcome: the code, http_STATUS, rst, fin, or none when the client left",
            metrics.requests.clone(),
        );
        registry.register("faults", "Faults by kind", metrics.faults.clone());
        registry.register_with_unit(
            "answer",
            "Time from the request head to the end of the answer, including delays and faults",
            Unit::Seconds,
            metrics.answers.clone(),
        );
        registry.register_with_unit(
            "stage",
            "Time per processing stage",
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
        registry.register("in_flight", "Answers in flight", in_flight);
        registry.register("connections", "Connections accepted by the data listener", connections);
        registry.register("waiting_calls", "Calls of POST /requests/wait in progress", waiting_calls);
        registry.register("event_readers", "Open streams of GET /events", event_readers);
        let Gauges { journal_entries, journal_bytes, journal_dropped, quota_left, .. } = self.clone();
        registry.register("journal_entries", "Entries in the journal", journal_entries);
        registry.register_with_unit(
            "journal_size",
            "Approximate memory use of the journal",
            Unit::Bytes,
            journal_bytes,
        );
        registry.register("journal_dropped", "Entries dropped because the journal was full", journal_dropped);
        registry.register("quota_left", "Remaining quota of today", quota_left);
        let Gauges { workers, workers_busy, queue, faces, faces_failing, uptime, .. } = self.clone();
        registry.register("matcher_workers", "Workers of a matcher", workers);
        registry.register("matcher_workers_busy", "Busy workers of a matcher", workers_busy);
        registry.register("matcher_queue", "Requests waiting for a worker of a matcher", queue);
        registry.register(
            "face_engine_photos",
            "Photos that the face engine was asked about, by result: vector, no_face or failed",
            faces,
        );
        registry.register("face_engine_failing", "1 while the face engine does not answer", faces_failing);
        let Gauges { store_up, store_regressions, .. } = self.clone();
        registry.register(
            "shared_store_up",
            "Whether the store that replicas share can be reached",
            store_up,
        );
        registry.register(
            "shared_store_regressions",
            "How often the history of the store that replicas share went back",
            store_regressions,
        );
        registry.register_with_unit("uptime", "Time since the simulator started", Unit::Seconds, uptime);
    }

    fn set(&self, now: &Snapshot, uptime: Duration) {
        self.in_flight.set(gauge_value(now.in_flight as u64));
        self.connections.inner().store(now.connections, Ordering::Relaxed);
        self.waiting_calls.set(gauge_value(now.waiting_calls as u64));
        self.event_readers.set(gauge_value(now.event_readers as u64));
        if let Some(Usage { entries, bytes, dropped }) = now.journal {
            self.journal_entries.set(gauge_value(entries as u64));
            self.journal_bytes.set(gauge_value(bytes as u64));
            self.journal_dropped.inner().store(dropped, Ordering::Relaxed);
        }
        self.uptime.set(uptime.as_secs_f64());
        if let Some(StoreUsage { store, is_up, regressions }) = &now.store {
            let label = StoreLabels { store: store.clone() };
            self.store_up.get_or_create(&label).set(i64::from(*is_up));
            self.store_regressions.get_or_create(&label).inner().store(*regressions, Ordering::Relaxed);
        }
        self.quota_left.clear();
        for (customer, left) in now.quota_left.iter().take(MAX_CUSTOMERS) {
            self.quota_left
                .get_or_create(&CustomerLabels { customer: customer.clone() })
                .set(gauge_value(*left));
        }
        self.faces.clear();
        self.faces_failing.clear();
        if let Some((FaceEngineCounts { vectors, no_faces, failures }, status)) = now.faces {
            for (result, count) in [("vector", vectors), ("no_face", no_faces), ("failed", failures)] {
                self.faces.get_or_create(&FaceLabels { result }).inner().store(count, Ordering::Relaxed);
            }
            self.faces_failing.get_or_create(&[]).set(i64::from(status == FaceEngineStatus::Failing));
        }
        let families = [&self.workers, &self.workers_busy, &self.queue];
        families.iter().for_each(|family| family.clear());
        for capacity in now.capacities.iter().take(MAX_CUSTOMERS) {
            let label = MatcherLabels { matcher: capacity.matcher.clone() };
            let numbers = [capacity.workers, capacity.busy, capacity.waiting];
            for (family, number) in families.iter().zip(numbers) {
                family.get_or_create(&label).set(gauge_value(number));
            }
        }
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

fn gauge_value(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Metrics {
    /// Records a request of which `sent` left the socket, after `elapsed`.
    pub fn record(&self, entry: &Entry, sent: Sent, elapsed: Duration) {
        let customer = self.customer_label(entry);
        let outcome = outcome_label(&entry.delivered(sent));
        self.requests.get_or_create(&AnswerLabels { customer, outcome }).inc();
        self.answers.observe(elapsed.as_secs_f64());
        if let Some(kind) = fault_label(entry) {
            self.faults.get_or_create(&FaultLabels { kind }).inc();
        }
    }

    /// Records the duration of each stage of a request.
    pub fn record_stages(&self, times: &StageTimes) {
        for (stage, time) in times.iter() {
            self.stages.get_or_create(&StageLabels { stage: stage.name() }).observe(time.as_secs_f64());
        }
    }

    /// Returns all metrics as OpenMetrics text.
    #[must_use]
    pub fn scrape(&self, now: &Snapshot) -> String {
        self.gauges.set(now, self.started.elapsed());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// Returns the customer label: the id, `other` beyond [`MAX_CUSTOMERS`], `unknown` for an unknown customer.
    fn customer_label(&self, entry: &Entry) -> String {
        let (Some(_), Some(customer_id)) = (entry.ordinal, &entry.customer_id) else {
            return "unknown".to_owned();
        };
        let mut customers = self.customers.lock();
        if !customers.contains(customer_id) {
            if customers.len() >= MAX_CUSTOMERS {
                return "other".to_owned();
            }
            customers.insert(customer_id.clone());
        }
        customer_id.clone()
    }
}

/// Returns the outcome label: a documented code, `other` for a custom code of a rule, `http_502`, `rst`, `fin`, or `none`.
fn outcome_label(delivered: &Delivered) -> String {
    match delivered {
        Delivered::Code(code) => Outcome::find(code).map_or("other", |outcome| outcome.code).to_owned(),
        other => other.label(),
    }
}

fn fault_label(entry: &Entry) -> Option<&'static str> {
    entry.fault.as_ref().map(|fault| fault.kind)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::faults::FaultKind;
    use crate::protocol::Code;
    use crate::state::journal::tests::entry;
    use crate::state::journal::{FaultRecord, SentEnd};

    const COMPLETE: Sent = Sent { status: Some(200), bytes: 900, end: SentEnd::Complete };

    fn scrape(metrics: &Metrics) -> String {
        metrics.scrape(&Snapshot::default())
    }

    #[test]
    fn label_cardinality_is_bounded() {
        let metrics = Metrics::default();
        for number in 0..MAX_CUSTOMERS + 50 {
            metrics.record(&entry(&format!("c{number}"), Code::FOUND), COMPLETE, Duration::ZERO);
        }
        for number in 0..100 {
            let code = Code::new(&format!("X{number}")).unwrap();
            metrics.record(&entry("c0", code), COMPLETE, Duration::ZERO);
            metrics.record(
                &Entry { ordinal: None, ..entry(&format!("u{number}"), Code::ACCOUNT) },
                COMPLETE,
                Duration::ZERO,
            );
        }
        let text = scrape(&metrics);
        let series = text.lines().filter(|line| line.starts_with("frsim_requests_total")).count();
        assert_eq!(series, MAX_CUSTOMERS + 3, "one per customer, and three shared");
        for line in [
            r#"frsim_requests_total{customer="c0",outcome="6018"} 1"#,
            r#"frsim_requests_total{customer="other",outcome="6018"} 50"#,
            r#"frsim_requests_total{customer="c0",outcome="other"} 100"#,
            r#"frsim_requests_total{customer="unknown",outcome="5001"} 100"#,
        ] {
            assert!(text.lines().any(|known| known == line), "no {line} in {text}");
        }
    }

    #[test]
    fn requests_are_counted_by_what_was_sent_and_faults_by_kind() {
        let metrics = Metrics::default();
        let fault = |kind| Some(FaultRecord::new(FaultKind::find(kind).unwrap(), "f"));
        for (kind, status, end) in [
            (Some("hang"), None, SentEnd::None),
            (Some("reset"), None, SentEnd::Rst),
            (Some("truncate"), Some(200), SentEnd::Fin),
            (Some("gateway_page"), Some(502), SentEnd::Complete),
            (Some("dribble"), Some(200), SentEnd::Complete),
            (None, Some(200), SentEnd::Complete),
        ] {
            let mut entry = entry("demo", Code::FOUND);
            entry.fault = kind.and_then(fault);
            metrics.record(&entry, Sent { status, bytes: 9, end }, Duration::ZERO);
        }
        let text = scrape(&metrics);
        for (outcome, count) in [("none", 1), ("rst", 1), ("fin", 1), ("http_502", 1), ("6018", 2)] {
            let line = format!("frsim_requests_total{{customer=\"demo\",outcome=\"{outcome}\"}} {count}\n");
            assert!(text.contains(&line), "no {line} in {text}");
        }
        assert!(text.contains("frsim_faults_total{kind=\"hang\"} 1\n"), "{text}");
    }

    #[test]
    fn matchers_with_bounded_capacity_have_gauges_until_they_are_removed() {
        let metrics = Metrics::default();
        let capacity = CapacityUsage { matcher: "demo".to_owned(), workers: 4, busy: 3, waiting: 2 };
        let text = metrics.scrape(&Snapshot { capacities: vec![capacity], ..Snapshot::default() });
        for line in
            ["workers{matcher=\"demo\"} 4", "workers_busy{matcher=\"demo\"} 3", "queue{matcher=\"demo\"} 2"]
        {
            assert!(text.contains(&format!("frsim_matcher_{line}\n")), "no {line} in {text}");
        }
        assert!(!scrape(&metrics).contains("matcher=\"demo\""), "removed with its customer");
    }
}
