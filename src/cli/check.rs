//! `check`: validates fixtures; `check --policy` prints the policy table.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::terminal::say;
use super::{Failure, fixture_directory, load};
use crate::domain::policy;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Directory of the fixtures [default: ./fixtures when it exists, else the built-in ones]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print the policy table: what is documented about the endpoint and what is assumed
    #[arg(long)]
    policy: bool,
    /// Directory of the keys that customers reference
    #[arg(long, value_name = "DIR", default_value = "keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
}

pub fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    if args.policy {
        say(policy::table().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let directory = fixture_directory(args.directory.as_deref())?;
    let fixtures = load(directory.as_deref(), &args.keys)?;
    let location =
        directory.map_or_else(|| "the built-in fixtures".to_owned(), |path| path.display().to_string());
    say(format_args!(
        "{location}: OK, {} customers, {} identities in the gallery",
        fixtures.customers.len(),
        fixtures.gallery.identities().len()
    ))?;
    Ok(ExitCode::SUCCESS)
}
