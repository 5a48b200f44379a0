//! The builder: what a simulator is started with.

mod start;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::domain::policy::{PolicySpec, Preset};
use crate::http::admin_tokens::AdminTokens;
use crate::http::state::HttpSettings;
use crate::http::timeouts::Timeouts;
use crate::state::clock::ClockStart;
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
    /// Whether the directory of fixtures may be made later.
    fixtures_may_be_absent: bool,
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
            fixtures_may_be_absent: false,
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

    /// Sets a directory as [`Builder::fixtures`] does, but as long as it does not exist the built-in fixtures are all.
    #[must_use]
    pub(crate) fn fixtures_once_made(mut self, directory: PathBuf) -> Builder {
        self.fixtures_may_be_absent = true;
        self.fixtures(Some(directory))
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
}

/// Serializes to JSON. A value that cannot be serialized becomes null, which is not a valid customer or rule.
fn as_json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
