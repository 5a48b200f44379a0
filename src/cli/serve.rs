//! `serve`: the endpoint and the admin API, until SIGTERM or SIGINT.

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

use super::console::{Console, LogFormat};
use super::secret::Secret;
use super::{Failure, fixture_directory, terminal};
use crate::base::size::Size;
use crate::domain::policy::PolicySpec;
use crate::keys::KEY_BITS;
use crate::protocol::Layout;
use crate::state::clock::ClockStart;
use crate::{Builder, Simulator};

/// Flags of `serve`; each has an environment variable.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address of the endpoint; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address, env = "FRSIM_LISTEN")]
    listen: SocketAddr,
    /// Address of the admin API, or off
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:9090", env = "FRSIM_ADMIN_LISTEN")]
    admin_listen: AdminListen,
    /// Token that the admin API asks for: visible ASCII characters, no blanks
    #[arg(long, value_name = "T", env = "FRSIM_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Secret>,
    /// Directory whose files replace the built-in fixtures [default: ./fixtures when it exists]
    #[arg(long, value_name = "DIR", env = "FRSIM_FIXTURES")]
    fixtures: Option<PathBuf>,
    /// Directory of the keys; made on the first start
    #[arg(long, value_name = "DIR", default_value = "./keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
    /// Size of a key that is made
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = key_bits, env = "FRSIM_KEY_BITS")]
    key_bits: usize,
    /// system, or an instant in RFC 3339 at which the clock stands still
    #[arg(long, value_name = "system|RFC3339", default_value = "system", env = "FRSIM_CLOCK")]
    clock: ClockStart,
    /// Seed of everything that is left to chance
    #[arg(long, value_name = "N", default_value_t = 0, env = "FRSIM_SEED")]
    seed: u64,
    /// Layout of the answers [default: documented]
    #[arg(long, env = "FRSIM_LAYOUT")]
    layout: Option<Layout>,
    /// File that gets the addresses as JSON once both listen
    #[arg(long, value_name = "PATH", env = "FRSIM_PORT_FILE")]
    port_file: Option<PathBuf>,
    /// Largest body of a request
    #[arg(long, value_name = "SIZE", default_value = "10MiB", env = "FRSIM_MAX_BODY")]
    max_body: Size,
    /// How long answers under way may take at the end
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration, env = "FRSIM_GRACE")]
    grace: Duration,
    /// Size of the journal in memory
    #[arg(long, value_name = "SIZE", default_value = "32MiB", env = "FRSIM_JOURNAL")]
    journal: Size,
    /// File that journal entries are appended to, one JSON object a line
    #[arg(long, value_name = "PATH", env = "FRSIM_JOURNAL_FILE")]
    journal_file: Option<PathBuf>,
    /// Show NIKs whole in journal and log
    #[arg(long, value_parser = BoolishValueParser::new(), env = "FRSIM_SHOW_NIK")]
    show_nik: bool,
    /// Format of the log on stderr and of the ready line
    #[arg(long, default_value = "text", env = "FRSIM_LOG")]
    log: LogFormat,
    /// Say more: hints and warnings of each request
    #[arg(short, long, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, env = "FRSIM_VERBOSE")]
    verbose: bool,
    /// Say only what is wrong; the last of -v and -q counts
    #[arg(short, long, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, env = "FRSIM_QUIET")]
    quiet: bool,
}

impl ServeArgs {
    /// These, with one of -v and -q: the one typed last, over what the other's variable says.
    pub fn resolve_verbosity(mut self, matches: &ArgMatches) -> ServeArgs {
        let is_typed = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let place = |name| matches.index_of(name).filter(|_| is_typed(name));
        let (quiet, verbose) = (place("quiet"), place("verbose"));
        self.quiet &= quiet >= verbose;
        self.verbose &= verbose >= quiet;
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
        if text == "off" { Ok(AdminListen::Off) } else { address(text).map(AdminListen::At) }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| "write an address and a port, such as 127.0.0.1:8080".to_owned())
}

