//! `GET|DELETE /requests`, `GET /requests/{id}`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Removed, json, query, run_blocking};
use crate::base::pattern::Pattern;
use crate::base::time;
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::journal::{Entry, Match, Since, State};

/// Query of `GET /requests`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalQuery {
    /// Only entries of these customers: a glob or `/regex/`.
    customer_id: Option<Pattern>,
    /// Only entries with this answer code: a glob or `/regex/`.
    code: Option<Pattern>,
    /// Only entries at or after this timestamp: RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    since: Option<String>,
    /// Only entries older than the one with this id: the next page, given the last id of a page.
    before: Option<u64>,
    /// Max number of entries: 1 to 10,000; default 100.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<usize>,
    /// Only entries in this state.
    state: Option<State>,
    /// Only entries whose answer rests on an assumption: a key, `assumed`, `code` or `value`; a glob or `/regex/`.
    rests_on: Option<Pattern>,
}

/// Response of `GET /requests`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RequestList")]
pub struct JournalPage {
    /// Entries, newest first.
    requests: Vec<Arc<Entry>>,
    /// Number of entries dropped because the journal was full.
    dropped: u64,
}

/// Max entries returned when the query has no limit.
const DEFAULT_LIMIT: usize = 100;
/// Allowed values of `limit`.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=10_000;

pub async fn list(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: JournalQuery = query(&req)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMITS.contains(&limit) {
        let message = format!("limit must be {} to {}, not {limit}", LIMITS.start(), LIMITS.end());
        return Err(ApiError::invalid(message).path("limit"));
    }
    let since = query.since.as_deref().map(instant).transpose()?;
    let before = query.before.map(|id| format!("<{id}").parse()).transpose().map_err(ApiError::invalid)?;
    let filter = Match {
        id: before,
        customer_id: query.customer_id,
        code: query.code,
        since: since.map(Since),
        state: query.state,
        rests_on: query.rests_on,
        ..Match::default()
    };
    let (requests, dropped) = shared.engine.journal.list(&filter, limit);
    shared.engine.committed().await;
    Ok(json(&JournalPage { requests, dropped }))
}

pub async fn one(shared: web::Data<AppState>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let entry = id.parse().ok().and_then(|id| shared.engine.journal.get(id));
    let entry = entry.ok_or_else(|| {
        ApiError::not_found(format!("the journal has no request {}", crate::base::text::quoted(&id)))
            .hint("GET /requests lists the entries; --journal enlarges the journal")
    })?;
    shared.engine.committed().await;
    Ok(json(&entry))
}

/// Query of `DELETE /requests`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClearQuery {
    /// Customer whose entries to remove; default: all customers.
    customer_id: Option<String>,
}

/// Removes entries, also those of a customer that no longer exists.
pub async fn clear(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: ClearQuery = query(&req)?;
    let clear = move |engine: &Engine| Ok(engine.journal.clear(query.customer_id.as_deref()));
    Ok(json(&Removed { removed: run_blocking(&shared, clear).await? }))
}

/// Parses a timestamp of a query. An unescaped `+` in a query is a space, which no timestamp contains.
fn instant(text: &str) -> Result<jiff::Timestamp, ApiError> {
    time::parse_instant(&text.replace(' ', "+")).map_err(|message| ApiError::invalid(message).path("since"))
}
