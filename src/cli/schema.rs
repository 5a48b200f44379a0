//! `schema`: prints the JSON Schema of the fixture files, for completion and validation in editors.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::terminal::say;
use crate::config::schema::FileKind;

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Kind of fixture file
    #[arg(value_name = "FILE", default_value = "customer")]
    file: FileKind,
    /// Write all three schemas to this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    out: Option<PathBuf>,
}

pub fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let Some(directory) = &args.out else {
        say(format_args!("{:#}", args.file.schema()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let write_failed = |path: &PathBuf, error| Failure::bad_input(format!("{}: {error}", path.display()));
    fs::create_dir_all(directory).map_err(|error| write_failed(directory, error))?;
    for kind in FileKind::ALL {
        let path = directory.join(kind.schema_name());
        fs::write(&path, format!("{:#}\n", kind.schema())).map_err(|error| write_failed(&path, error))?;
        say(path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
