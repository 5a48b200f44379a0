//! Starts and stops a simulator. The single entry point for the command line, tests and other programs.

mod builder;
mod error;
mod file_watch;
mod lasting;
pub mod memory;
mod servers;
pub mod setup;
pub mod testing;

pub use builder::Builder;
pub use error::StartError;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Problem;
use crate::domain::policy::Preset;
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::keys;
use crate::state::store::StoreWriter;
use crate::state::store::redis::SharedHistory;
use file_watch::FileWatcher;
use servers::Running;

/// A running simulator. Dropping it stops it and closes its ports.
pub struct Simulator {
    endpoint: SocketAddr,
    admin: Option<SocketAddr>,
    origin: Option<keys::KeyOrigin>,
    /// Dropped first, then the store, so that what the servers' end changes is kept; the store still needs the state below.
    running: Running,
    _store: Option<StoreWriter>,
    _history: Option<SharedHistory>,
    shared: Arc<AppState>,
    /// Number of requests built by [`Simulator::request`].
    transactions: AtomicU64,
    _watcher: Option<FileWatcher>,
}

impl Simulator {
    /// Returns a builder with the default configuration.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the base URL of the data listener, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.endpoint)
    }

    /// Returns the base URL of the admin listener; `None` when it is off.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        self.admin.map(|address| format!("http://{address}"))
    }

    /// Returns which endpoint is simulated.
    #[must_use]
    pub fn preset(&self) -> &Preset {
        &self.shared.start.preset
    }

    /// Returns the server's public key, SPKI PEM.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        self.shared.engine.fixtures().keys.server().public_pem().to_owned()
    }

    /// Returns whether the server's key was read or generated; `None` when it is not stored.
    #[must_use]
    pub fn key_origin(&self) -> Option<keys::KeyOrigin> {
        self.origin
    }

    /// Returns the ordinal of the next built request, from 1.
    pub(crate) fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns the engine behind the listeners.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Returns the state behind the listeners, with which a connection in memory is served.
    #[doc(hidden)]
    #[must_use]
    pub fn app_state(&self) -> &Arc<AppState> {
        &self.shared
    }

    /// Reloads the fixtures. Returns the number of customers.
    ///
    /// # Errors
    /// All problems of the new fixtures. The old ones stay active then.
    pub fn reload(&self) -> Result<usize, Vec<Problem>> {
        self.shared.reloader.reload()
    }

    /// Completes when the simulator stops, for example because of `POST /shutdown` on the admin API.
    pub async fn stopping(&self) {
        let mut stopping = self.shared.stopping.subscribe();
        // The sender is in `shared`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Stops the simulator: no new connections, answers in flight finish within the grace period.
    pub fn stop(mut self) {
        self.running.stop();
    }
}
