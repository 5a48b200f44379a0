//! What `call` tells of its request below the answer: aligned lines, from the entry that the simulator's journal has of it.
//!
//! It leads with what left the socket. A fault is told as deliberate, with its rule; a broken network has no entry.

use anstyle::Style;

use super::entry_line::{DIM, EntryLine, LineStyle, RED, YELLOW, elapsed, millis, plain};
use crate::base::text::wrap;
use crate::state::journal::{Delivered, Sent, SentEnd};

/// Lines of a label and a text.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<(&'static str, Style, String)>,
}

/// Width of the labels with their blank.
const LABEL: usize = 9;

impl Report {
    /// Adds what the client saw of a broken exchange.
    pub fn broken(&mut self, words: String) {
        self.rows.push(("got", RED, words));
    }

    /// Adds an answer of which no entry is known.
    pub fn answered(&mut self, status: u16, code: Option<&str>) {
        let code = code.map_or(String::new(), |code| format!(", code {code}"));
        self.rows.push(("got", Style::new(), format!("HTTP {status}{code}")));
    }

    pub fn hint(&mut self, text: String) {
        self.rows.push(("hint", Style::new(), text));
    }

    /// Adds the journal's entry of the request.
    pub fn entry(&mut self, entry: &EntryLine) {
        let sent = format!("{}; request #{}{}", sent_words(entry), entry.id, after(entry.elapsed_us));
        self.rows.push(("sent", entry.colour(), sent));
        let customer = entry.customer_id.as_deref().unwrap_or("-");
        if let Some((kind, rule)) = &entry.fault {
            let by = format!("rule \"{rule}\" of customer {customer}");
            self.rows.push(("fault", YELLOW, format!("{} on purpose: {by} ({})", kind.name, kind.effect)));
        }
        if let Some((delay, rule)) = &entry.delay {
            let delay = humantime::format_duration(millis(*delay));
            self.rows.push((
                "delay",
                YELLOW,
                format!("{delay} on purpose: rule \"{rule}\" of customer {customer}"),
            ));
        }
        self.rows.push(match (&entry.delivered, &entry.code) {
            (Delivered::Code(_), _) | (_, None) => ("reason", Style::new(), entry.reason.clone()),
            (_, Some(code)) => ("decided", Style::new(), format!("code {code}: {}", entry.reason)),
        });
        self.rows.extend(entry.hint.clone().map(|hint| ("hint", Style::new(), hint)));
        self.rows.extend(entry.warnings.iter().map(|warning| ("warning", YELLOW, warning.clone())));
        let guesses = entry.rests_on.iter().filter(|one| one.is_of_the_code());
        self.rows.extend(guesses.map(|one| ("guess", Style::new(), one.to_string())));
        self.rows.retain(|(_, _, text)| !text.is_empty());
    }

