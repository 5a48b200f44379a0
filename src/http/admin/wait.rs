//! `POST /requests/wait`: waits until the journal has enough matching entries, or until the timeout. Woken by journal events: does not
//! poll.
//!
//! The whole journal is scanned only at the start, after entries were cleared, after lost events, and once more at the timeout. Scans
//! run on a blocking thread, because the admin listener has only one thread, which must stay free for other calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::verify::{UnmetExpectation, match_report, mismatch_hint, request_count, with_dropped_note};
use super::{ApiError, Json, json};
use crate::base::duration::DurationText;
use crate::engine::Engine;
use crate::http::state::{AppState, MAX_WAITS};
use crate::state::journal::{Entry, JournalEvent, Match, MatchReport};

/// Body of `POST /requests/wait`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WaitQuestion")]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// Filter for the entries; default: all.
    #[serde(default)]
    r#match: Match,
    /// Min number of matching entries: 1 to 1000.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    count: usize,
    /// Timeout, in real time; max 10 minutes.
    #[serde(default = "ten_seconds")]
    timeout: DurationText,
}

fn one() -> usize {
    1
}

fn ten_seconds() -> DurationText {
    DurationText(Duration::from_secs(10))
}

const MAX_COUNT: usize = 1000;
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// Response once there are enough matching entries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Waited {
    /// Matching entries, newest first, max 1000.
    requests: Vec<Arc<Entry>>,
}

pub async fn wait(shared: web::Data<AppState>, body: Json<WaitRequest>) -> Result<HttpResponse, ApiError> {
    let Json(WaitRequest { r#match: filter, count, timeout: DurationText(timeout) }) = body;
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(ApiError::invalid(format!("count must be 1 to {MAX_COUNT}, not {count}")).path("/count"));
    }
    if timeout > MAX_TIMEOUT {
        return Err(ApiError::invalid("timeout must be at most 10 minutes").path("/timeout"));
    }
    let _permit = shared
        .waits
        .try_acquire()
        .map_err(|_| ApiError::too_many(format!("{MAX_WAITS} calls are already waiting")))?;
    let mut deadline = shared.timer.sleep(timeout);
    let mut collector = MatchCollector::start(&shared.engine, filter).await?;
    let mut stopping = shared.stopping.subscribe();
    while collector.found.len() < count {
        tokio::select! {
            () = &mut deadline => {
                // The last events may not have been received yet.
                collector.scan_journal().await?;
                if collector.found.len() < count {
                    return timed_out(&shared, collector, count, timeout).await;
                }
            }
            result = collector.apply_next_event() => result?,
            _ = stopping.wait_for(|stopping| *stopping) => return Err(ApiError::stopping()),
        }
    }
    Ok(json(&Waited { requests: collector.found.into_values().rev().take(MAX_COUNT).collect() }))
}

async fn timed_out(
    shared: &AppState,
    collector: MatchCollector,
    count: usize,
    timeout: Duration,
) -> Result<HttpResponse, ApiError> {
    let MatchCollector { filter, found, .. } = collector;
    let timeout = humantime::format_duration(timeout);
    let message = format!("{} of {count} came within {timeout}", request_count(found.len() as u64));
    let hint = mismatch_hint(shared, &filter);
    let (report, dropped) = match_report(&shared.engine, filter).await?;
    let error = ApiError::unmet(StatusCode::REQUEST_TIMEOUT, "timeout", message)
        .hint(with_dropped_note(hint, dropped));
    let matched = found.keys().rev().copied().take(MatchReport::MATCHED).collect();
    Ok(UnmetExpectation::answer(&error, MatchReport { count: found.len() as u64, matched, ..report }))
}

/// Collects the matching entries of the journal; journal events keep it up to date.
struct MatchCollector {
    engine: Arc<Engine>,
    filter: Match,
    events: Receiver<JournalEvent>,
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

    /// Scans the whole journal.
    async fn scan_journal(&mut self) -> Result<(), ApiError> {
        let (engine, filter) = (Arc::clone(&self.engine), self.filter.clone());
        let list = move || engine.journal.list(&filter, usize::MAX).0;
        let entries = web::block(list).await.map_err(|_| ApiError::stopping())?;
        self.found = entries.into_iter().map(|entry| (entry.id, entry)).collect();
        Ok(())
    }

    /// Waits for the next journal event and applies it.
    async fn apply_next_event(&mut self) -> Result<(), ApiError> {
        match self.events.recv().await {
            Ok(JournalEvent::Added(entry) | JournalEvent::Ended(entry)) => {
                if self.filter.matches(&entry) {
                    self.found.insert(entry.id, entry);
                } else {
                    self.found.remove(&entry.id);
                }
                Ok(())
            }
            Ok(JournalEvent::Cleared) | Err(RecvError::Lagged(_)) => self.scan_journal().await,
            Err(RecvError::Closed) => Err(ApiError::stopping()),
        }
    }
}
