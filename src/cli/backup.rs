//! `backup`: copies the file of a store, also while a simulator uses it; and the value of `--store`, which both read.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use super::Failure;
use crate::state::store;

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    Memory,
    File(PathBuf),
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "memory" {
            return Ok(StoreChoice::Memory);
        }
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(StoreChoice::File(path.into()));
        }
        let is_shared =
            ["redis:", "rediss:", "valkey:", "valkeys:"].iter().any(|scheme| text.starts_with(scheme));
        Err(match is_shared {
            true => "this version has no store that several simulators share; file:PATH keeps the state of one, and docs/how-to/shared-server.md shows how a proxy spreads customers over several".to_owned(),
            false => "memory, or file: and a path, such as file:frsim.db".to_owned(),
        })
    }
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File to write the copy to; it must not exist
    #[arg(value_name = "COPY")]
    copy: PathBuf,
    /// Store to copy, as for serve; in a container both read the same variable
    #[arg(long, value_name = "file:PATH", env = "FRSIM_STORE")]
    store: StoreChoice,
}

pub fn run(args: &BackupArgs) -> Result<ExitCode, Failure> {
    let StoreChoice::File(path) = &args.store else {
        return Err(Failure::bad_input("there is nothing to copy: --store memory keeps nothing"));
    };
    store::backup(path, &args.copy).map_err(|error| Failure::bad_input(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_memory_or_a_file_and_anything_else_is_explained() {
        let read = |text: &str| text.parse::<StoreChoice>();
        assert_eq!(read("memory"), Ok(StoreChoice::Memory));
        assert_eq!(read("file:/data/x.db"), Ok(StoreChoice::File("/data/x.db".into())));
        assert_eq!(read("file:x y"), Ok(StoreChoice::File("x y".into())));
        for (text, part) in [
            ("", "such as file:frsim.db"),
            ("file:", "such as file:frsim.db"),
            ("frsim.db", "such as file:frsim.db"),
            ("redis://localhost/x", "no store that several simulators share"),
            ("rediss://localhost/x", "no store that several simulators share"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
    }
}
