//! `serve` in a terminal: a pseudo-terminal as its stderr.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::binary::{address, command, listening};
use crate::support::{KEYS, Sim, exchange, http};

/// `serve` in a terminal of this width.
struct Terminal {
    child: Child,
    screen: OwnedFd,
    ready: String,
}

impl Terminal {
    fn start(columns: u16) -> Terminal {
        let (screen, stderr) = pseudo_terminal();
        let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&screen, size).unwrap();
        let mut command = command(&listening("127.0.0.1:0", KEYS.path()));
        command.env("NO_COLOR", "1").stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap();
        // The parent's copy of the terminal's other side: with it, reading would never end.
        drop(command);
        let mut ready = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut ready).unwrap();
        Terminal { child, screen, ready }
    }

    fn call(&self, customer: &str) {
        let endpoint = self.ready.split_whitespace().find_map(|part| part.strip_prefix("endpoint=")).unwrap();
        let path = format!("/api/face-recognition/{customer}/CALL_FN");
        exchange(address(endpoint), &http("POST", &path, "", br#"{"transactionId":"call-123456789abcdef"}"#));
    }

    /// Sends a signal. Returns the exit code and what the terminal shows.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        let mut shown = Vec::new();
        // The end of a terminal is an error on Linux.
        let _ = File::from(self.screen).read_to_end(&mut shown);
        (code, String::from_utf8(shown).unwrap())
    }
}

/// A pseudo-terminal: its screen, and its other side.
fn pseudo_terminal() -> (OwnedFd, OwnedFd) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let other = open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    (screen, other)
}

#[test]
fn an_account_that_is_not_given_is_asked_for_and_not_shown() {
    let sim = Sim::start();
    let (screen, other) = pseudo_terminal();
    let (url, key) = (sim.0.url(), KEYS.path().join("public.pem"));
    let mut run =
        command(&["conformance", "run", "--target", &url, "--customer", "demo", "--ip", "10.0.0.1"]);
    run.args(["--case", "4.6/21", "--public-key", key.to_str().unwrap()]);
    run.env_remove("FRSIM_USER_ID").env_remove("FRSIM_PASSWORD");
    run.stdin(other.try_clone().unwrap()).stderr(other).stdout(Stdio::piped());
    let child = run.spawn().unwrap();
    drop(run);
    let (mut screen, mut shown, mut chunk) = (File::from(screen), String::new(), [0; 256]);
    for (question, answer) in
        [("user_id (not shown): ", "demo-user\n"), ("password (not shown): ", "demo-password\n")]
    {
        while !shown.ends_with(question) {
            let count = screen.read(&mut chunk).unwrap();
            shown.push_str(&String::from_utf8_lossy(&chunk[..count]));
        }
        std::io::Write::write_all(&mut screen, answer.as_bytes()).unwrap();
    }
    let end = child.wait_with_output().unwrap();
    // The end of a terminal is an error on Linux.
    while let Ok(count @ 1..) = screen.read(&mut chunk) {
        shown.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    assert!(end.status.success(), "the account was right: {shown} {end:?}");
    assert!(!shown.contains("demo-user") && !shown.contains("demo-password"), "{shown}");
}

/// Columns that a text takes: `⚡` takes two.
fn width(line: &str) -> usize {
    line.chars().map(|c| if c == '⚡' { 2 } else { 1 }).sum()
}

#[test]
fn a_closed_terminal_ends_the_program() {
    let (code, shown) = Terminal::start(80).end("-HUP");
    assert_eq!(code, Some(0));
    assert!(shown.contains("stopped: no requests; seed 0"), "{shown}");
}

#[test]
fn the_lines_fit_the_terminal() {
    for columns in [80, 120] {
        let terminal = Terminal::start(columns);
        for customer in ["sample-6018", "demo", "always-6014", "nobody-of-this-name"] {
            terminal.call(customer);
        }
        let (_, shown) = terminal.end("-INT");
        for line in shown.lines().map(|line| line.trim_end_matches('\r')) {
            let is_fixture_path =
                line.contains("  fixtures ") || line.contains("  key ") || line.contains("  try ");
            assert!(width(line) <= usize::from(columns) || is_fixture_path, "{columns}: {line}");
        }
        let rows: Vec<_> = shown.lines().filter(|line| line.contains(" #")).collect();
        assert_eq!(rows.len(), 4, "{shown}");
        let starts: Vec<_> = rows.iter().map(|row| width(row.split_once("call-").unwrap().0)).collect();
        assert!(starts.iter().all(|start| *start == starts[0]), "the columns are aligned: {shown}");
        assert!(shown.contains("stopped: 4 requests: "), "{shown}");
    }
}

#[test]
fn above_fifty_requests_a_second_there_is_a_summary() {
    let terminal = Terminal::start(100);
    // However slow the machine, all in one second or not, nothing is lost: lines and summaries add up.
    const CALLS: usize = 120;
    for _ in 0..CALLS {
        terminal.call("sample-6018");
    }
    let (_, shown) = terminal.end("-TERM");
    let rows = shown.lines().filter(|line| line.contains(" #")).count();
    let summarized: usize = shown
        .lines()
        .filter_map(|line| line.strip_prefix("... ")?.split_once(" more in this second: 6018 \u{d7}"))
        .map(|(count, _)| count.parse::<usize>().unwrap())
        .sum();
    assert_eq!(rows + summarized, CALLS, "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.contains("stopped: 120 requests: 6018 \u{d7}120; seed 0"), "{shown}");
}
