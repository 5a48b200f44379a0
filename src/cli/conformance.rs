//! `conformance`: asks an endpoint how it behaves, safely. `plan` prints the calls, `run` makes them, `show` prints a run again.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Time;

use super::Failure;
use super::credentials::credentials;
use super::encrypt::read_public_key;
use super::ledger::{default_ledger, open_ledger, token};
use super::recordings::read_run;
use super::signals;
use super::terminal::{self, eprint_line, say};
use crate::config::StartPolicy;
use crate::conformance::call_spec::{Subject, made_up_account};
use crate::conformance::cases::{CaseChoice, CaseGroup};
use crate::conformance::model::Model;
use crate::conformance::pictures::TestPictures;
use crate::conformance::raw_client::TcpExchanger;
use crate::conformance::report::{ComparedWith, RunReport};
use crate::conformance::run_file::{RecordedRun, RunFile, RunHeader};
use crate::conformance::runner::{self, RunSettings, RunStop, Surroundings};
use crate::conformance::target::{self, Permission, Reach, Target};
use crate::domain::policy::{Policy, PolicySpec, Preset};

#[derive(Debug, Args)]
pub struct ConformanceArgs {
    #[command(subcommand)]
    command: ConformanceCommand,
}

#[derive(Debug, Subcommand)]
enum ConformanceCommand {
    /// Print every call with its cost and its risk; never connects
    Plan(PlanArgs),
    /// Make the calls, one at a time, within the safety rules
    Run(Box<RunArgs>),
    /// Print the report of a run again; never connects
    Show(ShowArgs),
}

/// Which cases are asked.
#[derive(Debug, Args)]
struct ChoiceArgs {
    /// Groups of cases: door, path, order, matcher, quota [default: door,order]
    #[arg(long, value_name = "GROUP,..", value_delimiter = ',')]
    group: Vec<CaseGroup>,
    /// Only these cases, and the first call
    #[arg(long = "case", value_name = "ID,..", value_delimiter = ',')]
    cases: Vec<String>,
    /// Not these cases
    #[arg(long, value_name = "ID,..", value_delimiter = ',')]
    skip: Vec<String>,
    /// State of the customer: its quota of today is used up
    #[arg(long, value_name = "exhausted")]
    state: Option<CustomerStateArg>,
    /// Accept a risk by its name: account.wrong-password sends the right user_id with a wrong password, which may lock the account
    #[arg(long, value_name = "RISK")]
    accept_risk: Vec<String>,
    /// Price of a charged call, in rupiah, for the plan
    #[arg(long, value_name = "RUPIAH", default_value = "3000")]
    price: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CustomerStateArg {
    Exhausted,
}

#[derive(Debug, Args)]
struct PlanArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
}

/// What a report is compared with, and how it is written.
#[derive(Debug, Args)]
struct ReportArgs {
    /// Policy to compare with: a file of `calibrate` [default: the built-in policy]
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Earlier run to compare with: only what moved differs
    #[arg(long, value_name = "RUN.jsonl", conflicts_with = "expect")]
    baseline: Option<PathBuf>,
    /// Report, as text, json, junit or markdown, to stdout or to a file
    #[arg(long, value_name = "FORMAT[=PATH]", default_value = "text")]
    report: Vec<ReportTarget>,
}

#[derive(Clone, Debug)]
struct ReportTarget {
    format: ReportFormat,
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
    Junit,
    Markdown,
}

impl std::str::FromStr for ReportTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<ReportTarget, String> {
        let (format, path) = text.split_once('=').map_or((text, None), |(format, path)| (format, Some(path)));
        let format = ReportFormat::from_str(format, false)
            .map_err(|_| format!("a report is text, json, junit or markdown, not {format:?}"))?;
        Ok(ReportTarget { format, path: path.map(PathBuf::from) })
    }
}

