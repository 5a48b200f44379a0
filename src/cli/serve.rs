//! `serve`: runs the endpoint and the admin API until SIGTERM or SIGINT.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args};
use serde_json::json;

use super::backup::StoreChoice;
use super::console::{Console, LogFormat};
use super::port_file::PortFile;
use super::secret::Secret;
use super::{DEFAULT_FIXTURES, Failure, PolicyArgs, address, fixture_directory, terminal};
use crate::base::size::Size;
use crate::keys::KEY_BITS;
use crate::simulator::memory;
use crate::state::clock::ClockStart;
use crate::state::store::StoreTesting;
use crate::state::store::redis::SharedAddress;
use crate::{Builder, Simulator, StartError};

/// Flags of `serve`; each has an environment variable.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address of the endpoint; port 0 takes a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = parse_address, env = "FRSIM_LISTEN")]
    listen: SocketAddr,
    /// Address of the admin API, or off
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:9090", env = "FRSIM_ADMIN_LISTEN")]
    admin_listen: AdminListen,
    /// Bearer token that the admin API requires: visible ASCII characters, no spaces
    #[arg(long, value_name = "T", env = "FRSIM_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Secret>,
    /// File with named bearer tokens, beside --admin-token: lines NAME TOKEN; the log says who changed something
    #[arg(long, value_name = "PATH", env = "FRSIM_ADMIN_TOKEN_FILE")]
    admin_token_file: Option<PathBuf>,
    /// Directory whose files replace the built-in fixtures [default: ./fixtures when it exists]
    #[arg(long, value_name = "DIR", env = "FRSIM_FIXTURES")]
    fixtures: Option<PathBuf>,
    /// Directory of the keys; generated on the first start
    #[arg(long, value_name = "DIR", default_value = "./keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
    /// Size of a generated key
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = key_bits, env = "FRSIM_KEY_BITS")]
    key_bits: usize,
    /// Clock: system, or an RFC 3339 time at which it is stopped
    #[arg(long, value_name = "system|RFC3339", default_value = "system", env = "FRSIM_CLOCK")]
    clock: ClockStart,
    /// Random seed
    #[arg(long, value_name = "N", default_value_t = 0, env = "FRSIM_SEED")]
    seed: u64,
    #[command(flatten)]
    policy: PolicyArgs,
    /// File to write the addresses to, as JSON, once both listeners are ready
    #[arg(long, value_name = "PATH", env = "FRSIM_PORT_FILE")]
    port_file: Option<PathBuf>,
    /// Max request body size, at most 1GiB
    #[arg(long, value_name = "SIZE", default_value = "10MiB", env = "FRSIM_MAX_BODY")]
    max_body: Size,
    /// Grace period for answers in flight at shutdown
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration, env = "FRSIM_GRACE")]
    grace: Duration,
    /// Max size of the journal in memory
    #[arg(long, value_name = "SIZE", default_value = "32MiB", env = "FRSIM_JOURNAL")]
    journal: Size,
    /// File to append journal entries to, one JSON object per line
    #[arg(long, value_name = "PATH", env = "FRSIM_JOURNAL_FILE")]
    journal_file: Option<PathBuf>,
    /// Where state is kept: memory forgets on a restart; a file keeps customers, rules, quotas, counters, people, clocks and the journal;
    /// on Valkey or Redis several replicas share them, as one simulator (beta)
    #[arg(
        long,
        value_name = "memory|file:PATH|redis://HOST:PORT/NAME",
        default_value = "memory",
        env = "FRSIM_STORE",
        hide_env_values = true
    )]
    store: StoreChoice,
    /// File with the password of the shared store; or give it in FRSIM_STORE, as redis://:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "PATH", env = "FRSIM_STORE_PASSWORD_FILE")]
    store_password_file: Option<PathBuf>,
    /// Whether --store is on the command line, which other users of the machine can see.
    #[arg(skip)]
    store_is_visible: bool,
    /// Show NIKs unmasked in the journal and the log
    #[arg(long, value_parser = BoolishValueParser::new(), env = "FRSIM_SHOW_NIK")]
    show_nik: bool,
    /// Format of the log on stderr and of the ready line
    #[arg(long, default_value = "text", env = "FRSIM_LOG")]
    log: LogFormat,
    /// Also log hints and warnings of each request
    #[arg(short, long, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, env = "FRSIM_VERBOSE")]
    verbose: bool,
    /// Log only warnings and errors; the last of -v and -q wins
    #[arg(short, long, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, env = "FRSIM_QUIET")]
    quiet: bool,
}

