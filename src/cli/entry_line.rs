//! A request as a line for people. `serve` has it from the journal's entry, `tail` and `call` from an entry's JSON.
//!
//! A line leads with what left the socket. On a terminal it fits the width: texts are cut with `…`, so that columns stay aligned.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::base::text::wrap;
use crate::base::time;
use crate::domain::faults::FaultKind;
use crate::domain::fidelity::RestsOn;
use crate::protocol::Code;
use crate::state::journal::{Delivered, Entry, Sent};

pub const DIM: Style = Style::new().dimmed();
pub const GREEN: Style = AnsiColor::Green.on_default();
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
pub const RED: Style = AnsiColor::Red.on_default();

/// From this width on, lines have milliseconds and wider columns.
const WIDE: usize = 100;

/// Indentation of further lines about a request.
const INDENT: usize = 13;

/// How lines are written.
#[derive(Clone, Copy, Debug)]
pub struct LineStyle {
    /// Width of the terminal in columns; `None` elsewhere, where nothing is cut.
    pub width: Option<usize>,
    pub is_colourful: bool,
    /// Whether whole reasons, hints and warnings follow on lines of their own.
    pub is_verbose: bool,
}

impl LineStyle {
    /// Returns a text in a style.
    pub fn paint(&self, style: Style, text: &str) -> String {
        let style = if self.is_colourful { style } else { Style::new() };
        format!("{style}{text}{style:#}")
    }
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct EntryLine {
    pub id: u64,
    /// RFC 3339 with milliseconds.
    at: String,
    pub customer_id: Option<String>,
    transaction_id: Option<String>,
    trace_id: Option<String>,
    pub delivered: Delivered,
    pub sent: Sent,
    /// What was decided.
    pub code: Option<Code>,
    status: Option<u16>,
    /// Kind and rule.
    pub fault: Option<(&'static FaultKind, String)>,
    /// Duration and rule.
    pub delay: Option<(Duration, String)>,
    pub reason: String,
    pub hint: Option<String>,
    pub warnings: Vec<String>,
    /// What the answer rests on.
    pub rests_on: Vec<RestsOn>,
    pub elapsed_us: u64,
}

impl From<&Entry> for EntryLine {
    fn from(entry: &Entry) -> EntryLine {
        let sent = entry.sending.sent();
        let fault =
            entry.fault.as_ref().and_then(|fault| Some((FaultKind::find(fault.kind)?, fault.rule.clone())));
        let delay = entry.delay.as_ref();
        EntryLine {
            id: entry.id,
            at: time::rfc3339_millis(entry.at),
            customer_id: entry.customer_id.clone(),
            transaction_id: entry.request.transaction_id.clone(),
            trace_id: entry.trace_id.clone(),
            delivered: entry.delivered(sent),
            sent,
            code: entry.answer.code.clone(),
            status: entry.answer.status,
            fault,
            delay: delay.map(|delay| (Duration::from_micros(delay.us), delay.rule.clone())),
            reason: entry.answer.reason.clone(),
            hint: entry.answer.hint.clone(),
            warnings: entry.warnings.iter().map(|warning| warning.message.clone()).collect(),
            rests_on: entry.grounds.rests_on(),
            elapsed_us: entry.sending.elapsed_us(),
        }
    }
}

impl EntryLine {
    /// Reads an entry of the admin API; `None` when it is not one.
    pub fn of_json(entry: &Value) -> Option<EntryLine> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let answer = &entry["answer"];
        let code = answer["code"].as_str().and_then(|code| Code::new(code).ok());
        let rule = |value: &Value| text(&value["rule"]).unwrap_or_default();
        let fault = &entry["fault"];
        let fault = fault["kind"].as_str().and_then(FaultKind::find).map(|kind| (kind, rule(fault)));
        let delay = &entry["delay"];
        let sent: Sent = serde_json::from_value(entry["sent"].clone()).ok()?;
        let is_spoiled = fault.as_ref().is_some_and(|(kind, _)| kind.spoils);
        let warnings = entry["warnings"].as_array().into_iter().flatten();
        Some(EntryLine {
            id: entry["id"].as_u64()?,
            at: text(&entry["at"])?,
            customer_id: text(&entry["customer_id"]),
            transaction_id: text(&entry["request"]["transaction_id"]),
            trace_id: text(&entry["trace_id"]),
            delivered: Delivered::of(code.as_ref(), is_spoiled, sent),
            sent,
            code,
            status: answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()),
            fault,
            delay: delay["us"].as_u64().map(|us| (Duration::from_micros(us), rule(delay))),
            reason: text(&answer["reason"]).unwrap_or_default(),
            hint: text(&answer["hint"]),
            warnings: warnings.filter_map(|warning| text(&warning["message"])).collect(),
            rests_on: serde_json::from_value(entry["rests_on"].clone()).unwrap_or_default(),
            elapsed_us: entry["elapsed_us"].as_u64().unwrap_or_default(),
        })
    }