#[derive(Debug, Args)]
struct RunArgs {
    /// URL of the endpoint, with its prefix unless that is /api/face-recognition
    #[arg(long, value_name = "URL")]
    target: String,
    #[arg(long, value_name = "ID")]
    customer: String,
    #[arg(long, default_value = "CALL_FN")]
    methode: String,
    /// Address that the customer may call from, for the field ip
    #[arg(long, value_name = "ADDR")]
    ip: String,
    /// Public key file of the endpoint: PEM, DER, certificate, JWK
    #[arg(long, value_name = "PEM")]
    public_key: PathBuf,
    /// File with user_id and password, a line each, that only its owner can read; - for stdin [default: FRSIM_USER_ID and FRSIM_PASSWORD, else asked on the terminal]
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Most calls of a day, answered or not; required off loopback
    #[arg(long, value_name = "N")]
    budget: Option<u32>,
    /// The target again; required off loopback
    #[arg(long, value_name = "HOST:PORT")]
    confirm: Option<String>,
    /// Allow a public address as target
    #[arg(long)]
    allow_public: bool,
    /// Pause between two calls; at least 1s off loopback [default: 3s, on loopback none]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pace: Option<Duration>,
    /// Timeout of a call
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Hours in Jakarta in which calls may be made
    #[arg(long, value_name = "HH:MM..HH:MM", value_parser = hours)]
    between: Option<(Time, Time)>,
    /// Most answers 5001 to a made-up account
    #[arg(long, value_name = "N", default_value = "1")]
    max_account_failures: u32,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// File that counts the calls of each day [default: in the user's state directory]
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Photo of a real face, for match/self; with --consent
    #[arg(long, value_name = "FILE", requires = "consent")]
    face: Option<PathBuf>,
    /// Whose face it is: somebody who agreed
    #[arg(long, value_name = "WHOSE", requires = "face")]
    consent: Option<String>,
    /// Name of the endpoint in files and reports [default: a token]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    report: ReportArgs,
    /// File of the calls and answers, for calibrate and show
    #[arg(long, value_name = "RUN.jsonl")]
    out: Option<PathBuf>,
    /// Go on with the run in --out; no call is made twice
    #[arg(long, requires = "out")]
    resume: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Files of runs
    #[arg(value_name = "RUN.jsonl", required = true)]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    report: ReportArgs,
}

