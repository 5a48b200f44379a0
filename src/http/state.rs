//! Application state shared by both listeners.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use http::uri::Authority;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::admin_tokens::AdminTokens;
use super::timeouts::Timeouts;
use crate::domain::faults::ListenerFault;
use crate::domain::policy::Preset;
use crate::engine::Engine;
use crate::engine::reload::Reloader;
use crate::state::face_engine::{MAX_ASKING, MAX_WAITING};
use crate::state::metrics::Metrics;
use crate::state::observer::Observer;
use crate::state::timer::Timer;

/// Max concurrent `POST /requests/wait` calls; 429 above it.
pub const MAX_WAITS: usize = 256;

/// Max concurrent readers of `GET /events`; 429 above it.
pub const MAX_READERS: usize = 64;

/// Max concurrent `POST /call` calls; 429 above it. Each holds its photo several times.
pub const MAX_CALLS: usize = 8;

/// Max concurrent evaluations while a face engine is configured. More than can ask it and wait for it, so that requests which need no
/// answer of a slow engine do not wait behind those that do.
pub const MAX_FACE_EVALUATIONS: usize = MAX_ASKING + MAX_WAITING + 24;

/// Application state shared by both listeners.
pub struct AppState {
    pub engine: Arc<Engine>,
    pub observer: Arc<dyn Observer>,
    pub settings: HttpSettings,
    pub timer: Arc<dyn Timer>,
    /// Number of in-flight answers of the data listener.
    pub in_flight: watch::Sender<usize>,
    /// Number of connections accepted by the data listener so far; also the number of the newest one.
    pub connections: AtomicU64,
    /// Command channel to the data listener, for faults that close its port for a while.
    pub listener_commands: UnboundedSender<ListenerCommand>,
    /// A permit for each `POST /requests/wait` call, of [`MAX_WAITS`].
    pub waits: Semaphore,
    /// Memory of the regexes of those calls, in bytes.
    pub waiting_regexes: AtomicUsize,
    /// A permit for each `POST /call` call, of [`MAX_CALLS`].
    pub calls: Semaphore,
    /// A permit for each reader of `GET /events`, of [`MAX_READERS`].
    pub readers: Arc<Semaphore>,
    pub metrics: Metrics,
    /// Permits for evaluations beside the I/O threads, one a core: more would only take turns, each with its photo in memory.
    pub evaluations: Arc<Semaphore>,
    /// Permits for evaluations with a face engine, of [`MAX_FACE_EVALUATIONS`]: those that wait for it take no processor time.
    pub face_evaluations: Arc<Semaphore>,
    /// Permits for admin calls that ask a face engine: fewer than the admin API has threads for work that takes long.
    pub face_calls: Semaphore,
    /// Whether the simulator is stopping: no new connections, and hanging ones are closed.
    pub stopping: watch::Sender<bool>,
    /// Requests the shutdown.
    pub shutdown: Notify,
    pub reloader: Arc<Reloader>,
    /// Start options, shown by `GET /config`.
    pub start: StartInfo,
}

/// Start options of a simulator that no other part of [`AppState`] holds.
pub struct StartInfo {
    pub endpoint: SocketAddr,
    pub admin: Option<SocketAddr>,
    pub preset: Preset,
    pub seed: u64,
    pub keys: Option<PathBuf>,
    pub journal_bytes: usize,
    pub journal_file: Option<PathBuf>,
    pub grace: Duration,
}

/// Settings of both listeners, from the command line.
#[derive(Clone)]
pub struct HttpSettings {
    /// Max request body, in bytes.
    pub max_body: usize,
    /// Bearer tokens of the admin listener.
    pub admin_tokens: AdminTokens,
    /// Number of threads of the data listener.
    pub workers: usize,
    /// Client timeouts of the data listener.
    pub timeouts: Timeouts,
}

/// A command to the data listener.
#[derive(Debug)]
pub struct ListenerCommand {
    pub listener: ListenerFault,
    /// Dropped once the fault is active.
    pub in_force: oneshot::Sender<()>,
}

/// Returns the address of a listener as a client can reach it: of one on all addresses, the host that the client called.
#[must_use]
pub fn reachable(listener: SocketAddr, called: &str) -> String {
    if !listener.ip().is_unspecified() {
        return listener.to_string();
    }
    let called = called.parse::<Authority>();
    let host = called.map_or("localhost".to_owned(), |called| called.host().to_owned());
    format!("{host}:{}", listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_the_host_that_was_called() {
        for (listener, called, address) in [
            ("127.0.0.1:9090", "frsim:8080", "127.0.0.1:9090"),
            ("0.0.0.0:9090", "frsim:8080", "frsim:9090"),
            ("0.0.0.0:9090", "frsim", "frsim:9090"),
            ("[::]:9090", "[::1]:8080", "[::1]:9090"),
            ("0.0.0.0:9090", "", "localhost:9090"),
        ] {
            assert_eq!(reachable(listener.parse().unwrap(), called), address);
        }
    }
}
