//! What both listeners share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot, watch};

use super::buffer_pool::BufferPool;
use super::slots::Slots;
use super::timeouts::Timeouts;
use crate::domain::faults::ListenerFault;
use crate::engine::Engine;
use crate::engine::reload::Reloader;
use crate::state::metrics::Metrics;
use crate::state::observer::Observer;
use crate::state::timer::Timer;

/// What both listeners share.
pub struct AppState {
    pub engine: Arc<Engine>,
    pub observer: Arc<dyn Observer>,
    pub settings: HttpSettings,
    pub timer: Arc<dyn Timer>,
    /// How many answers of the data listener are under way.
    pub in_flight: watch::Sender<usize>,
    /// Number of the newest connection on the data listener.
    pub connections: AtomicU64,
    /// Tells the data listener to close its port for a while.
    pub listener_commands: UnboundedSender<ListenerCommand>,
    /// Calls of the admin API that wait for requests.
    pub waits: Slots,
    /// Those who follow the events.
    pub readers: Slots,
    pub metrics: Metrics,
    /// Memory of the data listener's bodies.
    pub buffers: Arc<BufferPool>,
    /// Whether the simulator is stopping: no new connections, and what hangs is cut.
    pub stopping: watch::Sender<bool>,
    /// Asks for the stop.
    pub shutdown: Notify,
    pub reloader: Arc<Reloader>,
    /// What the simulator was started with, for those who ask.
    pub start: StartInfo,
}

/// What a simulator was started with, as far as nothing else here has it.
pub struct StartInfo {
    pub endpoint: SocketAddr,
    pub admin: Option<SocketAddr>,
    pub seed: u64,
    pub keys: Option<PathBuf>,
    pub journal_bytes: usize,
    pub journal_file: Option<PathBuf>,
    pub grace: Duration,
}

/// What the command line says about the listeners.
#[derive(Clone)]
pub struct HttpSettings {
    /// Largest body of a request, in bytes.
    pub max_body: usize,
    /// What the admin listener asks for, if anything.
    pub admin_token: Option<String>,
    /// Threads of the data listener.
    pub workers: usize,
    /// How long clients of the data listener may take.
    pub timeouts: Timeouts,
}

/// Asks for something to happen to the data listener.
#[derive(Debug)]
pub struct ListenerCommand {
    pub listener: ListenerFault,
    /// Dropped as soon as it is in force.
    pub in_force: oneshot::Sender<()>,
}
