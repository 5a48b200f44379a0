//! `GET /health`, `/ready`, `/version`, `POST /shutdown`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ApiError, json};
use crate::http::state::AppState;
use crate::state::face_engine::FaceEngineStatus;
use crate::version;

/// Status of the simulator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    status: &'static str,
}

/// Readiness of the simulator.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readiness {
    status: &'static str,
    /// Number of customers.
    customers: usize,
    /// Number of in-flight answers of the endpoint.
    in_flight: usize,
    /// Where state is kept.
    store: StoreStatus,
    /// In what other replicas of the store differ from this one, so that they answer differently: `fixtures`, `options` (those of the start).
    /// Absent when all are alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    differs: Vec<&'static str>,
    /// How the face engine is; absent without `[matcher.faces]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    faces: Option<FaceEngineStatus>,
}

/// Where state is kept.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum StoreStatus {
    /// Nowhere: a restart forgets it.
    Memory,
    /// In the file of `--store`.
    File,
    /// On the server of `--store`, with other replicas. While it cannot be used this is answered 503.
    Shared,
    /// In the file of `--store`, which cannot be written at present. The simulator goes on in memory.
    Failing,
}

/// Name and version of the program.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Version {
    name: &'static str,
    version: &'static str,
    /// Git commit of the build, or `unknown`.
    commit: &'static str,
}

/// Liveness: 200 while the process runs.
pub async fn health() -> HttpResponse {
    json(&Health { status: "ok" })
}

/// Readiness: 200, because the admin listener opens last, when everything is loaded and the data listener is open; 503 while a shared store
/// cannot be used, and while the face engine is asked about the pictures of the fixtures.
pub async fn ready(shared: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let engine = &shared.engine;
    if let Some(message) = engine.still_learning() {
        return Err(ApiError::unmet(StatusCode::SERVICE_UNAVAILABLE, "learning_gallery", message)
            .hint("wait: it ends by itself, also when the face engine fails"));
    }
    let customers = engine.customers.customers(engine.clock.now()).len();
    let store = match engine.store() {
        None => StoreStatus::Memory,
        Some(store) if store.shared().is_some() => StoreStatus::Shared,
        Some(store) if store.is_failing() => StoreStatus::Failing,
        Some(_) => StoreStatus::File,
    };
    let faces = engine.asks_faces().then(|| engine.matcher.faces.status());
    let in_flight = *shared.in_flight.borrow();
    let differs = engine.shared().map(|shared| shared.differs()).unwrap_or_default();
    Ok(json(&Readiness { status: "ready", customers, in_flight, store, differs, faces }))
}

pub async fn version() -> HttpResponse {
    json(&Version { name: env!("CARGO_PKG_NAME"), version: version::VERSION, commit: version::COMMIT })
}

/// Shuts the simulator down, as a signal does. The response is sent first: the spawned task runs on this thread only after the
/// response has been written, as far as the socket accepts it.
pub async fn shutdown(shared: web::Data<AppState>) -> HttpResponse {
    actix_web::rt::spawn(async move { shared.shutdown.notify_one() });
    json(&Health { status: "stopping" })
}
