//! `GET /keys/public.pem`, `GET /customers/{customer_id}/public.pem`.

use actix_web::{HttpResponse, web};

use super::ApiError;
use crate::http::state::AppState;
use crate::keys::PrivateKey;

/// Media type of a PEM file.
pub const MEDIA_TYPE: &str = "application/x-pem-file";

pub async fn of_server(shared: web::Data<AppState>) -> HttpResponse {
    pem(shared.engine.fixtures().keys.server())
}

pub async fn of_customer(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let customer = super::customer(&shared, &customer_id)?;
    Ok(pem(&customer.key))
}

fn pem(key: &PrivateKey) -> HttpResponse {
    HttpResponse::Ok().content_type(MEDIA_TYPE).body(key.public_pem().to_owned())
}
