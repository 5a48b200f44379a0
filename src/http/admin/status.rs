//! `GET /health`, `/ready`, `/version`, `POST /shutdown`.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::http::state::AppState;
use crate::version;

/// How the simulator is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    status: &'static str,
}

/// What the simulator is ready with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    status: &'static str,
    /// How many customers there are.
    customers: usize,
    /// Answers of the endpoint under way.
    in_flight: usize,
}

/// Which program this is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Version {
    name: &'static str,
    version: &'static str,
    /// The commit that it was built from, or `unknown`.
    commit: &'static str,
}

/// The process answers.
pub async fn health() -> HttpResponse {
    json(&Health { status: "ok" })
}

/// Both listeners listen and everything is loaded: the admin listener is opened last, so that it answers says so.
pub async fn ready(shared: web::Data<AppState>) -> HttpResponse {
    let engine = &shared.engine;
    let customers = engine.customers.customers(engine.clock.now()).len();
    json(&Readiness { status: "ready", customers, in_flight: *shared.in_flight.borrow() })
}

pub async fn version() -> HttpResponse {
    json(&Version { name: env!("CARGO_PKG_NAME"), version: version::VERSION, commit: version::COMMIT })
}

/// Stops the simulator as a signal does. The answer leaves first: this thread goes on to what it was given last only when it has
/// written what it can.
pub async fn shutdown(shared: web::Data<AppState>) -> HttpResponse {
    actix_web::rt::spawn(async move { shared.shutdown.notify_one() });
    json(&Health { status: "stopping" })
}
