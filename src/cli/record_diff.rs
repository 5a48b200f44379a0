//! `record diff`: what the simulator would have answered otherwise than a recorded endpoint, and which policy would not.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::terminal::say;
use super::{Failure, fixture_directory, recordings};
use crate::config::{self, StartPolicy};
use crate::conformance::model::Model;
use crate::conformance::recording::drift::drift;
use crate::domain::policy::{Policy, PolicySpec, Preset};

#[derive(Debug, Args)]
pub struct RecordDiffArgs {
    /// Recordings of one endpoint
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Fixtures whose policy is compared [default: the policy of --preset alone]
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Which endpoint is simulated: the document, what the real one most likely does, or the policy of a file
    #[arg(long, value_name = "documented|probable|measured:FILE", default_value = "documented")]
    preset: Preset,
    /// How the differences are printed
    #[arg(long, value_name = "text|json", default_value = "text")]
    report: DiffFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DiffFormat {
    Text,
    Json,
}

pub fn run(args: &RecordDiffArgs) -> Result<ExitCode, Failure> {
    let recordings = recordings::read_all(&args.files)?;
    let policy = policy(args)?;
    let model = Model::new().map_err(Failure::no)?;
    let report = drift(&model, &recordings, &policy);
    match args.report {
        DiffFormat::Text => say(report.text().trim_end())?,
        DiffFormat::Json => say(report.json().trim_end())?,
    }
    Ok(ExitCode::from(u8::from(report.differs())))
}

fn policy(args: &RecordDiffArgs) -> Result<Policy, Failure> {
    let failed = |problems: Vec<config::Problem>| Failure::fixtures(&problems);
    let start = StartPolicy::new(&args.preset, PolicySpec::default()).map_err(failed)?;
    let Some(directory) = &args.base else { return Ok(start.policy()) };
    let directory = fixture_directory(Some(directory))?;
    Ok(config::policy_layers(directory.as_deref(), &start).map_err(failed)?.policy())
}
