//! `notices`: prints the notices of third parties. A container image has nothing but the binary, so the binary carries them.

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
