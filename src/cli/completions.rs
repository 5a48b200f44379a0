//! `completions`: prints the shell completion script.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::terminal::say;
use super::{Cli, Failure};

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to generate the script for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: &CompletionsArgs) -> Result<ExitCode, Failure> {
    let name = env!("CARGO_PKG_NAME");
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), name, &mut script);
    // For bash, clap_complete spells a hyphen of the program's name in two ways (github.com/clap-rs/clap/issues/6421).
    let script =
        String::from_utf8_lossy(&script).replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
    say(script.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
