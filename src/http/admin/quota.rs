//! `GET|PUT /customers/{customer_id}/quota`.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{ApiError, Json, json};
use crate::checks::QuotaView;
use crate::clock;
use crate::http::Shared;
use crate::ledger;

/// What `PUT` takes: either or both.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// `null` lifts the limit; absent leaves it.
    #[serde(deserialize_with = "present")]
    per_day: Option<Option<u64>>,
    used: Option<u64>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

pub async fn read(
    shared: web::Data<Shared>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let quota = shared.engine.quota(&customer_id).ok_or_else(|| ApiError::unknown_customer(&customer_id))?;
    Ok(shown(&shared, quota))
}

pub async fn change(
    shared: web::Data<Shared>,
    customer_id: web::Path<String>,
    Json(change): Json<Change>,
) -> Result<HttpResponse, ApiError> {
    let engine = &shared.engine;
    let fixtures = engine.fixtures();
    let customer = super::customer(&fixtures, &customer_id)?;
    let day = clock::jakarta_day(engine.clock.now());
    let book = engine.ledger.book(&customer.id);
    let mut book = ledger::open(&book);
    if let Some(per_day) = change.per_day {
        book.set_per_day(per_day);
    }
    if let Some(used) = change.used {
        book.set_used(day, used);
    }
    Ok(shown(&shared, book.quota(day, customer.per_day)))
}

fn shown(shared: &Shared, quota: QuotaView) -> HttpResponse {
    let day = clock::jakarta_day(shared.engine.clock.now());
    json(
        &json!({ "per_day": quota.per_day, "used": quota.used, "left": quota.left(), "day": day.to_string() }),
    )
}
