//! `POST /reset`.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, json, query};
use crate::config::CustomerId;
use crate::engine::Scope;
use crate::http::state::AppState;

/// What goes back to the beginning.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetQuery {
    scope: Scope,
    /// Whose; default: everybody's. `all` of one customer keeps the customer itself.
    customer_id: Option<String>,
}

/// What went back to the beginning.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reset {
    scope: Scope,
    /// null: everybody's.
    customer_id: Option<String>,
}

pub async fn reset(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let ResetQuery { scope, customer_id } = query(&req)?;
    let id = customer_id.as_deref().map(|id| known(&shared, id)).transpose()?;
    shared.engine.reset(scope, id.as_ref())?;
    Ok(json(&Reset { scope, customer_id }))
}

fn known(shared: &AppState, customer_id: &str) -> Result<CustomerId, ApiError> {
    let customer = super::customer(shared, customer_id).map_err(|error| error.path("customer_id"))?;
    customer.id.parse().map_err(|message: String| ApiError::invalid(message))
}
