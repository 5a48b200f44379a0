//! Starting and stopping a simulator: the one way in, for the command line, for tests and for other programs.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use socket2::SockRef;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::{Clock, ClockStart};
use crate::engine::{Engine, Settings as EngineSettings};
use crate::fixtures::{self, Problem};
use crate::http::listener::{Command, Worker};
use crate::http::patience::Patience;
use crate::http::places::Places;
use crate::http::{self, Settings, Shared, Start};
use crate::journal::Journal;
use crate::keys::{self, KeyError, KeyRing, PrivateKey};
use crate::metrics::Metrics;
use crate::observer::{Observer, Silent};
use crate::policy::PolicySpec;
use crate::reloading::Reloader;
use crate::testing::{self, Refused};
use crate::timer::{RealTimer, Timer};
use crate::watching::Watch;

/// Calls of the admin API that wait for requests at the same time, at most.
const MOST_WAITS: usize = 256;

/// Those who follow the events at the same time, at most.
const MOST_READERS: usize = 64;

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
    Refused { what: String, refused: Refused },
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
    settings: Settings,
    grace: Duration,
    journal_bytes: usize,
    journal_file: Option<PathBuf>,
    show_nik: bool,
    watch: bool,
    observer: Arc<dyn Observer>,
    timer: Arc<dyn Timer>,
    /// Put when it starts, in this order.
    customers: Vec<(String, Value)>,
    rules: Vec<Put>,
}

