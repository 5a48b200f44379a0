//! Starting and stopping a simulator: the one way in, for the command line, for tests and for other programs.

mod file_watch;
mod memory;
mod servers;
pub mod setup;
pub mod testing;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{Notify, oneshot, watch};

use crate::config::{self, Problem};
use crate::domain::policy::PolicySpec;
use crate::engine::reload::Reloader;
use crate::engine::{Engine, EngineSettings};
use crate::http::slots::Slots;
use crate::http::state::{AppState, HttpSettings, StartInfo};
use crate::http::timeouts::Timeouts;
use crate::keys::{self, KeyError, KeyRing, PrivateKey};
use crate::state::clock::{Clock, ClockStart};
use crate::state::journal::Journal;
use crate::state::metrics::Metrics;
use crate::state::observer::{NoopObserver, Observer};
use crate::state::timer::{RealTimer, Timer};
use file_watch::FileWatcher;
use servers::Running;
use setup::TestError;

/// Calls of the admin API that wait for requests at the same time, at most.
const MAX_WAITS: usize = 256;

/// Those who follow the events at the same time, at most.
const MAX_READERS: usize = 64;

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Address { address: SocketAddr, source: io::Error },
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A key cannot be made.
    #[error("{0}")]
    NoKey(String),
    /// The fixtures are wrong.
    #[error("the fixtures are wrong: {}", Problem::list(.0))]
    Fixtures(Vec<Problem>),
    /// Anybody who reaches it could steer the simulator.
    #[error(
        "an admin listener beyond loopback ({0}) needs --admin-token: anybody who reaches it could steer the simulator"
    )]
    OpenAdmin(SocketAddr),
    /// No client could ever send it, so nothing could be steered. Which character, from 1; the token itself is told nowhere.
    #[error(
        "the admin token (--admin-token, FRSIM_ADMIN_TOKEN) {}: it has visible ASCII characters only, and no blanks",
        .0.map_or("is empty".to_owned(), |at| format!("cannot be sent because of its character {at}"))
    )]
    Token(Option<usize>),
    /// A customer or a rule of the builder is wrong.
    #[error("{what}: {refused}")]
    Setup { what: String, refused: TestError },
    /// A file named on the command line cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The system refuses a thread or a watch.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// What a simulator is started with. Everything has a default: free ports on loopback, a fresh key, the built-in fixtures, the
/// system's clock.
pub struct Builder {
    listen: SocketAddr,
    admin_listen: Option<SocketAddr>,
    fixtures: Option<PathBuf>,
    keys: Option<PathBuf>,
    key_bits: usize,
    clock: ClockStart,
    seed: u64,
    policy: PolicySpec,
    settings: HttpSettings,
    grace: Duration,
    journal_bytes: usize,
    journal_file: Option<PathBuf>,
    show_nik: bool,
    watch: bool,
    observer: Arc<dyn Observer>,
    timer: Arc<dyn Timer>,
    /// Put when it starts, in this order.
    customers: Vec<(String, Value)>,
    rules: Vec<InitialRule>,
}

/// A rule that is put when the simulator starts.
struct InitialRule {
    customer_id: String,
    name: String,
    rule: Value,
}

impl Default for Builder {
    fn default() -> Builder {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Builder {
            listen: loopback,
            admin_listen: Some(loopback),
            fixtures: None,
            keys: None,
            key_bits: 2048,
            clock: ClockStart::System,
            seed: 0,
            policy: PolicySpec::default(),
            settings: HttpSettings {
                max_body: 10 << 20,
                admin_token: None,
                workers: cores.min(512),
                timeouts: Timeouts::default(),
            },
            grace: Duration::from_secs(2),
            journal_bytes: 32 << 20,
            journal_file: None,
            show_nik: false,
            watch: false,
            observer: Arc::new(NoopObserver),
            timer: Arc::new(RealTimer),
            customers: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Builder {
    /// Where the endpoint listens. Port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Builder {
        self.listen = address;
        self
    }

    /// Where the admin API listens; `None` for nowhere.
    #[must_use]
    pub fn admin_listen(mut self, address: Option<SocketAddr>) -> Builder {
        self.admin_listen = address;
        self
    }

    /// The token that the admin API asks for: visible ASCII characters, no blanks.
    #[must_use]
    pub fn admin_token(mut self, token: Option<String>) -> Builder {
        self.settings.admin_token = token;
        self
    }

    /// A directory whose files replace the built-in fixtures of the same name.
    #[must_use]
    pub fn fixtures(mut self, directory: Option<PathBuf>) -> Builder {
        self.fixtures = directory;
        self
    }

    /// Whether edited fixtures are put in force by themselves.
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Builder {
        self.watch = watch;
        self
    }

    /// The keys directory. Without one a fresh key is made and kept nowhere.
    #[must_use]
    pub fn keys(mut self, directory: Option<PathBuf>) -> Builder {
        self.keys = directory;
        self
    }

    /// Size of a key that is made: 1024 to 8192 bits.
    #[must_use]
    pub fn key_bits(mut self, bits: usize) -> Builder {
        self.key_bits = bits;
        self
    }

    /// How the clock starts.
    #[must_use]
    pub fn clock(mut self, start: ClockStart) -> Builder {
        self.clock = start;
        self
    }

    /// Seed of everything that is left to chance.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// Policy that stands over `simulator.toml`, and under the customers' own.
    #[must_use]
    pub fn policy(mut self, policy: PolicySpec) -> Builder {
        self.policy = policy;
        self
    }

    /// Largest body of a request, in bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Builder {
        self.settings.max_body = bytes;
        self
    }

    /// How long answers under way may take when the simulator stops.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.grace = grace;
        self
    }