impl ServeArgs {
    /// Resolves -v against -q: the last flag on the command line wins, and a flag overrides the other's environment variable. Notes where
    /// --store comes from.
    pub fn resolved(mut self, matches: &ArgMatches) -> ServeArgs {
        let is_flag = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let position = |name| matches.index_of(name).filter(|_| is_flag(name));
        let (quiet, verbose) = (position("quiet"), position("verbose"));
        self.quiet &= quiet >= verbose;
        self.verbose &= verbose >= quiet;
        self.store_is_visible = is_flag("store");
        self
    }
}

/// Where the admin API listens.
#[derive(Clone, Copy, Debug)]
pub enum AdminListen {
    Off,
    At(SocketAddr),
}

impl FromStr for AdminListen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" { Ok(AdminListen::Off) } else { parse_address(text).map(AdminListen::At) }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| "expected an address and a port, such as 127.0.0.1:8080".to_owned())
}

fn key_bits(text: &str) -> Result<usize, String> {
    let bits = text.parse().ok().filter(|bits| KEY_BITS.contains(bits));
    bits.ok_or_else(|| format!("the key size is {} to {} bits", KEY_BITS.start(), KEY_BITS.end()))
}

pub fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let console = Console::new(args.log, args.verbose, args.quiet).map_err(system_error)?;
    let console = Arc::new(console);
    let result = serve(args, &console);
    console.end();
    result
}

fn system_error(error: std::io::Error) -> Failure {
    Failure::bad_input(format!("the operating system refused: {error}"))
}

fn serve(args: ServeArgs, console: &Arc<Console>) -> Result<ExitCode, Failure> {
    // First, so that no failure leaves the file of an earlier run.
    let mut port_file = args.port_file.clone().map(PortFile::claim).transpose()?;
    let log = args.log;
    let directory = fixture_directory(args.fixtures.as_deref())?;
    let keys = args.keys.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system_error)?;
    let _guard = runtime.enter();
    // Before the ready line: a signal right after it must stop the simulator, not kill the process.
    let signals = Signals::listen().map_err(system_error)?;
    // A thousand hanging connections need a thousand descriptors. If this fails, the system's limit applies.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    memory::keep_large_blocks();
    let listen = args.listen;
    if matches!(args.admin_listen, AdminListen::At(admin) if admin == listen && listen.port() != 0) {
        return Err(Failure::bad_input(format!(
            "--listen and --admin-listen are both {listen}: the endpoint and the admin API need a port each"
        )));
    }
    let simulator = builder(args, directory.clone(), Arc::clone(console) as _)?.start_blocking();
    let simulator = simulator.map_err(|error| explained(error, listen))?;
    console.banner(&simulator, directory.as_deref(), &keys);
    announce(&simulator, log, port_file.as_mut())?;
    runtime.block_on(signals.wait(&simulator, console.is_terminal()));
    let seed = simulator.engine().seed();
    simulator.stop();
    console.summarize(seed);
    Ok(ExitCode::SUCCESS)
}

/// Explains an address that cannot be listened on; the endpoint's is `listen`.
fn explained(error: StartError, listen: SocketAddr) -> Failure {
    match &error {
        StartError::Address { address, source } => {
            let flag = if *address == listen { "--listen" } else { "--admin-listen" };
            let message = address::explain(*address, flag, source);
            Failure { message, ..error.into() }
        }
        _ => error.into(),
    }
}

