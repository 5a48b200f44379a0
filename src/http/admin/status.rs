//! `GET /health`, `/ready`, `/version`.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::json;
use crate::http::Shared;

/// The process answers.
pub async fn health() -> HttpResponse {
    json(&json!({ "status": "ok" }))
}

/// Both listeners listen and everything is loaded: the admin listener is opened last, so that it answers says so.
pub async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let customers = shared.engine.fixtures().customers.len();
    json(&json!({ "status": "ready", "customers": customers, "in_flight": *shared.in_flight.borrow() }))
}

/// Which program this is.
pub async fn version() -> HttpResponse {
    json(&json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }))
}
