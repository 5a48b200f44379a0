//! Reading the body of an admin request whole, within a limit.

use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::ApiError;
use crate::http::state::AppState;
use crate::http::timeouts::Timeouts;

/// Max body of an admin request, in bytes: `POST /explain` carries a complete request of the endpoint.
pub const MAX_BODY: usize = 32 << 20;

/// Reads a body of at most [`MAX_BODY`] bytes.
///
/// # Errors
/// When it is too large, encoded, too slow, or breaks off.
pub async fn read<P>(req: &HttpRequest, payload: &mut P) -> Result<Bytes, ApiError>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let headers = req.headers();
    let mut encodings = headers.get_all(CONTENT_ENCODING).map(|value| value.as_bytes());
    if let Some(encoding) = encodings.find(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
        return Err(ApiError::encoded(&String::from_utf8_lossy(encoding)));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let app = req.app_data::<web::Data<AppState>>();
    let time = app.map_or_else(Timeouts::default, |app| app.settings.timeouts).body;
    tokio::time::timeout(time, read_pieces(payload, announced))
        .await
        .unwrap_or_else(|_| Err(ApiError::too_slow()))
}

async fn read_pieces<P>(payload: &mut P, announced: Option<usize>) -> Result<Bytes, ApiError>
where
    P: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let too_large = || ApiError::too_large(format!("the body has more than {MAX_BODY} bytes"));
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    // With `Upgrade: websocket` HTTP would read on until the connection ends, whatever is announced.
    while announced.is_none_or(|length| bytes.len() < length) {
        let Some(piece) = payload.next().await else { break };
        let piece = piece.map_err(|_| ApiError::invalid("the body ended early"))?;
        if bytes.len() + piece.len() > MAX_BODY {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    match announced {
        Some(length) if bytes.len() < length => Err(ApiError::invalid("the body ended early")),
        _ => Ok(bytes.freeze()),
    }
}
