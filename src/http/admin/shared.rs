//! Over a shared store: an answer tells of everything that any replica has answered before, and none is given while the store is down.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};

use super::{ApiError, console};
use crate::http::state::AppState;

/// Operations that need no store: they are of this process.
pub const WITHOUT_STORE: [&str; 5] = ["/health", "/version", "/metrics", "/openapi.json", "/shutdown"];

/// Middleware: waits until this replica is as far as all others, where replicas share a store.
pub async fn guard(
    shared: web::Data<AppState>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let needs_store = req.match_pattern().is_some()
        && !WITHOUT_STORE.contains(&req.path())
        && !console::is_static(req.path());
    if let Some(store) = shared.engine.shared().filter(|_| needs_store)
        && store.caught_up().await.is_err()
    {
        let answer = ApiError::store_unavailable(&store.trouble()).error_response();
        return Ok(req.into_response(answer).map_into_right_body());
    }
    Ok(next.call(req).await?.map_into_left_body())
}
