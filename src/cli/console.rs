//! The log of `serve` on stderr: a banner, then one line per request, as text or JSON. Coloured on a terminal only.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::json;

use super::log::Log;
use super::terminal;
use crate::base::time;
use crate::config::Problem;
use crate::keys::KeyOrigin;
use crate::simulator::Simulator;
use crate::state::change::Change;
use crate::state::journal::{Entry, State};
use crate::state::observer::Observer;

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
    colour: bool,
    log: Log,
}

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

impl Console {
    pub fn new(format: LogFormat, verbose: bool, quiet: bool) -> io::Result<Console> {
        let dropped: fn(u64) -> String = match format {
            LogFormat::Text => |lines| format!("{lines} log lines dropped: stderr is read too slowly"),
            LogFormat::Json => |lines| json!({ "event": "dropped", "lines": lines }).to_string(),
        };
        let log = Log::start(terminal::stderr(), dropped)?;
        Ok(Console { format, verbose, quiet, colour: terminal::is_colourful(), log })
    }

    /// Flushes the log. Stops waiting when nobody reads stderr.
    pub fn end(&self) {
        self.log.end();
    }

    /// Prints addresses, key, fixtures and a first request to try.
    pub fn banner(&self, simulator: &Simulator, fixtures: Option<&Path>, keys: &Path) {
        if self.quiet {
            return;
        }
        let loaded = simulator.engine().fixtures();
        let url = simulator.url();
        let path =
            format!("{}{}", url, loaded.prefixes.first().map_or("", String::as_str).replace(' ', "%20"));
        let origin = if simulator.key_origin() == Some(KeyOrigin::Generated) { "new" } else { "loaded" };
        let source =
            fixtures.map_or("built-in".to_owned(), |path| format!("built-in, and {}", path.display()));
        if self.format == LogFormat::Json {
            let customers: Vec<_> = loaded.customers.keys().collect();
            return self.log.write(json!({
                "event": "started", "endpoint": url, "admin": simulator.admin_url(), "version": env!("CARGO_PKG_VERSION"),
                "customers": customers, "key_bits": loaded.keys.server().bits(), "fixtures": source,
            }).to_string());
        }
        let customers = loaded.customers.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
        let mut text =
            format!("\n  {}\n\n", self.paint(BOLD, concat!("dukcapil-fr-sim ", env!("CARGO_PKG_VERSION"))));
        for (name, value) in [
            ("endpoint", format!("{path}/demo/CALL_FN")),
            ("admin", simulator.admin_url().unwrap_or_else(|| "off".to_owned())),
            ("key", format!("{}/public.pem, RSA {}, {origin}", keys.display(), loaded.keys.server().bits())),
            ("fixtures", source),
            ("customers", wrapped(&customers, 12)),
            ("try", format!("curl -sd '{{}}' {path}/sample-6018/CALL_FN")),
        ] {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {} {value}", self.paint(DIM, &format!("{name:<9}")));
        }
        self.log.write(text);
    }

    fn text_of(&self, entry: &Entry) -> String {
        let time = time::rfc3339_millis(entry.at);
        let time = time.get(11..23).unwrap_or_default();
        let answer = &entry.answer;
        let code = answer.code.as_ref().map_or_else(
            || answer.status.map_or("-".to_owned(), |status| format!("HTTP {status}")),
            ToString::to_string,
        );
        let style = match answer.code.as_ref().map(crate::protocol::Code::as_str) {
            Some("6018") => GREEN,
            Some(code) if code.starts_with('6') => YELLOW,
            _ => RED,
        };
        let transaction = entry.request.transaction_id.as_deref().map_or_else(|| "-".to_owned(), plain);
        let aborted =
            if entry.state.get() == State::Aborted { "  (aborted: the connection closed first)" } else { "" };
        let mut line = format!(
            "{}  {:<14} {transaction:<20} {}  {}  {}{aborted}",
            self.paint(DIM, time),
            entry.customer_id.as_deref().map_or_else(|| "-".to_owned(), plain),
            self.paint(style, &code),
            plain(&answer.reason),
            self.paint(DIM, &duration(entry.elapsed_us.micros())),
        );
        if self.verbose {
            let hints = answer.hint.iter().map(|hint| format!("hint: {hint}"));
            let warnings = entry.warnings.iter().map(|warning| format!("warning: {}", warning.message));
            for more in hints.chain(warnings) {
                let _ = write!(line, "\n              {}", self.paint(DIM, &plain(&more)));
            }
        }
        line
    }

