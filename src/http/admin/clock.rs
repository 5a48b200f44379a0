//! `GET|PUT /clock`, `GET|PUT /customers/{customer_id}/clock`.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Json, customer, json};
use crate::base::time;
use crate::http::state::AppState;
use crate::state::clock::{ClockMove, ClockReading};

/// What is done to a clock: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct ClockChange {
    /// How far forward, such as `"25h"`.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "super::non_null")]
    advance: Option<String>,
    /// An instant (RFC 3339); the clock stands still there.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "super::non_null")]
    now: Option<String>,
    /// Stops it where it is, or lets it go on from there.
    #[schemars(with = "bool")]
    #[serde(deserialize_with = "super::non_null")]
    freeze: Option<bool>,
    /// Back to how the simulator started; a customer's clock follows the simulator's again.
    #[schemars(with = "bool", extend("const" = true))]
    #[serde(deserialize_with = "super::non_null")]
    reset: Option<bool>,
}

/// What a clock shows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ClockView {
    /// RFC 3339 in Jakarta time.
    now: String,
    /// Whether it stands still.
    frozen: bool,
}

pub async fn read(shared: web::Data<AppState>) -> HttpResponse {
    shown(shared.engine.clock.read())
}

pub async fn change(
    shared: web::Data<AppState>,
    Json(wanted): Json<ClockChange>,
) -> Result<HttpResponse, ApiError> {
    let reading = shared.engine.clock.change(wanted.change()?).map_err(too_far)?;
    Ok(shown(reading))
}

pub async fn read_of(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    Ok(shown(shared.engine.clock_of(&customer.id)))
}

pub async fn change_of(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(wanted): Json<ClockChange>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    let reading = shared.engine.change_clock_of(&customer.id, wanted.change()?).map_err(too_far)?;
    Ok(shown(reading))
}

impl ClockChange {
    fn change(self) -> Result<ClockMove, ApiError> {
        match self {
            ClockChange { advance: Some(text), now: None, freeze: None, reset: None } => {
                let by = humantime::parse_duration(&text).map_err(|error| {
                    ApiError::invalid(format!("{text:?} is no duration: {error}"))
                        .path("/advance")
                        .hint("such as \"25h\" or \"90s\"")
                })?;
                Ok(ClockMove::Advance(by))
            }
            ClockChange { advance: None, now: Some(text), freeze: None, reset: None } => {
                let now = time::parse_instant(&text).map_err(|message| ApiError::invalid(message).path("/now"))?;
                Ok(ClockMove::Set(now))
            }
            ClockChange { advance: None, now: None, freeze: Some(frozen), reset: None } => {
                Ok(ClockMove::Freeze(frozen))
            }
            ClockChange { advance: None, now: None, freeze: None, reset: Some(true) } => Ok(ClockMove::Reset),
            _ => Err(ApiError::invalid("exactly one change at a time").hint(
                r#"{"advance":"25h"}, {"now":"2026-11-21T23:59:00+07:00"}, {"freeze":true} or {"reset":true}"#,
            )),
        }
    }
}

fn too_far(message: String) -> ApiError {
    ApiError::invalid(message).path("/advance")
}

fn shown(reading: ClockReading) -> HttpResponse {
    json(&ClockView { now: time::rfc3339(reading.now), frozen: reading.frozen })
}
