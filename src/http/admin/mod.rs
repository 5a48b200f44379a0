//! The admin API: its own listener, JSON in and out, errors of one shape. All routes stand in [`routes`].

pub mod access;
mod clock;
mod error;
mod explain;
mod keys;
mod quota;
mod requests;
mod rules;
mod status;

pub use error::ApiError;

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::body::{self, Unread};
use crate::fixtures::{Customer, Fixtures};

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
        .service(at("/keys/public.pem", "GET").route(web::get().to(keys::of_server)))
        .service(at("/requests", "GET").route(web::get().to(requests::list)))
        .service(at("/requests/{id}", "GET").route(web::get().to(requests::one)))
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
fn customer<'a>(fixtures: &'a Fixtures, customer_id: &str) -> Result<&'a Customer, ApiError> {
    fixtures
        .customers
        .get(customer_id)
        .map(Arc::as_ref)
        .ok_or_else(|| ApiError::unknown_customer(customer_id))
}

/// The JSON object in a request's body.
pub struct Json<T>(T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Json<T>, ApiError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let bytes = body::read(&req, &mut payload, MAX_BODY).await.map_err(|unread| match unread {
                Unread::TooLarge => ApiError::too_large(format!("the body has more than {MAX_BODY} bytes")),
                Unread::Broken => ApiError::invalid("the body ended early"),
                Unread::TooSlow => ApiError::too_slow(),
                Unread::Encoded(encoding) => ApiError::encoded(&encoding),
            })?;
            ApiError::parse(&bytes).map(Json)
        })
    }
}

fn json(value: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::Ok().json(value)
}
