//! The command line, one file per command. Without a command, `serve` runs.

mod address;
mod admin;
mod backup;
mod calibrate;
mod call;
mod check;
mod client;
mod completions;
mod conformance;
mod console;
mod credentials;
mod encrypt;
mod entry_line;
mod environment;
mod event_stream;
mod explain;
mod healthcheck;
mod init;
mod ledger;
mod log;
mod man;
mod nik;
mod notices;
mod port_file;
mod received;
mod record;
mod record_diff;
mod record_replay;
mod recordings;
mod report;
mod schema;
mod secret;
mod serve;
mod signals;
mod tail;
mod terminal;
mod throttle;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::StartError;
use crate::config::{self, Fixtures, Problem, StartPolicy};
use crate::domain::policy::{PolicySpec, Preset};
use crate::keys::{self, KeyRing, PrivateKey};
use crate::protocol::Layout;
use crate::version::WITH_COMMIT;

/// Simulator of the Dukcapil face recognition 1:N endpoint.
#[derive(Debug, Parser)]
#[command(name = "dukcapil-fr-sim", version = WITH_COMMIT, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<CliCommand>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Serve the endpoint and the admin API (the default command)
    Serve(Box<serve::ServeArgs>),
    /// Write the built-in fixtures to a directory for editing
    Init(init::InitArgs),
    /// Send one request and print the answer, the candidates and the reason
    Call(call::CallArgs),
    /// Encrypt a field as PHP's openssl_public_encrypt does, and print it as base64
    Encrypt(encrypt::EncryptArgs),
    /// Print the answer to a request body and why: from a running simulator, or offline
    Explain(explain::ExplainArgs),
    /// Follow the requests of a running simulator, a line each
    Tail(tail::TailArgs),
    /// Validate fixtures, or print the policy table
    Check(check::CheckArgs),
    /// Ask an endpoint how it behaves, safely, and report what differs
    Conformance(conformance::ConformanceArgs),
    /// Find the policy that explains the answers of conformance runs and recordings
    Calibrate(calibrate::CalibrateArgs),
    /// Pass requests on to an endpoint, and record their shapes without their data
    Record(Box<record::RecordArgs>),
    /// Print the JSON Schema of the fixture files, for editors
    Schema(schema::SchemaArgs),
    /// Parse, validate and generate NIKs, the numbers of identity cards
    Nik(nik::NikArgs),
    /// Check readiness: exit 0 if the server is ready, 1 if not
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Copy the file of --store, also while the simulator runs
    Backup(backup::BackupArgs),
    /// Print a shell completion script
    Completions(completions::CompletionsArgs),
    /// Print the manual page of the program or of a command
    Man(man::ManArgs),
    /// Print the third-party licences and notices
    Notices(notices::NoticesArgs),
}

/// Returns the command line with all its commands and flags, as data: for completions, manual pages and the reference.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Exit codes of all commands, and what each means.
pub const EXIT_CODES: [(u8, &str); 7] = [
    (0, "done; serve ended by SIGTERM, SIGINT or POST /shutdown; call got a 6018"),
    (
        Failure::NO,
        "the command ran and the result is negative: call got another answer or none, a NIK is invalid, the server is not ready, conformance found differences, record check or record diff found something, tail lost the simulator",
    ),
    (Failure::BAD_INPUT, "invalid arguments, fixtures, token or store"),
    (
        Failure::ADDRESS_IN_USE,
        "serve and record: the address is in use; call and tail: nothing listens there",
    ),
    (Failure::KEYS_UNUSABLE, "a key is missing or cannot be used"),
    (
        Failure::STORE_UNREACHABLE,
        "the server of a shared store cannot be reached; conformance run stopped early",
    ),
    (Failure::REFUSED, "conformance run and record: refused by a safety rule"),
];

/// Parses the command line and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let command = environment::apply_environment(Cli::command(), &arguments);
    let matches = command.get_matches_from(arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        None => serve::run(cli.serve.resolved(&matches)),
        Some(CliCommand::Serve(args)) => {
            serve::run(args.resolved(matches.subcommand_matches("serve").unwrap_or(&matches)))
        }
        Some(CliCommand::Init(args)) => init::run(&args),
        Some(CliCommand::Call(args)) => call::run(&args),
        Some(CliCommand::Encrypt(args)) => encrypt::run(&args),
        Some(CliCommand::Explain(args)) => {
            explain::run(&args, matches.subcommand_matches("explain").unwrap_or(&matches))
        }
        Some(CliCommand::Tail(args)) => tail::run(&args),
        Some(CliCommand::Check(args)) => check::run(&args),
        Some(CliCommand::Conformance(args)) => conformance::run(&args),
        Some(CliCommand::Calibrate(args)) => calibrate::run(&args),
        Some(CliCommand::Record(args)) => record::run(&args),
        Some(CliCommand::Schema(args)) => schema::run(&args),
        Some(CliCommand::Nik(args)) => nik::run(&args),
        Some(CliCommand::Healthcheck(args)) => healthcheck::run(&args),
        Some(CliCommand::Backup(args)) => backup::run(&args),
        Some(CliCommand::Completions(args)) => completions::run(&args),
        Some(CliCommand::Man(args)) => man::run(&args),
        Some(CliCommand::Notices(args)) => notices::run(&args),
    };
    result.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            terminal::eprint_line(format_args!("dukcapil-fr-sim: {}", failure.message));
        }
        ExitCode::from(failure.code)
    })
}

