//! `tail`: follows the requests of a running simulator from another terminal, over `GET /events`.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use super::Failure;
use super::admin::{AdminArgs, refusal};
use super::client::{self, ClientError, nothing_answers};
use super::entry_line::{DIM, EntryLine, LineStyle, plain};
use super::event_stream::{EventStream, ServerEvent};
use super::terminal::{self, eprint_line, say};
use super::throttle::{Throttle, receive_until};
use crate::base::text;
use crate::base::url::encoded;

#[derive(Debug, Args)]
pub struct TailArgs {
    #[command(flatten)]
    admin: AdminArgs,
    /// Only requests of this customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Print JSON: one object a line, the entry of each request that has ended
    #[arg(long)]
    json: bool,
    /// Also print hints and warnings of each request
    #[arg(short, long)]
    verbose: bool,
}

/// How long a request is under way before it has a line.
const NOTICE: Duration = Duration::from_secs(1);

/// Max events read ahead of what is printed. Beyond it the simulator drops events, and says how many.
const READ_AHEAD: usize = 1024;

type EventResult = io::Result<ServerEvent>;

pub fn run(args: &TailArgs) -> Result<ExitCode, Failure> {
    let url = args.admin.url();
    let query =
        args.customer.as_deref().map(|id| format!("?customer_id={}", encoded(id))).unwrap_or_default();
    let response = args.admin.open(&format!("/events{query}")).map_err(|error| match error {
        ClientError::Unreachable => Failure { code: Failure::NOTHING_ANSWERS, message: nothing_answers(url) },
        other => Failure::no(format!("{url}: {other}")),
    })?;
    let not_a_simulator = || format!("{url} is not the admin API of a simulator: it has no GET /events");
    let media_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    if response.status() != 200 || !media_type.is_some_and(|value| value.starts_with("text/event-stream")) {
        let answer = client::whole(response).map_err(|error| Failure::no(format!("{url}: {error}")))?;
        let why = refusal(&answer).map(|why| format!("{url}: {why}"));
        return Err(Failure::no(why.unwrap_or_else(not_a_simulator)));
    }
    eprint_line(format_args!("following the requests at {url}; Ctrl-C ends"));
    if let Some(unknown) = args.customer.as_deref().and_then(|id| args.admin.unknown_customer(id)) {
        eprint_line(format_args!("warning: {unknown}"));
    }
    let events = EventStream::new(BufReader::new(response.into_body().into_reader()));
    let (sender, receiver) = mpsc::sync_channel(READ_AHEAD);
    let reader = std::thread::Builder::new().name("frsim-events".to_owned());
    reader
        .spawn(move || forward(events, &sender))
        .map_err(|error| Failure::no(format!("the operating system refused a thread: {error}")))?;
    let why = Tail::new(args).follow(&receiver)?;
    Err(Failure::no(format!("{url}: {why}: the simulator has stopped, or does not answer any more")))
}

fn forward(events: impl Iterator<Item = EventResult>, sender: &SyncSender<EventResult>) {
    for event in events {
        if sender.send(event).is_err() {
            return;
        }
    }
}

/// What is followed, and how it is printed.
struct Tail<'a> {
    args: &'a TailArgs,
    style: LineStyle,
    throttle: Option<Throttle>,
    /// Requests under way without a line, by id, and when each gets one.
    under_way: BTreeMap<u64, (Instant, EntryLine)>,
}

