//! `GET /events`: what happens in the journal, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::ApiError;
use crate::http::slots::SlotPermit;
use crate::http::state::AppState;
use crate::state::journal::{Entry, JournalEvent, State};

/// The query of `GET /events`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// Whose requests; default: everybody's.
    customer_id: Option<String>,
}

/// The data of an event `lagged`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lagged {
    /// How many events, of all customers, this reader has missed.
    lost: u64,
}

/// So often a silent stream says that it is alive.
const PING: Duration = Duration::from_secs(15);

pub async fn events(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: EventsQuery = super::query(&req)?;
    let after = last_event_id(&req)?;
    let most = shared.readers.max();
    let place = shared
        .readers
        .take()
        .ok_or_else(|| ApiError::too_many(format!("{most} readers follow the events already")))?;
    let reader = Reader::new(shared, query.customer_id, after, place);
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(reader.stream()))
}

/// Where a reader left off that connects again.
fn last_event_id(req: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = req.headers().get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.map(Some).ok_or_else(|| {
        ApiError::invalid("Last-Event-ID is not the number of an entry")
            .path("Last-Event-ID")
            .hint("send the id of the last event request that came, or leave the header out")
    })
}

/// One who follows the journal.
struct Reader {
    shared: web::Data<AppState>,
    customer_id: Option<String>,
    /// Told before everything else: how much is lost for good.
    lost: u64,
    /// What happened while the reader was away.
    missed: std::vec::IntoIter<JournalEvent>,
    news: Receiver<JournalEvent>,
    ping: BoxFuture<'static, ()>,
    _place: SlotPermit,
}

impl Reader {
    fn new(
        shared: web::Data<AppState>,
        customer_id: Option<String>,
        after: Option<u64>,
        place: SlotPermit,
    ) -> Reader {
        let journal = &shared.engine.journal;
        let (missed, lost, news) = match after {
            Some(id) => {
                let followed = journal.follow(id);
                (followed.missed, followed.lost, followed.news)
            }
            None => (Vec::new(), 0, journal.subscribe()),
        };
        let ping = shared.timer.sleep(PING);
        Reader { customer_id, lost, missed: missed.into_iter(), news, ping, _place: place, shared }
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(Bytes::from(event)), reader))
        })
    }

    /// The next event's text; `None` when there will be none any more.
    async fn next(&mut self) -> Option<String> {
        if self.lost > 0 {
            return Some(lagged(std::mem::take(&mut self.lost)));
        }
        while let Some(news) = self.missed.next() {
            if let Some(event) = self.told(&news) {
                return Some(event);
            }
        }
        let event = loop {
            tokio::select! {
                heard = self.news.recv() => match heard {
                    Ok(news) => match self.told(&news) {
                        Some(event) => break event,
                        None => continue,
                    },
                    Err(RecvError::Lagged(lost)) => break lagged(lost),
                    Err(RecvError::Closed) => return None,
                },
                () = &mut self.ping => break ": ping\n\n".to_owned(),
            }
        };
        self.ping = self.shared.timer.sleep(PING);
        Some(event)
    }

    fn told(&self, news: &JournalEvent) -> Option<String> {
        let (entry, ended) = match news {
            JournalEvent::Added(entry) => (entry, false),
            JournalEvent::Ended(entry) => (entry, true),
            JournalEvent::Cleared => return None,
        };
        let is_meant = self.customer_id.as_ref().is_none_or(|customer_id| *customer_id == entry.customer_id);
        is_meant.then(|| event(entry, ended))
    }
}

/// Only `request` has an id: ends come in another order, and a reader that connects again goes on behind the last id it saw.
/// It shows the entry as it came in, though it may have ended before its news are told.
fn event(entry: &Entry, ended: bool) -> String {
    let mut data = serde_json::to_value(entry).unwrap_or_default();
    if !ended {
        data["state"] = serde_json::to_value(State::InFlight).unwrap_or_default();
        data["elapsed_us"] = 0.into();
    }
    match (ended, entry.state.get()) {
        (false, _) => format!("event: request\nid: {}\ndata: {data}\n\n", entry.id),
        (true, State::Aborted) => format!("event: aborted\ndata: {data}\n\n"),
        (true, _) => format!("event: done\ndata: {data}\n\n"),
    }
}

fn lagged(lost: u64) -> String {
    let data = serde_json::to_string(&Lagged { lost }).unwrap_or_default();
    format!("event: lagged\ndata: {data}\n\n")
}
