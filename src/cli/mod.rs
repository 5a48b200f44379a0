//! The command line: one file a command. `serve` is what runs without a command.

mod call;
mod check;
mod client;
mod completions;
mod console;
mod encrypt;
mod environment;
mod explain;
mod healthcheck;
mod init;
mod log;
mod man;
mod nik;
mod notices;
mod schema;
mod secret;
mod serve;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::StartError;
use crate::config::{self, Fixtures, Problem};
use crate::domain::policy::PolicySpec;
use crate::keys::{self, KeyRing, PrivateKey};
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
    /// Serve the endpoint and the admin API (what runs without a command)
    Serve(Box<serve::ServeArgs>),
    /// Write the built-in fixtures into a directory, to be edited
    Init(init::InitArgs),
    /// Send one real request and print the answer, the candidates and the reason
    Call(call::CallArgs),
    /// Encrypt a field as openssl_public_encrypt and base64 would
    Encrypt(encrypt::EncryptArgs),
    /// Say offline what the endpoint would answer to a request body, and why
    Explain(explain::ExplainArgs),
    /// Validate fixtures, or print the policy table
    Check(check::CheckArgs),
    /// Print the JSON Schema of the fixture files, for editors
    Schema(schema::SchemaArgs),
    /// Parse, validate and generate NIKs, the numbers of identity cards
    Nik(nik::NikArgs),
    /// Exit 0 when the server is ready, 1 when it is not
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print what makes a shell complete commands and flags
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or that of a command
    Man(man::ManArgs),
    /// Print the notices of third parties
    Notices(notices::NoticesArgs),
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let command = environment::apply_environment(Cli::command(), &arguments);
    let matches = command.get_matches_from(arguments);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        None => serve::run(cli.serve.resolve_verbosity(&matches)),
        Some(CliCommand::Serve(args)) => {
            serve::run(args.resolve_verbosity(matches.subcommand_matches("serve").unwrap_or(&matches)))
        }
        Some(CliCommand::Init(args)) => init::run(&args),
        Some(CliCommand::Call(args)) => call::run(&args),
        Some(CliCommand::Encrypt(args)) => encrypt::run(&args),
        Some(CliCommand::Explain(args)) => explain::run(&args),
        Some(CliCommand::Check(args)) => check::run(&args),
        Some(CliCommand::Schema(args)) => schema::run(&args),
        Some(CliCommand::Nik(args)) => nik::run(&args),
        Some(CliCommand::Healthcheck(args)) => healthcheck::run(&args),
        Some(CliCommand::Completions(args)) => completions::run(&args),
        Some(CliCommand::Man(args)) => man::run(&args),
        Some(CliCommand::Notices(args)) => notices::run(&args),
    };
    done.unwrap_or_else(|failure| {
        if !failure.message.is_empty() {
            terminal::eprint_line(format_args!("dukcapil-fr-sim: {}", failure.message));
        }
        ExitCode::from(failure.code)
    })
}

/// Why a command ends, and with which exit code (SPEC 1).
#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The command was carried out and the answer is no.
    const NO: u8 = 1;
    /// Bad arguments or fixtures.
    const BAD_INPUT: u8 = 2;
    const ADDRESS_IN_USE: u8 = 3;
    const KEYS_UNUSABLE: u8 = 4;

    /// Nobody reads what the command says, and that is no fault.
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

    fn fixtures(problems: &[Problem]) -> Failure {
        Failure::bad_input(format!("the fixtures are wrong:{}", Problem::list(problems)))
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
            | StartError::System(_) => Failure::BAD_INPUT,
        };
        Failure { code, message: error.to_string() }
    }
}

/// Where fixtures and keys are found, for the commands that read them without serving.
#[derive(Debug, Args)]
struct FixtureArgs {
    /// Directory whose files replace the built-in fixtures [default: ./fixtures when it exists]
    #[arg(long, value_name = "DIR", env = "FRSIM_FIXTURES")]
    fixtures: Option<PathBuf>,
    /// Directory of the keys
    #[arg(long, value_name = "DIR", default_value = "keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
}

/// The fixture directory in force: the one named, or `./fixtures` when it exists.
fn fixture_directory(named: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    match named {
        Some(directory) if directory.is_dir() => Ok(Some(directory.to_owned())),
        Some(directory) => Err(Failure::bad_input(format!(
            "{} is no directory; dukcapil-fr-sim init {} makes one with the built-in fixtures",
            directory.display(),
            directory.display()
        ))),
        None => Ok(Some(PathBuf::from("fixtures")).filter(|directory| directory.is_dir())),
    }
}

/// Loads fixtures with the keys of the directory, and writes nothing there: where there is no key yet, a throw-away one stands
/// in.
fn load(directory: Option<&Path>, keys: &Path) -> Result<Fixtures, Failure> {
    let server = match keys::read(keys).map_err(|error| Failure::keys(error.to_string()))? {
        Some(key) => key,
        None => PrivateKey::generate("a throw-away key", 2048).map_err(Failure::keys)?,
    };
    let ring = KeyRing::new(server, Some(keys.to_owned()));
    config::load(directory, ring, &PolicySpec::default()).map_err(|problems| Failure::fixtures(&problems))
}

/// Candidates as a table, the best first.
fn candidates_table(mut rows: Vec<(&str, f64)>) -> String {
    rows.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let lines = rows.iter().map(|(nik, score)| format!("\n{nik:<20} {score:.3}"));
    format!("{:<20} score{}", "NIK", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret_that_was_typed() {
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
