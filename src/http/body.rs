//! Reading a body whole, within a limit.

use std::rc::Rc;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use actix_web::{HttpRequest, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::Shared;
use super::intake::{Intake, Order};
use super::patience::Patience;
use crate::faults::At;
use crate::timer::Timer;

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
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
pub fn unwanted(headers: &HeaderMap, most: usize) -> Option<Unread> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).map(|value| value.as_bytes());
    if let Some(encoding) = encodings.find(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Some(Unread::Encoded(String::from_utf8_lossy(encoding).into_owned()));
    }
    announced(headers).is_some_and(|length| length > most).then_some(Unread::TooLarge)
}

/// Reads a body of at most `most` bytes, within the time that a client has for it.
///
/// # Errors
/// When it is too large, encoded, too slow or breaks off.
pub async fn read<P>(req: &HttpRequest, payload: &mut P, most: usize) -> Result<Vec<u8>, Unread>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let order = || req.conn_data::<Rc<Intake>>().and_then(Order::place);
    in_time(patience(req), read_whole(req, payload, most, order)).await
}

async fn in_time(
    time: Duration,
    read: impl Future<Output = Result<Vec<u8>, Unread>>,
) -> Result<Vec<u8>, Unread> {
    tokio::time::timeout(time, read).await.unwrap_or(Err(Unread::TooSlow))
}

fn patience(req: &HttpRequest) -> Duration {
    let shared = req.app_data::<web::Data<Shared>>();
    shared.map_or_else(Patience::default, |shared| shared.settings.patience).body
}

/// Room is made at once for what Content-Length announces: growing a buffer of a megabyte step by step costs more than everything
/// else that is done with it. Nothing is ordered of a body that is not wanted; of what is ordered only the beginning is taken from `payload`, and the rest counted.
async fn read_whole<P>(
    req: &HttpRequest,
    payload: &mut P,
    most: usize,
    order: impl FnOnce() -> Option<Order>,
) -> Result<Vec<u8>, Unread>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    if let Some(unread) = unwanted(req.headers(), most) {
        return Err(unread);
    }
    let announced = announced(req.headers());
    let order = order();
    let wanted = order.as_ref().map(|order| order.with_http).or(announced);
    let mut bytes = Vec::with_capacity(wanted.unwrap_or(8 << 10));
    let mut came = 0;
    // With `Upgrade: websocket` HTTP would read on until the connection ends, whatever is announced.
    while announced.is_none_or(|length| came < length) {
        let Some(chunk) = payload.next().await else { break };
        let chunk = chunk.map_err(|_| Unread::Broken)?;
        if came + chunk.len() > most {
            return Err(Unread::TooLarge);
        }
        let part = wanted.map_or(chunk.len(), |wanted| chunk.len().min(wanted.saturating_sub(came)));
        bytes.extend_from_slice(&chunk[..part]);
        came += chunk.len();
    }
    if announced.is_some_and(|length| came < length) {
        return Err(Unread::Broken);
    }
    Ok(match order {
        Some(order) => order.take(&bytes),
        None => bytes,
    })
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
    // The pauses are not the client's.
    let pauses = announced(req.headers()).unwrap_or(most) as f64 / rate as f64;
    let time = patience(req).saturating_add(Duration::try_from_secs_f64(pauses).unwrap_or(Duration::MAX));
    in_time(time, read_whole(req, &mut Box::pin(paced), most, || None)).await
}

/// Reads a body as far as `at`, of what Content-Length announces, and no further than `most` bytes.
pub async fn read_part<P>(req: &HttpRequest, payload: &mut P, at: At, most: usize)
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let wanted = at.of(announced(req.headers()).unwrap_or(most)).min(most);
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
    let _ = tokio::time::timeout(patience(req), read).await;
}

/// How long the body is, 0 when there is none; `None` when only its end will tell.
#[must_use]
pub fn length(headers: &HeaderMap) -> Option<usize> {
    if headers.contains_key(TRANSFER_ENCODING) { None } else { Some(announced(headers).unwrap_or(0)) }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok())
}
