//! `notices`: prints the third-party notices. They are embedded, because a container image contains only the binary.

use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::terminal::say;

#[derive(Debug, Args)]
pub struct NoticesArgs {}

pub fn run(_: &NoticesArgs) -> Result<ExitCode, Failure> {
    say(include_str!("../../THIRD-PARTY.md").trim_end())?;
    Ok(ExitCode::SUCCESS)
}
