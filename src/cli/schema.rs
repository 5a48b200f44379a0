//! `schema`: prints the JSON Schema of the fixture files, which editors complete and check them by.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::terminal::say;
use crate::config::schema::FileKind;

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Which file's
    #[arg(value_name = "FILE", default_value = "customer")]
    file: FileKind,
    /// Write the schemas of all three into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    out: Option<PathBuf>,
}

pub fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let Some(directory) = &args.out else {
        say(format_args!("{:#}", args.file.schema()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let unwritten = |path: &PathBuf, error| Failure::bad_input(format!("{}: {error}", path.display()));
    fs::create_dir_all(directory).map_err(|error| unwritten(directory, error))?;
    for kind in FileKind::ALL {
        let path = directory.join(kind.schema_name());
        fs::write(&path, format!("{:#}\n", kind.schema())).map_err(|error| unwritten(&path, error))?;
        say(path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
