//! The log of `serve` on stderr: a banner, then one line per request, as text or JSON, and a summary at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use anstyle::Style;
use clap::ValueEnum;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::entry_line::{DIM, EntryLine, LineStyle, plain};
use super::log::Log;
use super::terminal;
use super::throttle::{OutcomeCounts, Throttle, listed};
use crate::base::text::wrap;
use crate::base::time;
use crate::config::{Fixtures, Problem};
use crate::domain::customer::Account;
use crate::domain::policy::Preset;
use crate::keys::KeyOrigin;
use crate::simulator::Simulator;
use crate::state::change::Change;
use crate::state::journal::Entry;
use crate::state::observer::{Observer, SlowUpload};

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Observer that writes the log.
#[derive(Debug)]
pub struct Console {
    format: LogFormat,
    verbose: bool,
    quiet: bool,
    is_terminal: bool,
    is_colourful: bool,
    log: Log,
    summary: Mutex<RunSummary>,
}

/// What the summary at the end has.
#[derive(Debug, Default)]
struct RunSummary {
    requests: OutcomeCounts,
    faults: OutcomeCounts,
}

const BOLD: Style = Style::new().bold();

/// Width of the banner on a terminal of unknown width, and of any other output.
const BANNER_WIDTH: usize = 100;

impl Console {
    pub fn new(format: LogFormat, verbose: bool, quiet: bool) -> io::Result<Console> {
        let dropped: fn(u64) -> String = match format {
            LogFormat::Text => |lines| format!("{lines} log lines dropped: stderr is read too slowly"),
            LogFormat::Json => |lines| json!({ "event": "dropped", "lines": lines }).to_string(),
        };
        let is_terminal = terminal::stderr_is_terminal();
        let is_throttled = is_terminal && !verbose && format == LogFormat::Text;
        let log = Log::start(terminal::stderr(), dropped, is_throttled.then(Throttle::default))?;
        let is_colourful = terminal::is_colourful();
        Ok(Console { format, verbose, quiet, is_terminal, is_colourful, log, summary: Mutex::default() })
    }

    /// Returns whether the log goes to a terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Prints the summary of all requests with the seed that repeats the run.
    pub fn summarize(&self, seed: u64) {
        let summary = self.summary.lock();
        let RunSummary { requests, faults } = &*summary;
        let total: u64 = requests.values().sum();
        match self.format {
            _ if self.quiet => {}
            LogFormat::Json => self.log.write(
                json!({ "event": "stopped", "requests": requests, "faults": faults, "seed": seed })
                    .to_string(),
            ),
            LogFormat::Text => {
                let requests = if total == 0 {
                    "no requests".to_owned()
                } else {
                    format!("{total} requests: {}", listed(requests))
                };
                let faults =
                    if faults.is_empty() { String::new() } else { format!("; faults: {}", listed(faults)) };
                self.log.write_last(format!("stopped: {requests}{faults}; seed {seed}"));
            }
        }
    }

    /// Flushes the log. Stops waiting when nobody reads stderr.
    pub fn end(&self) {
        self.log.end();
    }

