//! `schema`: prints the JSON Schema of the fixture files, for completion and validation in editors, and that of reports.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Failure;
use super::terminal::say;
use crate::config::schema::{FileKind, identify};
use crate::conformance::report::RunReport;

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// What the schema describes
    #[arg(value_name = "FILE", default_value = "customer")]
    file: SchemaSubject,
    /// Write all schemas to this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    out: Option<PathBuf>,
}

/// What a schema describes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaSubject {
    /// customers/<customer_id>.toml
    Customer,
    /// simulator.toml
    Simulator,
    /// gallery/gallery.toml
    Gallery,
    /// What conformance --report json writes
    ConformanceReport,
}

impl SchemaSubject {
    fn schema(self) -> Value {
        match self {
            SchemaSubject::Customer => FileKind::Customer.schema(),
            SchemaSubject::Simulator => FileKind::Simulator.schema(),
            SchemaSubject::Gallery => FileKind::Gallery.schema(),
            SchemaSubject::ConformanceReport => {
                let settings = SchemaSettings::draft07().for_serialize();
                let mut schema = settings.into_generator().into_root_schema_for::<RunReport>().to_value();
                identify("conformance-report", &mut schema);
                schema
            }
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            SchemaSubject::Customer => FileKind::Customer.schema_name(),
            SchemaSubject::Simulator => FileKind::Simulator.schema_name(),
            SchemaSubject::Gallery => FileKind::Gallery.schema_name(),
            SchemaSubject::ConformanceReport => "conformance-report.schema.json",
        }
    }
}

pub fn run(args: &SchemaArgs) -> Result<ExitCode, Failure> {
    let Some(directory) = &args.out else {
        say(format_args!("{:#}", args.file.schema()))?;
        return Ok(ExitCode::SUCCESS);
    };
    let write_failed = |path: &PathBuf, error| Failure::bad_input(format!("{}: {error}", path.display()));
    fs::create_dir_all(directory).map_err(|error| write_failed(directory, error))?;
    for subject in SchemaSubject::value_variants() {
        let path = directory.join(subject.file_name());
        fs::write(&path, format!("{:#}\n", subject.schema())).map_err(|error| write_failed(&path, error))?;
        say(path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
