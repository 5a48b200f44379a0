//! `GET|PUT /clock`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::{ApiError, Json, json};
use crate::clock::{self, Reading};
use crate::http::Shared;

/// What `PUT /clock` takes: one of these.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// How far forward, such as `"25h"`.
    advance: Option<String>,
    /// RFC 3339; the clock stands still there.
    now: Option<String>,
    freeze: Option<bool>,
    reset: Option<bool>,
}

pub async fn read(shared: web::Data<Shared>) -> HttpResponse {
    shown(shared.engine.clock.read())
}

pub async fn change(shared: web::Data<Shared>, Json(change): Json<Change>) -> Result<HttpResponse, ApiError> {
    let clock = &shared.engine.clock;
    let reading = match change {
        Change { advance: Some(text), now: None, freeze: None, reset: None } => advance(clock, &text)?,
        Change { advance: None, now: Some(text), freeze: None, reset: None } => {
            clock.set(clock::parse_instant(&text).map_err(|message| ApiError::invalid(message).path("/now"))?)
        }
        Change { advance: None, now: None, freeze: Some(frozen), reset: None } => clock.freeze(frozen),
        Change { advance: None, now: None, freeze: None, reset: Some(true) } => clock.reset(),
        _ => {
            return Err(ApiError::invalid("exactly one change at a time")
                .hint(r#"{"advance":"25h"}, {"now":"2026-11-21T23:59:00+07:00"}, {"freeze":true} or {"reset":true}"#));
        }
    };
    Ok(shown(reading))
}

fn advance(clock: &clock::Clock, text: &str) -> Result<Reading, ApiError> {
    let by = humantime::parse_duration(text).map_err(|error| {
        ApiError::invalid(format!("{text:?} is no duration: {error}"))
            .path("/advance")
            .hint("such as \"25h\" or \"90s\"")
    })?;
    clock.advance(by).map_err(|message| ApiError::invalid(message).path("/advance"))
}

fn shown(reading: Reading) -> HttpResponse {
    json(&json!({ "now": clock::rfc3339(reading.now), "frozen": reading.frozen }))
}
