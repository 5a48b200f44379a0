//! `POST /requests/verify`: whether the journal has as many entries as it should, and what came near when not.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Json, json};
use crate::engine::Engine;
use crate::http::api_error::ErrorBody;
use crate::http::state::AppState;
use crate::state::journal::{ExpectedCount, Match, MatchReport, NearMiss};

/// What `POST /requests/verify` takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "VerifyQuestion")]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Which entries are meant; default: all.
    #[serde(default)]
    r#match: Match,
    count: ExpectedCount,
}

/// What is answered when the count is right.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verified {
    count: u64,
}

/// What is answered when the count is wrong, and when waiting was in vain.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnmetExpectation {
    error: ErrorBody,
    /// How many entries are meant.
    count: u64,
    /// The ids of those, newest first, at most 10.
    matched: Vec<u64>,
    /// What comes nearest without being meant: fewest differences first, then newest; at most 5. Empty when there are too many.
    nearest: Vec<NearMiss>,
}

impl UnmetExpectation {
    /// An answer that carries an error and what was found.
    pub fn answer(error: &ApiError, tally: MatchReport) -> HttpResponse {
        let MatchReport { count, matched, nearest } = tally;
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
    let Json(VerifyRequest { r#match: wanted, count: expected }) = body;
    let right = expected.counts().map_err(|message| {
        ApiError::invalid(message)
            .path("/count")
            .hint(r#"{"exactly":2}, {"at_least":1}, {"at_most":3}, or the last two together"#)
    })?;
    let hint = mismatch_hint(&shared, &wanted);
    let (tally, dropped) = tally(&shared.engine, wanted).await?;
    if right.contains(&tally.count) {
        return Ok(json(&Verified { count: tally.count }));
    }
    let message = format!("{} found, expected {expected}", requests(tally.count));
    let error = ApiError::unmet(StatusCode::CONFLICT, "count_differs", message)
        .hint(with_dropped_note(hint, dropped));
    let too_many = tally.count > *right.end();
    let nearest = if too_many { Vec::new() } else { tally.nearest };
    Ok(UnmetExpectation::answer(&error, MatchReport { nearest, ..tally }))
}

/// Looks through the journal on a thread of its own: a large one takes a while, and the admin listener has one thread.
pub async fn tally(engine: &Arc<Engine>, wanted: Match) -> Result<(MatchReport, u64), ApiError> {
    let engine = Arc::clone(engine);
    let count = move || {
        let (entries, dropped) = engine.journal.entries();
        (MatchReport::of(&entries, &wanted), dropped)
    };
    web::block(count).await.map_err(|_| ApiError::stopping())
}

/// What to do about a match that finds too little.
pub fn mismatch_hint(shared: &AppState, wanted: &Match) -> &'static str {
    if wanted.names_a_nik() && !shared.engine.shows_nik() {
        "the journal masks NIKs as 317405XXXXXXXXXX: match that, or start the simulator with --show-nik"
    } else {
        "nearest says what differs; GET /requests/{id} shows an entry whole"
    }
}

/// A hint, and whether the journal may have had more.
pub fn with_dropped_note(hint: &str, dropped: u64) -> String {
    match dropped {
        0 => hint.to_owned(),
        _ => format!("{hint}; the journal has lost {dropped} older entries, --journal makes it larger"),
    }
}

/// A number of requests, in words.
pub fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}