    /// Returns the lines: labels aligned, long texts broken at the terminal's width.
    pub fn text(&self, style: &LineStyle) -> String {
        let width = style.width.map_or(usize::MAX, |width| width.saturating_sub(LABEL).max(20));
        let rows = self.rows.iter().map(|(label, colour, text)| {
            let lines = wrap(&plain(text), width);
            let lines: Vec<_> = lines.iter().map(|line| style.paint(*colour, line)).collect();
            let label = style.paint(DIM, &format!("{:<LABEL$}", format!("{label}:")));
            format!("{label}{}", lines.join(&format!("\n{}", " ".repeat(LABEL))))
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// Says what left the socket and how it ended.
fn sent_words(entry: &EntryLine) -> String {
    let Sent { status, bytes, end } = entry.sent;
    let what = match (&entry.delivered, status) {
        (Delivered::Code(code), Some(status)) => {
            format!("HTTP {status}, code {code}{}, {}", entry.mark(), counted(bytes))
        }
        (_, Some(status)) => format!("HTTP {status}, {}", counted(bytes)),
        (_, None) if bytes == 0 => "no byte".to_owned(),
        (_, None) if end == SentEnd::Complete => format!("{}, not HTTP", counted(bytes)),
        (_, None) => format!("{} of the head", counted(bytes)),
    };
    let end = match end {
        SentEnd::Complete if status.is_some() => "complete",
        SentEnd::Complete | SentEnd::Fin if status.is_none() => "then closed (FIN)",
        SentEnd::Complete | SentEnd::Fin => "closed before the announced end (FIN)",
        SentEnd::Rst if status.is_none() => "then reset (RST)",
        SentEnd::Rst => "reset before the announced end (RST)",
        SentEnd::None => "until the client left",
        SentEnd::Pending => "still under way",
    };
    format!("{what}, {end}")
}

fn counted(bytes: u64) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

fn after(elapsed_us: u64) -> String {
    if elapsed_us == 0 { String::new() } else { format!(", after {}", elapsed(elapsed_us).trim_start()) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLAIN: LineStyle = LineStyle { width: None, is_colourful: false, is_verbose: false };

    fn report(fault: Value, sent: Value) -> Report {
        let entry = json!({
            "id": 12, "at": "2026-11-21T02:11:51.358+07:00", "customer_id": "c",
            "answer": { "status": 200, "code": "6018", "reason": "1 candidate" },
            "fault": fault, "sent": sent, "elapsed_us": 812,
            "warnings": [{ "name": "bom", "message": "a BOM" }],
        });
        let mut report = Report::default();
        report.entry(&EntryLine::of_json(&entry).unwrap());
        report
    }

    #[test]
    fn it_leads_with_what_was_sent() {
        let fault = |kind: &str| json!({ "kind": kind, "rule": "f" });
        for (fault, status, bytes, end, first, more) in [
            (
                Value::Null,
                Some(200),
                900,
                "complete",
                "HTTP 200, code 6018, 900 bytes, complete",
                "reason:  1 candidate",
            ),
            (fault("reset"), None, 0, "rst", "no byte, then reset (RST)", "decided: code 6018: 1 candidate"),
            (
                fault("hang"),
                None,
                0,
                "none",
                "no byte, until the client left",
                "fault:   hang on purpose: rule \"f\" of customer c (held",
            ),
            (fault("raw"), None, 1, "complete", "1 byte, not HTTP, then closed (FIN)", "decided: "),
            (
                fault("truncate"),
                Some(200),
                99,
                "rst",
                "HTTP 200, 99 bytes, reset before the announced end (RST)",
                "decided: ",
            ),
            (
                fault("bad_length"),
                Some(200),
                99,
                "fin",
                "HTTP 200, 99 bytes, closed before the announced end (FIN)",
                "decided: ",
            ),
            (
                fault("dribble"),
                Some(200),
                900,
                "complete",
                "HTTP 200, code 6018, 900 bytes, complete",
                "reason: ",
            ),
            (
                fault("late_close"),
                Some(200),
                900,
                "pending",
                "HTTP 200, 900 bytes, still under way",
                "decided: ",
            ),
        ] {
            let text = report(fault, json!({ "status": status, "bytes": bytes, "end": end })).text(&PLAIN);
            assert!(text.starts_with(&format!("sent:    {first}; request #12, after 0.8 ms\n")), "{text}");
            assert!(text.contains(&format!("\n{more}")) && text.ends_with("\nwarning: a BOM"), "{text}");
        }
    }

    #[test]
    fn a_code_that_rests_on_an_assumption_says_which() {
        let rests_on = |key: &str, differs: &str| json!({ "key": key, "standing": "assumed", "other_value": "6019", "other_answer": "6019", "differs": differs });
        let entry = json!({
            "id": 12, "at": "2026-11-21T02:11:51.358+07:00", "answer": { "status": 200, "code": "6018", "reason": "nobody" },
            "sent": { "status": 200, "bytes": 9, "end": "complete" }, "warnings": [],
            "rests_on": [rests_on("face_threshold", "value"), rests_on("not_found", "code")],
        });
        let mut report = Report::default();
        report.entry(&EntryLine::of_json(&entry).unwrap());
        let text = report.text(&PLAIN);
        assert!(text.starts_with("sent:    HTTP 200, code 6018~, 9 bytes, complete"), "{text}");
        assert!(
            text.ends_with("\nguess:   not_found is assumed; with \"6019\": 6019") && !text.contains("face"),
            "{text}"
        );
    }

    #[test]
    fn long_texts_are_broken_and_aligned() {
        let mut report = Report::default();
        report.hint("one two three four five six\u{1b}[31m".to_owned());
        let style = LineStyle { width: Some(30), ..PLAIN };
        assert_eq!(report.text(&style), "hint:    one two three four\n         five six\u{FFFD}[31m");
    }
}
