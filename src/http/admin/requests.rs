//! `GET|DELETE /requests`, `GET /requests/{id}`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Removed, json, query};
use crate::base::pattern::Pattern;
use crate::base::time;
use crate::http::state::AppState;
use crate::state::journal::{Entry, Match, Since, State};

/// The query of `GET /requests`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JournalQuery {
    /// Whose.
    customer_id: Option<Pattern>,
    /// What was answered.
    code: Option<Pattern>,
    /// Only entries at or after this instant: RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    since: Option<String>,
    /// How many at most: 1 to 10,000; default 100.
    #[schemars(range(min = 1, max = 10_000))]
    limit: Option<usize>,
    /// How far they have come.
    state: Option<State>,
}

/// What `GET /requests` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RequestList")]
pub struct JournalPage {
    /// Newest first.
    requests: Vec<Arc<Entry>>,
    /// How many entries were lost for want of room.
    dropped: u64,
}

/// Entries given when the query names no limit, and at most.
const DEFAULT_LIMIT: usize = 100;
const LIMITS: std::ops::RangeInclusive<usize> = 1..=10_000;

pub async fn list(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: JournalQuery = query(&req)?;
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
    Ok(json(&JournalPage { requests, dropped }))
}

pub async fn one(shared: web::Data<AppState>, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let entry = id.parse().ok().and_then(|id| shared.engine.journal.get(id));
    let entry = entry.ok_or_else(|| {
        ApiError::not_found(format!("the journal has no request {}", crate::base::text::quoted(&id)))
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

/// Forgets entries. Also those of a customer that exists no more.
pub async fn clear(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query: ClearQuery = query(&req)?;
    Ok(json(&Removed { removed: shared.engine.journal.clear(query.customer_id.as_deref()) }))
}

/// An unescaped `+` in a query is a blank; nobody means a blank in an instant.
fn instant(text: &str) -> Result<jiff::Timestamp, ApiError> {
    time::parse_instant(&text.replace(' ', "+")).map_err(|message| ApiError::invalid(message).path("since"))
}
