//! `GET /metrics`, in the OpenMetrics text format.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};

use crate::domain::customer::Customer;
use crate::engine::Engine;
use crate::http::state::{AppState, MAX_READERS, MAX_WAITS};
use crate::state::metrics::{CONTENT_TYPE, CapacityUsage, Snapshot, StoreUsage};
use crate::state::worker_pool::CapacityGauge;

pub async fn metrics(shared: web::Data<AppState>) -> HttpResponse {
    let snapshot = Snapshot {
        in_flight: *shared.in_flight.borrow(),
        connections: shared.connections.load(Ordering::Relaxed),
        waiting_calls: MAX_WAITS - shared.waits.available_permits(),
        event_readers: MAX_READERS - shared.readers.available_permits(),
        journal: Some(shared.engine.journal.fill()),
        quota_left: quota_left(&shared.engine),
        faces: shared.engine.asks_faces().then(|| {
            let faces = &shared.engine.matcher.faces;
            (faces.counts(), faces.status())
        }),
        capacities: shared.engine.capacities().into_iter().map(capacity).collect(),
        store: shared.engine.shared().map(|store| StoreUsage {
            store: store.address().to_string(),
            is_up: store.is_up(),
            regressions: store.regressions(),
        }),
    };
    HttpResponse::Ok().content_type(CONTENT_TYPE).body(shared.metrics.scrape(&snapshot))
}

/// Returns the remaining quota of every customer with a daily limit.
fn quota_left(engine: &Engine) -> Vec<(String, u64)> {
    let customers = engine.customers.customers(engine.clock.now());
    let left = |customer: &Arc<Customer>| Some((customer.id.clone(), engine.quota(&customer.id)?.0.left()?));
    customers.iter().filter_map(left).collect()
}

fn capacity(gauge: CapacityGauge) -> CapacityUsage {
    let CapacityGauge { customer_id, workers, busy, waiting, .. } = gauge;
    CapacityUsage {
        // Not a valid customer id, so it cannot clash with one.
        matcher: customer_id.unwrap_or_else(|| "(shared)".to_owned()),
        workers: workers as u64,
        busy: busy as u64,
        waiting: waiting as u64,
    }
}
