//! Which environment variables count. Compose files set variables to nothing where they mean none, and what is meant for `serve`
//! must not stop another command.

use std::ffi::OsString;

use clap::builder::{OsStr, Resettable};
use clap::{Arg, Command};

/// The command without the variables that do not count for these arguments, the program's name first.
pub fn apply_environment(command: Command, arguments: &[OsString]) -> Command {
    // Flags of `serve` stand beside no subcommand, so a subcommand is the first argument.
    let is_named = arguments.get(1).is_some_and(|first| command.find_subcommand(first).is_some());
    let command = if is_named { command.mut_args(without_env) } else { command };
    without_empty(command)
}

fn without_empty(command: Command) -> Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_args(|arg| if is_empty(&arg) { without_env(arg) } else { arg }).mut_subcommands(without_empty)
}

fn without_env(arg: Arg) -> Arg {
    arg.env(Resettable::<OsStr>::Reset)
}
