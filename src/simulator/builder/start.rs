//! The start: from a builder to a simulator that serves.

use std::fs::File;
use std::io::{self, Read};
use std::mem::take;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::{Builder, InitialRule};
use crate::config::{self, Fixtures, StartPolicy};
use crate::engine::reload::{FixtureDirectory, Reloader};
use crate::engine::{Engine, EngineSettings, gallery_faces};
use crate::http::admin::server::blocking_threads;
use crate::http::admin_tokens::{self, NamedToken, TokenFileError};
use crate::http::state::{
    AppState, ListenerCommand, MAX_CALLS, MAX_FACE_EVALUATIONS, MAX_READERS, MAX_WAITS, StartInfo,
};
use crate::keys::{self, KeyRing, PrivateKey};
use crate::simulator::error::{MAX_BODY, StartError};
use crate::simulator::file_watch::FileWatcher;
use crate::simulator::servers::{Running, Servers};
use crate::simulator::{Simulator, lasting, setup};
use crate::state::clock::Clock;
use crate::state::journal::Journal;
use crate::state::metrics::Metrics;
use crate::state::store::StoreWriter;
use crate::state::store::redis::SharedHistory;

/// An engine with what keeps its state: the writer of a file, or the history that replicas share.
type EngineAndStores = (Arc<Engine>, Option<StoreWriter>, Option<SharedHistory>);

impl Builder {
    /// Starts the simulator. On return both listeners accept connections and everything is loaded; only a face engine may still be asked about
    /// the pictures of the fixtures, which `GET /ready` says. Works on any async runtime: the simulator has its own threads.
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
        self.check_settings()?;
        let listener = bind(self.listen)?;
        let admin_listener = self.admin_listen.map(bind).transpose()?;
        let addresses =
            (listener.local_addr()?, admin_listener.as_ref().map(TcpListener::local_addr).transpose()?);
        let (ring, origin) = self.key_ring()?;
        let policy = StartPolicy::new(&self.preset, take(&mut self.policy)).map_err(StartError::Fixtures)?;
        let directory = FixtureDirectory::new(self.fixtures.clone(), self.fixtures_may_be_absent);
        let fixtures = self.load_fixtures(directory.present(), ring, &policy)?;
        let journal_file = self.journal_file.as_deref();
        let journal = Journal::new(self.journal_bytes, journal_file).map_err(|source| StartError::File {
            path: self.journal_file.clone().unwrap_or_default(),
            source,
        })?;
        let settings = EngineSettings { seed: self.seed, show_nik: self.show_nik };
        let engine = Engine::new(fixtures, Clock::new(self.clock), journal, settings);
        let (engine, store, history) = self.open_stores(engine, directory.present(), &policy)?;
        let turn = engine.take_turn_blocking().map_err(|_| lasting::lost(&engine))?;
        if turn.is_some() {
            engine.follow_files();
        }
        apply_initial(&engine, &self.customers, &self.rules)?;
        gallery_faces::learn(&engine, &self.observer);
        drop(turn);
        let reloader =
            Arc::new(Reloader::new(directory, policy, Arc::clone(&engine), Arc::clone(&self.observer)));
        let watcher = self.watch_files(&reloader)?;
        let (listener_commands, commands) = unbounded_channel();
        let grace = self.grace;
        let shared = Arc::new(self.app_state(engine, reloader, listener_commands, addresses));
        let running = Running::start(Servers {
            listener,
            admin_listener,
            app: Arc::clone(&shared),
            listener_commands: commands,
            grace,
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

    /// Reads the file of tokens, and checks the settings that need nothing else.
    fn check_settings(&mut self) -> Result<(), StartError> {
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
        Ok(())
    }

    fn load_fixtures(
        &self,
        directory: Option<&Path>,
        ring: KeyRing,
        policy: &StartPolicy,
    ) -> Result<Fixtures, StartError> {
        let fixtures = config::load(directory, ring, policy).map_err(StartError::Fixtures)?;
        if let (Some(problem), Ok(Some(_))) = (fixtures.unshared_faces(), &self.shared_store) {
            return Err(StartError::Fixtures(vec![problem]));
        }
        fixtures.warnings.iter().for_each(|warning| self.observer.warned(&warning.to_string()));
        Ok(fixtures)
    }

    /// Gives the engine what its store has, and starts the threads that keep the store.
    fn open_stores(
        &self,
        mut engine: Engine,
        directory: Option<&Path>,
        policy: &StartPolicy,
    ) -> Result<EngineAndStores, StartError> {
        let testing = self.store_testing.clone();
        let directories = (directory, self.keys.as_deref());
        let open = |path| lasting::open(path, &mut engine, directories, self.clock, testing);
        let opened = self.store.as_deref().map(open).transpose()?;
        let shared = self.shared_store.clone().map_err(StartError::StoreAddress)?;
        let options = format!("{} {} {}", policy.text(), self.settings.max_body, self.show_nik);
        let open_shared =
            |address| lasting::open_shared(address, &mut engine, directory, &options, self.journal_bytes);
        let shared = shared.map(open_shared).transpose()?;
        let engine = Arc::new(engine);
        let store = opened.map(|opened| lasting::start(opened, &engine, &self.observer)).transpose()?;
        let start_shared = |opened| lasting::start_shared(opened, &engine, self.clock, &self.observer);
        let history = shared.map(start_shared).transpose()?;
        Ok((engine, store, history))
    }

    fn watch_files(&self, reloader: &Arc<Reloader>) -> Result<Option<FileWatcher>, StartError> {
        let Some(directory) = self.fixtures.as_deref().filter(|_| self.watch) else { return Ok(None) };
        let reloader = Arc::clone(reloader);
        match FileWatcher::start(directory, self.keys.as_deref(), move || drop(reloader.reload())) {
            Err(error) if self.fixtures_may_be_absent => {
                let path = directory.display();
                self.observer
                    .warned(&format!("{path} is not watched, so after an edit POST /config/reload: {error}"));
                Ok(None)
            }
            started => Ok(Some(started?)),
        }
    }

    /// Returns the state behind the listeners.
    fn app_state(
        self,
        engine: Arc<Engine>,
        reloader: Arc<Reloader>,
        listener_commands: UnboundedSender<ListenerCommand>,
        (endpoint, admin): (SocketAddr, Option<SocketAddr>),
    ) -> AppState {
        AppState {
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
            waiting_regexes: AtomicUsize::new(0),
            calls: Semaphore::new(MAX_CALLS),
            readers: Arc::new(Semaphore::new(MAX_READERS)),
            metrics: Metrics::default(),
            stopping: watch::Sender::new(false),
            shutdown: Notify::new(),
            reloader,
            start: StartInfo {
                endpoint,
                admin,
                preset: self.preset,
                seed: self.seed,
                keys: self.keys,
                journal_bytes: self.journal_bytes,
                journal_file: self.journal_file,
                grace: self.grace,
            },
        }
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