/// Error of a command: its exit code (SPEC 1) and its message.
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The command ran, and the result is negative.
    const NO: u8 = 1;
    /// Bad arguments or fixtures.
    const BAD_INPUT: u8 = 2;
    const ADDRESS_IN_USE: u8 = 3;
    /// Nothing listens where a command calls.
    const NOTHING_ANSWERS: u8 = 3;
    const KEYS_UNUSABLE: u8 = 4;
    const STORE_UNREACHABLE: u8 = 5;
    /// A conformance run stopped early: budget, 5002, surprise.
    const STOPPED: u8 = 5;
    /// By a safety rule.
    const REFUSED: u8 = 6;

    /// Stdout was closed by its reader. Not an error: exit code 0, no message.
    fn unread() -> Failure {
        Failure { code: 0, message: String::new() }
    }

    fn bad_input(message: impl Into<String>) -> Failure {
        Failure { code: Failure::BAD_INPUT, message: message.into() }
    }

    fn no(message: impl Into<String>) -> Failure {
        Failure { code: Failure::NO, message: message.into() }
    }

    fn keys(message: impl Into<String>) -> Failure {
        Failure { code: Failure::KEYS_UNUSABLE, message: message.into() }
    }

    fn refused(message: impl Into<String>) -> Failure {
        Failure { code: Failure::REFUSED, message: message.into() }
    }

    fn fixtures(problems: &[Problem]) -> Failure {
        Failure::bad_input(format!("invalid fixtures:{}", Problem::list(problems)))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        let code = match error {
            StartError::Address { .. } => Failure::ADDRESS_IN_USE,
            StartError::Keys(_) | StartError::NoKey(_) => Failure::KEYS_UNUSABLE,
            StartError::Fixtures(_)
            | StartError::Setup { .. }
            | StartError::File { .. }
            | StartError::OpenAdmin(_)
            | StartError::Token(_)
            | StartError::TokenFile { .. }
            | StartError::MaxBody(_)
            | StartError::Store(_)
            | StartError::StoreAddress(_)
            | StartError::System(_) => Failure::BAD_INPUT,
            StartError::StoreUnreachable(_) => Failure::STORE_UNREACHABLE,
        };
        Failure { code, message: error.to_string() }
    }
}

/// What `serve`, `explain` and `check` are told about policy. `simulator.toml` overrides the preset, and the flags override both.
#[derive(Debug, Args)]
struct PolicyArgs {
    /// Which endpoint is simulated: the document, what the real one most likely does, or the policy of a file
    #[arg(
        long,
        value_name = "documented|probable|measured:FILE",
        default_value = "documented",
        env = "FRSIM_PRESET"
    )]
    preset: Preset,
    /// Layout of the answers [default: documented]
    #[arg(long, env = "FRSIM_LAYOUT")]
    layout: Option<Layout>,
}

impl PolicyArgs {
    fn flags(&self) -> PolicySpec {
        PolicySpec { layout: self.layout, ..PolicySpec::default() }
    }

    fn start(&self) -> Result<StartPolicy, Failure> {
        StartPolicy::new(&self.preset, self.flags()).map_err(|problems| Failure::fixtures(&problems))
    }
}

/// Fixture and key directories, for the commands that read them without serving.
#[derive(Debug, Args)]
struct FixtureArgs {
    /// Directory whose files replace the built-in fixtures [default: ./fixtures when it exists]
    #[arg(long, value_name = "DIR", env = "FRSIM_FIXTURES")]
    fixtures: Option<PathBuf>,
    /// Directory of the keys
    #[arg(long, value_name = "DIR", default_value = "keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
}

/// Where fixtures are when no flag says so.
const DEFAULT_FIXTURES: &str = "fixtures";

/// Returns the active fixture directory: the given one, or `./fixtures` when it exists.
fn fixture_directory(given: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    match given {
        Some(directory) if directory.is_dir() => Ok(Some(directory.to_owned())),
        Some(directory) => Err(Failure::bad_input(format!(
            "{} is not a directory; create it with the built-in fixtures: dukcapil-fr-sim init {}",
            directory.display(),
            directory.display()
        ))),
        None => Ok(Some(PathBuf::from(DEFAULT_FIXTURES)).filter(|directory| directory.is_dir())),
    }
}

/// Loads fixtures with the keys of the directory. Read-only: without a server key, it uses a temporary one.
fn load(directory: Option<&Path>, keys: &Path, policy: &PolicyArgs) -> Result<Fixtures, Failure> {
    let start = policy.start()?;
    let server = match keys::read(keys).map_err(|error| Failure::keys(error.to_string()))? {
        Some(key) => key,
        None => PrivateKey::generate("a temporary key", 2048).map_err(Failure::keys)?,
    };
    let ring = KeyRing::new(server, Some(keys.to_owned()));
    config::load(directory, ring, &start).map_err(|problems| Failure::fixtures(&problems))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::store::StoreError;

    #[test]
    fn a_shared_store_out_of_reach_has_an_exit_code_of_its_own() {
        let error = || StoreError { path: "redis://h:1/x".into(), message: "cannot be reached".to_owned() };
        let unreachable = Failure::from(StartError::StoreUnreachable(error()));
        assert_eq!(
            (unreachable.code, &*unreachable.message),
            (5, "the store redis://h:1/x cannot be reached")
        );
        assert_eq!(Failure::from(StartError::Store(error())).code, 2);
    }

    #[test]
    fn debug_output_redacts_secrets() {
        for arguments in [
            &["x", "--admin-token", "geheim"][..],
            &["x", "serve", "--admin-token", "geheim"],
            &["x", "call", "--user", "geheim", "--password", "geheim", "--admin-token", "geheim"],
            &["x", "encrypt", "geheim"],
        ] {
            let shown = format!("{:?}", Cli::try_parse_from(arguments).unwrap());
            assert!(shown.contains("Secret(..)") && !shown.contains("geheim"), "{shown}");
        }
    }
}
