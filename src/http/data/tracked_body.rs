//! The body of an answer that says when it was sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web;
use bytes::Bytes;

use crate::http::state::Shared;

/// Something that a stopping server waits for.
pub struct UnderWay(web::Data<Shared>);

impl UnderWay {
    /// Counts it in.
    #[must_use]
    pub fn start(shared: &web::Data<Shared>) -> UnderWay {
        shared.in_flight.send_modify(|count| *count += 1);
        UnderWay(shared.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

/// An answer on its way out, with whoever is told when it is sent or dropped.
pub struct Answer<G> {
    bytes: Option<Bytes>,
    length: u64,
    guard: G,
}

/// Whoever is told that an answer was sent whole.
pub trait Guard: Unpin {
    fn sent(&mut self) {}
}

impl Guard for UnderWay {}

impl<G: Guard> Answer<G> {
    /// An answer with this body.
    pub fn new(bytes: Vec<u8>, mut guard: G) -> Answer<G> {
        if bytes.is_empty() {
            // HTTP does not ask for a body that has no bytes.
            guard.sent();
        }
        Answer { length: bytes.len() as u64, bytes: Some(bytes.into()), guard }
    }
}

impl<G: Guard> MessageBody for Answer<G> {
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
