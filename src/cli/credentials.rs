//! Reads the credentials of an account, which are never an argument of a command.

use std::io::{self, Read};
use std::path::Path;

use super::Failure;
use super::secret::Secret;
use super::terminal;

const NO_ACCOUNT: &str = "no account: give --credentials FILE with user_id and password, a line each, or FRSIM_USER_ID and FRSIM_PASSWORD";

/// Asks for user_id and password on the terminal; `None` without a terminal, and where nothing is typed.
fn asked() -> Result<Option<(String, String)>, Failure> {
    let ask = |question: &str| -> Result<Option<String>, Failure> {
        let answer = terminal::ask_hidden(question).map_err(|error| Failure::bad_input(error.to_string()))?;
        Ok::<_, Failure>(answer.filter(|text| !text.is_empty()))
    };
    let Some(user_id) = ask("user_id (not shown): ")? else { return Ok(None) };
    Ok(ask("password (not shown): ")?.map(|password| (user_id, password)))
}

/// Reads user_id and password, from a file that nobody else can read, from stdin, from the environment, or from the terminal.
pub fn credentials(path: Option<&Path>) -> Result<(Secret, Secret), Failure> {
    let Some(path) = path else {
        let read = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let given = match read("FRSIM_USER_ID").zip(read("FRSIM_PASSWORD")) {
            None => asked()?,
            given => given,
        };
        let (user_id, password) = given.ok_or_else(|| Failure::bad_input(NO_ACCOUNT))?;
        return Ok((user_id.into(), password.into()));
    };
    let failed = |error: io::Error| Failure::bad_input(format!("{}: {error}", path.display()));
    let mut text = String::new();
    if path.as_os_str() == "-" {
        io::stdin().read_to_string(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        check_mode(path, &file.metadata().map_err(failed)?)?;
        (&file).read_to_string(&mut text).map_err(failed)?;
    }
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    match lines.as_slice() {
        [user_id, password] => Ok(((*user_id).to_owned().into(), (*password).to_owned().into())),
        lines => Err(Failure::bad_input(format!(
            "{} has {} lines; expected user_id and password, a line each",
            path.display(),
            lines.len()
        ))),
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "{0} can be read by others; make it yours alone: chmod 600 {0}",
        path.display()
    )))
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), Failure> {
    Ok(())
}
