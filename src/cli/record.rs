//! `record`: a proxy that keeps shapes, not data; and what is done with a recording.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::credentials::credentials;
use super::record_diff::{self, RecordDiffArgs};
use super::record_replay::{self, RecordReplayArgs};
use super::signals::EndSignals;
use super::terminal::{eprint_line, say};
use super::{Failure, address};
use crate::base::network;
use crate::conformance::recording::check::{CheckedRecording, check};
use crate::conformance::recording::exchange::{EndReason, RecordingHeader};
use crate::conformance::recording::proxy::{self, ProxySummary};
use crate::conformance::recording::recorder::{
    MAX_HELD, Recorder, RecorderNews, RecorderSettings, RecordingSummary,
};
use crate::conformance::target::{self, Permission, Reach, Target};
use crate::domain::customer::Account;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RecordArgs {
    #[command(subcommand)]
    command: Option<RecordCommand>,
    /// URL of the endpoint, such as http://172.16.160.176:8080
    #[arg(long, value_name = "URL", required = true)]
    upstream: Option<String>,
    /// Address that clients are pointed to
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,
    /// File of the recording; it must not exist
    #[arg(long, value_name = "FILE", required = true)]
    out: Option<PathBuf>,
    /// End after so many exchanges
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_calls: Option<u64>,
    /// End after this time, such as 8h
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Keep the first six digits of the NIKs in answers, which say district and sub-district
    #[arg(long)]
    keep_area: bool,
    /// Name of the endpoint in the recording [default: loopback or endpoint]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The target again; required off loopback
    #[arg(long, value_name = "HOST:PORT")]
    confirm: Option<String>,
    /// Allow a public address as target
    #[arg(long)]
    allow_public: bool,
}

#[derive(Debug, Subcommand)]
enum RecordCommand {
    /// Look for data in recordings, and print every text that they hold
    Check(RecordCheckArgs),
    /// Write fixtures that answer as the endpoint did
    Replay(RecordReplayArgs),
    /// Say what the simulator would have answered otherwise, and under which policy it would not
    Diff(RecordDiffArgs),
}

#[derive(Debug, Args)]
struct RecordCheckArgs {
    /// Recordings
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File with user_id and password, a line each, that must not be in a recording; - for stdin
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

/// Max characters of a name in the file.
const MAX_NAME: usize = 40;

pub fn run(args: &RecordArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        None => record(args),
        Some(RecordCommand::Check(args)) => check_files(args),
        Some(RecordCommand::Replay(args)) => record_replay::run(args),
        Some(RecordCommand::Diff(args)) => record_diff::run(args),
    }
}

fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    // clap requires both.
    let (Some(upstream), Some(out)) = (&args.upstream, &args.out) else {
        return Err(Failure::bad_input("--upstream and --out are required"));
    };
    let url = upstream.trim_end_matches('/');
    let upstream = Target::resolve(url, target::by_system).map_err(Failure::bad_input)?;
    if let Some(path) = url.splitn(4, '/').nth(3) {
        return Err(Failure::bad_input(format!(
            "--upstream: paths are passed on as the client sends them, so leave out /{path}"
        )));
    }
    // A recorder makes no calls of its own, so it needs no budget.
    let permission =
        Permission { budget: Some(0), confirm: args.confirm.as_deref(), allow_public: args.allow_public };
    if let Some(why) = upstream.refusal(permission) {
        return Err(Failure::refused(why));
    }
    let header = header(args, &upstream)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::bad_input(format!("the operating system refused: {error}")))?;
    // Before the first line: a signal right after it must end the recording, not kill the process.
    let mut signals =
        runtime.block_on(async { EndSignals::listen() }).map_err(|error| failed(out, &error))?;
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let listener = TcpListener::bind(args.listen).map_err(|error| Failure {
        code: Failure::ADDRESS_IN_USE,
        message: address::explain(args.listen, "--listen", &error),
    })?;
    let listen = listener.local_addr().map_err(|error| failed(out, &error))?;
    // The usual message of a panic may quote what was read.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or(String::new(), |at| format!(", at {}:{}", at.file(), at.line()));
        eprint_line(format_args!("a mistake of this program{at}"));
    }));
    let (news, mut heard) = mpsc::unbounded_channel();
    let settings = RecorderSettings { header, max_calls: args.max_calls, max_held: MAX_HELD };
    let tell = move |told| drop(news.send(told));
    let recorder =
        Recorder::start(Box::new(create(out)?), settings, tell).map_err(|error| failed(out, &error))?;
    say(format_args!(
        "recording {} to {}: point the client to http://{}",
        upstream.authority,
        out.display(),
        network::from_here(listen)
    ))?;
    if !listen.ip().to_canonical().is_loopback() {
        eprint_line(format_args!(
            "{listen} is not loopback: whoever reaches it reaches {} through this machine",
            upstream.authority
        ));
    }
    let (stop, stopping) = watch::channel(false);
    let handle = recorder.handle();
    let (why, passed) = runtime.block_on(async {
        let traffic = proxy::run(listener, upstream.address, &handle, stopping);
        tokio::pin!(traffic);
        let time = args.time;
        let over = async {
            if let Some(time) = time { tokio::time::sleep(time).await } else { std::future::pending().await }
        };
        tokio::pin!(over);
        let why = loop {
            tokio::select! {
                passed = &mut traffic => return (EndReason::Signal, passed),
                () = signals.wait() => break EndReason::Signal,
                () = &mut over => break EndReason::Time,
                Some(told) = heard.recv() => match told {
                    RecorderNews::Full => break EndReason::MaxCalls,
                    RecorderNews::Failed(error) => {
                        eprint_line(format_args!(
                            "{}: {error}: the recording has stopped, and the traffic goes on",
                            out.display()
                        ));
                    }
                },
            }
        };
        let _ = stop.send(true);
        (why, traffic.await)
    });
    let passed = passed.map_err(|error| failed(out, &error))?;
    let written = runtime.block_on(async {
        let ended = tokio::task::spawn_blocking(move || recorder.end(why));
        tokio::select! {
            summary = ended => summary.ok(),
            () = signals.wait() => None,
        }
    });
    // A disk that hangs must not hold the process.
    runtime.shutdown_background();
    let Some(summary) = written else {
        return Err(failed(out, &"interrupted before everything was written"));
    };
    say(summed_up(&summary, &passed, out))?;
    match summary.failure {
        Some(error) => Err(Failure::no(format!("{}: the recording is not whole: {error}", out.display()))),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::bad_input(format!("{}: {error}", path.display()))
}

