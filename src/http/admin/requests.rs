//! `GET|DELETE /requests`, `GET /requests/{id}`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ApiError, json};
use crate::clock;
use crate::fixtures::did_you_mean;
use crate::http::Shared;
use crate::journal::{Entry, Match, Since, State};
use crate::rules::Pattern;

/// The query of `GET /requests`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    customer_id: Option<Pattern>,
    code: Option<Pattern>,
    /// RFC 3339.
    since: Option<String>,
    /// How many at most: 1 to 10,000; default 100.
    limit: Option<usize>,
    state: Option<State>,
}

/// What `GET /requests` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listing {
    /// Newest first.
    requests: Vec<Arc<Entry>>,
    /// How many entries were lost for want of room.
    dropped: u64,
}

/// Entries given when the query names no limit, and at most.
const DEFAULT_LIMIT: usize = 100;
const LIMITS: std::ops::RangeInclusive<usize> = 1..=10_000;

pub async fn list(shared: web::Data<Shared>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: Query = query(&req)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMITS.contains(&limit) {
        let message = format!("limit is {} to {}, not {limit}", LIMITS.start(), LIMITS.end());
        return Err(ApiError::invalid(message).path("limit"));
    }
    let since = query.since.as_deref().map(instant).transpose()?;
    let wanted = Match {
        customer_id: query.customer_id,
        code: query.code,
        since: since.map(Since),
        state: query.state,
        ..Match::default()
    };
    let (requests, dropped) = shared.engine.journal.list(&wanted, limit);
    Ok(json(&Listing { requests, dropped }))
}

pub async fn one(shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let entry = id.parse().ok().and_then(|id| shared.engine.journal.get(id));
    let entry = entry.ok_or_else(|| {
        ApiError::not_found(format!("the journal has no request {}", crate::protocol::body::shown(&id)))
            .hint("GET /requests lists what it has; --journal makes it larger")
    })?;
    Ok(json(&entry))
}

/// The query of `DELETE /requests`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClearQuery {
    /// Whose entries; default: everybody's.
    customer_id: Option<String>,
}

/// What `DELETE /requests` answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleared {
    /// How many entries were forgotten.
    removed: usize,
}

/// Forgets entries. Also those of a customer that exists no more.
pub async fn clear(shared: web::Data<Shared>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: ClearQuery = query(&req)?;
    Ok(json(&Cleared { removed: shared.engine.journal.clear(query.customer_id.as_deref()) }))
}

/// The query of a request.
pub fn query<T: DeserializeOwned>(req: &HttpRequest) -> Result<T, ApiError> {
    web::Query::<T>::from_query(req.query_string()).map(web::Query::into_inner).map_err(|error| {
        let message = error.to_string();
        match did_you_mean::hint(&message) {
            Some(hint) => ApiError::invalid(message).hint(hint),
            None => ApiError::invalid(message),
        }
    })
}

/// An unescaped `+` in a query is a blank; nobody means a blank in an instant.
fn instant(text: &str) -> Result<jiff::Timestamp, ApiError> {
    clock::parse_instant(&text.replace(' ', "+")).map_err(|message| ApiError::invalid(message).path("since"))
}
