//! One request under way, from its head to the end of its answer, however it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web;
use bytes::Bytes;

use super::Shared;
use crate::engine::{Arrival, Head};
use crate::journal::{Entry, State};

/// A request under way. Dropped early - the client has gone - it journals itself as aborted; a server that stops waits for it.
pub struct Visit {
    shared: web::Data<Shared>,
    pub head: Head,
    arrival: Arrival,
    started: Instant,
    entry: Option<Arc<Entry>>,
    state: State,
}

impl Visit {
    /// Counts a request in.
    #[must_use]
    pub fn begin(shared: &web::Data<Shared>, head: Head) -> Visit {
        shared.in_flight.send_modify(|count| *count += 1);
        let arrival = shared.engine.arrive(&head);
        let started = Instant::now();
        Visit { shared: shared.clone(), head, arrival, started, entry: None, state: State::Aborted }
    }

    /// The answer to a whole body, on its way.
    #[must_use]
    pub fn answer(mut self, body: &[u8]) -> Answer {
        let (entry, bytes) = self.shared.engine.answer(&self.head, self.arrival, body);
        self.entry = Some(entry);
        Answer { length: bytes.len() as u64, bytes: Some(bytes.into()), visit: self }
    }

    /// Ends a request that is answered with a status of HTTP's instead.
    pub fn turn_away(mut self, status: u16, reason: &str) {
        self.entry = Some(self.shared.engine.turn_away(&self.head, self.arrival, Some(status), reason));
        self.state = State::Done;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let engine = &self.shared.engine;
        let entry = self.entry.take().unwrap_or_else(|| {
            engine.turn_away(
                &self.head,
                self.arrival,
                None,
                "the connection ended before the whole body came",
            )
        });
        entry.end(self.state, u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX));
        engine.journal.append(&entry);
        self.shared.observer.request(&entry);
        self.shared.in_flight.send_modify(|count| *count -= 1);
    }
}

/// An answer on its way out.
pub struct Answer {
    bytes: Option<Bytes>,
    length: u64,
    visit: Visit,
}

impl MessageBody for Answer {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let bytes = self.bytes.take();
        if bytes.is_none() {
            self.visit.state = State::Done;
        }
        Poll::Ready(bytes.map(Ok))
    }
}
