//! Commands, flags and exit codes, as the command line itself declares them.

use std::collections::BTreeMap;

use clap::{Arg, Command};
use dukcapil_fr_sim::internals::cli;

use super::page::{Block, Cell, Table, plain, said};

/// The commands with their full names, those below a command included.
fn all_commands() -> Vec<(String, Command)> {
    fn add(above: &str, command: &Command, all: &mut Vec<(String, Command)>) {
        for below in command.get_subcommands() {
            let name = format!("{above} {}", below.get_name()).trim().to_owned();
            all.push((name.clone(), below.clone()));
            add(&name, below, all);
        }
    }
    let mut all = Vec::new();
    add("", &cli::command(), &mut all);
    all
}

pub fn commands() -> Block {
    let rows = all_commands().into_iter().map(|(name, command)| {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        vec![Cell::code(&name), said(name, about)]
    });
    Block::new("commands", &["command", "what it does"], rows.collect())
}

fn is_shown(arg: &&Arg) -> bool {
    !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

fn name_of(arg: &Arg) -> String {
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (_, None) => arg.get_id().to_string().to_uppercase(),
    }
}

fn help_of(arg: &Arg) -> Option<String> {
    arg.get_help().map(ToString::to_string)
}

/// Whether it is on or off: then it needs no value on the command line.
fn is_switch(arg: &Arg) -> bool {
    let values = arg.get_possible_values();
    !arg.get_action().takes_values() || values.first().is_some_and(|value| value.get_name() == "true")
}

/// Returns what is written behind a flag: nothing, one of some words, or a value.
fn value_of(arg: &Arg) -> String {
    if arg.get_long().is_none() || is_switch(arg) {
        return String::new();
    }
    let words: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let names = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str());
    format!(" {}", if words.is_empty() { names.collect::<Vec<_>>().join(" ") } else { words.join("|") })
}

/// The flags of each command. A flag that means the same in all commands has one text.
pub fn flags() -> Block {
    let commands = all_commands();
    let mut texts: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for arg in commands.iter().flat_map(|(_, command)| command.get_arguments()).filter(is_shown) {
        let known = texts.entry(name_of(arg)).or_default();
        if !known.contains(&help_of(arg)) {
            known.push(help_of(arg));
        }
    }
    let row = |command: &str, arg: &Arg| {
        let name = name_of(arg);
        let key = if texts[&name].len() == 1 { name.clone() } else { format!("{command} {name}") };
        let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let default = if is_switch(arg) { String::new() } else { default.join(" ") };
        let environment = arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let flag = name + &value_of(arg);
        vec![Cell::code(flag), Cell::code(default), Cell::code(environment), Cell::Said(key, help_of(arg))]
    };
    let tables = commands.iter().filter_map(|(name, command)| {
        let rows: Vec<_> = command.get_arguments().filter(is_shown).map(|arg| row(name, arg)).collect();
        let head = &["flag", "default", "environment", "meaning"];
        (!rows.is_empty()).then(|| Table { heading: Some(name.clone()), head, rows })
    });
    Block { name: "flags", tables: tables.collect() }
}

pub fn exit_codes() -> Block {
    let rows = cli::EXIT_CODES.iter().map(|(code, text)| vec![plain(code), said(code.to_string(), *text)]);
    Block::new("exit-codes", &["exit code", "meaning"], rows.collect())
}