fn key_bits(text: &str) -> Result<usize, String> {
    let bits = text.parse().ok().filter(|bits| KEY_BITS.contains(bits));
    bits.ok_or_else(|| format!("a key has {} to {} bits", KEY_BITS.start(), KEY_BITS.end()))
}

pub fn run(args: ServeArgs) -> Result<ExitCode, Failure> {
    let console = Console::new(args.log, args.verbose, args.quiet).map_err(refused)?;
    let console = Arc::new(console);
    let served = serve(args, &console);
    console.end();
    served
}

fn refused(error: std::io::Error) -> Failure {
    Failure::bad_input(format!("the system refuses: {error}"))
}

fn serve(args: ServeArgs, console: &Arc<Console>) -> Result<ExitCode, Failure> {
    let port_file = args.port_file.clone();
    let log = args.log;
    let directory = fixture_directory(args.fixtures.as_deref())?;
    let keys = args.keys.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(refused)?;
    let _guard = runtime.enter();
    // Before the ready line: a signal that comes right after it must not kill the process.
    let signals = Signals::listen().map_err(refused)?;
    // A thousand hanging connections need a thousand descriptors. Where it is refused, the system's limit holds.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let simulator = builder(args, directory.clone(), Arc::clone(console) as _)?.start_blocking()?;
    console.banner(&simulator, directory.as_deref(), &keys);
    announce(&simulator, log, port_file.as_deref())?;
    runtime.block_on(signals.wait(&simulator));
    simulator.stop();
    Ok(ExitCode::SUCCESS)
}

fn builder(
    args: ServeArgs,
    directory: Option<PathBuf>,
    observer: Arc<dyn crate::state::observer::Observer>,
) -> Result<Builder, Failure> {
    // --admin-token "$TOKEN" without a TOKEN means none.
    let token = args.admin_token.map(|token| token.reveal().to_owned()).filter(|token| !token.is_empty());
    let admin = match args.admin_listen {
        AdminListen::Off => None,
        AdminListen::At(address) => Some(address),
    };
    if admin.is_some_and(|address| !address.ip().is_loopback()) && token.is_none() {
        return Err(Failure::bad_input(
            "--admin-listen beyond loopback needs --admin-token: anybody who reaches it could steer the simulator",
        ));
    }
    let max_body = usize::try_from(args.max_body.0).unwrap_or(usize::MAX);
    Ok(Simulator::builder()
        .listen(args.listen)
        .admin_listen(admin)
        .admin_token(token)
        .fixtures(directory)
        .watch(true)
        .keys(Some(args.keys))
        .key_bits(args.key_bits)
        .clock(args.clock)
        .seed(args.seed)
        .policy(PolicySpec { layout: args.layout, ..PolicySpec::default() })
        .max_body(max_body)
        .grace(args.grace)
        .journal_bytes(usize::try_from(args.journal.0).unwrap_or(usize::MAX))
        .journal_file(args.journal_file)
        .show_nik(args.show_nik)
        .observer(observer))
}

/// The one line on stdout, and the port file.
fn announce(simulator: &Simulator, log: LogFormat, port_file: Option<&Path>) -> Result<(), Failure> {
    let addresses = json!({ "endpoint": simulator.url(), "admin": simulator.admin_url() });
    if let Some(path) = port_file {
        write_atomically(path, &addresses.to_string())
            .map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))?;
    }
    let line = match log {
        LogFormat::Json => addresses.to_string(),
        LogFormat::Text => {
            let admin = simulator.admin_url().unwrap_or_else(|| "off".to_owned());
            format!("ready endpoint={} admin={admin}", simulator.url())
        }
    };
    // Nobody may be listening to stdout; the simulator serves all the same.
    let _ = terminal::say(line);
    Ok(())
}

/// Whoever waits for the file never reads half of it.
fn write_atomically(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&beside);
    })
}

/// The signals that end or reload.
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

    async fn wait(mut self, simulator: &Simulator) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = simulator.stopping() => return,
                // Whether it worked is told to the observer, which is the console.
                _ = self.hangup.recv() => drop(simulator.reload()),
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

    async fn wait(self, simulator: &Simulator) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = simulator.stopping() => {}
        }
    }
}