    /// Size of the journal, in bytes.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: usize) -> Builder {
        self.journal_bytes = bytes;
        self
    }

    /// A file that finished entries are appended to, one JSON object a line.
    #[must_use]
    pub fn journal_file(mut self, path: Option<PathBuf>) -> Builder {
        self.journal_file = path;
        self
    }

    /// Whether NIKs are shown whole in the journal and the log.
    #[must_use]
    pub fn show_nik(mut self, show: bool) -> Builder {
        self.show_nik = show;
        self
    }

    /// A customer over those of the fixtures: the model of the fixture files as JSON.
    ///
    /// What is wrong with it is said when the simulator starts.
    #[must_use]
    pub fn customer(mut self, id: &str, customer: impl Serialize) -> Builder {
        self.customers.push((id.to_owned(), as_json(customer)));
        self
    }

    /// A rule of a customer, before those that it has: the model of the fixture files as JSON.
    ///
    /// What is wrong with it is said when the simulator starts.
    #[must_use]
    pub fn rule(mut self, customer_id: &str, name: &str, rule: impl Serialize) -> Builder {
        let (customer_id, name) = (customer_id.to_owned(), name.to_owned());
        self.rules.push(InitialRule { customer_id, name, rule: as_json(rule) });
        self
    }

    /// Who is told what happens.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Builder {
        self.observer = observer;
        self
    }

    /// What waits for delays and faults: real time, or a test's own.
    #[doc(hidden)]
    #[must_use]
    pub fn timer(mut self, timer: Arc<dyn Timer>) -> Builder {
        self.timer = timer;
        self
    }

    /// How long clients of the endpoint may take for what they owe; for tests, which would have to wait else.
    #[doc(hidden)]
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Builder {
        self.settings.timeouts = timeouts;
        self
    }

    /// Starts. When this is done, both listeners listen and everything is loaded. On any async runtime: the simulator has its
    /// own threads.
    ///
    /// # Errors
    /// What is in the way; nothing is left running then.
    pub async fn start(self) -> Result<Simulator, StartError> {
        let (report, started) = oneshot::channel();
        // Making a key takes longer than an async test may block.
        std::thread::Builder::new().name("frsim-start".to_owned()).spawn(move || {
            // Who awaited it may have gone; the simulator stops then.
            let _ = report.send(self.start_blocking());
        })?;
        started.await.unwrap_or_else(|_| Err(io::Error::other("the starting thread ended").into()))
    }

    /// Starts, from code that is not async.
    ///
    /// # Errors
    /// What is in the way; nothing is left running then.
    pub fn start_blocking(self) -> Result<Simulator, StartError> {
        if let Some(address) = self.admin_listen.filter(|address| !address.ip().is_loopback())
            && self.settings.admin_token.is_none()
        {
            return Err(StartError::OpenAdmin(address));
        }
        self.settings.admin_token.as_deref().map_or(Ok(()), fit_for_a_header)?;
        let listener = bind(self.listen)?;
        let admin_listener = self.admin_listen.map(bind).transpose()?;
        let addresses =
            (listener.local_addr()?, admin_listener.as_ref().map(TcpListener::local_addr).transpose()?);
        let (ring, origin) = self.key_ring()?;
        let fixtures =
            config::load(self.fixtures.as_deref(), ring, &self.policy).map_err(StartError::Fixtures)?;
        let journal_file = self.journal_file.as_deref();
        let journal = Journal::new(self.journal_bytes, journal_file).map_err(|source| StartError::File {
            path: self.journal_file.clone().unwrap_or_default(),
            source,
        })?;
        let settings = EngineSettings { seed: self.seed, show_nik: self.show_nik };
        let engine = Arc::new(Engine::new(fixtures, Clock::new(self.clock), journal, settings));
        put(&engine, &self.customers, &self.rules)?;
        let reloader = Arc::new(Reloader::new(
            self.fixtures.clone(),
            self.policy,
            Arc::clone(&engine),
            Arc::clone(&self.observer),
        ));
        let watching = match (&self.fixtures, self.watch) {
            (Some(directory), true) => {
                let reloader = Arc::clone(&reloader);
                Some(FileWatcher::start(directory, move || drop(reloader.reload()))?)
            }
            _ => None,
        };
        let (listener_commands, commands) = unbounded_channel();
        let shared = Arc::new(AppState {
            engine,
            observer: self.observer,
            settings: self.settings,
            timer: self.timer,
            in_flight: watch::Sender::new(0),
            buffers: Arc::default(),
            connections: AtomicU64::new(0),
            listener_commands,
            waits: Slots::new(MAX_WAITS),
            readers: Slots::new(MAX_READERS),
            metrics: Metrics::default(),
            stopping: watch::Sender::new(false),
            shutdown: Notify::new(),
            reloader,
            start: StartInfo {
                endpoint: addresses.0,
                admin: addresses.1,
                seed: self.seed,
                keys: self.keys,
                journal_bytes: self.journal_bytes,
                journal_file: self.journal_file,
                grace: self.grace,
            },
        });
        let running = Running::start(listener, admin_listener, (Arc::clone(&shared), commands), self.grace)?;
        let (endpoint, admin) = addresses;
        Ok(Simulator {
            endpoint,
            admin,
            origin,
            shared,
            transactions: AtomicU64::new(0),
            _watching: watching,
            running,
        })
    }

    fn key_ring(&self) -> Result<(KeyRing, Option<keys::KeyOrigin>), StartError> {
        match &self.keys {
            Some(directory) => {
                let (key, opened) = keys::read_or_generate(directory, self.key_bits)?;
                if let Some(warning) = opened.warning {
                    self.observer.warned(&warning.to_string());
                }
                Ok((KeyRing::new(key, Some(directory.clone())), Some(opened.origin)))
            }
            None => {
                let key =
                    PrivateKey::generate("the server's key", self.key_bits).map_err(StartError::NoKey)?;
                Ok((KeyRing::new(key, None), None))
            }
        }
    }
}

