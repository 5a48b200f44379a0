//! `POST /explain`: returns what the endpoint would answer to a request, and why. Consumes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ApiError, Json, beside, json};
use crate::base::text;
use crate::domain::warnings::{Headers, MAX_VALUE_CHARS};
use crate::engine::RequestHead;
use crate::http::state::AppState;

/// Body of `POST /explain`: a request to the endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ExplainQuestion")]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// The `customer_id` in the request path.
    customer_id: String,
    /// The `methode` in the request path; default: one that the customer has.
    methode: Option<String>,
    /// Client address.
    #[schemars(example = "127.0.0.1")]
    peer: Option<IpAddr>,
    /// Request headers. Empty: unknown, so they are not judged, and warnings about them are skipped.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Request body: an object, kept as written, or a string with the raw text.
    #[schemars(with = "serde_json::Value")]
    body: Box<RawValue>,
}

pub async fn explain(
    shared: web::Data<AppState>,
    body: Json<ExplainRequest>,
) -> Result<HttpResponse, ApiError> {
    let Json(request) = body;
    let raw = request.body.get();
    let text = if raw.starts_with('"') {
        serde_json::from_str(raw).map_err(|_| ApiError::not_json(raw.as_bytes()).path("/body"))?
    } else {
        raw.to_owned()
    };
    let ExplainRequest { customer_id, methode, peer, headers: header_map, .. } = request;
    let headers = headers(header_map);
    let head = RequestHead { customer_id, methode, path: None, peer, connection: 0, headers };
    let engine = Arc::clone(&shared.engine);
    let _permit = super::permit_to_ask_faces(&shared).await;
    let verdict = beside(move || engine.explain(&head, text.as_bytes())).await?;
    Ok(json(&verdict.explanation(shared.engine.shows_nik())))
}

/// Returns the headers; `None`, which skips warnings about headers, when the request names none.
fn headers(header_map: BTreeMap<String, String>) -> Option<Headers> {
    if header_map.is_empty() {
        return None;
    }
    let kept = |(name, value): (String, String)| (name, text::truncate(&value, MAX_VALUE_CHARS));
    Some(Headers { all: header_map.into_iter().map(kept).collect(), ..Headers::default() })
}
