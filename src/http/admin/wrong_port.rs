//! A request for the endpoint that came to the admin listener: the answer names the right port.

use percent_encoding::percent_decode_str;

use super::ApiError;
use crate::domain::nik::api;
use crate::http::state::AppState;

/// Returns whether a path is one of the endpoint: below an active prefix, or the NIK identification API.
pub fn is_of_endpoint(app: &AppState, path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let is_below = |prefix: &String| {
        decoded.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    decoded == api::PATH || app.engine.fixtures().prefixes.iter().any(is_below)
}

/// Returns the 404 for such a path. `host` is the host that the client called, without a port.
pub fn error(app: &AppState, path: &str, host: &str) -> ApiError {
    let endpoint = app.start.endpoint;
    let url = if endpoint.ip().is_unspecified() {
        format!("http://{host}:{}", endpoint.port())
    } else {
        format!("http://{endpoint}")
    };
    ApiError::not_found(format!("{path} is a path of the endpoint, and this is the admin API"))
        .hint(format!("send it to the endpoint: {url}{path}"))
}
