//! Admin API: its own listener, JSON requests and responses, one error format. `routes.rs` has the table of all routes.

pub mod access;
mod audit;
mod body;
mod call;
mod clock;
mod config;
pub mod console;
mod count;
mod customers;
pub mod events;
mod explain;
mod fidelity;
pub mod gallery;
mod keys;
mod metrics;
pub mod openapi;
pub mod operation;
mod parameters;
mod quota;
pub mod requests;
mod reset;
pub mod routes;
mod rules;
pub mod server;
pub mod shared;
mod status;
pub mod verify;
pub mod wait;
mod wrong_port;

pub use super::api_error::ApiError;
pub use body::MAX_BODY;
use parameters::query;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::future::{LocalBoxFuture, ready};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::SemaphorePermit;

use crate::domain::customer::Customer;
use crate::engine::Engine;
use crate::http::state::AppState;
use operation::Operation;

/// Registers every operation of [`routes::operations`] and the console; other methods get 405, other paths 404.
pub fn routes(config: &mut ServiceConfig) {
    let mut paths: Vec<(&str, Vec<Operation>)> = Vec::new();
    for operation in routes::operations() {
        match paths.iter_mut().find(|(path, _)| *path == operation.path) {
            Some((_, operations)) => operations.push(operation),
            None => paths.push((operation.path, vec![operation])),
        }
    }
    for (path, operations) in paths {
        config.service(resource(path, &operations));
    }
    console::routes(config);
    config.default_service(web::to(no_route));
}

/// Returns the resource of one path; other methods get 405 with `Allow`.
fn resource(path: &str, operations: &[Operation]) -> actix_web::Resource {
    let head = operations.iter().any(|operation| operation.method == Method::GET).then_some("HEAD");
    let methods = operations.iter().map(|operation| operation.method.as_str()).chain(head);
    let allow = methods.collect::<Vec<_>>().join(", ");
    let no_method = move |req: HttpRequest| {
        let message = format!("{} does not allow {}", req.path(), req.method());
        ready(ApiError::wrong_method(message, &allow))
    };
    let example = |operation: &Operation| {
        Some((operation.method.clone(), operation.body.example.as_ref()?.to_string()))
    };
    let examples = Examples(operations.iter().filter_map(example).collect());
    let resource = web::resource(path).app_data(examples).default_service(web::to(no_method));
    operations.iter().fold(resource, |resource, operation| resource.route(operation.route()))
}

async fn no_route(shared: web::Data<AppState>, req: HttpRequest) -> ApiError {
    wrong_port::error(&shared, &req).unwrap_or_else(|| {
        ApiError::not_found(format!("unknown route {}", req.path()))
            .hint("GET /openapi.json lists the routes")
    })
}

/// Returns the customer with this id.
///
/// # Errors
/// 404 when the id is unknown.
fn customer(shared: &AppState, customer_id: &str) -> Result<Arc<Customer>, ApiError> {
    shared.engine.customer(customer_id).ok_or_else(|| unknown_customer(shared, customer_id))
}

/// Returns the 404 for an id that no customer has.
fn unknown_customer(shared: &AppState, customer_id: &str) -> ApiError {
    let customers = shared.engine.customers.customers(shared.engine.clock.now());
    ApiError::unknown_customer(customer_id, customers.iter().map(|customer| customer.id.as_str()))
}

/// Result of a removal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Removed {
    /// Number of removed items.
    removed: usize,
}

/// Extractor: the JSON object in a request's body.
pub struct Json<T>(T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Json<T>, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (bytes, example) = (read(req, payload), Examples::of(req));
        Box::pin(async move { parse(bytes.await?, example).await.map(Json) })
    }
}

/// Extractor: the JSON object in a request's body; an empty body is an empty object.
pub struct JsonOrNothing<T>(T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> FromRequest for JsonOrNothing<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<JsonOrNothing<T>, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (bytes, example) = (read(req, payload), Examples::of(req));
        Box::pin(async move {
            let bytes = bytes.await?;
            let text = if bytes.is_empty() { Bytes::from_static(b"{}") } else { bytes };
            parse(text, example).await.map(JsonOrNothing)
        })
    }
}

/// Examples of a route's bodies, by method: for the hint of an error.
struct Examples(Vec<(Method, String)>);

impl Examples {
    fn of(req: &HttpRequest) -> Option<String> {
        let Examples(all) = req.app_data::<Examples>()?;
        all.iter().find(|(method, _)| method == req.method()).map(|(_, example)| example.clone())
    }
}

/// Parses a body; an error in its form gets the example. Beside the listener's only thread, which others wait for: a body may be long, and
/// its regexes are compiled here.
async fn parse<T: DeserializeOwned + JsonSchema + Send + 'static>(
    bytes: Bytes,
    example: Option<String>,
) -> Result<T, ApiError> {
    let parsed = beside(move || ApiError::parse(&bytes)).await?;
    parsed.map_err(|error| match example {
        Some(example) => error.example(&example),
        None => error,
    })
}

/// Runs what may take long beside the listener's only thread.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    web::block(work).await.map_err(|_| ApiError::stopping())
}

/// Waits for a permit to ask the face engine, where there is one: it may take long, and other calls need the same threads.
async fn permit_to_ask_faces(shared: &AppState) -> Option<SemaphorePermit<'_>> {
    if shared.engine.asks_faces() { shared.face_calls.acquire().await.ok() } else { None }
}

/// Runs a change, or a long reading, beside the listener's only thread: it may generate a key, or wait for a change that does.
async fn run_blocking<T: Send + 'static>(
    shared: &web::Data<AppState>,
    work: impl FnOnce(&Engine) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let engine = Arc::clone(&shared.engine);
    beside(move || work(&engine)).await?
}

/// Deserializes a member that may be absent but not null: in a change request null would be ambiguous.
fn non_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn read(req: &HttpRequest, payload: &mut Payload) -> LocalBoxFuture<'static, Result<Bytes, ApiError>> {
    let (req, mut payload) = (req.clone(), payload.take());
    Box::pin(async move { body::read(&req, &mut payload).await })
}

/// Returns a 200 response with a JSON body.
fn json(value: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}
