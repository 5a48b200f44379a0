//! Reading a body whole, within a limit.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::buffer_pool::Buffer;
use super::data::headers;
use super::long_body::LongBody;
use super::state::AppState;
use super::timeouts::Timeouts;
use crate::domain::faults::Offset;
use crate::state::timer::Timer;

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is, or says that it is, larger than allowed.
    TooLarge,
    /// The connection ended, or what came is no HTTP body.
    Broken,
    /// It did not come in time.
    TooSlow,
    /// It is compressed or otherwise encoded, as this `Content-Encoding` says.
    Encoded(String),
}

/// What a request's head alone says against reading its body: no more than `most` bytes are taken, and nothing is unpacked, so
/// that a few bytes cannot become many.
#[must_use]
pub fn reject_by_head(headers: &HeaderMap, most: usize) -> Option<BodyError> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).map(|value| value.as_bytes());
    if let Some(encoding) = encodings.find(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Some(BodyError::Encoded(String::from_utf8_lossy(encoding).into_owned()));
    }
    announced(headers).is_some_and(|length| length > most).then_some(BodyError::TooLarge)
}

/// Reads a body of at most `most` bytes, within the time that a client has for it.
///
/// # Errors
/// When it is too large, encoded, too slow or breaks off.
pub async fn read<P>(req: &HttpRequest, payload: &mut P, most: usize) -> Result<Buffer, BodyError>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    if let Some(unread) = reject_by_head(&headers::of(req), most) {
        return Err(unread);
    }
    with_timeout(timeouts(req), async {
        match (LongBody::of(req), req.app_data::<web::Data<AppState>>()) {
            (Some(aside), Some(shared)) => {
                aside.read_whole(&shared.buffers).await.map_err(|_| BodyError::Broken)
            }
            _ => read_pieces(req, payload, most).await,
        }
    })
    .await
}

async fn with_timeout(
    time: Duration,
    read: impl Future<Output = Result<Buffer, BodyError>>,
) -> Result<Buffer, BodyError> {
    tokio::time::timeout(time, read).await.unwrap_or(Err(BodyError::TooSlow))
}

fn timeouts(req: &HttpRequest) -> Duration {
    let shared = req.app_data::<web::Data<AppState>>();
    shared.map_or_else(Timeouts::default, |shared| shared.settings.timeouts).body
}

/// Room is made at once for what Content-Length announces: growing a buffer of a megabyte step by step costs more than everything
/// else that is done with it.
async fn read_pieces<P>(req: &HttpRequest, payload: &mut P, most: usize) -> Result<Buffer, BodyError>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let announced = announced(&headers::of(req));
    let mut bytes = Vec::with_capacity(announced.unwrap_or(8 << 10));
    // With `Upgrade: websocket` HTTP would read on until the connection ends, whatever is announced.
    while announced.is_none_or(|length| bytes.len() < length) {
        let Some(piece) = payload.next().await else { break };
        let piece = piece.map_err(|_| BodyError::Broken)?;
        if bytes.len() + piece.len() > most {
            return Err(BodyError::TooLarge);
        }
        bytes.extend_from_slice(&piece);
    }
    match announced {
        Some(length) if bytes.len() < length => Err(BodyError::Broken),
        _ => Ok(bytes.into()),
    }
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
) -> Result<Buffer, BodyError>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    if let Some(unread) = reject_by_head(&headers::of(req), most) {
        return Err(unread);
    }
    let paced = payload.then(|chunk| {
        let bytes = chunk.as_ref().map_or(0, Bytes::len);
        let pause = timer.sleep(Duration::from_secs_f64(bytes as f64 / rate as f64));
        async move {
            pause.await;
            chunk
        }
    });
    // The pauses are not the client's.
    let pauses = announced(&headers::of(req)).unwrap_or(most) as f64 / rate as f64;
    let time = timeouts(req).saturating_add(Duration::try_from_secs_f64(pauses).unwrap_or(Duration::MAX));
    with_timeout(time, read_pieces(req, &mut Box::pin(paced), most)).await
}

/// Reads a body as far as `at`, of what Content-Length announces, and no further than `most` bytes.
pub async fn read_part<P>(req: &HttpRequest, payload: &mut P, at: Offset, most: usize)
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let wanted = at.of(announced(&headers::of(req)).unwrap_or(most)).min(most);
    let read = async {
        let mut count = 0;
        while count < wanted {
            match payload.next().await {
                Some(Ok(chunk)) => count += chunk.len(),
                _ => return,
            }
        }
    };
    // Whoever sends no more is cut off all the same.
    let _ = tokio::time::timeout(timeouts(req), read).await;
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok())
}
