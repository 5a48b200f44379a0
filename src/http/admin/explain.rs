//! `POST /explain`: what the endpoint would answer to a body, and why. Consumes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ApiError, Json, json};
use crate::domain::warnings::Headers;
use crate::engine::RequestHead;
use crate::http::state::AppState;

/// What `POST /explain` takes: a request of the endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ExplainQuestion")]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// In the path of the request.
    customer_id: String,
    /// In the path of the request; default: one that the customer has.
    methode: Option<String>,
    /// Whom it comes from.
    peer: Option<IpAddr>,
    /// None: nothing is known of them, and nothing is said.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// An object, kept as written, or the raw text of a body in a string.
    #[schemars(with = "serde_json::Value")]
    body: Box<RawValue>,
}

pub async fn explain(
    shared: web::Data<AppState>,
    body: Json<ExplainRequest>,
) -> Result<HttpResponse, ApiError> {
    let Json(question) = body;
    let raw = question.body.get();
    let text = if raw.starts_with('"') {
        serde_json::from_str(raw).map_err(ApiError::from)?
    } else {
        raw.to_owned()
    };
    let ExplainRequest { customer_id, methode, peer, headers: given, .. } = question;
    let head = RequestHead { customer_id, methode, peer, connection: 0, headers: headers(given) };
    let verdict = shared.engine.explain(&head, text.as_bytes());
    Ok(json(&verdict.explanation(shared.engine.shows_nik())))
}

/// Without headers in the question nothing is known of them, and nothing is said.
fn headers(given: BTreeMap<String, String>) -> Option<Headers> {
    (!given.is_empty()).then(|| Headers { all: given.into_iter().collect(), no_forwarded_peer: false })
}
