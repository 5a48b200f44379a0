//! `record replay`: from recordings to a directory of fixtures that answers as the endpoint did.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::recordings;
use super::terminal::{eprint_line, say};
use crate::conformance::recording::replay::replay;

#[derive(Debug, Args)]
pub struct RecordReplayArgs {
    /// Recordings, in the order in which they are replayed
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Directory to write the fixtures to: a new or an empty one
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub fn run(args: &RecordReplayArgs) -> Result<ExitCode, Failure> {
    let recordings = recordings::read_all(&args.files)?;
    let replay = replay(&recordings);
    for (why, count) in &replay.left_out {
        eprint_line(format_args!("left out: {count} ({why})"));
    }
    if replay.customers.is_empty() {
        return Err(Failure::no("there is no exchange to replay, so nothing is written"));
    }
    require_empty(&args.out)?;
    for (name, text) in &replay.files {
        write(&args.out.join(name), text)?;
    }
    for customer in &replay.customers {
        say(format_args!(
            "customer {}, methode {}: {} exchanges",
            customer.customer_id, customer.methode, customer.exchanges
        ))?;
    }
    say(format_args!("serve them: dukcapil-fr-sim serve --fixtures {}", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn require_empty(directory: &Path) -> Result<(), Failure> {
    let is_empty = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Failure::bad_input(format!("{}: {error}", directory.display()))),
    };
    if is_empty {
        return Ok(());
    }
    Err(Failure::bad_input(format!(
        "{} is not empty: name a new directory, or empty it",
        directory.display()
    )))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let parent = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| Failure::bad_input(format!("{}: {error}", path.display())))
}
