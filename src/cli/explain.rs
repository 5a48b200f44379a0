//! `explain`: evaluates a request body offline and prints the answer with its reasons.

use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::terminal::{eprint_line, say};
use super::{Failure, FixtureArgs, PolicyArgs, candidates_table, fixture_directory, load};
use crate::engine::{Engine, EngineSettings, Explanation, RequestHead};
use crate::state::clock::{Clock, ClockStart};
use crate::state::journal::Journal;

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// File with the request body, or - for stdin
    file: PathBuf,
    #[arg(long, value_name = "ID", default_value = "demo")]
    customer: String,
    /// methode of the request [default: the customer's first]
    #[arg(long)]
    methode: Option<String>,
    /// TCP peer address of the request, for customers with access.peer = true
    #[arg(long, value_name = "ADDR")]
    peer: Option<IpAddr>,
    /// Time of the request: system, or an RFC 3339 time
    #[arg(long, value_name = "system|RFC3339", default_value = "system", env = "FRSIM_CLOCK")]
    clock: ClockStart,
    /// Print JSON, in the format of POST /explain
    #[arg(long)]
    json: bool,
    /// Show NIKs unmasked. By default the candidates' NIKs are masked, and in the text output also those in the answer's body; with
    /// --json the body is exactly what would be sent
    #[arg(long)]
    show_nik: bool,
    #[command(flatten)]
    sources: FixtureArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

pub fn run(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let body = read(&args.file)?;
    let directory = fixture_directory(args.sources.fixtures.as_deref())?;
    if !args.sources.keys.join("private.pem").exists() {
        eprint_line(format_args!(
            "{}/private.pem does not exist yet (the first start generates it), so no credential can be decrypted",
            args.sources.keys.display()
        ));
    }
    let fixtures = load(directory.as_deref(), &args.sources.keys, &args.policy)?;
    let journal = Journal::new(0, None).map_err(|error| Failure::bad_input(error.to_string()))?;
    let engine = Engine::new(
        fixtures,
        Clock::new(args.clock),
        journal,
        EngineSettings { show_nik: args.show_nik, ..EngineSettings::default() },
    );
    let head = RequestHead {
        customer_id: args.customer.clone(),
        methode: args.methode.clone(),
        path: None,
        peer: args.peer,
        connection: 0,
        headers: None,
    };
    let verdict = engine.explain(&head, &body);
    let niks: Vec<_> = verdict.candidates.iter().map(|found| found.nik.clone()).collect();
    let explanation = verdict.explanation(args.show_nik);
    if args.json {
        let text =
            serde_json::to_string_pretty(&explanation).map_err(|error| Failure::no(error.to_string()))?;
        say(text)?;
    } else {
        print(&explanation, &body_as_shown(&explanation, &niks))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &PathBuf) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::bad_input(format!("{}: {error}", file.display()));
    if file.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(failed)?;
        return Ok(bytes);
    }
    std::fs::read(file).map_err(failed)
}

/// Returns the answer's body with the candidates' NIKs as the explanation shows them: unmasked or masked.
fn body_as_shown(explanation: &Explanation, niks: &[String]) -> String {
    let shown = niks.iter().zip(&explanation.candidates);
    shown.fold(explanation.body.clone(), |body, (nik, found)| body.replace(nik, &found.nik))
}

fn print(explanation: &Explanation, body: &str) -> Result<(), Failure> {
    let code = explanation.code.as_ref().map_or_else(|| explanation.status.to_string(), ToString::to_string);
    say(format_args!("{code}  {}", explanation.reason))?;
    if let Some(hint) = &explanation.hint {
        say(format_args!("      {hint}"))?;
    }
    say("")?;
    for finding in &explanation.findings {
        let status = format!("{:?}", finding.status).to_lowercase();
        say(format_args!("{:<11} {status:<8} {}", finding.check.name(), finding.reason))?;
    }
    for warning in &explanation.warnings {
        say(format_args!("{:<11} {:<8} {}", "warning", "", warning.message))?;
    }
    if !explanation.candidates.is_empty() {
        let rows = explanation.candidates.iter().map(|found| (found.nik.as_str(), f64::from(found.score)));
        say(format_args!("\n{}", candidates_table(rows.collect())))?;
    }
    say(format_args!("\n{body}"))
}
