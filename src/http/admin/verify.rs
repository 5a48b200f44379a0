//! `POST /requests/verify`: verifies the number of matching journal entries; returns near misses when it differs.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::count::CountField;
use super::{ApiError, Json, json};
use crate::engine::Engine;
use crate::http::api_error::ErrorBody;
use crate::http::state::AppState;
use crate::state::journal::{ExpectedCount, Match, MatchReport, NearMiss};

/// Body of `POST /requests/verify`.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "VerifyQuestion")]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Filter for the entries; default: all.
    #[serde(default)]
    r#match: Match,
    /// Expected number of matching entries: a number is exactly so many.
    count: CountField,
}

/// Response when the count is as expected.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verified {
    /// Number of matching entries.
    count: u64,
}

/// Response when the count is not as expected, or when waiting timed out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnmetExpectation {
    error: ErrorBody,
    /// Number of matching entries.
    count: u64,
    /// Ids of the matching entries, newest first, max 10.
    matched: Vec<u64>,
    /// Near misses: fewest differences first, then newest, max 5. Empty when too many entries match.
    nearest: Vec<NearMiss>,
}

impl UnmetExpectation {
    /// Returns the response for an error and a match report.
    pub fn answer(error: &ApiError, report: MatchReport) -> HttpResponse {
        let MatchReport { count, matched, nearest } = report;
        HttpResponse::build(error.status()).json(UnmetExpectation {
            error: error.body(),
            count,
            matched,
            nearest,
        })
    }
}

pub async fn verify(
    shared: web::Data<AppState>,
    body: Json<VerifyRequest>,
) -> Result<HttpResponse, ApiError> {
    let Json(VerifyRequest { r#match: filter, count }) = body;
    let (expected, accepted) =
        count.bounds(|count| ExpectedCount { exactly: Some(count), ..ExpectedCount::default() })?;
    let hint = mismatch_hint(&shared, &filter);
    let (report, dropped) = match_report(&shared.engine, filter).await?;
    if accepted.contains(&report.count) {
        return Ok(json(&Verified { count: report.count }));
    }
    let message = format!("{} found, expected {expected}", request_count(report.count));
    let error = ApiError::unmet(StatusCode::CONFLICT, "count_differs", message)
        .hint(with_dropped_note(hint, dropped));
    let too_many = report.count > *accepted.end();
    let nearest = if too_many { Vec::new() } else { report.nearest };
    Ok(UnmetExpectation::answer(&error, MatchReport { nearest, ..report }))
}

/// Matches the filter against the journal; also returns the number of dropped entries. Runs on a blocking thread, because a large
/// journal takes a while and the admin listener has one thread.
pub async fn match_report(engine: &Arc<Engine>, filter: Match) -> Result<(MatchReport, u64), ApiError> {
    let shared = Arc::clone(engine);
    let count = move || {
        let (entries, dropped) = shared.journal.entries();
        (MatchReport::of(&entries, &filter), dropped)
    };
    let report = super::beside(count).await?;
    engine.committed().await;
    Ok(report)
}

/// Returns the hint for a filter that matches too few entries.
pub fn mismatch_hint(shared: &AppState, filter: &Match) -> &'static str {
    if filter.names_a_nik() && !shared.engine.shows_nik() {
        "the journal masks NIKs as 317405XXXXXXXXXX: match that, or start the simulator with --show-nik"
    } else {
        "nearest lists the differences; GET /requests/{id} returns a complete entry"
    }
}

/// Returns the hint, with a note when the journal has dropped entries that may have matched.
pub fn with_dropped_note(hint: &str, dropped: u64) -> String {
    match dropped {
        0 => hint.to_owned(),
        _ => format!("{hint}; the journal has dropped {dropped} older entries, --journal enlarges it"),
    }
}

/// Returns "1 request", "2 requests".
pub fn request_count(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}
