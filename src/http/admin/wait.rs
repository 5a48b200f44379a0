//! `POST /requests/wait`: waits until the journal has enough matching entries, or until the timeout. Woken by journal events: does not
//! poll.
//!
//! The whole journal is scanned only at the start, after entries were cleared, after lost events, and once more at the timeout. Scans
//! run on a blocking thread, because the admin listener has only one thread, which must stay free for other calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::count::CountField;
use super::verify::{UnmetExpectation, match_report, mismatch_hint, request_count, with_dropped_note};
use super::{ApiError, Json, json};
use crate::base::duration::DurationText;
use crate::engine::Engine;
use crate::http::state::{AppState, MAX_WAITS};
use crate::state::journal::{Entry, ExpectedCount, JournalEvent, Match, MatchReport, SharedEvent};

/// Body of `POST /requests/wait`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WaitQuestion")]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// Filter for the entries; default: all.
    #[serde(default)]
    r#match: Match,
    /// Number of matching entries to wait for, max 1000: a number is at least so many; default: 1.
    #[serde(default = "one")]
    count: CountField,
    /// Timeout, in real time; max 10 minutes.
    #[serde(default = "ten_seconds")]
    timeout: DurationText,
}

fn one() -> CountField {
    CountField::Number(1)
}

fn ten_seconds() -> DurationText {
    DurationText(Duration::from_secs(10))
}

const MAX_COUNT: u64 = 1000;
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Response once there are enough matching entries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Waited {
    /// Matching entries, newest first, max 1000.
    requests: Vec<Arc<Entry>>,
}

pub async fn wait(shared: web::Data<AppState>, body: Json<WaitRequest>) -> Result<HttpResponse, ApiError> {
    let Json(WaitRequest { r#match: filter, count, timeout: DurationText(timeout) }) = body;
    let (expected, accepted) =
        count.bounds(|count| ExpectedCount { at_least: Some(count), ..ExpectedCount::default() })?;
    if *accepted.start() > MAX_COUNT || expected.at_least == Some(0) || *accepted.end() == 0 {
        let message = format!("count is {expected}, but a call waits for 1 to {MAX_COUNT} requests");
        return Err(ApiError::invalid(message)
            .path("/count")
            .hint(r#"POST /requests/verify with "count":{"exactly":0} checks that there is none"#));
    }
    if timeout > MAX_TIMEOUT {
        return Err(ApiError::invalid("timeout must be at most 10 minutes").path("/timeout"));
    }
    let _permit = shared
        .waits
        .try_acquire()
        .map_err(|_| ApiError::too_many(format!("{MAX_WAITS} calls are already waiting")))?;
    let max_bytes = shared.engine.fixtures().limits.regexes.0;
    let _regexes = HeldRegexes::of(&filter, &shared.waiting_regexes, max_bytes).ok_or_else(|| {
        ApiError::too_many(format!(
            "the regexes of all calls that wait would take more than {max_bytes} bytes of memory (limits.regexes); use globs, or fewer"
        ))
    })?;
    let mut deadline = shared.timer.sleep(timeout);
    let mut collector = MatchCollector::start(&shared.engine, filter).await?;
    let mut stopping = shared.stopping.subscribe();
    while !accepted.contains(&collector.count()) {
        tokio::select! {
            () = &mut deadline => {
                // The last events may not have been received yet.
                collector.scan_journal().await?;
                if !accepted.contains(&collector.count()) {
                    return timed_out(&shared, collector, expected, timeout).await;
                }
            }
            result = collector.apply_next_event() => result?,
            _ = stopping.wait_for(|stopping| *stopping) => return Err(ApiError::stopping()),
        }
    }
    shared.engine.committed().await;
    Ok(json(&Waited { requests: collector.found.into_values().rev().take(MAX_COUNT as usize).collect() }))
}

/// The memory of a call's regexes, counted among those of all calls until it is dropped.
struct HeldRegexes<'a> {
    all: &'a AtomicUsize,
    bytes: usize,
}

impl HeldRegexes<'_> {
    /// Counts the regexes of a filter, unless all would be more than so many bytes.
    fn of<'a>(filter: &Match, all: &'a AtomicUsize, max_bytes: u64) -> Option<HeldRegexes<'a>> {
        let bytes = filter.regex_bytes();
        let with_it = |all: usize| Some(all + bytes).filter(|sum| bytes == 0 || *sum as u64 <= max_bytes);
        all.fetch_update(Relaxed, Relaxed, with_it).ok()?;
        Some(HeldRegexes { all, bytes })
    }
}

impl Drop for HeldRegexes<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Relaxed);
    }
}

async fn timed_out(
    shared: &AppState,
    collector: MatchCollector,
    expected: ExpectedCount,
    timeout: Duration,
) -> Result<HttpResponse, ApiError> {
    let MatchCollector { filter, found, .. } = collector;
    let timeout = humantime::format_duration(timeout);
    let count = found.len() as u64;
    let message = match expected.at_least {
        Some(wanted) if expected.at_most.is_none() => {
            format!("{} of {wanted} came within {timeout}", request_count(count))
        }
        _ => format!("{} came within {timeout}, expected {expected}", request_count(count)),
    };
    let hint = mismatch_hint(shared, &filter);
    let (report, dropped) = match_report(&shared.engine, filter).await?;
    let error = ApiError::unmet(StatusCode::REQUEST_TIMEOUT, "timeout", message)
        .hint(with_dropped_note(hint, dropped));
    let matched = found.keys().rev().copied().take(MatchReport::MATCHED).collect();
    Ok(UnmetExpectation::answer(&error, MatchReport { count, matched, ..report }))
}

/// Collects the matching entries of the journal; journal events keep it up to date.
struct MatchCollector {
    engine: Arc<Engine>,
    filter: Match,
    events: Receiver<Arc<SharedEvent>>,
    found: BTreeMap<u64, Arc<Entry>>,
}

impl MatchCollector {
    async fn start(engine: &Arc<Engine>, filter: Match) -> Result<MatchCollector, ApiError> {
        // Subscribe first, so that entries added during the scan are not missed.
        let events = engine.journal.subscribe();
        let mut collector =
            MatchCollector { engine: Arc::clone(engine), filter, events, found: BTreeMap::new() };
        collector.scan_journal().await?;
        Ok(collector)
    }

    fn count(&self) -> u64 {
        self.found.len() as u64
    }

    /// Scans the whole journal.
    async fn scan_journal(&mut self) -> Result<(), ApiError> {
        let (engine, filter) = (Arc::clone(&self.engine), self.filter.clone());
        let list = move || engine.journal.list(&filter, usize::MAX).0;
        let entries = super::beside(list).await?;
        self.found = entries.into_iter().map(|entry| (entry.id, entry)).collect();
        Ok(())
    }

    /// Waits for the next journal event and applies it.
    async fn apply_next_event(&mut self) -> Result<(), ApiError> {
        let shared = match self.events.recv().await {
            Ok(shared) => shared,
            Err(RecvError::Lagged(_)) => return self.scan_journal().await,
            Err(RecvError::Closed) => return Err(ApiError::stopping()),
        };
        match &shared.event {
            JournalEvent::Added(entry) | JournalEvent::Ended(entry) => {
                if self.filter.matches(entry) {
                    self.found.insert(entry.id, Arc::clone(entry));
                } else {
                    self.found.remove(&entry.id);
                }
                Ok(())
            }
            JournalEvent::Changed(_) => Ok(()),
            JournalEvent::Cleared(_) => self.scan_journal().await,
        }
    }
}