    /// Returns the entry as JSON, with the journal's field names.
    fn json_of(&self, entry: &Entry) -> serde_json::Value {
        let mut line = json!({
            "event": "request", "id": entry.id, "at": time::rfc3339_millis(entry.at), "customer_id": entry.customer_id,
            "transaction_id": entry.request.transaction_id, "status": entry.answer.status, "code": entry.answer.code,
            "reason": entry.answer.reason, "state": entry.state, "elapsed_us": entry.elapsed_us,
        });
        if self.verbose {
            line["hint"] = json!(entry.answer.hint);
            line["warnings"] = json!(entry.warnings);
        }
        line
    }

    fn paint(&self, style: Style, text: &str) -> String {
        let style = if self.colour { style } else { Style::new() };
        format!("{style}{text}{style:#}")
    }
}

impl Observer for Console {
    fn request(&self, entry: &Entry) {
        if self.quiet {
            return;
        }
        match self.format {
            LogFormat::Text => self.log.write(self.text_of(entry)),
            LogFormat::Json => self.log.write(self.json_of(entry).to_string()),
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
            LogFormat::Text => {
                let time = time::rfc3339_millis(change.at);
                let time = self.paint(DIM, time.get(11..23).unwrap_or_default());
                self.log.write(format!("{time}  {}", plain(&call.to_string())));
            }
            LogFormat::Json => self.log.write(json!({
                "event": "changed", "at": time::rfc3339_millis(change.at), "what": change.what, "customer_id": change.customer_id,
                "method": call.method, "path": call.path, "peer": call.peer, "name": call.name,
            }).to_string()),
        }
    }

    fn reloaded(&self, customers: usize) {
        match self.format {
            _ if self.quiet => {}
            LogFormat::Text => self.log.write(format!("fixtures reloaded: {customers} customers")),
            LogFormat::Json => {
                self.log.write(json!({ "event": "reloaded", "customers": customers }).to_string())
            }
        }
    }

    fn warned(&self, message: &str) {
        match self.format {
            LogFormat::Text => self.log.write(format!("warning: {message}")),
            LogFormat::Json => {
                self.log.write(json!({ "event": "warning", "message": message }).to_string());
            }
        }
    }

    fn refused(&self, problems: &[Problem]) {
        match self.format {
            LogFormat::Text => {
                let list = Problem::list(problems);
                self.log.write(format!("reload failed: invalid fixtures; the old ones stay active:{list}"));
            }
            LogFormat::Json => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                self.log.write(json!({ "event": "reload_refused", "problems": problems }).to_string());
            }
        }
    }
}

/// Replaces control characters, so that a client's input cannot control the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

fn duration(micros: u64) -> String {
    let millis = micros as f64 / 1000.0;
    format!("{millis:.1} ms")
}

/// Wraps a long list of names, with continuation lines indented to a column.
fn wrapped(text: &str, column: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| line.len() + word.len() < 90);
        match line {
            Some(line) => {
                let gap = if line.is_empty() { "" } else { " " };
                let _ = write!(line, "{gap}{word}");
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(column)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[31m\r\nb"), "a\u{FFFD}[31m\u{FFFD}\u{FFFD}b");
    }

    #[test]
    fn long_lists_are_wrapped_under_their_start() {
        let text = wrapped(&["customer"; 12].join(" "), 4);
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("    customer")));
    }
}
