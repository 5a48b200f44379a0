//! The admin API: its own listener, JSON in and out, errors of one shape. All routes stand in [`routes`].

pub mod access;
mod clock;
mod config;
mod customers;
pub mod error;
pub mod events;
mod explain;
pub mod gallery;
mod keys;
mod metrics;
mod quota;
pub mod requests;
mod reset;
mod rules;
mod status;
pub mod verify;
pub mod wait;

pub use error::ApiError;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Shared;
use super::body::{self, Unread};
use crate::fixtures::{Customer, did_you_mean};

/// Largest body of an admin request, in bytes: an explanation carries a whole request of the endpoint.
pub const MAX_BODY: usize = 32 << 20;

/// Every route of the admin API.
pub fn routes(config: &mut ServiceConfig) {
    config
        .service(at("/health", "GET").route(web::get().to(status::health)))
        .service(at("/ready", "GET").route(web::get().to(status::ready)))
        .service(at("/version", "GET").route(web::get().to(status::version)))
        .service(
            at("/clock", "GET, PUT").route(web::get().to(clock::read)).route(web::put().to(clock::change)),
        )
        .service(at("/shutdown", "POST").route(web::post().to(status::shutdown)))
        .service(at("/reset", "POST").route(web::post().to(reset::reset)))
        .service(at("/config", "GET").route(web::get().to(config::read)))
        .service(at("/config/reload", "POST").route(web::post().to(config::reload)))
        .service(at("/config/validate", "POST").route(web::post().to(config::validate)))
        .service(
            at("/customers", "GET, POST")
                .route(web::get().to(customers::list))
                .route(web::post().to(customers::make)),
        )
        .service(
            at("/customers/{customer_id}", "GET, PUT, PATCH, DELETE")
                .route(web::get().to(customers::one))
                .route(web::put().to(customers::put))
                .route(web::patch().to(customers::patch))
                .route(web::delete().to(customers::remove)),
        )
        .service(
            at("/customers/{customer_id}/clock", "GET, PUT")
                .route(web::get().to(clock::read_of))
                .route(web::put().to(clock::change_of)),
        )
        .service(
            at("/customers/{customer_id}/quota", "GET, PUT")
                .route(web::get().to(quota::read))
                .route(web::put().to(quota::change)),
        )
        .service(at("/customers/{customer_id}/public.pem", "GET").route(web::get().to(keys::of_customer)))
        .service(
            at("/customers/{customer_id}/rules", "GET, DELETE")
                .route(web::get().to(rules::list))
                .route(web::delete().to(rules::remove_all)),
        )
        .service(
            at("/customers/{customer_id}/rules/{name}", "GET, PUT, DELETE")
                .route(web::get().to(rules::one))
                .route(web::put().to(rules::put))
                .route(web::delete().to(rules::remove)),
        )
        .service(
            at("/customers/{customer_id}/state", "GET, PUT")
                .route(web::get().to(rules::read_state))
                .route(web::put().to(rules::change_state)),
        )
        .service(at("/faults/preview", "POST").route(web::post().to(rules::preview)))
        .service(
            at("/gallery", "GET, POST, DELETE")
                .route(web::get().to(gallery::list))
                .route(web::post().to(gallery::enrol))
                .route(web::delete().to(gallery::remove_all)),
        )
        .service(
            at("/gallery/{nik}", "GET, DELETE")
                .route(web::get().to(gallery::one))
                .route(web::delete().to(gallery::remove)),
        )
        .service(at("/gallery/{nik}/thumbnail", "GET").route(web::get().to(gallery::thumbnail)))
        .service(at("/keys/public.pem", "GET").route(web::get().to(keys::of_server)))
        .service(
            at("/requests", "GET, DELETE")
                .route(web::get().to(requests::list))
                .route(web::delete().to(requests::clear)),
        )
        .service(at("/requests/verify", "POST").route(web::post().to(verify::verify)))
        .service(at("/requests/wait", "POST").route(web::post().to(wait::wait)))
        .service(at("/requests/{id}", "GET").route(web::get().to(requests::one)))
        .service(at("/metrics", "GET").route(web::get().to(metrics::metrics)))
        .service(at("/events", "GET").route(web::get().to(events::events)))
        .service(at("/explain", "POST").route(web::post().to(explain::explain)))
        .default_service(web::to(no_route));
}

/// A resource that tells other methods which ones it takes.
fn at(path: &str, allow: &'static str) -> actix_web::Resource {
    let no_method = move |req: HttpRequest| async move {
        ApiError::wrong_method(format!("{} does not take {}", req.path(), req.method()), allow)
    };
    web::resource(path).default_service(web::to(no_method))
}

async fn no_route(req: HttpRequest) -> ApiError {
    ApiError::not_found(format!("there is no route {}", req.path()))
        .hint("the routes are listed in the README")
}

/// The customer with this id.
fn customer(shared: &Shared, customer_id: &str) -> Result<Arc<Customer>, ApiError> {
    shared.engine.customer(customer_id).ok_or_else(|| ApiError::unknown_customer(customer_id))
}

/// How many were taken away.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Removed {
    removed: usize,
}

/// The JSON object in a request's body.
pub struct Json<T>(T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Json<T>, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = read(req, payload);
        Box::pin(async move { ApiError::parse(&bytes.await?).map(Json) })
    }
}

/// The JSON object in a request's body; an empty body is an empty object.
pub struct JsonOrNothing<T>(T);

impl<T: DeserializeOwned + 'static> FromRequest for JsonOrNothing<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<JsonOrNothing<T>, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let bytes = read(req, payload);
        Box::pin(async move {
            let bytes = bytes.await?;
            let text = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes.as_slice() };
            ApiError::parse(text).map(JsonOrNothing)
        })
    }
}

/// A body, within [`MAX_BODY`].
fn read(req: &HttpRequest, payload: &mut Payload) -> LocalBoxFuture<'static, Result<Vec<u8>, ApiError>> {
    let (req, mut payload) = (req.clone(), payload.take());
    Box::pin(async move { body::read(&req, &mut payload, MAX_BODY).await.map_err(unread) })
}

/// The query of a request; unknown names are refused with the one that was meant.
fn query<T: DeserializeOwned>(req: &HttpRequest) -> Result<T, ApiError> {
    web::Query::<T>::from_query(req.query_string()).map(web::Query::into_inner).map_err(|error| {
        let message = error.to_string();
        match did_you_mean::hint(&message) {
            Some(hint) => ApiError::invalid(message).hint(hint),
            None => ApiError::invalid(message),
        }
    })
}

fn unread(why: Unread) -> ApiError {
    match why {
        Unread::TooLarge => ApiError::too_large(format!("the body has more than {MAX_BODY} bytes")),
        Unread::Broken => ApiError::invalid("the body ended early"),
        Unread::TooSlow => ApiError::too_slow(),
        Unread::Encoded(encoding) => ApiError::encoded(&encoding),
    }
}

fn json(value: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}