    /// Prints addresses, account, key and customers, and a first request to try.
    pub fn banner(&self, simulator: &Simulator, fixtures: Option<&Path>, keys: &Path) {
        if self.quiet {
            return;
        }
        let loaded = simulator.engine().fixtures();
        let url = simulator.url();
        let origin = if simulator.key_origin() == Some(KeyOrigin::Generated) { "new" } else { "loaded" };
        let source =
            fixtures.map_or("built-in".to_owned(), |path| format!("built-in, and {}", path.display()));
        let store = simulator.engine().store().map(|store| store.path().display().to_string());
        if self.format == LogFormat::Json {
            let customers: Vec<_> = loaded.customers.keys().collect();
            return self.log.write(json!({
                "event": "started", "endpoint": url, "admin": simulator.admin_url(), "version": env!("CARGO_PKG_VERSION"),
                "customers": customers, "key_bits": loaded.keys.server().bits(), "fixtures": source,
                "preset": simulator.preset().to_string(), "store": store,
            }).to_string());
        }
        let style = self.style();
        let path = format!("{url}{}", loaded.prefixes.first().map_or("", String::as_str).replace(' ', "%20"));
        let mut text =
            format!("\n  {}\n\n", style.paint(BOLD, concat!("dukcapil-fr-sim ", env!("CARGO_PKG_VERSION"))));
        let column = 12;
        let width = style.width.unwrap_or(BANNER_WIDTH).saturating_sub(column);
        let wrapped = |text: &str| wrap(text, width).join(&format!("\n{}", " ".repeat(column)));
        let preset = simulator.preset();
        let preset = (*preset != Preset::Documented).then(|| ("preset", preset.to_string()));
        let admin = simulator.admin_url();
        let is_shared = simulator.engine().shared().is_some();
        let whose = if is_shared { "shared by replicas (beta)" } else { "only for its owner" };
        let store = store.map(|path| ("store", format!("{path}, {whose}: it holds accounts and thumbnails")));
        let rows = [
            ("endpoint", format!("{path}/demo/CALL_FN")),
            ("account", account_of_demo(&loaded)),
            ("admin", admin.clone().unwrap_or_else(|| "off".to_owned())),
            ("console", admin.as_ref().map_or("off".to_owned(), |admin| format!("{admin}/ in a browser"))),
            ("key", format!("{}/public.pem, RSA {}, {origin}", keys.display(), loaded.keys.server().bits())),
            ("fixtures", source),
            ("customers", wrapped(&grouped(loaded.customers.keys().map(String::as_str)))),
            ("try", try_command(&url, admin.as_deref(), keys)),
            (
                "guess",
                wrapped(
                    "~ behind a code: it rests on an assumption (docs/reference/fidelity.md, GET /fidelity)",
                ),
            ),
            ("stop", "Ctrl-C".to_owned()),
        ];
        for (name, value) in preset.into_iter().chain(rows).chain(store) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {} {value}", style.paint(DIM, &format!("{name:<9}")));
        }
        self.log.write(text);
    }

    /// How lines are written now: a terminal may have changed its width.
    fn style(&self) -> LineStyle {
        LineStyle {
            width: if self.is_terminal { terminal::stderr_width() } else { None },
            is_colourful: self.is_colourful,
            is_verbose: self.verbose,
        }
    }

    /// Writes a line that is not about a request, with its time.
    fn note(&self, text: &str) {
        self.note_at(Timestamp::now(), text);
    }

    fn note_at(&self, at: Timestamp, text: &str) {
        let at = time::rfc3339_millis(at);
        let time = at.get(11..23).unwrap_or_default();
        self.log.write(format!("{} {text}", self.style().paint(DIM, time)));
    }
}

/// Returns the account to try with. Only the built-in one is printed: any other may be a real one.
fn account_of_demo(fixtures: &Fixtures) -> String {
    let is_built_in =
        |account: &Account| account.user_id == "demo-user" && account.password == "demo-password";
    match fixtures.customers.get("demo") {
        Some(demo) if is_built_in(&demo.account) => "demo-user / demo-password".to_owned(),
        _ => "as in customers/demo.toml".to_owned(),
    }
}

/// Returns the command that sends a first request to this simulator.
fn try_command(url: &str, admin: Option<&str>, keys: &Path) -> String {
    let mut command = "dukcapil-fr-sim call".to_owned();
    if url != "http://127.0.0.1:8080" {
        let _ = write!(command, " --url {url}");
    }
    match admin {
        Some("http://127.0.0.1:9090") => {}
        Some(admin) => drop(write!(command, " --admin {admin}")),
        None => drop(write!(command, " --public-key {}", keys.join("public.pem").display())),
    }
    command
}

/// Lists customers: `demo` first, and those that differ only in a code as one, `always-<code> \u{d7}8`.
fn grouped<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MAX_NAMES: usize = 40;
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    let mut single = Vec::new();
    for name in names {
        let is_code = |code: &str| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
        match name.rsplit_once('-').filter(|(_, code)| is_code(code)) {
            Some((family, _)) => *families.entry(family).or_default() += 1,
            None => single.push(name),
        }
    }
    single.sort_by_key(|name| *name != "demo");
    let more = single.len().saturating_sub(MAX_NAMES);
    let mut parts: Vec<_> = single.into_iter().take(MAX_NAMES).map(str::to_owned).collect();
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    parts.extend(families.iter().map(|(family, count)| format!("{family}-<code> \u{d7}{count}")));
    parts.join(", ")
}

/// Returns an entry as a line of JSON, with the journal's field names.
fn json_of(event: &str, entry: &Entry) -> Value {
    let sent = entry.sending.sent();
    json!({
        "event": event, "id": entry.id, "at": time::rfc3339_millis(entry.at), "customer_id": entry.customer_id,
        "transaction_id": entry.request.transaction_id, "trace_id": entry.trace_id, "outcome": entry.delivered(sent).label(),
        "code": entry.answer.code, "sent": sent, "rule": entry.rule, "fault": entry.fault,
        "delay_us": entry.delay.as_ref().map(|delay| delay.us), "reason": entry.answer.reason,
        "hint": entry.answer.hint, "warnings": entry.warnings, "elapsed_us": entry.sending.elapsed_us(),
    })
}

