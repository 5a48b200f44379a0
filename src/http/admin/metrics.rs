//! `GET /metrics`, in the OpenMetrics text format.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};

use crate::engine::Engine;
use crate::http::Shared;
use crate::metrics::{CONTENT_TYPE, Now};

pub async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    let now = Now {
        in_flight: *shared.in_flight.borrow(),
        connections: shared.connections.load(Ordering::Relaxed),
        waiting_calls: shared.waits.taken(),
        event_readers: shared.readers.taken(),
        journal: Some(shared.engine.journal.fill()),
        quota_left: quota_left(&shared.engine),
        // No matcher of bounded capacity yet.
        capacities: Vec::new(),
    };
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(shared.metrics.scrape(&now))
}

/// Of the customers that have a quota.
fn quota_left(engine: &Engine) -> Vec<(String, u64)> {
    let fixtures = engine.fixtures();
    let left = |customer_id: &String| Some((customer_id.clone(), engine.quota(customer_id)?.left()?));
    let mut quotas: Vec<_> = fixtures.customers.keys().filter_map(left).collect();
    quotas.sort_unstable();
    quotas
}