impl Tail<'_> {
    fn new(args: &TailArgs) -> Tail<'_> {
        let style = LineStyle {
            width: terminal::stdout_width(),
            is_colourful: terminal::stdout_is_colourful(),
            is_verbose: args.verbose,
        };
        let is_throttled = terminal::stdout_is_terminal() && !args.verbose && !args.json;
        let throttle = is_throttled.then(Throttle::default);
        Tail { args, style, throttle, under_way: BTreeMap::new() }
    }

    /// Prints events until the stream ends. Returns why it ended.
    fn follow(mut self, events: &Receiver<EventResult>) -> Result<String, Failure> {
        loop {
            let next_notice = self.under_way.values().map(|(at, _)| *at).min();
            let next_summary = self.throttle.as_ref().and_then(Throttle::deadline);
            match receive_until(events, next_notice.into_iter().chain(next_summary).min()) {
                Ok(Ok(event)) => self.print(&event)?,
                Ok(Err(error)) => return Ok(client::io_words(&error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok("the stream ended".to_owned()),
            }
            let now = Instant::now();
            if let Some(summary) = self.throttle.as_mut().and_then(|throttle| throttle.roll(now)) {
                say(summary)?;
            }
            self.print_under_way(now)?;
        }
    }

    fn print(&mut self, event: &ServerEvent) -> Result<(), Failure> {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        match (event.name.as_str(), EntryLine::of_json(&data)) {
            ("request", Some(line)) if !self.args.json => {
                self.under_way.insert(line.id, (Instant::now() + NOTICE, line));
                Ok(())
            }
            ("request", _) => Ok(()),
            ("done" | "aborted", _) if self.args.json && data.is_object() => say(&event.data),
            ("done" | "aborted", Some(line)) => {
                self.under_way.remove(&line.id);
                let admitted = self.throttle.as_mut();
                let admitted =
                    admitted.map(|throttle| throttle.admit(Instant::now(), &line.delivered.label()));
                let (summary, is_shown) = admitted.unwrap_or((None, true));
                summary.map_or(Ok(()), say)?;
                if is_shown { say(line.text(&self.style)) } else { Ok(()) }
            }
            _ => self.note(&note_text(&event.name, &data, &event.data)),
        }
    }

    /// Prints a line that is not about a request. JSON on stdout stays that of entries.
    fn note(&self, note: &str) -> Result<(), Failure> {
        if self.args.json {
            eprint_line(note);
            return Ok(());
        }
        say(self.style.paint(DIM, note))
    }

    /// Prints the requests that have been under way for a second.
    fn print_under_way(&mut self, now: Instant) -> Result<(), Failure> {
        let due: Vec<_> = self.under_way.extract_if(.., |_, (at, _)| *at <= now).collect();
        for (id, (_, line)) in due {
            // Bytes may have been sent since; one that has ended has its event soon.
            let entry = self.args.admin.get_json(&format!("/requests/{id}"));
            let line = entry.as_ref().and_then(EntryLine::of_json).unwrap_or(line);
            if line.is_under_way() {
                say(line.text_under_way(&self.style, NOTICE))?;
            }
        }
        Ok(())
    }
}

/// Says what an event that is not about a request says; unknown ones as they are.
fn note_text(name: &str, data: &Value, raw: &str) -> String {
    let field = |name: &str| data[name].as_str().unwrap_or_default();
    let note = match name {
        "lagged" => {
            let lost = data["lost"].as_u64().unwrap_or_default();
            format!("{lost} events lost: they came faster than they were read")
        }
        "cleared" => match field("customer_id") {
            "" => "journal cleared".to_owned(),
            customer => format!("journal of {customer} cleared"),
        },
        "changed" if !field("path").is_empty() => {
            let by = if field("peer").is_empty() { String::new() } else { format!(" by {}", field("peer")) };
            let who = if field("name").is_empty() { String::new() } else { format!(" {}", field("name")) };
            format!("{} {}{by}{who}", field("method"), field("path")).trim().to_owned()
        }
        name => format!("{name}: {}", text::truncate(raw, 200)),
    };
    plain(&note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_readable_whatever_their_fields() {
        for (name, data, note) in [
            ("lagged", r#"{"lost":3}"#, "3 events lost: they came faster than they were read"),
            ("cleared", "{}", "journal cleared"),
            ("cleared", r#"{"customer_id":"demo"}"#, "journal of demo cleared"),
            (
                "changed",
                r#"{"method":"PUT","path":"/customers/x","peer":"127.0.0.1","name":"ani"}"#,
                "PUT /customers/x by 127.0.0.1 ani",
            ),
            (
                "changed",
                r#"{"method":"PUT","path":"/clock","peer":"127.0.0.1","name":null}"#,
                "PUT /clock by 127.0.0.1",
            ),
            ("changed", r#"{"method":"PUT","path":"/clock"}"#, "PUT /clock"),
            ("changed", "[]", "changed: []"),
            ("news", "{\"a\":\u{1b}1}", "news: {\"a\":\u{FFFD}1}"),
        ] {
            assert_eq!(note_text(name, &serde_json::from_str(data).unwrap_or_default(), data), note);
        }
    }
}
