//! `call`: a real client in one command. Encrypts, encodes and posts a request. Prints the answer, its candidates, and the reason if
//! an admin listener is reachable.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::encrypt::read_public_key;
use super::secret::Secret;
use super::terminal::{eprint_line, say};
use super::{Failure, candidates_table, client};
use crate::base::text;
use crate::config::source;
use crate::keys;
use crate::protocol::encoding;

#[derive(Debug, Args)]
pub struct CallArgs {
    /// URL of the server, including the endpoint's prefix unless that is /api/face-recognition
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "FRSIM_URL")]
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
    /// URL of the simulator's admin listener, which has the key and the reason
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090", env = "FRSIM_ADMIN")]
    admin: String,
    #[arg(long, value_name = "T", env = "FRSIM_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Secret>,
    /// Timeout of the request
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Characters to percent-encode: all but the unreserved ones of RFC 3986.
const PATH_SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Built-in photo, sent without `--image`.
const DEMO_PICTURE: &str = "gallery/siti.jpg";

/// Timeout of admin calls. Short, because the command also works without them.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(2);

pub fn run(args: &CallArgs) -> Result<ExitCode, Failure> {
    let transaction_id = args.transaction_id.clone().unwrap_or_else(generate_id);
    let body = request(args, &transaction_id)?;
    let url = endpoint(args);
    let answer =
        client::post_json(&client::agent(args.timeout), &url, &body.to_string()).map_err(Failure::no)?;
    if answer.status != 200 {
        eprint_line(format_args!("HTTP status {}", answer.status));
    }
    say(&answer.body)?;
    print_candidates(&answer.body)?;
    if let Some(entry) = journal_entry(args, &transaction_id) {
        print_reason(&entry)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn generate_id() -> String {
    format!("call-{:015x}", rand::random::<u64>() >> 4)
}

fn endpoint(args: &CallArgs) -> String {
    let url = args.url.trim_end_matches('/');
    let has_path = url.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let prefix = if has_path { "" } else { "/api/face-recognition" };
    let encoded = |text: &str| percent_encoding::utf8_percent_encode(text, PATH_SEGMENT).to_string();
    format!("{url}{prefix}/{}/{}", encoded(&args.customer), encoded(&args.methode))
}

fn request(args: &CallArgs, transaction_id: &str) -> Result<Value, Failure> {
    let key = public_key(args)?;
    let encrypt = |text: &str| keys::encrypt(&key, text.as_bytes()).map(|bytes| encoding::encode(&bytes));
    Ok(json!({
        "transactionId": transaction_id,
        "transactionSource": args.transaction_source,
        "threshold": args.threshold,
        "image": encoding::encode(&photo(args)?),
        "user_id": encrypt(args.user.reveal()).map_err(Failure::bad_input)?,
        "password": encrypt(args.password.reveal()).map_err(Failure::bad_input)?,
        "ip": args.ip,
    }))
}

fn photo(args: &CallArgs) -> Result<Vec<u8>, Failure> {
    match &args.image {
        Some(path) => {
            std::fs::read(path).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
        }
        None => {
            let file = source::built_in().remove(DEMO_PICTURE);
            Ok(file.expect("the built-in gallery has this picture").bytes.into_owned())
        }
    }
}

fn public_key(args: &CallArgs) -> Result<rsa::PublicKey, Failure> {
    if let Some(path) = &args.public_key {
        return read_public_key(path);
    }
    let customer_key = format!("/customers/{}/public.pem", args.customer);
    match from_admin(args, &customer_key).or_else(|| from_admin(args, "/keys/public.pem")) {
        Some(pem) => keys::read_public_pem(&pem).map_err(Failure::keys),
        None => read_public_key("keys/public.pem".as_ref()),
    }
}

fn from_admin(args: &CallArgs, path: &str) -> Option<String> {
    let url = format!("{}{path}", args.admin.trim_end_matches('/'));
    let answer =
        client::get(&client::agent(ADMIN_TIMEOUT), &url, args.admin_token.as_ref().map(Secret::reveal))
            .ok()?;
    (answer.status == 200).then_some(answer.body)
}

/// Prints the candidates inside `response` as a table.
fn print_candidates(answer: &str) -> Result<(), Failure> {
    let candidates = || {
        let answer: Value = serde_json::from_str(answer).ok()?;
        let response: Value = serde_json::from_str(answer.get("response")?.as_str()?).ok()?;
        Some(response.get("face")?.get("FACE_T5")?.as_object()?.clone())
    };
    let Some(candidates) = candidates().filter(|candidates| !candidates.is_empty()) else {
        return Ok(());
    };
    let rows = candidates.iter().map(|(nik, score)| (nik.as_str(), score.as_f64().unwrap_or_default()));
    say(format_args!("\n{}", candidates_table(rows.collect())))
}

/// Returns the journal entry of this request; `None` without an admin listener, or when it belongs to another simulator.
fn journal_entry(args: &CallArgs, transaction_id: &str) -> Option<Value> {
    let listing = from_admin(args, &format!("/requests?limit=50&customer_id={}", args.customer))?;
    let mut listing: Value = serde_json::from_str(&listing).ok()?;
    let is_mine = |entry: &&mut Value| entry["request"]["transaction_id"] == transaction_id;
    listing.get_mut("requests")?.as_array_mut()?.iter_mut().find(is_mine).map(Value::take)
}

fn print_reason(entry: &Value) -> Result<(), Failure> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(reason) = text(&entry["answer"]["reason"]) {
        say(format_args!("\nreason: {reason}"))?;
    }
    if let Some(hint) = text(&entry["answer"]["hint"]) {
        say(format_args!("hint:   {hint}"))?;
    }
    for warning in entry["warnings"].as_array().into_iter().flatten() {
        let message = warning["message"].as_str().unwrap_or_default();
        say(format_args!("warning: {}", text::truncate(message, 200)))?;
    }
    Ok(())
}
