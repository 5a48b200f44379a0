//! Reading a body whole, within a limit.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use crate::faults::At;
use crate::timer::Timer;

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
pub async fn read<P>(req: &HttpRequest, payload: &mut P, most: usize) -> Result<Vec<u8>, Unread>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
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

/// Reads a body at so many bytes a second: the socket is left alone meanwhile, so that the client feels it.
///
/// # Errors
/// As [`read`].
pub async fn read_slowly<P>(
    req: &HttpRequest,
    payload: &mut P,
    most: usize,
    rate: u64,
    timer: &dyn Timer,
) -> Result<Vec<u8>, Unread>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let paced = payload.then(|chunk| {
        let bytes = chunk.as_ref().map_or(0, Bytes::len);
        let pause = timer.sleep(Duration::from_secs_f64(bytes as f64 / rate as f64));
        async move {
            pause.await;
            chunk
        }
    });
    read(req, &mut Box::pin(paced), most).await
}

/// Reads a body as far as `at`, of what Content-Length announces, and no further than `most` bytes.
pub async fn read_part<P>(req: &HttpRequest, payload: &mut P, at: At, most: usize)
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let wanted = at.of(announced(req).unwrap_or(most)).min(most);
    let mut count = 0;
    while count < wanted {
        match payload.next().await {
            Some(Ok(chunk)) => count += chunk.len(),
            _ => return,
        }
    }
}

fn announced(req: &HttpRequest) -> Option<usize> {
    req.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok())
}
