//! `check`: validates fixtures; `check --policy` prints the policy table.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::terminal::{eprint_line, say, width};
use super::{Failure, PolicyArgs, fixture_directory, load};
use crate::base::time;
use crate::config::{self, source};
use crate::domain::policy;

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Directory of the fixtures [default: ./fixtures when it exists, else the built-in ones]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print the policy table: the value of each key and where it comes from, what is documented and what is assumed
    #[arg(long)]
    policy: bool,
    /// Directory of the keys that customers reference
    #[arg(long, value_name = "DIR", default_value = "keys", env = "FRSIM_KEYS")]
    keys: PathBuf,
    #[command(flatten)]
    start: PolicyArgs,
}

pub fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let directory = fixture_directory(args.directory.as_deref())?;
    if args.policy {
        let layers = config::policy_layers(directory.as_deref(), &args.start.start()?);
        let layers = layers.map_err(|problems| Failure::fixtures(&problems))?;
        let today = time::jakarta_day(Timestamp::now());
        say(policy::table(&layers, width(), today).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(root) = directory.as_deref() {
        // Before the errors: a file that is ignored may be the cause of one.
        let files = source::read(directory.as_deref()).unwrap_or_default();
        config::ignored(root, &files).iter().for_each(|file| eprint_line(format_args!("note: {file}")));
    }
    let fixtures = load(directory.as_deref(), &args.keys, &args.start)?;
    fixtures.warnings.iter().for_each(|warning| eprint_line(format_args!("warning: {warning}")));
    let location =
        directory.map_or_else(|| "the built-in fixtures".to_owned(), |path| path.display().to_string());
    say(format_args!(
        "{location}: OK, {} customers, {} identities in the gallery",
        fixtures.customers.len(),
        fixtures.gallery.identities().len()
    ))?;
    Ok(ExitCode::SUCCESS)
}
