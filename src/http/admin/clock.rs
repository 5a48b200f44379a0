//! `GET|PUT /clock`, `GET|PUT /customers/{customer_id}/clock`.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Json, customer, json, run_blocking};
use crate::base::duration::DurationText;
use crate::base::time;
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::clock::{ClockMove, ClockReading};

/// Change of a clock: exactly one member.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct ClockChange {
    /// Advances the clock by this duration, such as `"25h"`.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "super::non_null")]
    advance: Option<String>,
    /// Sets the clock to this timestamp (RFC 3339) and freezes it.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "super::non_null")]
    now: Option<String>,
    /// `true` freezes the clock, `false` lets it run on from its current time.
    #[schemars(with = "bool")]
    #[serde(deserialize_with = "super::non_null")]
    freeze: Option<bool>,
    /// Resets the clock to how the simulator started; a customer's clock follows the simulator's again.
    #[schemars(with = "bool", extend("const" = true))]
    #[serde(deserialize_with = "super::non_null")]
    reset: Option<bool>,
}

/// Reading of a clock.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ClockView {
    /// Current time: RFC 3339 in Jakarta time.
    now: String,
    /// Whether the clock is frozen.
    frozen: bool,
}

pub async fn read(shared: web::Data<AppState>) -> HttpResponse {
    response(shared.engine.clock.read())
}

pub async fn change(
    shared: web::Data<AppState>,
    Json(change): Json<ClockChange>,
) -> Result<HttpResponse, ApiError> {
    let change = change.into_move()?;
    let reading =
        run_blocking(&shared, move |engine| engine.clock.change(change).map_err(out_of_range)).await?;
    Ok(response(reading))
}

pub async fn read_of(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    Ok(response(shared.engine.clock_of(&customer.id)))
}

pub async fn change_of(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(change): Json<ClockChange>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    let change = change.into_move()?;
    let of = move |engine: &Engine| engine.change_clock_of(&customer.id, change).map_err(out_of_range);
    let reading = run_blocking(&shared, of).await?;
    Ok(response(reading))
}

impl ClockChange {
    /// Converts the request to one clock operation.
    fn into_move(self) -> Result<ClockMove, ApiError> {
        match self {
            ClockChange { advance: Some(text), now: None, freeze: None, reset: None } => advance(&text),
            ClockChange { advance: None, now: Some(text), freeze: None, reset: None } => {
                let now =
                    time::parse_instant(&text).map_err(|message| ApiError::invalid(message).path("/now"))?;
                Ok(ClockMove::Set(now))
            }
            ClockChange { advance: None, now: None, freeze: Some(frozen), reset: None } => {
                Ok(ClockMove::Freeze(frozen))
            }
            ClockChange { advance: None, now: None, freeze: None, reset: Some(true) } => Ok(ClockMove::Reset),
            ClockChange { advance: None, now: None, freeze: None, reset: Some(false) } => {
                Err(ApiError::invalid("reset is false, but can only be true").path("/reset").hint(EXAMPLES))
            }
            several => Err(several.not_one()),
        }
    }

    /// Returns the error for no change, or several at a time.
    fn not_one(&self) -> ApiError {
        let keys = [
            ("advance", self.advance.is_some()),
            ("now", self.now.is_some()),
            ("freeze", self.freeze.is_some()),
            ("reset", self.reset.is_some()),
        ];
        let sent: Vec<_> = keys.iter().filter(|(_, sent)| *sent).map(|(key, _)| *key).collect();
        let message = match (sent.is_empty(), &self.now, self.freeze) {
            (true, ..) => "the body names no change of the clock".to_owned(),
            (_, Some(_), Some(true)) if sent.len() == 2 => {
                "now and freeze cannot be sent together: now alone freezes the clock at its instant".to_owned()
            }
            (_, Some(_), Some(false)) if sent.len() == 2 => {
                "now and freeze cannot be sent together: send now first, then freeze false to let the clock run on from there".to_owned()
            }
            _ => format!("{} cannot be sent together: send one change at a time", sent.join(" and ")),
        };
        ApiError::invalid(message).path("").hint(EXAMPLES)
    }
}

/// Examples of each change.
const EXAMPLES: &str = r#"{"advance":"25h"}, {"now":"2026-11-21T23:59:00+07:00"}, {"freeze":true}, {"freeze":false} or {"reset":true}"#;

fn advance(text: &str) -> Result<ClockMove, ApiError> {
    let error = |message: String| ApiError::invalid(message).path("/advance");
    let shown = crate::base::text::quoted(text);
    if let Some(back) = text.trim().strip_prefix(['-', '\u{2212}']) {
        let is_duration = back.parse::<DurationText>().is_ok();
        let what = if is_duration { "would put it back" } else { "is negative" };
        return Err(error(format!("advance only moves the clock forward, and {shown} {what}"))
            .hint(r#"to set an earlier time, send {"now":"2026-11-21T10:00:00+07:00"}; {"reset":true} returns to the start"#));
    }
    let DurationText(by) = text.parse().map_err(|message: String| error(message).hint(EXAMPLES))?;
    Ok(ClockMove::Advance(by))
}

/// Converts the error of a time out of range.
fn out_of_range(message: String) -> ApiError {
    ApiError::invalid(message).path("/advance")
}

fn response(reading: ClockReading) -> HttpResponse {
    json(&ClockView { now: time::rfc3339(reading.now), frozen: reading.frozen })
}
