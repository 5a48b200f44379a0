//! `explain`: prints what the endpoint would answer to a request body, and why. Asks a running simulator, which knows its quotas,
//! customers, clock and rules; without one, evaluates the body here.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{AdminArgs, refusal};
use super::client::ClientError;
use super::entry_line::{guess_mark, plain};
use super::terminal::{eprint_line, say};
use super::{Failure, FixtureArgs, PolicyArgs, fixture_directory, load, received};
use crate::base::json as own_json;
use crate::domain::fidelity::RestsOn;
use crate::domain::nik::mask::masked;
use crate::engine::{Engine, EngineSettings, RequestHead};
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
    #[command(flatten)]
    admin: AdminArgs,
    /// Do not ask a running simulator; --fixtures, --keys and --clock imply it
    #[arg(long)]
    offline: bool,
    /// Time of the request: system, or an RFC 3339 time
    #[arg(long, value_name = "system|RFC3339", default_value = "system", env = "FRSIM_CLOCK")]
    clock: ClockStart,
    /// Print JSON, in the format of POST /explain; who was asked is then printed to stderr
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

pub fn run(args: &ExplainArgs, matches: &ArgMatches) -> Result<ExitCode, Failure> {
    let body = read(&args.file)?;
    let asked = match offline_flag(args, matches) {
        Some(flag) => Err(format!("{flag} is given")),
        None => ask(args, &body)?,
    };
    let (first_line, mut explanation) = match asked {
        Ok(explanation) => (format!("asked the simulator at {}", args.admin.url()), explanation),
        Err(why) => {
            let directory = fixture_directory(args.sources.fixtures.as_deref())?;
            (offline_line(directory.as_deref(), &why), evaluate(args, directory.as_deref(), &body)?)
        }
    };
    show_niks(&mut explanation, args.show_nik);
    if args.json {
        eprint_line(first_line);
        let text = serde_json::to_string_pretty(&explanation);
        say(text.map_err(|error| Failure::no(error.to_string()))?)?;
    } else {
        say(first_line)?;
        print(explanation, args.show_nik)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the flag on the command line that means offline. Environment variables do not: in a container they are always set.
fn offline_flag(args: &ExplainArgs, matches: &ArgMatches) -> Option<String> {
    let is_given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let names = ["fixtures", "keys", "clock", "preset", "layout"];
    let implied = || names.into_iter().find(|name| is_given(name));
    let name = if args.offline { Some("offline") } else { implied() };
    name.map(|name| format!("--{name}"))
}

fn offline_line(directory: Option<&Path>, why: &str) -> String {
    let own = directory.map(|directory| match directory.is_relative() {
        true => format!(" and ./{}", directory.strip_prefix(".").unwrap_or(directory).display()),
        false => format!(" and {}", directory.display()),
    });
    let own = own.unwrap_or_default();
    format!(
        "offline: built-in fixtures{own}; quotas and customers of a running simulator are not known ({why})"
    )
}

/// Asks the running simulator. Returns its explanation, or else why there is none to ask.
///
/// # Errors
/// The simulator refuses the question.
fn ask(args: &ExplainArgs, body: &[u8]) -> Result<Result<Value, String>, Failure> {
    let Ok(body) = std::str::from_utf8(body) else {
        return Ok(Err("the body is not UTF-8, which POST /explain cannot carry".to_owned()));
    };
    let url = args.admin.url();
    let mut question = json!({ "customer_id": args.customer, "body": body });
    if let Some(methode) = &args.methode {
        question["methode"] = json!(methode);
    }
    if let Some(peer) = args.peer {
        question["peer"] = json!(peer);
    }
    let answer = match args.admin.post("/explain", &question) {
        Ok(answer) => answer,
        Err(ClientError::Unreachable) => return Ok(Err(format!("nothing answers at {url}"))),
        Err(error) => return Ok(Err(format!("{url}: {error}"))),
    };
    match serde_json::from_str::<Value>(&answer.body) {
        Ok(explanation) if answer.status == 200 && ExplanationView::deserialize(&explanation).is_ok() => {
            Ok(Ok(explanation))
        }
        _ => match refusal(&answer) {
            Some(why) => Err(Failure::no(format!("{url}: {why}; or work without it: --offline"))),
            None => Ok(Err(format!("{url} is not the admin API of a simulator"))),
        },
    }
}

/// Evaluates the body here.
fn evaluate(args: &ExplainArgs, directory: Option<&Path>, body: &[u8]) -> Result<Value, Failure> {
    let keys = &args.sources.keys;
    if !keys.join("private.pem").exists() {
        eprint_line(format_args!(
            "{}/private.pem does not exist yet (the first start generates it), so no credential can be decrypted",
            keys.display()
        ));
    }
    let fixtures = load(directory, keys, &args.policy)?;
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
    let text = own_json::text(&engine.explain(&head, body).explanation(true));
    serde_json::from_str(&text).map_err(|error| Failure::no(error.to_string()))
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

/// Shows the candidates' NIKs unmasked or masked. A simulator may have masked them; the answer's body has them in the same order.
fn show_niks(explanation: &mut Value, show_nik: bool) {
    let sent = received::candidates(explanation["body"].as_str().unwrap_or_default());
    let candidates = explanation["candidates"].as_array_mut().into_iter().flatten();
    for (candidate, sent) in candidates.zip(sent.keys().map(Some).chain(std::iter::repeat(None))) {
        let nik = candidate["nik"].as_str().unwrap_or_default();
        candidate["nik"] = match sent {
            Some(sent) if show_nik && masked(sent) == masked(nik) => json!(sent),
            _ if show_nik => json!(nik),
            _ => json!(masked(nik)),
        };
    }
}

/// What the text output has of an explanation.
#[derive(Deserialize)]
struct ExplanationView {
    code: Option<String>,
    status: u16,
    reason: String,
    hint: Option<String>,
    #[serde(default)]
    delay: Value,
    #[serde(default)]
    fault: Value,
    candidates: Vec<CandidateView>,
    findings: Vec<FindingView>,
    warnings: Vec<WarningView>,
    #[serde(default)]
    rests_on: Vec<RestsOn>,
    body: String,
}

#[derive(Deserialize)]
struct CandidateView {
    nik: String,
    score: f64,
    /// With a face engine: `picture` or `face`.
    by: Option<String>,
}

#[derive(Deserialize)]
struct FindingView {
    check: String,
    status: String,
    reason: String,
}

#[derive(Deserialize)]
struct WarningView {
    message: String,
}

fn print(explanation: Value, show_nik: bool) -> Result<(), Failure> {
    let view = ExplanationView::deserialize(explanation).map_err(|error| Failure::no(error.to_string()))?;
    let code = view.code.unwrap_or_else(|| view.status.to_string());
    say(format_args!("{code}{}  {}", guess_mark(&view.rests_on), view.reason))?;
    if let Some(hint) = &view.hint {
        say(format_args!("      {hint}"))?;
    }
    say("")?;
    for finding in &view.findings {
        say(format_args!("{:<11} {:<8} {}", finding.check, finding.status, finding.reason))?;
    }
    for warning in &view.warnings {
        say(format_args!("{:<11} {:<8} {}", "warning", "", warning.message))?;
    }
    for one in &view.rests_on {
        say(format_args!("{:<11} {:<8} {one}", "guess", ""))?;
    }
    let rule = |value: &Value| plain(value["rule"].as_str().unwrap_or_default());
    if let Some(us) = view.delay["us"].as_u64() {
        let delay = humantime::format_duration(std::time::Duration::from_micros(us));
        say(format_args!("{:<11} {:<8} {delay} by rule \"{}\"", "delay", "", rule(&view.delay)))?;
    }
    if let Some(kind) = view.fault["kind"].as_str() {
        say(format_args!("{:<11} {:<8} {kind} by rule \"{}\"", "fault", "", rule(&view.fault)))?;
    }
    if !view.candidates.is_empty() {
        let candidates = view.candidates.iter();
        let rows = candidates.map(|found| (found.nik.as_str(), found.score, found.by.as_deref())).collect();
        say(format_args!("\n{}", received::table(rows)))?;
    }
    let sent = received::candidates(&view.body);
    let hidden = |body: String, nik: &String| body.replace(nik, &masked(nik));
    say(format_args!("\n{}", if show_nik { view.body } else { sent.keys().fold(view.body, hidden) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn niks_are_shown_on_request_only_whoever_masked_them() {
        let body = r#"{"response":"{\"face\":{\"FACE_T5\":{\"3174055708909001\":20.0}}}"}"#;
        let (open, hidden) = ("3174055708909001", "317405XXXXXXXXXX");
        for (nik, show_nik, body, shown) in [
            (hidden, true, body, open),
            (open, true, body, open),
            (open, false, body, hidden),
            (hidden, false, body, hidden),
            (hidden, true, "", hidden),
            (hidden, true, r#"{"response":"{\"face\":{\"FACE_T5\":{\"1\":2}}}"}"#, hidden),
        ] {
            let mut explanation = json!({ "body": body, "candidates": [{ "nik": nik }] });
            show_niks(&mut explanation, show_nik);
            assert_eq!(explanation["candidates"][0]["nik"], shown);
        }
    }

    #[test]
    fn the_first_line_names_the_fixtures() {
        for (directory, found) in [
            (
                None,
                "offline: built-in fixtures; quotas and customers of a running simulator are not known (x)",
            ),
            (Some("fixtures"), "offline: built-in fixtures and ./fixtures; quotas "),
            (Some("./fixtures"), "offline: built-in fixtures and ./fixtures; quotas "),
            (Some("/a/b"), "offline: built-in fixtures and /a/b; quotas "),
        ] {
            let line = offline_line(directory.map(Path::new), "x");
            assert!(line.starts_with(found), "{line}");
        }
    }
}
