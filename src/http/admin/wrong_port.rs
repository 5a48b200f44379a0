//! A request for the endpoint that came to the admin listener: the answer names the right port.

use actix_web::HttpRequest;
use percent_encoding::percent_decode_str;

use super::ApiError;
use crate::domain::nik::api;
use crate::http::state::{AppState, reachable};

/// Returns the 404 for a path of the endpoint: below an active prefix, or the NIK identification API. `None` for any other path.
pub fn error(app: &AppState, req: &HttpRequest) -> Option<ApiError> {
    let path = req.path();
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let is_below = |prefix: &String| {
        decoded.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if decoded != api::PATH && !app.engine.fixtures().prefixes.iter().any(is_below) {
        return None;
    }
    let url = format!("http://{}", reachable(app.start.endpoint, req.connection_info().host()));
    let message = format!("{path} is a path of the endpoint, and this is the admin API");
    Some(ApiError::not_found(message).hint(format!("send it to the endpoint: {url}{path}")))
}
