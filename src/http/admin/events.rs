//! `GET /events`: streams journal events and changes, as server-sent events.
//!
//! Only `request` events have an id, by which a reader resumes. Requests end in another order than they begin, so the id of an end
//! would not say which events the reader has seen. A reader that resumes is told of clearings again, but not of changes: it reads what
//! it shows again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::ApiError;
use crate::base::json;
use crate::engine::Engine;
use crate::http::state::{AppState, MAX_READERS};
use crate::state::journal::{Entry, JournalEvent, Sending, SharedEvent, State};

/// Query of `GET /events`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EventsQuery {
    /// Customer whose requests to stream; default: all customers.
    customer_id: Option<String>,
}

/// Data of the event `lagged`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Lagged {
    /// Number of events, of all customers, that this reader missed.
    lost: u64,
}

/// Data of the event `cleared`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleared {
    /// Customer whose entries were removed; null: all entries were.
    customer_id: Option<String>,
}

/// Interval of keep-alive comments on an idle stream.
const PING: Duration = Duration::from_secs(15);

pub async fn events(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: EventsQuery = super::query(&req)?;
    let after = last_event_id(&req)?;
    let permit = Arc::clone(&shared.readers)
        .try_acquire_owned()
        .map_err(|_| ApiError::too_many(format!("{MAX_READERS} event streams are already open")))?;
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("x-accel-buffering", "no"));
    if req.method() == Method::HEAD {
        return Ok(response.force_close().streaming(stream::empty::<Result<Bytes, Infallible>>()));
    }
    let reader = Reader::new(shared, query.customer_id, after, permit);
    // What the reader missed.
    reader.shared.engine.committed().await;
    Ok(response.streaming(reader.stream()))
}

/// Returns the id of the last event that a reconnecting reader received: the `Last-Event-ID` header.
fn last_event_id(req: &HttpRequest) -> Result<Option<u64>, ApiError> {
    let Some(value) = req.headers().get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    id.map(Some).ok_or_else(|| {
        ApiError::invalid("Last-Event-ID is not the id of an entry")
            .path("Last-Event-ID")
            .hint("send the id of the last `request` event received, or omit the header")
    })
}

/// One event stream: a subscriber of the journal.
struct Reader {
    shared: web::Data<AppState>,
    customer_id: Option<String>,
    /// Number of events lost for good; sent first.
    lost: u64,
    /// Events since the reader's last connection.
    missed: std::vec::IntoIter<JournalEvent>,
    events: Receiver<Arc<SharedEvent>>,
    /// How many of the next events are known to be committed.
    committed: usize,
    ping: BoxFuture<'static, ()>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    fn new(
        shared: web::Data<AppState>,
        customer_id: Option<String>,
        after: Option<u64>,
        permit: OwnedSemaphorePermit,
    ) -> Reader {
        let journal = &shared.engine.journal;
        let (missed, lost, events) = match after {
            Some(id) => {
                let subscription = journal.follow(id);
                (subscription.missed, subscription.lost, subscription.news)
            }
            None => (Vec::new(), 0, journal.subscribe()),
        };
        let ping = shared.timer.sleep(PING);
        let missed = missed.into_iter();
        Reader { customer_id, lost, missed, events, committed: 0, ping, _permit: permit, shared }
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut reader| async move {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    /// Waits for the next event and returns its text; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if self.lost > 0 {
            return Some(lagged(std::mem::take(&mut self.lost)));
        }
        while let Some(missed) = self.missed.next() {
            // A reader of many events does not keep the thread from others.
            tokio::task::yield_now().await;
            if self.is_for_reader(&missed) {
                return Some(text(&self.shared.engine, &missed));
            }
        }
        let event = loop {
            tokio::select! {
                received = self.events.recv() => match received {
                    Ok(shared) if self.is_for_reader(&shared.event) => {
                        self.wait_for_commit().await;
                        break shared.text(|event| text(&self.shared.engine, event));
                    }
                    Ok(_) => self.committed = self.committed.saturating_sub(1),
                    Err(RecvError::Lagged(lost)) => {
                        self.committed = 0;
                        break lagged(lost);
                    }
                    Err(RecvError::Closed) => return None,
                },
                () = &mut self.ping => break Bytes::from_static(b": ping\n\n"),
            }
        };
        self.ping = self.shared.timer.sleep(PING);
        Some(event)
    }

    /// Waits until the event just received is committed. One wait serves all that had come by then: a reader keeps up with many requests.
    async fn wait_for_commit(&mut self) {
        if let Some(left) = self.committed.checked_sub(1) {
            self.committed = left;
            return;
        }
        let waiting = self.events.len();
        self.shared.engine.committed().await;
        self.committed = waiting;
    }

    fn is_for_reader(&self, event: &JournalEvent) -> bool {
        let is_wanted = |whose: &Option<String>| self.customer_id.is_none() || self.customer_id == *whose;
        match event {
            JournalEvent::Added(entry) | JournalEvent::Ended(entry) => is_wanted(&entry.customer_id),
            JournalEvent::Cleared(whose) => whose.is_none() || is_wanted(whose),
            JournalEvent::Changed(change) => change.customer_id.is_none() || is_wanted(&change.customer_id),
        }
    }
}

/// Formats an event.
fn text(engine: &Engine, event: &JournalEvent) -> Bytes {
    let text = match event {
        JournalEvent::Added(entry) => event_text(entry, false),
        JournalEvent::Ended(entry) => event_text(entry, true),
        JournalEvent::Cleared(whose) => {
            // The id of a call, which need not be a customer's.
            let customer_id = whose.as_ref().map(|id| engine.hidden(id).into_owned());
            format!("event: cleared\ndata: {}\n\n", json::text(&Cleared { customer_id }))
        }
        JournalEvent::Changed(change) => format!("event: changed\ndata: {}\n\n", json::text(&**change)),
    };
    Bytes::from(text)
}

/// Formats the event of an entry. `request` has the entry as it was on arrival, although it may have ended before the event is sent.
fn event_text(entry: &Entry, ended: bool) -> String {
    let mut data = json::value(entry);
    if let (false, Value::Object(data), Value::Object(on_arrival)) =
        (ended, &mut data, json::value(&Sending::default()))
    {
        data.extend(on_arrival);
    }
    match (ended, entry.sending.state()) {
        (false, _) => format!("event: request\nid: {}\ndata: {data}\n\n", entry.id),
        (true, State::Aborted) => format!("event: aborted\ndata: {data}\n\n"),
        (true, _) => format!("event: done\ndata: {data}\n\n"),
    }
}

/// Formats the event `lagged`.
fn lagged(lost: u64) -> Bytes {
    let data = json::text(&Lagged { lost });
    Bytes::from(format!("event: lagged\ndata: {data}\n\n"))
}
