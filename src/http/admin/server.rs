//! HTTP server of the admin API, on a bound listener. It has its own thread, so `/health` does not wait for the endpoint's requests.
//!
//! At shutdown, waiting calls are answered 503 and event streams are cut, so neither delays the shutdown.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

use super::{access, shared as shared_store};
use crate::http::state::AppState;

/// Keep-alive timeout of the admin listener.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Starts the admin API server on a bound listener. It runs while polled inside an actix system.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(listener: std::net::TcpListener, shared: &Arc<AppState>) -> std::io::Result<Server> {
    let shared = Arc::clone(shared);
    let bound = access::BoundAddress(listener.local_addr()?.ip());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&shared)))
            .app_data(web::Data::new(bound))
            .wrap(actix_web::middleware::from_fn(shared_store::guard))
            .wrap(actix_web::middleware::from_fn(access::guard))
            .configure(super::routes)
    });
    // More would only take turns.
    let server = server
        .workers(1)
        .worker_max_blocking_threads(blocking_threads())
        .disable_signals()
        .shutdown_timeout(0)
        .h1_allow_half_closed(false);
    Ok(server.keep_alive(KEEP_ALIVE).listen(listener)?.run())
}

/// Number of threads for work that takes long: one a core, and at least two, so that one that waits does not stop all.
#[must_use]
pub fn blocking_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}
