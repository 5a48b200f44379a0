//! `POST /reset`.
//!
//! With `customer_id`, the scope `all` keeps the customer itself: the caller is a test that wants to begin again.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, json, query};
use crate::config::CustomerId;
use crate::engine::Scope;
use crate::http::state::AppState;

/// Query of `POST /reset`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetQuery {
    /// State to reset.
    scope: Scope,
    /// Customer to reset; default: all customers. `all` for one customer keeps the customer itself.
    customer_id: Option<String>,
}

/// Response of `POST /reset`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reset {
    /// State that was reset.
    scope: Scope,
    /// Customer that was reset; null: all customers.
    customer_id: Option<String>,
}

pub async fn reset(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let ResetQuery { scope, customer_id } = query(&req)?;
    let id = customer_id.as_deref().map(|id| existing_id(&shared, id)).transpose()?;
    super::run_blocking(&shared, move |engine| Ok(engine.reset(scope, id.as_ref())?)).await?;
    Ok(json(&Reset { scope, customer_id }))
}

/// Returns the id of an existing customer.
///
/// # Errors
/// 404 when the id is unknown.
fn existing_id(shared: &AppState, customer_id: &str) -> Result<CustomerId, ApiError> {
    let customer = super::customer(shared, customer_id).map_err(|error| error.path("customer_id"))?;
    customer.id.parse().map_err(|message: String| ApiError::invalid(message))
}
