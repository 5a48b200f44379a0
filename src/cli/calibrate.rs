//! `calibrate`: from the answers of conformance runs and recordings to a policy file with its provenance.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::recordings::{AnswerFile, each_once, of_one_endpoint, read_either};
use super::terminal::{eprint_line, say};
use super::{Failure, fixture_directory};
use crate::base::time;
use crate::config::{self, MeasuredFile, StartPolicy};
use crate::conformance::calibrate::{Calibration, Unexplained, calibrate};
use crate::conformance::model::Model;
use crate::conformance::observation::Answers;
use crate::domain::policy::Policy;

#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// Files of conformance runs against one endpoint, and recordings of it
    #[arg(value_name = "RUN|RECORDING", required = true)]
    files: Vec<PathBuf>,
    /// Fixtures whose policy is the start of the search [default: the built-in policy]
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// File to write the policy to, for --preset measured:FILE [default: stdout]
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Say of one key what each value would have answered
    #[arg(long, value_name = "KEY")]
    explain: Option<String>,
    /// Requests that the contract includes a day, where it is known: recordings of whole days then tell more of what uses them up
    #[arg(long, value_name = "N")]
    quota: Option<u64>,
}

pub fn run(args: &CalibrateArgs) -> Result<ExitCode, Failure> {
    let (mut runs, mut recordings) = (Vec::new(), Vec::new());
    for path in &args.files {
        match read_either(path)? {
            AnswerFile::Run(run) => runs.push(run),
            AnswerFile::Recording(recording) => recordings.push(recording),
        }
    }
    let targets = runs.iter().map(|run| &run.header.target);
    let targets = targets.chain(recordings.iter().map(|recording| &recording.header.target));
    of_one_endpoint(targets.map(String::as_str))?;
    each_once(&recordings)?;
    let base = base_policy(args.base.as_deref())?;
    let model = Model::new().map_err(Failure::no)?;
    let calibration =
        calibrate(&model, &Answers { runs: &runs, recordings: &recordings, daily_quota: args.quota }, &base);
    if let Some(key) = &args.explain {
        return explain(&calibration, key);
    }
    summarize(&calibration);
    if !calibration.unexplained.is_empty() {
        let count = calibration.unexplained.len();
        return Err(Failure::no(format!("no policy explains {count} of the answers, so no file is written")));
    }
    let text = file(calibration);
    match &args.write {
        Some(path) => write(path, &text)?,
        None => say(text.trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn base_policy(directory: Option<&Path>) -> Result<Policy, Failure> {
    let Some(directory) = directory else { return Ok(Policy::default()) };
    let directory = fixture_directory(Some(directory))?;
    let layers = config::policy_layers(directory.as_deref(), &StartPolicy::default());
    Ok(layers.map_err(|problems| Failure::fixtures(&problems))?.policy())
}

fn summarize(calibration: &Calibration) {
    eprint_line(format_args!("{} answers are explained", calibration.explained));
    for one in &calibration.measured {
        eprint_line(format_args!("  {:<18} measured by {}", one.key, one.cases.join(", ")));
    }
    for one in &calibration.undetermined {
        eprint_line(format_args!("  {:<18} undetermined: {}", one.key, one.why));
    }
    // Answers that differ alike have one cause: the first stands for them.
    let mut alike: Vec<(&Unexplained, usize)> = Vec::new();
    for one in &calibration.unexplained {
        match alike.iter_mut().find(|(first, _)| first.differences == one.differences) {
            Some((_, others)) => *others += 1,
            None => alike.push((one, 0)),
        }
    }
    for (one, others) in alike {
        let cases = if one.cases.is_empty() { String::new() } else { format!(" ({})", one.cases.join(", ")) };
        let others = if others == 0 { String::new() } else { format!(", and {others} like it") };
        eprint_line(format_args!(
            "  UNEXPLAINED: call {} of {}{cases}{others}: {}",
            one.call,
            one.run,
            one.differences.join("; ")
        ));
    }
}

fn explain(calibration: &Calibration, key: &str) -> Result<ExitCode, Failure> {
    let lines = calibration
        .explanations
        .iter()
        .filter(|one| one.key.split('.').next() == Some(key) || one.key == key);
    let lines: Vec<_> = lines.collect();
    let told = calibration.measured.iter().any(|one| one.is_of(key));
    let why =
        calibration.undetermined.iter().find(|one| one.key == key || one.key.split('.').next() == Some(key));
    if lines.is_empty() && !told && why.is_none() {
        return Err(Failure::bad_input(format!("no answer bears on a key {key:?}")));
    }
    for one in lines {
        let refuted = match one.refuted_by.as_slice() {
            [] => "explains every answer".to_owned(),
            cases => format!("is refuted by {}", cases.join(", ")),
        };
        say(format_args!("{} = {}: {refuted}", one.key, one.value))?;
    }
    for one in calibration.measured.iter().filter(|one| one.is_of(key)) {
        say(format_args!("{} is measured by {} ({} answers)", one.key, one.cases.join(", "), one.calls))?;
    }
    why.map_or(Ok(()), |one| say(format_args!("{} is undetermined: {}", one.key, one.why)))?;
    Ok(ExitCode::SUCCESS)
}

fn file(calibration: Calibration) -> String {
    let header = format!(
        "# Written by dukcapil-fr-sim {} on {}. Serve it with --preset measured:FILE; show it with check --policy --preset measured:FILE\n\n",
        env!("CARGO_PKG_VERSION"),
        time::rfc3339_millis(Timestamp::now())
    );
    let Calibration { policy, measured, undetermined, .. } = calibration;
    header + &MeasuredFile { policy, measured, undetermined }.to_toml()
}

/// Writes a file as a whole.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::bad_input(format!("{}: {error}", path.display()));
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    std::fs::write(&part, text).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}
