//! Bodies: reading one whole, within a limit, and sending one while it is known whether it arrived.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures_util::StreamExt;

use super::Shared;
use crate::journal::State;

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is, or says that it is, larger than allowed.
    TooLarge,
    /// The connection ended, or what came is no HTTP body.
    Broken,
}

/// Reads a body of at most `most` bytes. Room is made at once for what Content-Length announces: growing a buffer of a
/// megabyte step by step costs more than everything else that is done with it.
///
/// # Errors
/// When it is too large or breaks off.
pub async fn read(req: &HttpRequest, payload: &mut web::Payload, most: usize) -> Result<Vec<u8>, Unread> {
    let announced =
        req.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced.unwrap_or(8 << 10));
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if bytes.len() + chunk.len() > most {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    if announced.is_some_and(|length| bytes.len() < length) {
        return Err(Unread::Broken);
    }
    Ok(bytes)
}

/// A request under way, from its head to the end of its answer. A server that stops waits for these.
pub struct UnderWay(web::Data<Shared>);

impl UnderWay {
    /// Counts a request in.
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

/// An answer on its way out. Its journal entry is in flight until it is sent or dropped.
pub struct Answer {
    bytes: Option<Bytes>,
    length: u64,
    sent: bool,
    /// Journal id.
    id: u64,
    started: Instant,
    under_way: UnderWay,
}

impl Answer {
    /// An answer with this body.
    #[must_use]
    pub fn new(bytes: Vec<u8>, id: u64, started: Instant, under_way: UnderWay) -> Answer {
        Answer { length: bytes.len() as u64, bytes: Some(bytes.into()), sent: false, id, started, under_way }
    }
}

impl MessageBody for Answer {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.length)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let bytes = self.bytes.take();
        self.sent |= bytes.is_none();
        Poll::Ready(bytes.map(Ok))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let state = if self.sent { State::Done } else { State::Aborted };
        self.under_way.0.finish(self.id, state, self.started);
    }
}