impl Observer for Console {
    fn request(&self, entry: &Entry) {
        let outcome = entry.delivered(entry.sending.sent()).label();
        {
            let mut summary = self.summary.lock();
            *summary.requests.entry(outcome.clone()).or_default() += 1;
            if let Some(fault) = &entry.fault {
                *summary.faults.entry(fault.kind.to_owned()).or_default() += 1;
            }
        }
        if self.quiet {
            return;
        }
        let text = match self.format {
            LogFormat::Text => EntryLine::from(entry).text(&self.style()),
            LogFormat::Json => json_of("request", entry).to_string(),
        };
        self.log.write_request(text, outcome);
    }

    fn under_way(&self, entry: &Entry, time: Duration) {
        match self.format {
            _ if self.quiet => {}
            LogFormat::Text => {
                let text = EntryLine::from(entry).text_under_way(&self.style(), time);
                self.log.write_request(text, "under way".to_owned());
            }
            LogFormat::Json => self.log.write(json_of("under_way", entry).to_string()),
        }
    }

    fn upload_under_way(&self, upload: &SlowUpload) {
        let SlowUpload { customer_id, rule, time } = upload;
        match self.format {
            _ if self.quiet => {}
            LogFormat::Text => {
                let by = rule.as_ref().map_or(String::new(), |(kind, rule)| format!(": {kind} by rule \"{rule}\""));
                let time = humantime::format_duration(*time);
                self.note(&plain(&format!("{customer_id}: its body is still arriving after {time}{by}")));
            }
            LogFormat::Json => self.log.write(
                json!({ "event": "upload_under_way", "customer_id": customer_id, "rule": rule.as_ref().map(|(_, rule)| rule) })
                    .to_string(),
            ),
        }
    }

    fn connection_rejected(&self, peer: std::net::IpAddr) {
        self.warned(&format!("too many connections: closed one from {peer} immediately (limits.connections, connections_per_peer, or the system's limit of open files)"));
    }

    fn counters_overflow(&self, customer_id: &str) {
        self.warned(&format!(
            "{customer_id} has more rule counters than limits.rule_counters: the oldest are removed"
        ));
    }

    fn changed(&self, change: &Change) {
        let Some(call) = change.call.as_ref().filter(|_| !self.quiet) else { return };
        match self.format {
            LogFormat::Text => self.note_at(change.at, &plain(&call.to_string())),
            LogFormat::Json => self.log.write(json!({
                "event": "changed", "at": time::rfc3339_millis(change.at), "what": change.what, "customer_id": change.customer_id,
                "method": call.method, "path": call.path, "peer": call.peer, "name": call.name,
            }).to_string()),
        }
    }

    fn reloaded(&self, customers: usize) {
        match self.format {
            _ if self.quiet => {}
            LogFormat::Text => self.note(&format!("fixtures reloaded: {customers} customers")),
            LogFormat::Json => {
                self.log.write(json!({ "event": "reloaded", "customers": customers }).to_string())
            }
        }
    }

    fn warned(&self, message: &str) {
        match self.format {
            LogFormat::Text => self.note(&format!("warning: {message}")),
            LogFormat::Json => {
                self.log.write(json!({ "event": "warning", "message": message }).to_string());
            }
        }
    }

    fn refused(&self, problems: &[Problem]) {
        match self.format {
            LogFormat::Text => {
                let list = Problem::list(problems);
                self.note(&format!("reload failed: invalid fixtures; the old ones stay active:{list}"));
            }
            LogFormat::Json => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                self.log.write(json!({ "event": "reload_refused", "problems": problems }).to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_that_differ_in_a_code_are_one() {
        let names = ["always-5001", "always-6018", "bank-1", "demo", "sample-6018"];
        assert_eq!(grouped(names.into_iter()), "demo, bank-1, always-<code> \u{d7}2, sample-<code> \u{d7}1");
        let many: Vec<_> = (0..50).map(|number| format!("c{number:02}")).collect();
        let text = grouped(many.iter().map(String::as_str));
        assert!(text.ends_with("c39, and 10 more"), "{text}");
    }

    #[test]
    fn the_command_to_try_reaches_this_simulator() {
        let keys = Path::new("keys");
        let admin = Some("http://127.0.0.1:9090");
        assert_eq!(try_command("http://127.0.0.1:8080", admin, keys), "dukcapil-fr-sim call");
        assert_eq!(
            try_command("http://127.0.0.1:1", Some("http://127.0.0.1:2"), keys),
            "dukcapil-fr-sim call --url http://127.0.0.1:1 --admin http://127.0.0.1:2"
        );
        let off = try_command("http://127.0.0.1:8080", None, keys);
        assert_eq!(off, format!("dukcapil-fr-sim call --public-key {}", keys.join("public.pem").display()));
    }
}
