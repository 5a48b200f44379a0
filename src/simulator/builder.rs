//! The builder: what a simulator is started with, and the start itself.

use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::error::{MAX_BODY, StartError};
use super::file_watch::FileWatcher;
use super::servers::{Running, Servers};
use super::{Simulator, lasting, setup};
use crate::config::{self, StartPolicy};
use crate::domain::policy::{PolicySpec, Preset};
use crate::engine::reload::Reloader;
use crate::engine::{Engine, EngineSettings, gallery_faces};
use crate::http::admin::server::blocking_threads;
use crate::http::admin_tokens::{self, AdminTokens, NamedToken, TokenFileError};
use crate::http::state::{
    AppState, HttpSettings, MAX_CALLS, MAX_FACE_EVALUATIONS, MAX_READERS, MAX_WAITS, StartInfo,
};
use crate::http::timeouts::Timeouts;
use crate::keys::{self, KeyRing, PrivateKey};
use crate::state::clock::{Clock, ClockStart};
use crate::state::journal::Journal;
use crate::state::metrics::Metrics;
use crate::state::observer::{NoopObserver, Observer};
use crate::state::store::StoreTesting;
use crate::state::store::redis::SharedAddress;
use crate::state::timer::{RealTimer, Timer};

/// Configuration of a simulator. Everything has a default: free ports on loopback, a new key, the built-in fixtures, the system's
/// clock.
pub struct Builder {
    listen: SocketAddr,
    admin_listen: Option<SocketAddr>,
    admin_token_file: Option<PathBuf>,
    fixtures: Option<PathBuf>,
    keys: Option<PathBuf>,
    key_bits: usize,
    clock: ClockStart,
    seed: u64,
    preset: Preset,
    policy: PolicySpec,
    settings: HttpSettings,
    grace: Duration,
    journal_bytes: usize,
    journal_file: Option<PathBuf>,
    store: Option<PathBuf>,
    shared_store: Result<Option<SharedAddress>, String>,
    store_testing: StoreTesting,
    show_nik: bool,
    watch: bool,
    observer: Arc<dyn Observer>,
    timer: Arc<dyn Timer>,
    /// Created at the start, in this order.
    customers: Vec<(String, Value)>,
    rules: Vec<InitialRule>,
}

