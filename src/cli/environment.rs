//! Selects the environment variables that apply to a command. Empty variables are ignored, because Compose files set them so for "none".
//! Variables of `serve` are ignored by other commands, which they must not break.

use std::ffi::OsString;

use clap::builder::{OsStr, Resettable};
use clap::{Arg, Command};

/// Removes from `command` the variables that do not apply. `arguments` starts with the program's name.
pub fn apply_environment(command: Command, arguments: &[OsString]) -> Command {
    // Top-level flags are those of `serve` and conflict with subcommands, so a subcommand is the first argument.
    let has_subcommand = arguments.get(1).is_some_and(|first| command.find_subcommand(first).is_some());
    let command = if has_subcommand { command.mut_args(without_env) } else { command };
    without_empty(command)
}

fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_args(|arg| if is_empty(&arg) { without_env(arg) } else { arg }).mut_subcommands(without_empty)
}

fn without_env(arg: Arg) -> Arg {
    arg.env(Resettable::<OsStr>::Reset)
}
