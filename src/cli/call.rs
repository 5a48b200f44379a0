//! `call`: a real client in one command. Encrypts, encodes and posts a request. Prints the answer, its candidates, and what the
//! simulator's journal has of it if an admin listener is reachable: so a deliberate fault is told from a broken network.
//!
//! The entry is found by the User-Agent, which is different in each call. A transactionId may be repeated, and of a request whose body is
//! not read the journal knows none.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::admin::{AdminArgs, refusal};
use super::client::{self, ClientError, ClientResponse, http_url, nothing_answers};
use super::encrypt::read_public_key;
use super::entry_line::{EntryLine, LineStyle};
use super::report::Report;
use super::secret::Secret;
use super::terminal::{self, say};
use super::{Failure, received};
use crate::base::url::encoded;
use crate::config::source;
use crate::http::client_request::{Fields, Request};
use crate::keys;

#[derive(Debug, Args)]
pub struct CallArgs {
    /// URL of the server, including the endpoint's prefix unless that is /api/face-recognition
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = http_url, env = "FRSIM_URL")]
    url: String,
    #[arg(long, value_name = "ID", default_value = "demo")]
    customer: String,
    #[arg(long, default_value = "CALL_FN")]
    methode: String,
    #[arg(long, value_name = "TEXT", default_value = "demo-user")]
    user: Secret,
    #[arg(long, value_name = "TEXT", default_value = "demo-password")]
    password: Secret,
    /// Photo file, JPEG or PNG [default: a built-in photo]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Threshold, sent unchecked so that invalid values can be tried
    #[arg(long, value_name = "SCORE", default_value = "7")]
    threshold: String,
    #[arg(long, default_value = "127.0.0.1")]
    ip: String,
    /// transactionId of the request [default: generated]
    #[arg(long, value_name = "TEXT")]
    transaction_id: Option<String>,
    #[arg(long, value_name = "TEXT", default_value = "dukcapil-fr-sim")]
    transaction_source: String,
    /// Public key file: PEM, DER, certificate, JWK [default: the customer's key from the admin listener, else keys/public.pem]
    #[arg(long, value_name = "PEM")]
    public_key: Option<PathBuf>,
    #[command(flatten)]
    admin: AdminArgs,
    /// Timeout of the request
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Waiting for the entry of a request that broke: it ends when the simulator notices that the client is gone.
const LOOKS: usize = 100;
const LOOK_PAUSE: Duration = Duration::from_millis(20);

pub fn run(args: &CallArgs) -> Result<ExitCode, Failure> {
    let id = format!("call-{:015x}", rand::random::<u64>() >> 4);
    let request = request(args, args.transaction_id.as_deref().unwrap_or(&id))?;
    let user_agent = format!("dukcapil-fr-sim/{} ({id})", env!("CARGO_PKG_VERSION"));
    let headers = [("User-Agent", user_agent.as_str())];
    let agent = client::agent(args.timeout);
    let result = client::post_json(&agent, request.url(), &headers, &request.body());
    // Closes the connection: for a request that timed out, the simulator notices that.
    drop(agent);
    if let Err(ClientError::Unreachable) = result {
        return Err(unreachable(args));
    }
    let style = LineStyle {
        width: terminal::stdout_width(),
        is_colourful: terminal::stdout_is_colourful(),
        is_verbose: false,
    };
    let code = result.as_ref().ok().and_then(|answer| received::code(&answer.body));
    let looked = look(args, &user_agent, result.is_ok());
    let mut report = Report::default();
    match &result {
        Ok(answer) => {
            print_answer(answer)?;
            let unknown = match &looked {
                Lookup::Found(_) => None,
                Lookup::Missing => {
                    Some(format!("the journal at {} has no entry of this request", args.admin.url()))
                }
                Lookup::Unavailable(why) => Some(why.clone()),
            };
            if let Some(why) = unknown {
                report.answered(answer.status, code.as_deref());
                if code.as_deref() != Some("6018") {
                    report.hint(format!("the reason is not known: {why}; see --admin"));
                }
            }
        }
        Err(ClientError::TimedOut) => {
            let timeout = humantime::format_duration(args.timeout);
            report.broken(format!("no whole answer within {timeout} (--timeout)"));
        }
        Err(error) => report.broken(error.to_string()),
    }
    if let Lookup::Found(entry) = &looked {
        let line = EntryLine::of_json(entry);
        let line = line.ok_or_else(|| Failure::no("the journal's entry is not of this version's format"))?;
        report.entry(&line);
        let has_suggestion = line.hint.as_ref().is_some_and(|hint| hint.contains("did you mean"));
        // An ordinal is counted for each customer that is known.
        if entry["ordinal"].is_null() && !has_suggestion {
            args.admin.unknown_customer(&args.customer).into_iter().for_each(|text| report.hint(text));
        }
    }
    let text = report.text(&style);
    say(if result.is_ok() { format!("\n{text}") } else { text })?;
    match (result, looked) {
        (Ok(answer), _) if answer.status == 200 && code.as_deref() == Some("6018") => Ok(ExitCode::SUCCESS),
        (Ok(_), _) | (Err(_), Lookup::Found(_)) => Ok(ExitCode::from(Failure::NO)),
        (Err(_), Lookup::Missing) => Err(Failure::no(not_in_the_journal(args))),
        (Err(_), Lookup::Unavailable(why)) => {
            Err(Failure::no(format!("{why}, so a deliberate fault cannot be told from a broken network")))
        }
    }
}