/// A rule that is created when the simulator starts.
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
            admin_token_file: None,
            fixtures: None,
            keys: None,
            key_bits: 2048,
            clock: ClockStart::System,
            seed: 0,
            preset: Preset::default(),
            policy: PolicySpec::default(),
            settings: HttpSettings {
                max_body: 10 << 20,
                admin_tokens: AdminTokens::default(),
                workers: cores.min(512),
                timeouts: Timeouts::default(),
            },
            grace: Duration::from_secs(2),
            journal_bytes: 32 << 20,
            journal_file: None,
            store: None,
            shared_store: Ok(None),
            store_testing: StoreTesting::default(),
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
    /// Sets the address of the endpoint. Port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Builder {
        self.listen = address;
        self
    }

    /// Sets the address of the admin API; `None` turns it off.
    #[must_use]
    pub fn admin_listen(mut self, address: Option<SocketAddr>) -> Builder {
        self.admin_listen = address;
        self
    }

    /// Sets the bearer token that the admin API requires: visible ASCII characters, no spaces.
    #[must_use]
    pub fn admin_token(mut self, token: Option<String>) -> Builder {
        self.settings.admin_tokens.unnamed = token;
        self
    }

    /// Sets a file of bearer tokens with names, beside [`Builder::admin_token`]: lines `NAME TOKEN`; blank lines and lines that begin
    /// with `#` are skipped. The log and the event `changed` name who changed something.
    #[must_use]
    pub fn admin_token_file(mut self, path: Option<PathBuf>) -> Builder {
        self.admin_token_file = path;
        self
    }

    /// Sets a directory whose files replace the built-in fixtures of the same name.
    #[must_use]
    pub fn fixtures(mut self, directory: Option<PathBuf>) -> Builder {
        self.fixtures = directory;
        self
    }

    /// Sets whether edited fixtures are reloaded automatically.
    #[must_use]
    pub fn watch(mut self, watch: bool) -> Builder {
        self.watch = watch;
        self
    }

    /// Sets the keys directory. Without one, a new key is generated and not stored.
    #[must_use]
    pub fn keys(mut self, directory: Option<PathBuf>) -> Builder {
        self.keys = directory;
        self
    }

    /// Sets the size of a generated key: 1024 to 8192 bits.
    #[must_use]
    pub fn key_bits(mut self, bits: usize) -> Builder {
        self.key_bits = bits;
        self
    }

    /// Sets how the clock starts.
    #[must_use]
    pub fn clock(mut self, start: ClockStart) -> Builder {
        self.clock = start;
        self
    }

    /// Sets the random seed of everything the simulator draws.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// Sets which endpoint is simulated. `simulator.toml` overrides it. The file of [`Preset::Measured`] is read at the start.
    #[must_use]
    pub fn preset(mut self, preset: Preset) -> Builder {
        self.preset = preset;
        self
    }

    /// Sets a policy that overrides `simulator.toml`. Customers' own policies override this one.
    #[must_use]
    pub fn policy(mut self, policy: PolicySpec) -> Builder {
        self.policy = policy;
        self
    }

    /// Sets the maximum body of a request, in bytes; at most 1 GiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Builder {
        self.settings.max_body = bytes;
        self
    }

    /// Sets how long answers in flight may take when the simulator stops.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Builder {
        self.grace = grace;
        self
    }

    /// Sets the size of the journal, in bytes.
    #[must_use]
    pub fn journal_bytes(mut self, bytes: usize) -> Builder {
        self.journal_bytes = bytes;
        self
    }

    /// Sets a file to which finished entries are appended, one JSON object per line.
    #[must_use]
    pub fn journal_file(mut self, path: Option<PathBuf>) -> Builder {
        self.journal_file = path;
        self
    }

    /// Sets a file that keeps customers, rules, quotas, counters, people, clocks and the journal over a restart. It belongs to one seed and
    /// one server key, so set [`Builder::keys`] too. It holds accounts in the clear and thumbnails; only its owner may read it. Customers
    /// and rules of the builder replace those that it has.
    #[must_use]
    pub fn store(mut self, file: Option<PathBuf>) -> Builder {
        self.store = file;
        self
    }

    /// Sets a store on Valkey or Redis that several simulators share: they act as one (beta). `redis://HOST:PORT/NAME`, with
    /// `:PASSWORD@` before the host where there is one. All of them need the same seed, keys and fixtures.
    ///
    /// A wrong address is an error of the start.
    #[must_use]
    pub fn shared_store(mut self, address: Option<&str>) -> Builder {
        self.shared_store = address.map(str::parse).transpose();
        self
    }

    /// The same, of an address that has been read.
    pub(crate) fn shared_address(mut self, address: Option<SharedAddress>) -> Builder {
        self.shared_store = Ok(address);
        self
    }

    /// Sets what tests must be able to bring about.
    #[doc(hidden)]
    #[must_use]
    pub fn store_testing(mut self, testing: StoreTesting) -> Builder {
        self.store_testing = testing;
        self
    }

    /// Sets whether the journal and the log show NIKs unmasked.
    #[must_use]
    pub fn show_nik(mut self, show: bool) -> Builder {
        self.show_nik = show;
        self
    }

    /// Adds a customer, which overrides the fixtures' customer with its id: the model of the fixture files as JSON.
    ///
    /// Errors in it are returned when the simulator starts.
    #[must_use]
    pub fn customer(mut self, id: &str, customer: impl Serialize) -> Builder {
        self.customers.push((id.to_owned(), as_json(customer)));
        self
    }

    /// Adds a rule to a customer, before its other rules: the model of the fixture files as JSON.
    ///
    /// Errors in it are returned when the simulator starts.
    #[must_use]
    pub fn rule(mut self, customer_id: &str, name: &str, rule: impl Serialize) -> Builder {
        let (customer_id, name) = (customer_id.to_owned(), name.to_owned());
        self.rules.push(InitialRule { customer_id, name, rule: as_json(rule) });
        self
    }

    /// Sets the observer of requests and of the simulator's own events.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Builder {
        self.observer = observer;
        self
    }

    /// Sets the timer for delays and faults: real time, or a test's own.
    #[doc(hidden)]
    #[must_use]
    pub fn timer(mut self, timer: Arc<dyn Timer>) -> Builder {
        self.timer = timer;
        self
    }

    /// Sets the number of threads that serve the endpoint, from 1; one per core without this. For tests of concurrency.
    #[doc(hidden)]
    #[must_use]
    pub fn workers(mut self, threads: usize) -> Builder {
        self.settings.workers = threads;
        self
    }

    /// Sets the timeouts for clients of the endpoint. For tests, which would otherwise wait too long.
    #[doc(hidden)]
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Builder {
        self.settings.timeouts = timeouts;
        self
    }

    /// Starts the simulator. On return both listeners accept connections and everything is loaded. Works on any async runtime: the
    /// simulator has its own threads.
    ///
    /// # Errors
    /// Why it does not start. Nothing is left running then.
    pub async fn start(self) -> Result<Simulator, StartError> {
        let (report, started) = oneshot::channel();
        // Generating a key takes longer than an async test may block.
        std::thread::Builder::new().name("frsim-start".to_owned()).spawn(move || {
            // The caller may have been cancelled; the simulator is dropped and stops then.
            let _ = report.send(self.start_blocking());
        })?;
        started.await.unwrap_or_else(|_| Err(io::Error::other("the starting thread ended").into()))
    }

    /// Starts the simulator from synchronous code.
    ///
    /// # Errors
    /// Why it does not start. Nothing is left running then.
    pub fn start_blocking(mut self) -> Result<Simulator, StartError> {
        if let Some(path) = &self.admin_token_file {
            self.settings.admin_tokens.named = read_tokens(path)?;
        }
        if let Some(address) = self.admin_listen.filter(|address| !address.ip().is_loopback())
            && !self.settings.admin_tokens.are_required()
        {
            return Err(StartError::OpenAdmin(address));
        }
        self.settings.admin_tokens.unnamed.as_deref().map_or(Ok(()), validate_token)?;
        if self.settings.max_body > MAX_BODY {
            return Err(StartError::MaxBody(self.settings.max_body));
        }
        let listener = bind(self.listen)?;
        let admin_listener = self.admin_listen.map(bind).transpose()?;
        let addresses =
            (listener.local_addr()?, admin_listener.as_ref().map(TcpListener::local_addr).transpose()?);
        let (ring, origin) = self.key_ring()?;
        let policy = StartPolicy::new(&self.preset, self.policy).map_err(StartError::Fixtures)?;
        let fixtures = config::load(self.fixtures.as_deref(), ring, &policy).map_err(StartError::Fixtures)?;
        if let (Some(problem), Ok(Some(_))) = (fixtures.unshared_faces(), &self.shared_store) {
            return Err(StartError::Fixtures(vec![problem]));
        }
        fixtures.warnings.iter().for_each(|warning| self.observer.warned(&warning.to_string()));
        let journal_file = self.journal_file.as_deref();
        let journal = Journal::new(self.journal_bytes, journal_file).map_err(|source| StartError::File {
            path: self.journal_file.clone().unwrap_or_default(),
            source,
        })?;
        let settings = EngineSettings { seed: self.seed, show_nik: self.show_nik };
        let mut engine = Engine::new(fixtures, Clock::new(self.clock), journal, settings);
        let testing = self.store_testing;
        let directories = (self.fixtures.as_deref(), self.keys.as_deref());
        let open = |path| lasting::open(path, &mut engine, directories, self.clock, testing);
        let opened = self.store.as_deref().map(open).transpose()?;
        let shared = self.shared_store.map_err(StartError::StoreAddress)?;
        let options = format!("{} {} {}", policy.text(), self.settings.max_body, self.show_nik);
        let open_shared = |address| {
            lasting::open_shared(address, &mut engine, self.fixtures.as_deref(), &options, self.journal_bytes)
        };
        let shared = shared.map(open_shared).transpose()?;
        let engine = Arc::new(engine);
        let store = opened.map(|opened| lasting::start(opened, &engine, &self.observer)).transpose()?;
        let start_shared = |opened| lasting::start_shared(opened, &engine, self.clock, &self.observer);
        let history = shared.map(start_shared).transpose()?;
        let turn = engine.take_turn_blocking().map_err(|_| lasting::lost(&engine))?;
        if turn.is_some() {
            engine.follow_files();
        }
        apply_initial(&engine, &self.customers, &self.rules)?;
        gallery_faces::learn(&engine, &self.observer);
        drop(turn);
        let reloader = Arc::new(Reloader::new(
            self.fixtures.clone(),
            policy,
            Arc::clone(&engine),
            Arc::clone(&self.observer),
        ));
        let watcher = match (&self.fixtures, self.watch) {
            (Some(directory), true) => {
                let reloader = Arc::clone(&reloader);
                let keys = self.keys.as_deref();
                Some(FileWatcher::start(directory, keys, move || drop(reloader.reload()))?)
            }
            _ => None,
        };
        let (listener_commands, commands) = unbounded_channel();
        let shared = Arc::new(AppState {
            engine,
            observer: self.observer,
            evaluations: Arc::new(Semaphore::new(self.settings.workers)),
            face_evaluations: Arc::new(Semaphore::new(MAX_FACE_EVALUATIONS)),
            face_calls: Semaphore::new(blocking_threads() - 1),
            settings: self.settings,
            timer: self.timer,
            in_flight: watch::Sender::new(0),
            connections: AtomicU64::new(0),
            listener_commands,
            waits: Semaphore::new(MAX_WAITS),
            calls: Semaphore::new(MAX_CALLS),
            readers: Arc::new(Semaphore::new(MAX_READERS)),
            metrics: Metrics::default(),
            stopping: watch::Sender::new(false),
            shutdown: Notify::new(),
            reloader,
            start: StartInfo {
                endpoint: addresses.0,
                admin: addresses.1,
                preset: self.preset,
                seed: self.seed,
                keys: self.keys,
                journal_bytes: self.journal_bytes,
                journal_file: self.journal_file,
                grace: self.grace,
            },
        });
        let running = Running::start(Servers {
            listener,
            admin_listener,
            app: Arc::clone(&shared),
            listener_commands: commands,
            grace: self.grace,
        })?;
        let (endpoint, admin) = addresses;
        Ok(Simulator {
            endpoint,
            admin,
            origin,
            running,
            _store: store,
            _history: history,
            shared,
            transactions: AtomicU64::new(0),
            _watcher: watcher,
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

/// Max size of a file of tokens, in bytes.
const MAX_TOKEN_FILE: u64 = 1 << 20;

/// Reads a file of tokens.
fn read_tokens(path: &Path) -> Result<Vec<NamedToken>, StartError> {
    let failed = |source| StartError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_TOKEN_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    let wrong = |error| StartError::TokenFile { path: path.to_owned(), error };
    let whole_file = |message: &str| wrong(TokenFileError { line: None, message: message.to_owned() });
    if bytes.len() as u64 > MAX_TOKEN_FILE {
        return Err(whole_file("it is larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| whole_file("it is not text in UTF-8"))?;
    admin_tokens::parse(&text).map_err(wrong)
}

/// Checks that a client can send the token in `Authorization`.
fn validate_token(token: &str) -> Result<(), StartError> {
    if token.is_empty() {
        return Err(StartError::Token(None));
    }
    match token.chars().position(|c| !c.is_ascii_graphic()) {
        Some(index) => Err(StartError::Token(Some(index + 1))),
        None => Ok(()),
    }
}

/// Serializes to JSON. A value that cannot be serialized becomes null, which is not a valid customer or rule.
fn as_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn apply_initial(
    engine: &Engine,
    customers: &[(String, Value)],
    rules: &[InitialRule],
) -> Result<(), StartError> {
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
