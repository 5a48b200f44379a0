//! `man`: prints the manual page of the program or of a command.

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::terminal::say;
use super::{Cli, Failure};
use crate::version::WITH_COMMIT;

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Command, such as: nik parse
    #[arg(value_name = "COMMAND")]
    path: Vec<String>,
}

pub fn run(args: &ManArgs) -> Result<ExitCode, Failure> {
    let mut root = Cli::command();
    root.build();
    let command = find(&root, &args.path)?;
    let mut page = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = Man::new(command.clone()).source(format!("dukcapil-fr-sim {WITH_COMMIT}")).render(&mut page);
    say(String::from_utf8_lossy(&page).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(command: &'a Command, path: &[String]) -> Result<&'a Command, Failure> {
    let Some((name, rest)) = path.split_first() else { return Ok(command) };
    let Some(found) = command.find_subcommand(name) else {
        let known: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        let message = match known.is_empty() {
            true => format!("{} has no commands", command.get_name()),
            false => format!("unknown command {name}; {} has {}", command.get_name(), known.join(", ")),
        };
        return Err(Failure::bad_input(message));
    };
    find(found, rest)
}