/// A rule that is put when the simulator starts.
struct Put {
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
            settings: Settings {
                max_body: 10 << 20,
                admin_token: None,
                workers: cores.min(512),
                patience: Patience::default(),
            },
            grace: Duration::from_secs(2),
            journal_bytes: 32 << 20,
            journal_file: None,
            show_nik: false,
            watch: false,
            observer: Arc::new(Silent),
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
        self.rules.push(Put { customer_id, name, rule: as_json(rule) });
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
    pub fn patience(mut self, patience: Patience) -> Builder {
        self.settings.patience = patience;
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
            fixtures::load(self.fixtures.as_deref(), ring, &self.policy).map_err(StartError::Fixtures)?;
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
                Some(Watch::start(directory, move || drop(reloader.reload()))?)
            }
            _ => None,
        };
        let (gate, commands) = unbounded_channel();
        let shared = Arc::new(Shared {
            engine,
            observer: self.observer,
            settings: self.settings,
            timer: self.timer,
            in_flight: watch::Sender::new(0),
            buffers: Arc::default(),
            connections: AtomicU64::new(0),
            gate,
            waits: Places::new(MOST_WAITS),
            readers: Places::new(MOST_READERS),
            metrics: Metrics::default(),
            stopping: watch::Sender::new(false),
            shutdown: Notify::new(),
            reloader,
            start: Start {
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

    fn key_ring(&self) -> Result<(KeyRing, Option<keys::Origin>), StartError> {
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

fn put(engine: &Engine, customers: &[(String, Value)], rules: &[Put]) -> Result<(), StartError> {
    for (id, customer) in customers {
        testing::put_customer(engine, id, customer)
            .map_err(|refused| StartError::Refused { what: format!("the customer {id}"), refused })?;
    }
    for Put { customer_id, name, rule } in rules {
        testing::put_rule(engine, customer_id, name, rule).map_err(|refused| StartError::Refused {
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
    origin: Option<keys::Origin>,
    shared: Arc<Shared>,
    /// Ready requests made so far.
    transactions: AtomicU64,
    _watching: Option<Watch>,
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
    pub fn key_origin(&self) -> Option<keys::Origin> {
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

/// The thread that runs both servers.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(
        listener: TcpListener,
        admin_listener: Option<TcpListener>,
        shared: (Arc<Shared>, UnboundedReceiver<Command>),
        grace: Duration,
    ) -> io::Result<Running> {
        let (stop, stopped) = oneshot::channel();
        let (report, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("frsim".to_owned()).spawn(move || {
            actix_rt::System::new().block_on(serve(listener, admin_listener, shared, grace, stopped, report));
        })?;
        let running = Running { stop: Some(stop), thread: Some(thread) };
        started.recv().unwrap_or_else(|_| Err(io::Error::other("the servers' thread ended")))?;
        Ok(running)
    }

    fn stop(&mut self) {
        // Either is gone already when the thread has ended.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs both servers until told to stop.
async fn serve(
    listener: TcpListener,
    admin_listener: Option<TcpListener>,
    (shared, gate): (Arc<Shared>, UnboundedReceiver<Command>),
    grace: Duration,
    stopped: oneshot::Receiver<()>,
    report: mpsc::SyncSender<io::Result<()>>,
) {
    let started = start_servers(&listener, admin_listener, &shared);
    let (workers, admin) = match started {
        Ok(started) => started,
        Err(error) => return drop(report.send(Err(error))),
    };
    let handle = admin.as_ref().map(actix_server::Server::handle);
    let admin = admin.map(actix_rt::spawn);
    // Whoever started the simulator may have gone; then so has the other end of `stopped`.
    let _ = report.send(Ok(()));
    tokio::select! {
        // Dropped when told to stop: the port is closed then, whatever a fault was doing with it.
        _ = http::listener::accept(listener, &workers, gate, &shared) => {}
        _ = stopped => {}
        () = shared.shutdown.notified() => {}
        () = give_memory_back(&shared) => {}
    }
    shared.stopping.send_replace(true);
    let mut in_flight = shared.in_flight.subscribe();
    let all_done = async {
        let _ = in_flight.wait_for(|count| *count == 0).await;
        shared.waits.all_free().await;
    };
    let _ = actix_rt::time::timeout(grace, all_done).await;
    workers.into_iter().for_each(Worker::stop);
    if let (Some(handle), Some(admin)) = (handle, admin) {
        handle.stop(false).await;
        let _ = admin.await;
    }
}

/// How often it is looked whether there is memory to give back.
const QUIET: Duration = Duration::from_secs(1);

/// How often it is then given back: connections take a while to end after their last request.
const TIMES: u32 = 4;

/// Connections and requests within [`QUIET`] that are too many for it: the next ones would have to wait, and pay for new memory.
const BUSY: u64 = 20;

/// Gives memory back when connections or requests have come, few still come and none is under way. Ends with the server only.
async fn give_memory_back(shared: &Shared) {
    let (mut last, mut times, mut compacted) = (0, 0, 0);
    loop {
        actix_rt::time::sleep(QUIET).await;
        let came = shared.engine.journal.count() + shared.connections.load(Ordering::Relaxed);
        let new = came - last;
        last = came;
        if new > 0 {
            times = TIMES;
        }
        if times > 0 && new <= BUSY && *shared.in_flight.borrow() == 0 {
            compacted = shared.engine.journal.compact(compacted);
            shared.buffers.give_back();
            crate::allocator::give_back();
            times -= 1;
        }
    }
}

/// Connections that may wait to be accepted. With std's 128, of a thousand that come at once most wait a second and more: for the kernel
/// to ask again.
const BACKLOG: i32 = 4096;

fn start_servers(
    listener: &TcpListener,
    admin_listener: Option<TcpListener>,
    shared: &Arc<Shared>,
) -> io::Result<(Vec<Worker>, Option<actix_server::Server>)> {
    listener.set_nonblocking(true)?;
    // Where listening again does not change the queue's length, the shorter one does.
    let _ = SockRef::from(listener).listen(BACKLOG);
    let workers = (1..=shared.settings.workers).map(|number| Worker::start(number, Arc::clone(shared)));
    let workers = workers.collect::<io::Result<Vec<_>>>()?;
    Ok((workers, admin_listener.map(|listener| http::admin(listener, shared)).transpose()?))
}
