//! `--port-file`: the addresses as JSON, for programs that start the simulator. A file that an earlier run left would send them to other
//! ports, so it is removed before anything can fail, and on exit.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::Failure;

/// The port file of this run. Removes it when dropped, unless another simulator has written it since. A start that fails puts back the
/// file of a simulator that still runs.
pub struct PortFile {
    path: PathBuf,
    /// What was written, once it was.
    written: Option<String>,
    /// What was there before: the file of an earlier run, or of one that still runs.
    before: String,
}

/// Max size of a file that is compared, in bytes. A port file has a hundred.
const MAX_BYTES: u64 = 4096;

impl PortFile {
    /// Removes the port file of an earlier run.
    ///
    /// # Errors
    /// When something else has this name. It is left as it is.
    pub fn claim(path: PathBuf) -> Result<PortFile, Failure> {
        let failed = |what: String| Failure::bad_input(format!("--port-file {}: {what}", path.display()));
        let before = read(&path).unwrap_or_default();
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error.to_string())),
            Ok(_) if is_port_file(&path) => {
                fs::remove_file(&path).map_err(|error| {
                    failed(format!("the file of an earlier run cannot be removed: {error}"))
                })?;
            }
            Ok(found) => {
                let what = if found.is_dir() { "a directory" } else { "no port file of this program" };
                return Err(failed(format!(
                    "is {what}, so it is not replaced; name another path, or remove it"
                )));
            }
        }
        Ok(PortFile { path, written: None, before })
    }

    /// Writes the addresses: to a temporary file that is renamed, so that a reader never sees a partial file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, addresses: &Value) -> Result<(), Failure> {
        let text = addresses.to_string();
        let mut temporary = self.path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let written = fs::write(&temporary, &text).and_then(|()| fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(Failure::bad_input(format!("{}: {error}", self.path.display())));
        }
        self.written = Some(text);
        Ok(())
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        let Some(written) = &self.written else {
            if is_answered(&self.before) {
                let put_back = File::create_new(&self.path);
                let _ = put_back.and_then(|mut file| file.write_all(self.before.as_bytes()));
            }
            return;
        };
        if read(&self.path).is_ok_and(|text| text == *written) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether something listens where a port file says.
fn is_answered(text: &str) -> bool {
    let endpoint = serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|json| json["endpoint"].as_str()?.strip_prefix("http://")?.parse::<SocketAddr>().ok());
    endpoint.is_some_and(|endpoint| TcpStream::connect_timeout(&endpoint, CONNECT_TIME).is_ok())
}

/// Of this machine: it answers at once, or does not.
const CONNECT_TIME: Duration = Duration::from_millis(500);

fn read(path: &PathBuf) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if !found.is_file() || found.len() > MAX_BYTES {
        return Err(ErrorKind::InvalidInput.into());
    }
    fs::read_to_string(path)
}

/// Whether a file is what this program writes, or empty, as `mktemp` makes it.
fn is_port_file(path: &PathBuf) -> bool {
    read(path).is_ok_and(|text| {
        text.trim().is_empty()
            || serde_json::from_str::<Value>(&text)
                .ok()
                .and_then(|json| json.as_object().map(|members| members.keys().eq(["endpoint", "admin"])))
                .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_port_files_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports.json");
        for (content, is_removed) in [
            (r#"{"endpoint":"http://127.0.0.1:1","admin":"http://127.0.0.1:2"}"#, true),
            (r#"{"endpoint":"http://127.0.0.1:1","admin":null}"#, true),
            ("", true),
            ("\n", true),
            ("{}", false),
            (r#"{"endpoint":"http://127.0.0.1:1"}"#, false),
            (r#"{"endpoint":"x","admin":"y","more":1}"#, false),
            ("[]", false),
            ("my notes", false),
        ] {
            fs::write(&path, content).unwrap();
            let claimed = PortFile::claim(path.clone());
            assert_eq!((claimed.is_ok(), !path.exists()), (is_removed, is_removed), "{content}");
            if let Err(failure) = claimed {
                assert_eq!(failure.code, Failure::BAD_INPUT);
                assert!(failure.message.contains("is no port file of this program"), "{}", failure.message);
                assert_eq!(fs::read_to_string(&path).unwrap(), content);
            }
        }
        let claimed = PortFile::claim(directory.path().to_owned());
        assert!(claimed.is_err_and(|failure| failure.message.contains("is a directory")));
        fs::write(&path, [vec![b' '; 5000], b"my notes".to_vec()].concat()).unwrap();
        assert!(PortFile::claim(path.clone()).is_err(), "the whole file is looked at");
    }

    #[test]
    fn a_start_that_fails_puts_back_the_file_of_a_simulator_that_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports.json");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let text = json!({ "endpoint": format!("http://{address}"), "admin": null }).to_string();
        let mut listener = Some(listener);
        for is_running in [true, false] {
            drop(listener.take_if(|_| !is_running));
            fs::write(&path, &text).unwrap();
            let claimed =
                PortFile::claim(path.clone()).unwrap_or_else(|failure| panic!("{}", failure.message));
            assert!(!path.exists());
            drop(claimed);
            assert_eq!(fs::read_to_string(&path).ok(), is_running.then(|| text.clone()));
        }
    }

    #[test]
    fn a_file_that_another_simulator_wrote_since_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports.json");
        let write = |port: u16| {
            let mut file =
                PortFile::claim(path.clone()).unwrap_or_else(|failure| panic!("{}", failure.message));
            file.write(&json!({ "endpoint": format!("http://127.0.0.1:{port}"), "admin": null })).unwrap();
            file
        };
        let (first, second) = (write(1), write(2));
        drop(first);
        assert!(fs::read_to_string(&path).unwrap().contains(":2"));
        drop(second);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
