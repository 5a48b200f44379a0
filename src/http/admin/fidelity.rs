//! `GET /fidelity`: what is known of the real endpoint, and how surely.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::domain::fidelity::table::{self, Behaviour};
use crate::http::state::AppState;

/// Response of `GET /fidelity`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Fidelity {
    /// Policy keys with their global values, then what has no setting, then the codes.
    behaviours: Vec<Behaviour>,
}

pub async fn read(shared: web::Data<AppState>) -> HttpResponse {
    json(&Fidelity { behaviours: table::behaviours(&shared.engine.fixtures().policy_layers) })
}