    /// Returns whether a fault of a rule made the answer fail or linger. A delay is no fault.
    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// Returns the mark behind the code: `~` where another code or status is possible.
    pub fn mark(&self) -> &'static str {
        guess_mark(&self.rests_on)
    }

    /// Returns whether it has not ended.
    pub fn is_under_way(&self) -> bool {
        self.delivered == Delivered::Pending
    }

    /// Says what happened: what was sent and by which rule, then what was decided, and the trace that the request belongs to.
    pub fn story(&self) -> String {
        let decided = match (&self.code, self.status) {
            (Some(code), _) => format!("decided {code}, {}", self.reason),
            (None, Some(status)) => format!("decided HTTP {status}, {}", self.reason),
            (None, None) => String::new(),
        };
        let by = |(kind, rule): &(&'static FaultKind, String)| format!("{} by rule \"{rule}\"", kind.effect);
        let left = if self.delivered == Delivered::Nothing { ", until the client left" } else { "" };
        let mut parts = match &self.fault {
            Some(fault) if fault.0.spoils => vec![by(fault) + left, decided],
            Some(fault) if left.is_empty() => vec![self.reason.clone(), by(fault)],
            Some(fault) => vec![by(fault) + left, decided],
            None if left.is_empty() || self.code.is_none() => vec![self.reason.clone()],
            None => vec!["the client left first".to_owned(), decided],
        };
        if let Some((delay, rule)) = &self.delay {
            parts.push(format!("delayed {} by rule \"{rule}\"", humantime::format_duration(millis(*delay))));
        }
        parts.extend(self.trace_id.as_ref().map(|id| format!("trace {id}")));
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }

    /// Says how far a request is that has been under way for `time`.
    pub fn under_way(&self, time: Duration) -> String {
        let time = humantime::format_duration(time);
        let so_far = match self.sent.bytes {
            0 => format!("nothing sent for {time}"),
            bytes => format!("{bytes} bytes sent in {time}"),
        };
        match (&self.fault, &self.delay) {
            (Some((kind, rule)), _) => format!("{so_far}: {} by rule \"{rule}\"", kind.name),
            (None, Some((delay, rule))) => {
                let delay = humantime::format_duration(millis(*delay));
                format!("{so_far}: delayed {delay} by rule \"{rule}\"")
            }
            (None, None) => so_far,
        }
    }

    /// Returns the line of a request that has ended.
    pub fn text(&self, style: &LineStyle) -> String {
        self.line(style, &self.story(), &elapsed(self.elapsed_us))
    }

    /// Returns the line of a request that has been under way for `time`.
    pub fn text_under_way(&self, style: &LineStyle, time: Duration) -> String {
        self.line(&LineStyle { is_verbose: false, ..*style }, &self.under_way(time), "")
    }

    fn line(&self, style: &LineStyle, story: &str, elapsed: &str) -> String {
        let is_wide = style.width.is_none_or(|width| width >= WIDE);
        let time = self.at.get(11..if is_wide { 23 } else { 19 }).unwrap_or_default();
        let column = |text: Option<&str>, width: usize| {
            let text = plain(text.unwrap_or("-"));
            if style.width.is_some() { fit(&text, width) } else { pad(text, width) }
        };
        let columns = format!(
            "{:<5}{} {} ",
            format!("#{}", self.id),
            column(self.customer_id.as_deref(), if is_wide { 14 } else { 12 }),
            column(self.transaction_id.as_deref(), if style.width.is_some() { 12 } else { 20 }),
        );
        let mark = if self.has_fault() { "⚡ " } else { "" };
        let outcome = pad(format!("{mark}{}", self.outcome()), 8);
        let warnings = match self.warnings.len() {
            0 => String::new(),
            count => format!("⚠{count} "),
        };
        let story = plain(story);
        let head = format!("{} {columns}{} ", style.paint(DIM, time), style.paint(self.colour(), &outcome));
        let Some(width) = style.width else {
            let elapsed = if elapsed.is_empty() { String::new() } else { format!("  {elapsed}") };
            return head + &warnings + &story + &elapsed + &self.further(style, None);
        };
        // Without the escapes of colours.
        let taken = time.width() + 1 + columns.width() + outcome.width() + 1;
        let room = width.saturating_sub(taken + elapsed.width() + 1).max(10);
        let whole = warnings + &story;
        let is_cut = whole.width() > room;
        let row = format!("{head}{} {}", fit(&whole, room), style.paint(DIM, elapsed));
        row.trim_end().to_owned() + &self.further(style, Some((width, is_cut.then_some(story.as_str()))))
    }

    /// Lines below: the whole reason where it was cut, hint and warnings.
    fn further(&self, style: &LineStyle, terminal: Option<(usize, Option<&str>)>) -> String {
        if !style.is_verbose {
            return String::new();
        }
        let whole = terminal.and_then(|(_, story)| story).map(str::to_owned);
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}"));
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}"));
        let width = terminal.map_or(usize::MAX, |(width, _)| width.saturating_sub(INDENT).max(20));
        let guesses = self.rests_on.iter().map(|one| format!("guess: {one}"));
        let lines = whole
            .into_iter()
            .chain(hint)
            .chain(warnings)
            .chain(guesses)
            .flat_map(|text| wrap(&plain(&text), width));
        lines.map(|line| format!("\n{}{}", " ".repeat(INDENT), style.paint(DIM, &line))).collect()
    }

    /// What the client got, as short as a column is.
    fn outcome(&self) -> String {
        match &self.delivered {
            // The mark of the fault needs the room.
            Delivered::Status(status) if self.has_fault() => status.to_string(),
            Delivered::Nothing => "gone".to_owned(),
            Delivered::Code(code) => format!("{code}{}", self.mark()),
            // As short as a code: the mark needs the room.
            Delivered::Status(status) if !self.mark().is_empty() => format!("{status}{}", self.mark()),
            other => other.to_string(),
        }
    }

    /// Returns the colour of what the client got.
    pub fn colour(&self) -> Style {
        match &self.delivered {
            Delivered::Code(code) if code.as_str() == "6018" => GREEN,
            Delivered::Code(code) if code.as_str().starts_with('6') => YELLOW,
            Delivered::Nothing | Delivered::Pending => DIM,
            _ if self.has_fault() => YELLOW,
            Delivered::Status(200..=399) => GREEN,
            _ => RED,
        }
    }
}