fn print_answer(answer: &ClientResponse) -> Result<(), Failure> {
    // A damaged body must not control the terminal.
    let is_shown = |c: char| !c.is_control() || c == '\n' || c == '\t';
    match terminal::stdout_is_terminal() {
        true => {
            say(answer.body.chars().map(|c| if is_shown(c) { c } else { '\u{FFFD}' }).collect::<String>())?
        }
        false => say(&answer.body)?,
    }
    let candidates = received::candidates(&answer.body);
    if candidates.is_empty() {
        return Ok(());
    }
    let rows = candidates.iter().map(|(nik, score)| (nik.as_str(), score.as_f64().unwrap_or_default(), None));
    say(format_args!("\n{}", received::table(rows.collect())))
}

fn endpoint(args: &CallArgs) -> String {
    let has_path = args.url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let prefix = if has_path { "" } else { "/api/face-recognition" };
    format!("{}{prefix}/{}/{}", args.url, encoded(&args.customer), encoded(&args.methode))
}

fn request(args: &CallArgs, transaction_id: &str) -> Result<Request, Failure> {
    let key = public_key(args)?;
    let photo = args.image.as_ref().map(|path| {
        std::fs::read(path).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
    });
    let photo = photo.transpose()?;
    let fields = Fields {
        transaction_id,
        transaction_source: &args.transaction_source,
        threshold: &args.threshold,
        image: photo.as_deref().unwrap_or_else(|| source::demo_picture()),
        user_id: args.user.reveal(),
        password: args.password.reveal(),
        ip: &args.ip,
    };
    Request::new(endpoint(args), key, fields).map_err(Failure::bad_input)
}

/// File of the simulator's public key, where it was started.
const KEY_FILE: &str = "keys/public.pem";

fn public_key(args: &CallArgs) -> Result<rsa::PublicKey, Failure> {
    if let Some(path) = &args.public_key {
        return read_public_key(path);
    }
    let admin = &args.admin;
    let key = admin.get(&format!("/customers/{}/public.pem", encoded(&args.customer)));
    let key = match key {
        Ok(answer) if answer.status != 200 => admin.get("/keys/public.pem"),
        other => other,
    };
    let file = Path::new(KEY_FILE);
    let why = match key {
        Ok(answer) if answer.status == 200 => {
            return keys::read_public_pem(&answer.body).map_err(Failure::keys);
        }
        _ if file.exists() => return read_public_key(file),
        Err(ClientError::Unreachable) => {
            let message = format!(
                "{} (there is no {KEY_FILE} either, and no --public-key)",
                nothing_answers(admin.url())
            );
            return Err(Failure { code: Failure::NOTHING_ANSWERS, message });
        }
        Ok(answer) => refusal(&answer).unwrap_or_else(|| "it is not a simulator's admin API".to_owned()),
        Err(error) => error.to_string(),
    };
    Err(Failure::keys(format!("no public key: {}: {why}; or give --public-key", admin.url())))
}