/// Whether a client can send a token in `Authorization`.
fn fit_for_a_header(token: &str) -> Result<(), StartError> {
    if token.is_empty() {
        return Err(StartError::Token(None));
    }
    match token.chars().position(|c| !c.is_ascii_graphic()) {
        Some(index) => Err(StartError::Token(Some(index + 1))),
        None => Ok(()),
    }
}

/// A value that cannot be written as JSON is null, which no customer and no rule is.
fn as_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn put(engine: &Engine, customers: &[(String, Value)], rules: &[InitialRule]) -> Result<(), StartError> {
    for (id, customer) in customers {
        setup::put_customer(engine, id, customer)
            .map_err(|refused| StartError::Setup { what: format!("the customer {id}"), refused })?;
    }
    for InitialRule { customer_id, name, rule } in rules {
        setup::put_rule(engine, customer_id, name, rule).map_err(|refused| StartError::Setup {
            what: format!("the rule {name:?} of {customer_id}"),
            refused,
        })?;
    }
    Ok(())
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|source| StartError::Address { address, source })
}

/// A running simulator. Dropping it stops it and closes its ports.
pub struct Simulator {
    endpoint: SocketAddr,
    admin: Option<SocketAddr>,
    origin: Option<keys::KeyOrigin>,
    shared: Arc<AppState>,
    /// Ready requests made so far.
    transactions: AtomicU64,
    _watching: Option<FileWatcher>,
    running: Running,
}

impl Simulator {
    /// What to start one with.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Base of the data listener, such as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.endpoint)
    }

    /// Base of the admin listener; `None` when there is none.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        self.admin.map(|address| format!("http://{address}"))
    }

    /// The public half of the server's key, SPKI PEM.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        self.shared.engine.fixtures().keys.server().public_pem().to_owned()
    }

    /// Whether the server's key was read or made; `None` when it is kept nowhere.
    #[must_use]
    pub fn key_origin(&self) -> Option<keys::KeyOrigin> {
        self.origin
    }

    /// Number of the next ready request, from 1.
    pub(crate) fn next_transaction(&self) -> u64 {
        self.transactions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The engine behind the listeners.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Reads the fixtures again and puts them in force; gives the number of customers.
    ///
    /// # Errors
    /// Everything that is wrong with them; the old ones stay in force then.
    pub fn reload(&self) -> Result<usize, Vec<Problem>> {
        self.shared.reloader.reload()
    }

    /// Done when the simulator stops, because it was asked to over the admin API.
    pub async fn stopping(&self) {
        let mut stopping = self.shared.stopping.subscribe();
        // The sender is in `shared`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Stops: no new connections, answers under way finish within the grace.
    pub fn stop(mut self) {
        self.running.stop();
    }
}
