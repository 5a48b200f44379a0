//! `POST /requests/wait`: answers once the journal has enough entries, or when the time is over. Woken by news, never by a clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::verify::{UnmetExpectation, mismatch_hint, requests, tally, with_dropped_note};
use super::{ApiError, Json, json};
use crate::base::duration::DurationText;
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::journal::{Entry, JournalEvent, Match, MatchReport};

/// What `POST /requests/wait` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WaitQuestion")]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// Which entries are meant; default: all.
    #[serde(default)]
    r#match: Match,
    /// How many there must be at least: 1 to 1000.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    count: usize,
    /// How long to wait in real time, at most ten minutes.
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
const LONGEST: Duration = Duration::from_secs(600);

/// What is answered once there are enough.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Waited {
    /// The entries that are meant, newest first, at most 1000.
    requests: Vec<Arc<Entry>>,
}

pub async fn wait(shared: web::Data<AppState>, body: Json<WaitRequest>) -> Result<HttpResponse, ApiError> {
    let Json(WaitRequest { r#match: wanted, count, timeout: DurationText(timeout) }) = body;
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(ApiError::invalid(format!("count is 1 to {MAX_COUNT}, not {count}")).path("/count"));
    }
    if timeout > LONGEST {
        return Err(ApiError::invalid("timeout is at most 10 minutes").path("/timeout"));
    }
    let most = shared.waits.max();
    let _place =
        shared.waits.take().ok_or_else(|| ApiError::too_many(format!("{most} calls are waiting already")))?;
    let mut time_is_over = shared.timer.sleep(timeout);
    let mut gathering = MatchCollector::begin(&shared.engine, wanted).await?;
    let mut stopping = shared.stopping.subscribe();
    while gathering.found.len() < count {
        tokio::select! {
            () = &mut time_is_over => {
                // What came last may not have been heard yet.
                gathering.look_through().await?;
                if gathering.found.len() < count {
                    return timed_out(&shared, gathering, count, timeout).await;
                }
            }
            heard = gathering.listen() => heard?,
            _ = stopping.wait_for(|stopping| *stopping) => return Err(ApiError::stopping()),
        }
    }
    Ok(json(&Waited { requests: gathering.found.into_values().rev().take(MAX_COUNT).collect() }))
}

async fn timed_out(
    shared: &AppState,
    gathering: MatchCollector,
    count: usize,
    timeout: Duration,
) -> Result<HttpResponse, ApiError> {
    let MatchCollector { wanted, found, .. } = gathering;
    let timeout = humantime::format_duration(timeout);
    let message = format!("{} of {count} came within {timeout}", requests(found.len() as u64));
    let hint = mismatch_hint(shared, &wanted);
    let (tally, dropped) = tally(&shared.engine, wanted).await?;
    let error = ApiError::unmet(StatusCode::REQUEST_TIMEOUT, "timeout", message)
        .hint(with_dropped_note(hint, dropped));
    let matched = found.keys().rev().copied().take(MatchReport::MATCHED).collect();
    Ok(UnmetExpectation::answer(&error, MatchReport { count: found.len() as u64, matched, ..tally }))
}

/// The entries that are meant, kept up to date by news.
struct MatchCollector {
    engine: Arc<Engine>,
    wanted: Match,
    news: Receiver<JournalEvent>,
    found: BTreeMap<u64, Arc<Entry>>,
}

impl MatchCollector {
    async fn begin(engine: &Arc<Engine>, wanted: Match) -> Result<MatchCollector, ApiError> {
        // News first: what comes in while the journal is looked through is heard as well.
        let news = engine.journal.subscribe();
        let mut gathering =
            MatchCollector { engine: Arc::clone(engine), wanted, news, found: BTreeMap::new() };
        gathering.look_through().await?;
        Ok(gathering)
    }

    async fn look_through(&mut self) -> Result<(), ApiError> {
        let (engine, wanted) = (Arc::clone(&self.engine), self.wanted.clone());
        let taken = move || engine.journal.list(&wanted, usize::MAX).0;
        let taken = web::block(taken).await.map_err(|_| ApiError::stopping())?;
        self.found = taken.into_iter().map(|entry| (entry.id, entry)).collect();
        Ok(())
    }

    /// Waits for one piece of news and takes it in.
    async fn listen(&mut self) -> Result<(), ApiError> {
        match self.news.recv().await {
            Ok(JournalEvent::Added(entry) | JournalEvent::Ended(entry)) => {
                if self.wanted.matches(&entry) {
                    self.found.insert(entry.id, entry);
                } else {
                    self.found.remove(&entry.id);
                }
                Ok(())
            }
            Ok(JournalEvent::Cleared) | Err(RecvError::Lagged(_)) => self.look_through().await,
            Err(RecvError::Closed) => Err(ApiError::stopping()),
        }
    }
}