pub fn run(args: &ConformanceArgs) -> Result<ExitCode, Failure> {
    match &args.command {
        ConformanceCommand::Plan(args) => {
            let has_face = args.choice.cases.iter().any(|case| case == "match/self");
            say(plan(&choice(&args.choice, has_face)?, args.choice.price).trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        ConformanceCommand::Run(args) => run_cases(args),
        ConformanceCommand::Show(args) => {
            let mut differs = false;
            let baseline = args.report.baseline.as_deref().map(read_run).transpose()?;
            if args.runs.len() > 1 && args.report.report.iter().any(|target| target.path.is_some()) {
                return Err(Failure::bad_input("a report file holds one run: show one at a time"));
            }
            for path in &args.runs {
                differs |= report(&read_run(path)?, baseline.as_ref(), &args.report)?;
            }
            Ok(ExitCode::from(u8::from(differs)))
        }
    }
}

fn choice(args: &ChoiceArgs, has_face: bool) -> Result<CaseChoice, Failure> {
    let exhausted = args.state == Some(CustomerStateArg::Exhausted);
    let groups = match args.group.as_slice() {
        [] if exhausted => vec![CaseGroup::Quota],
        [] => CaseChoice::DEFAULT_GROUPS.to_vec(),
        groups => groups.to_vec(),
    };
    let choice = CaseChoice {
        groups,
        only: args.cases.clone(),
        skip: args.skip.clone(),
        exhausted,
        accepted: args.accept_risk.clone(),
        has_face,
    };
    choice.check().map_err(Failure::bad_input)?;
    Ok(choice)
}

/// A line a case, and what all cost.
fn plan(choice: &CaseChoice, price: u32) -> String {
    let mut text = format!("{:<20} {:>5}  {:>4}  {}\n", "case", "calls", "paid", "sends; asks; risk");
    let (mut fewest, mut most, mut paid) = (0, 0, 0);
    for case in choice.cases() {
        let (from, to) = case.calls;
        let calls = if from == to { to.to_string() } else { format!("{from}-{to}") };
        let risk = if case.risk == "-" { String::new() } else { format!("; risk: {}", case.risk) };
        text += &format!(
            "{:<20} {calls:>5}  {:>4}  {}; {}{risk}\n",
            case.id, case.paid, case.sends, case.question
        );
        (fewest, most, paid) = (fewest + u32::from(from), most + u32::from(to), paid + u32::from(case.paid));
    }
    text + &format!(
        "\n{fewest} to {most} calls, fewer where one answers several cases; at most {paid} are paid where what the matcher answers is: \
         Rp {}\n",
        paid * price
    )
}

fn run_cases(args: &RunArgs) -> Result<ExitCode, Failure> {
    let choice = choice(&args.choice, args.face.is_some())?;
    let target = Target::resolve(&args.target, target::by_system).map_err(Failure::bad_input)?;
    let is_loopback = target.reach() == Reach::Loopback;
    let pace = args.pace.unwrap_or(if is_loopback { Duration::ZERO } else { Duration::from_secs(3) });
    target.check_pace(pace).map_err(Failure::refused)?;
    permit(args, &target, &choice)?;
    let expected = expected_policy(&args.report)?;
    let baseline = args.report.baseline.as_deref().map(read_run).transpose()?;
    check_report_paths(&args.report)?;
    let subject = subject(args, &target)?;
    let ledger_path = args.ledger.clone().or_else(default_ledger);
    let ledger = args
        .budget
        .map(|budget| open_ledger(ledger_path.as_deref(), &target, &args.customer, budget))
        .transpose()?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None if is_loopback => "loopback".to_owned(),
        None => token(ledger_path.as_deref(), &format!("{}/{}", target.authority, args.customer))?,
    };
    // Without a place for the key, a run on loopback goes on against any server there.
    let endpoint = match &args.out {
        Some(_) => {
            let token = token(ledger_path.as_deref(), &format!("{}/{}", target.address, args.customer));
            if is_loopback { token.ok() } else { Some(token?) }
        }
        None => None,
    };
    let header = RunHeader { endpoint, ..RunHeader::new(name, choice.exhausted, Timestamp::now()) };
    let mut file = run_file(args, header)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    signals::watch(Arc::clone(&interrupted));
    let settings = RunSettings {
        choice,
        pace,
        between: args.between,
        max_account_failures: args.max_account_failures,
        expected_order: expected.precedence,
        is_loopback,
    };
    let mut exchanger =
        TcpExchanger { address: target.address, host: target.authority.clone(), timeout: args.timeout };
    let surroundings = Surroundings {
        exchanger: &mut exchanger,
        ledger,
        now: &Timestamp::now,
        sleep: &|pause| pause_unless(pause, &interrupted),
        interrupted: &interrupted,
    };
    let end = runner::run(&subject, &settings, surroundings, &mut file);
    let reported = report(&file.run, baseline.as_ref(), &args.report);
    let mut failure = match end {
        Ok(()) => return Ok(ExitCode::from(u8::from(reported?))),
        Err(RunStop::Early(why)) => {
            Failure { code: Failure::STOPPED, message: format!("stopped early: {why}") }
        }
        Err(RunStop::Refused(why)) => Failure::refused(why),
        Err(RunStop::Failed(error)) => {
            Failure { code: Failure::STOPPED, message: format!("stopped early: {error}") }
        }
    };
    if let Err(error) = reported {
        failure.message += &format!("; no report: {}", error.message);
    }
    Err(failure)
}

/// Refuses a run that is not permitted. Off loopback, prints the plan first, and asks on a terminal what is missing.
fn permit(args: &RunArgs, target: &Target, choice: &CaseChoice) -> Result<(), Failure> {
    let permission = |confirm| Permission { budget: args.budget, confirm, allow_public: args.allow_public };
    let Some(why) = target.refusal(permission(args.confirm.as_deref())) else { return Ok(()) };
    say(plan(choice, args.choice.price))?;
    let only_confirmation_is_missing =
        args.confirm.is_none() && target.refusal(permission(Some(&target.authority))).is_none();
    if only_confirmation_is_missing && io::stdin().is_terminal() && terminal::stderr_is_terminal() {
        eprint_line(format_args!("To send these calls to {}, type that name:", target.authority));
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if read.is_ok() && line.trim() == target.authority {
            return Ok(());
        }
    }
    Err(Failure::refused(why))
}

fn subject(args: &RunArgs, target: &Target) -> Result<Subject, Failure> {
    let (user_id, password) = credentials(args.credentials.as_deref())?;
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
    };
    Ok(Subject {
        customer_id: args.customer.clone(),
        methode: args.methode.clone(),
        ip: args.ip.clone(),
        user_id: user_id.reveal().to_owned(),
        password: password.reveal().to_owned(),
        key: read_public_key(&args.public_key)?,
        prefix: target.prefix.clone(),
        pictures: TestPictures::drawn(args.face.as_ref().map(read).transpose()?),
        made_up: made_up_account(),
    })
}