/// What the journal has of the request.
enum Lookup {
    Found(Value),
    Missing,
    /// The journal cannot be read: why.
    Unavailable(String),
}

/// Looks for the entry of the request. When the exchange broke, waits until the entry has come and ended, for at most two seconds.
fn look(args: &CallArgs, user_agent: &str, is_answered: bool) -> Lookup {
    let mut found = Lookup::Missing;
    for _ in 0..LOOKS {
        let path = match &found {
            Lookup::Found(entry) => format!("/requests/{}", entry["id"]),
            _ => format!("/requests?limit=50&customer_id={}", encoded(&args.customer)),
        };
        match newest(args, &path, user_agent) {
            Ok(Some(entry)) => found = Lookup::Found(entry),
            // The filter is a pattern, which the id may not match.
            Ok(None) => match newest(args, "/requests?limit=50", user_agent) {
                Ok(Some(entry)) => found = Lookup::Found(entry),
                Ok(None) if is_answered => return found,
                Ok(None) => {}
                Err(why) => return Lookup::Unavailable(why),
            },
            Err(why) => return Lookup::Unavailable(why),
        }
        if matches!(&found, Lookup::Found(entry) if entry["sent"]["end"] != "pending") {
            break;
        }
        std::thread::sleep(LOOK_PAUSE);
    }
    found
}

/// Returns the newest entry of this user agent in a listing, or the entry at this path.
fn newest(args: &CallArgs, path: &str, user_agent: &str) -> Result<Option<Value>, String> {
    let url = args.admin.url();
    let answer = args.admin.get(path).map_err(|error| match error {
        ClientError::Unreachable => format!("nothing answers at {url}, the admin API"),
        other => format!("{url}: {other}"),
    })?;
    match answer.status {
        200 => {}
        // No longer there, or not a pattern.
        400 | 404 if refusal(&answer).is_some() => return Ok(None),
        _ => return Err(refusal(&answer).unwrap_or_else(|| format!("{url} is not a simulator's admin API"))),
    }
    let Ok(mut found) = serde_json::from_str::<Value>(&answer.body) else {
        return Err(format!("{url} is not a simulator's admin API"));
    };
    let is_mine = |entry: &&mut Value| entry["request"]["user_agent"] == user_agent;
    Ok(match found.get_mut("requests").and_then(Value::as_array_mut) {
        Some(entries) => entries.iter_mut().find(is_mine).map(Value::take),
        None => Some(found),
    })
}

/// Reports that nothing listens at the endpoint: on purpose, when the newest fault of the listener may last.
fn unreachable(args: &CallArgs) -> Failure {
    let message = nothing_answers(&args.url);
    let message = match closed_listener(args) {
        Some(fault) => format!("{message} {fault}"),
        None if args.admin.get("/version").is_ok_and(|answer| answer.status == 200) => {
            format!("{message} The admin API at {} does answer; is --url right?", args.admin.url())
        }
        None => message,
    };
    Failure { code: Failure::NOTHING_ANSWERS, message }
}

fn not_in_the_journal(args: &CallArgs) -> String {
    let url = args.admin.url();
    let network = format!(
        "the journal at {url} has no entry of this request: the network broke it, or a proxy between, or --admin is of another simulator"
    );
    closed_listener(args).unwrap_or(network)
}

/// Says which request closed the endpoint for a while: the newest with a fault of the whole listener.
fn closed_listener(args: &CallArgs) -> Option<String> {
    let question = json!({ "match": { "fault": "/^(refuse|close_on_accept)$/" }, "timeout": "0s" });
    let answer = args.admin.post("/requests/wait", &question).ok().filter(|answer| answer.status == 200)?;
    let found: Value = serde_json::from_str(&answer.body).ok()?;
    let line = EntryLine::of_json(found["requests"].get(0)?)?;
    let (kind, rule) = line.fault.as_ref()?;
    let customer = line.customer_id.as_deref().unwrap_or("-");
    Some(format!(
        "Perhaps on purpose: request #{} closed the endpoint for a while, {} by rule \"{rule}\" of customer {customer}",
        line.id, kind.name
    ))
}