fn header(args: &RecordArgs, upstream: &Target) -> Result<RecordingHeader, Failure> {
    let default = if upstream.reach() == Reach::Loopback { "loopback" } else { "endpoint" };
    let target = args.name.clone().unwrap_or_else(|| default.to_owned());
    let is_plain = target.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if !is_plain || !(1..=MAX_NAME).contains(&target.len()) {
        return Err(Failure::bad_input(format!(
            "--name: at most {MAX_NAME} of the letters a to z and hyphens"
        )));
    }
    Ok(RecordingHeader::new(target, args.keep_area, Timestamp::now()))
}

/// Creates the file, which only its owner can read.
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            failed(path, &"it exists, and a recording does not replace a file")
        }
        _ => failed(path, &error),
    })
}

fn summed_up(summary: &RecordingSummary, passed: &ProxySummary, out: &Path) -> String {
    let RecordingSummary { exchanges, partly, lost, failure: _ } = summary;
    let mut text = format!("recorded: exchanges {exchanges}, connections {}", passed.connections);
    for (count, what) in [
        (*partly, "in part as lengths"),
        (*lost, "connections that the recorder could not keep up with"),
        (passed.unreachable, "connections that the endpoint did not accept"),
    ] {
        if count > 0 {
            text += &format!(", {what} {count}");
        }
    }
    text + &format!("\nread what is in it: dukcapil-fr-sim record check {}", out.display())
}

fn check_files(args: &RecordCheckArgs) -> Result<ExitCode, Failure> {
    let accounts: Vec<Account> = match &args.credentials {
        None => Vec::new(),
        Some(path) => {
            let (user_id, password) = credentials(Some(path))?;
            vec![Account { user_id: user_id.reveal().to_owned(), password: password.reveal().to_owned() }]
        }
    };
    let mut is_clean = true;
    for path in &args.files {
        let bytes = std::fs::read(path).map_err(|error| failed(path, &error))?;
        let checked =
            check(&bytes, &accounts).map_err(|why| failed(path, &format!("not a recording: {why}")))?;
        is_clean &= checked.found.is_empty();
        say(shown(path, &checked).trim_end())?;
    }
    Ok(ExitCode::from(u8::from(!is_clean)))
}

/// What was found in a recording, and every text in it.
fn shown(path: &Path, checked: &CheckedRecording) -> String {
    let path = path.display();
    let mut text = format!("{path}: exchanges {}\n", checked.exchanges);
    for (line, kind) in &checked.found {
        text += &format!("{path}:{line}: {kind}\n");
    }
    if checked.found.is_empty() {
        text += "nothing was found that must not be there. Every text in it, with its count:\n";
    }
    for ((kind, own), count) in &checked.texts {
        text += &format!("{count:>7}  {kind:<15} {}\n", own.escape_debug());
    }
    text
}