fn builder(
    args: ServeArgs,
    directory: Option<PathBuf>,
    observer: Arc<dyn crate::state::observer::Observer>,
) -> Result<Builder, Failure> {
    // An empty token means no token: --admin-token "$TOKEN" with TOKEN unset.
    let token = args.admin_token.map(|token| token.reveal().to_owned()).filter(|token| !token.is_empty());
    let admin = match args.admin_listen {
        AdminListen::Off => None,
        AdminListen::At(address) => Some(address),
    };
    let (store, shared) = match args.store {
        StoreChoice::Memory => (None, None),
        StoreChoice::File(path) => (Some(path), None),
        StoreChoice::Shared(address) => {
            let address = address.map_err(|wrong| Failure::bad_input(format!("--store: {wrong}")))?;
            let file = args.store_password_file.as_deref();
            (None, Some(with_password(address, file, args.store_is_visible)?))
        }
    };
    // For the project's own tests, so no flag, which completion would offer: answers do not wait for the store.
    let answers_first = std::env::var("FRSIM_TEST_STORE_ANSWERS_FIRST").is_ok_and(|set| set == "1");
    if answers_first {
        terminal::eprint_line("FRSIM_TEST_STORE_ANSWERS_FIRST is set: a kill may forget what was answered");
    }
    let testing = StoreTesting { answers_first, ..StoreTesting::default() };
    let max_body = usize::try_from(args.max_body.0).unwrap_or(usize::MAX);
    let builder = match directory {
        Some(directory) => Simulator::builder().fixtures(Some(directory)),
        None => Simulator::builder().fixtures_once_made(PathBuf::from(DEFAULT_FIXTURES)),
    };
    Ok(builder
        .listen(args.listen)
        .admin_listen(admin)
        .admin_token(token)
        .admin_token_file(args.admin_token_file)
        .watch(true)
        .keys(Some(args.keys))
        .key_bits(args.key_bits)
        .clock(args.clock)
        .seed(args.seed)
        .policy(args.policy.flags())
        .preset(args.policy.preset)
        .max_body(max_body)
        .grace(args.grace)
        .journal_bytes(usize::try_from(args.journal.0).unwrap_or(usize::MAX))
        .journal_file(args.journal_file)
        .store(store)
        .shared_address(shared)
        .store_testing(testing)
        .show_nik(args.show_nik)
        .observer(observer))
}

/// Max size of a file with a password, in bytes.
const MAX_PASSWORD: u64 = 4096;

/// Adds the password in a file. One on the command line is refused: every user of the machine could read it.
fn with_password(
    address: SharedAddress,
    file: Option<&Path>,
    is_visible: bool,
) -> Result<SharedAddress, Failure> {
    if is_visible && address.password.is_some() {
        return Err(Failure::bad_input(
            "--store: a password on the command line can be read by every user of this machine: put it in a file, \
             --store-password-file PATH, or give the same value as the environment variable FRSIM_STORE",
        ));
    }
    let Some(path) = file else { return Ok(address) };
    let failed = |error: &dyn fmt::Display| Failure::bad_input(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(MAX_PASSWORD + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_PASSWORD {
        return Err(failed(&"it is larger than 4 KiB; it has to hold the password on one line"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed(&"it is not text in UTF-8"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.contains('\n') {
        return Err(failed(&"it has to hold the password on one line"));
    }
    Ok(SharedAddress { password: Some(password.to_owned()), ..address })
}

/// Writes the port file and prints the ready line, the only line on stdout. As JSON, the ready line equals the port file: `admin` is null
/// when the admin API is off.
fn announce(simulator: &Simulator, log: LogFormat, port_file: Option<&mut PortFile>) -> Result<(), Failure> {
    let addresses = json!({ "endpoint": simulator.url(), "admin": simulator.admin_url() });
    if let Some(file) = port_file {
        file.write(&addresses)?;
    }
    let line = match log {
        LogFormat::Json => addresses.to_string(),
        LogFormat::Text => {
            let admin = simulator.admin_url().unwrap_or_else(|| "off".to_owned());
            format!("ready endpoint={} admin={admin}", simulator.url())
        }
    };
    // Ignores errors: stdout may be closed, and the simulator serves anyway.
    let _ = terminal::say(line);
    Ok(())
}

/// Signals that stop or reload.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the end. SIGHUP reloads the fixtures; in a terminal it means that the terminal is closed, and ends the program: an orphan
    /// would hold the ports.
    async fn wait(mut self, simulator: &Simulator, in_terminal: bool) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = simulator.stopping() => return,
                _ = self.hangup.recv() => match in_terminal {
                    true => return,
                    // The observer, which is the console, logs the result.
                    false => drop(simulator.reload()),
                },
            }
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn wait(self, simulator: &Simulator, _in_terminal: bool) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = simulator.stopping() => {}
        }
    }
}