/// Returns the mark behind a code: `~` where the code or the status rests on an assumption.
pub fn guess_mark(rests_on: &[RestsOn]) -> &'static str {
    if rests_on.iter().any(RestsOn::is_of_the_code) { "~" } else { "" }
}

/// Rounds down to whole milliseconds.
pub fn millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Formats a duration, right-aligned.
pub fn elapsed(micros: u64) -> String {
    match micros {
        0..10_000_000 => format!("{:>6.1} ms", micros as f64 / 1e3),
        _ => format!("{:>7.1} s", micros as f64 / 1e6),
    }
}

/// Replaces control characters, so that a client's input cannot control the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// Pads a text to a number of columns.
fn pad(mut text: String, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// Cuts or pads a text to a number of columns.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return pad(text.to_owned(), width);
    }
    let mut cut = String::new();
    let mut left = width.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(c.width().unwrap_or_default()) else { break };
        left = rest;
        cut.push(c);
    }
    pad(cut + "…", width)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLAIN: LineStyle = LineStyle { width: None, is_colourful: false, is_verbose: false };

    fn at_width(width: usize, is_verbose: bool) -> LineStyle {
        LineStyle { width: Some(width), is_verbose, ..PLAIN }
    }

    fn request(fault: Value, sent: Value) -> EntryLine {
        EntryLine::of_json(&json!({
            "id": 7, "at": "2026-11-21T02:11:51.358+07:00", "customer_id": "reset",
            "request": { "transaction_id": "call-dd70aaaaaaaaaaa" },
            "answer": { "status": 200, "code": "6018", "reason": "1 candidate", "hint": "none needed" },
            "fault": fault, "sent": sent, "elapsed_us": 812,
            "warnings": [{ "name": "bom", "message": "the body starts with a byte order mark" }],
        }))
        .unwrap()
    }

    fn sent(status: Option<u16>, bytes: u64, end: &str) -> Value {
        json!({ "status": status, "bytes": bytes, "end": end })
    }

    #[test]
    fn a_line_leads_with_what_left_the_socket() {
        let fault = |kind: &str| json!({ "kind": kind, "rule": "f" });
        for (line, outcome, story) in [
            (request(Value::Null, sent(Some(200), 900, "complete")), "6018", "1 candidate"),
            (
                request(fault("reset"), sent(None, 0, "rst")),
                "⚡ RST",
                "reset without a byte by rule \"f\"; decided 6018, 1 candidate",
            ),
            (
                request(fault("gateway_page"), sent(Some(502), 300, "complete")),
                "⚡ 502",
                "gateway page by rule \"f\"; decided 6018, 1 candidate",
            ),
            (
                request(fault("hang"), sent(None, 0, "none")),
                "⚡ gone",
                "held open without a byte by rule \"f\", until the client left; decided 6018, 1 candidate",
            ),
            (
                request(fault("dribble"), sent(Some(200), 900, "complete")),
                "⚡ 6018",
                "1 candidate; body sent piece by piece by rule \"f\"",
            ),
            (
                request(Value::Null, sent(None, 0, "none")),
                "gone",
                "the client left first; decided 6018, 1 candidate",
            ),
        ] {
            let text = line.text(&PLAIN);
            let found = text.split_once("aaaaaaaaaaa ").unwrap().1;
            assert!(found.starts_with(outcome), "{text}");
            assert!(text.ends_with(&format!("⚠1 {story}     0.8 ms")), "{text}");
        }
    }

    #[test]
    fn a_code_that_rests_on_an_assumption_has_a_mark() {
        let guess = |differs: &str| {
            let rests_on = json!([{
                "key": "not_found", "standing": "assumed", "other_value": "6019", "other_answer": "6019", "differs": differs,
            }]);
            let mut entry = json!({
                "id": 7, "at": "2026-11-21T02:11:51.358+07:00", "customer_id": "demo", "request": { "transaction_id": "T" },
                "answer": { "status": 200, "code": "6018", "reason": "nobody" }, "warnings": [], "elapsed_us": 812,
                "sent": sent(Some(200), 900, "complete"),
            });
            entry["rests_on"] = rests_on;
            entry
        };
        let text = |entry: &Value, style: &LineStyle| EntryLine::of_json(entry).unwrap().text(style);
        assert!(text(&guess("code"), &PLAIN).contains(" 6018~    nobody"));
        assert!(
            text(&guess("value"), &PLAIN).contains(" 6018     nobody"),
            "only a value in the body differs"
        );
        let verbose = text(&guess("value"), &at_width(100, true));
        assert!(
            verbose.ends_with("\n             guess: not_found is assumed; with \"6019\": 6019"),
            "{verbose}"
        );
        let mut refused = guess("code");
        refused["answer"] = json!({ "status": 415, "code": null, "reason": "no JSON" });
        refused["sent"] = sent(Some(415), 300, "complete");
        assert!(text(&refused, &PLAIN).contains(" 415~     no JSON"));
        refused["sent"] = sent(None, 0, "rst");
        refused["fault"] = json!({ "kind": "reset", "rule": "f" });
        assert!(!text(&refused, &PLAIN).contains('~'), "no code was sent");
    }

    #[test]
    fn a_line_ends_with_the_trace_that_the_request_belongs_to() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let traced = EntryLine {
            trace_id: Some(id.to_owned()),
            ..request(Value::Null, sent(Some(200), 900, "complete"))
        };
        assert!(traced.text(&PLAIN).ends_with(&format!("1 candidate; trace {id}     0.8 ms")));
        assert!(!traced.text(&at_width(80, false)).contains(id), "there is no room");
        assert!(traced.text(&at_width(80, true)).contains(&format!("1 candidate; trace {id}\n")));
    }

    #[test]
    fn lines_fit_the_terminal_and_columns_are_aligned() {
        let lines = [
            request(Value::Null, sent(Some(200), 900, "complete")),
            request(json!({ "kind": "reset", "rule": "a rule with a long name" }), sent(None, 0, "rst")),
        ];
        for width in [80, 100, 120, 200] {
            for line in &lines {
                assert_eq!(line.text(&at_width(width, false)).width(), width, "{line:?}");
            }
        }
        let narrow = lines[1].text(&at_width(80, false));
        assert!(
            narrow.starts_with("02:11:51 #7   reset        call-dd70aa… ⚡ RST   ⚠1 reset without"),
            "{narrow}"
        );
        let verbose = lines[1].text(&at_width(80, true));
        let whole = "\n             reset without a byte by rule \"a rule with a long name\"; decided\n             6018, 1 candidate\n";
        assert!(verbose.contains(whole), "{verbose}");
        assert!(verbose.ends_with("\n             hint: none needed\n             warning: the body starts with a byte order mark"), "{verbose}");
    }

    #[test]
    fn a_request_under_way_says_what_it_waits_for() {
        let second = Duration::from_secs(1);
        let hanging = request(json!({ "kind": "hang", "rule": "h" }), sent(None, 0, "pending"));
        assert_eq!(hanging.under_way(second), "nothing sent for 1s: hang by rule \"h\"");
        let slow = request(json!({ "kind": "dribble", "rule": "h" }), sent(Some(200), 321, "pending"));
        assert_eq!(slow.under_way(second), "321 bytes sent in 1s: dribble by rule \"h\"");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[31m\r\nb"), "a\u{FFFD}[31m\u{FFFD}\u{FFFD}b");
    }

    #[test]
    fn wide_characters_are_counted_by_their_columns() {
        assert_eq!(fit("写真写真", 5), "写真…");
        assert_eq!(fit("写真", 5), "写真 ");
        assert_eq!(fit("abcdef", 4), "abc…");
    }
}
