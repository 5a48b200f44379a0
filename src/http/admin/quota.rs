//! `GET|PUT /customers/{customer_id}/quota`.

use actix_web::{HttpResponse, web};
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Json, json, run_blocking};
use crate::base::time;
use crate::domain::quota::QuotaView;
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::customer_fields::edit;

/// Change of a customer's quota: the limit, today's usage, or both.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaChange {
    /// Daily limit; `null` removes it, absent keeps it. Applies until a PUT or PATCH of the customer sets a newer one.
    #[schemars(with = "Option<u64>")]
    #[serde(deserialize_with = "crate::config::model::present")]
    per_day: Option<Option<u64>>,
    /// Requests charged so far today.
    #[schemars(with = "u64")]
    #[serde(deserialize_with = "super::non_null")]
    used: Option<u64>,
}

/// A customer's quota for today, by its own clock.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QuotaOfDay {
    /// Daily limit; null: no limit.
    per_day: Option<u64>,
    /// Requests charged so far today.
    used: u64,
    /// Requests left today; null: no limit.
    left: Option<u64>,
    /// Date in Jakarta, such as 2026-11-21.
    day: String,
}

pub async fn read(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let quota = shared.engine.quota(&customer_id);
    let (quota, day) = quota.ok_or_else(|| super::unknown_customer(&shared, &customer_id))?;
    Ok(response(quota, day))
}

pub async fn change(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(change): Json<QuotaChange>,
) -> Result<HttpResponse, ApiError> {
    let customer = super::customer(&shared, &customer_id)?;
    let changed = move |engine: &Engine| {
        let shared_state = engine.state_of(&customer.id);
        let mut state = edit(&shared_state);
        let day = time::jakarta_day(engine.now_of(&state));
        if let Some(per_day) = change.per_day {
            state.set_per_day(per_day);
        }
        if let Some(used) = change.used {
            state.set_used(day, used);
        }
        Ok((state.quota(day, customer.per_day), day))
    };
    let (quota, day) = run_blocking(&shared, changed).await?;
    Ok(response(quota, day))
}

fn response(quota: QuotaView, day: Date) -> HttpResponse {
    json(&QuotaOfDay::new(quota, day))
}

impl QuotaOfDay {
    /// Returns the API form of a quota.
    pub fn new(quota: QuotaView, day: Date) -> QuotaOfDay {
        let QuotaView { per_day, used } = quota;
        QuotaOfDay { per_day, used, left: quota.left(), day: day.to_string() }
    }
}
