//! `init`: writes the built-in fixtures to a directory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::terminal::say;
use crate::config::source;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Directory to write to
    #[arg(value_name = "DIR", default_value = "fixtures")]
    directory: PathBuf,
    /// Overwrite existing files
    #[arg(long)]
    force: bool,
}

pub fn run(args: &InitArgs) -> Result<ExitCode, Failure> {
    let written = source::write_built_in(&args.directory, args.force).map_err(Failure::bad_input)?;
    say(format_args!(
        "{} files in {}; edit them and run: dukcapil-fr-sim --fixtures {}",
        written.len(),
        args.directory.display(),
        args.directory.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
