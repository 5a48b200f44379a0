//! `backup`: copies the file of a store, also while a simulator uses it; and the value of `--store`, which both read.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;

use super::Failure;
use crate::state::store;
use crate::state::store::redis::SharedAddress;

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    Memory,
    File(PathBuf),
    /// A wrong address is told later: clap would show it, with its password.
    Shared(Result<SharedAddress, String>),
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
        match is_shared {
            true => Ok(StoreChoice::Shared(text.parse())),
            false => {
                Err("memory, file: and a path such as file:frsim.db, or redis://HOST:PORT/NAME".to_owned())
            }
        }
    }
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File to write the copy to; it must not exist
    #[arg(value_name = "COPY")]
    copy: PathBuf,
    /// Store to copy, as for serve; in a container both read the same variable
    #[arg(long, value_name = "file:PATH", env = "FRSIM_STORE", hide_env_values = true)]
    store: StoreChoice,
}

pub fn run(args: &BackupArgs) -> Result<ExitCode, Failure> {
    let path = match &args.store {
        StoreChoice::File(path) => path,
        StoreChoice::Memory => {
            return Err(Failure::bad_input("there is nothing to copy: --store memory keeps nothing"));
        }
        StoreChoice::Shared(_) => {
            return Err(Failure::bad_input(
                "this command copies files only: a shared store is copied with its server's own tools, such as redis-cli --rdb COPY",
            ));
        }
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
            ("http://localhost/x", "or redis://HOST:PORT/NAME"),
        ] {
            assert!(read(text).unwrap_err().contains(part), "{text}");
        }
        let shared = "redis://localhost:6379/x".parse().unwrap();
        assert_eq!(read("redis://localhost:6379/x"), Ok(StoreChoice::Shared(Ok(shared))));
        let Ok(StoreChoice::Shared(Err(wrong))) = read("rediss://:s3cret@localhost:6379/x") else {
            panic!("it is told later")
        };
        assert!(wrong.contains("speaks no TLS") && !wrong.contains("s3cret"), "{wrong}");
    }
}
