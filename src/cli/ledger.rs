//! The ledger of the calls of each day, which bounds what runs cost, and the secret beside it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Failure;
use crate::base::hash;
use crate::conformance::ledger::Ledger;
use crate::conformance::target::Target;

/// The ledger in the user's state directory; `None` where there is no such directory.
pub fn default_ledger() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    let state = state.or_else(|| variable("LOCALAPPDATA"))?;
    Some(state.join("dukcapil-fr-sim").join("ledger.jsonl"))
}

/// Opens the ledger of a target and a customer.
pub fn open_ledger(
    path: Option<&Path>,
    target: &Target,
    customer: &str,
    budget: u32,
) -> Result<Ledger, Failure> {
    let path = path.ok_or_else(|| Failure::refused(NO_LEDGER.to_owned()))?;
    Ledger::open(path, &target.address.to_string(), customer, budget)
        .map_err(|error| Failure::refused(format!("the ledger {}: {error}", path.display())))
}

const NO_LEDGER: &str = "there is no directory for the ledger: give --ledger FILE";

/// Writes a new file that only its owner can read, with its directory.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// Hexadecimal digits of the secret.
const KEY_DIGITS: usize = 32;

/// A token of host and customer, keyed with a secret beside the ledger: the same in each run, and it says nothing to others.
pub fn token(ledger: Option<&Path>, text: &str) -> Result<String, Failure> {
    let path = ledger.ok_or_else(|| Failure::refused(NO_LEDGER.to_owned()))?;
    let path = path.with_extension("key");
    let failed = |error: io::Error| Failure::refused(format!("{}: {error}", path.display()));
    let key = match std::fs::read_to_string(&path) {
        Ok(key) if key.len() == KEY_DIGITS => key,
        // Without a secret, others could find out what the token stands for.
        Ok(_) => return Err(Failure::refused(format!("{} is not a key: delete it", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = format!("{:0KEY_DIGITS$x}", rand::random::<u128>());
            write_private(&path, &key).map_err(failed)?;
            key
        }
        Err(error) => return Err(failed(error)),
    };
    let digest = <sha2::Sha256 as sha2::Digest>::digest(format!("{key}\n{text}"));
    Ok(format!("target-{}", &hash::hex(&digest)[..8]))
}
