//! The body of an answer that says when it was sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web;
use bytes::Bytes;

use crate::http::state::AppState;

/// Something that a stopping server waits for.
pub struct InFlightGuard(web::Data<AppState>);

impl InFlightGuard {
    /// Counts it in.
    #[must_use]
    pub fn start(shared: &web::Data<AppState>) -> InFlightGuard {
        shared.in_flight.send_modify(|count| *count += 1);
        InFlightGuard(shared.clone())
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

/// An answer on its way out, with whoever is told when it is sent or dropped.
pub struct TrackedBody<G> {
    bytes: Option<Bytes>,
    length: u64,
    guard: G,
}

/// Whoever is told that an answer was sent whole.
pub trait OnSent: Unpin {
    fn sent(&mut self) {}
}

impl OnSent for InFlightGuard {}

impl<G: OnSent> TrackedBody<G> {
    /// An answer with this body.
    pub fn new(bytes: Vec<u8>, mut guard: G) -> TrackedBody<G> {
        if bytes.is_empty() {
            // HTTP does not ask for a body that has no bytes.
            guard.sent();
        }
        TrackedBody { length: bytes.len() as u64, bytes: Some(bytes.into()), guard }
    }
}

impl<G: OnSent> MessageBody for TrackedBody<G> {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let bytes = self.bytes.take();
        if bytes.is_none() {
            self.guard.sent();
        }
        Poll::Ready(bytes.map(Ok))
    }
}