fn run_file(args: &RunArgs, header: RunHeader) -> Result<RunFile, Failure> {
    let Some(path) = &args.out else {
        return RunFile::create(None, header).map_err(|error| Failure::bad_input(error.to_string()));
    };
    let file = match args.resume && path.exists() {
        true => RunFile::resume(path, &header),
        false => RunFile::create(Some(path), header),
    };
    file.map_err(|error| {
        let hint =
            if error.kind() == io::ErrorKind::AlreadyExists { "; to go on with it: --resume" } else { "" };
        Failure::bad_input(format!("{}: {error}{hint}", path.display()))
    })
}

/// Waits between two calls, in short parts, so that an interruption is noticed.
fn pause_unless(pause: Duration, interrupted: &AtomicBool) {
    const PART: Duration = Duration::from_millis(100);
    let mut left = pause;
    while !left.is_zero() && !interrupted.load(Ordering::Relaxed) {
        let part = left.min(PART);
        std::thread::sleep(part);
        left -= part;
    }
}

/// Parses hours such as `20:00..23:30`.
fn hours(text: &str) -> Result<(Time, Time), String> {
    let wrong = || format!("{text:?} are not hours: write 20:00..23:30");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let time = |text: &str| Time::strptime("%H:%M", text).map_err(|_| wrong());
    Ok((time(from)?, time(to)?))
}

fn expected_policy(args: &ReportArgs) -> Result<Policy, Failure> {
    let preset = args.expect.clone().map_or(Preset::Documented, Preset::Measured);
    let start = StartPolicy::new(&preset, PolicySpec::default());
    Ok(start.map_err(|problems| Failure::fixtures(&problems))?.policy())
}

/// Checks that the files of the reports can be written, before any call is made for them.
fn check_report_paths(args: &ReportArgs) -> Result<(), Failure> {
    args.report.iter().filter_map(|target| target.path.as_deref()).try_for_each(|path| {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened.map(drop).map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
    })
}

/// Writes the reports of a run. Returns whether an answer differs.
fn report(run: &RecordedRun, baseline: Option<&RecordedRun>, args: &ReportArgs) -> Result<bool, Failure> {
    let report = match baseline {
        Some(baseline) => RunReport::new(run, &ComparedWith::Baseline(baseline)),
        None => {
            let model = Model::new().map_err(Failure::no)?;
            RunReport::new(run, &ComparedWith::Policy(&model, &expected_policy(args)?))
        }
    };
    for target in &args.report {
        let text = match target.format {
            ReportFormat::Text => report.text(),
            ReportFormat::Json => report.json(),
            ReportFormat::Junit => report.junit(),
            ReportFormat::Markdown => report.markdown(),
        };
        match &target.path {
            Some(path) => std::fs::write(path, text)
                .map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))?,
            None => say(text.trim_end())?,
        }
    }
    Ok(report.differs())
}
