//! The program under test as a separate process, and its resource usage.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A running simulator process with its own directory. Killed when dropped.
pub struct Program {
    child: Child,
    pub endpoint: SocketAddr,
    pub admin: String,
    pub directory: tempfile::TempDir,
    agent: ureq::Agent,
}

/// Resource usage of the process.
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub mib: f64,
    pub files: usize,
    pub threads: usize,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB, {} descriptors, {} threads", self.mib, self.files, self.threads)
    }
}

impl Program {
    /// Starts the binary of `cargo build --release`.
    pub fn start() -> Result<Program, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("fixtures/customers"))?;
        let mut child = Command::new(binary_path()?)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--quiet"])
            .args(["--journal", &super::JOURNAL_BYTES.to_string()])
            .args([Path::new("--keys"), &path("keys"), Path::new("--fixtures"), &path("fixtures")])
            .args([Path::new("--port-file"), &path("ports")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        output
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("ready "))
            .ok_or("it does not start")?;
        let ports: Value = serde_json::from_slice(&fs::read(path("ports"))?)?;
        let url = |name: &str| ports[name].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
        let endpoint = url("endpoint").trim_start_matches("http://").parse()?;
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).max_idle_connections(0).build();
        Ok(Program { child, endpoint, admin: url("admin"), directory, agent: config.into() })
    }

    /// Calls the admin API. Returns the status and the body.
    pub fn call(&self, method: &str, path: &str, body: Option<String>) -> Result<(u16, String), String> {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.admin));
        let request = request.body(body.unwrap_or_default()).map_err(|error| error.to_string())?;
        let mut answer = self.agent.run(request).map_err(|error| format!("{method} {path}: {error}"))?;
        let text = answer.body_mut().read_to_string().map_err(|error| format!("{method} {path}: {error}"))?;
        Ok((answer.status().as_u16(), text))
    }

    /// Returns a JSON document of the admin API.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        serde_json::from_str(&self.call("GET", path, None)?.1).map_err(|error| format!("{path}: {error}"))
    }

    /// Returns the value of a metric.
    pub fn number(&self, name: &str) -> Result<f64, String> {
        let (_, text) = self.call("GET", "/metrics", None)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).ok_or_else(|| format!("no number {name}"))
    }

    /// Returns the current resource usage.
    pub fn state(&self) -> Result<State, String> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status =
            fs::read_to_string(proc.join("status")).map_err(|error| format!("it has ended: {error}"))?;
        let line = |name: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(name));
            text.and_then(|text| text.trim().trim_end_matches(" kB").parse::<f64>().ok())
        };
        let files = fs::read_dir(proc.join("fd")).map_err(|error| error.to_string())?.count();
        let (kilobytes, threads) = (line("VmRSS:").unwrap_or_default(), line("Threads:").unwrap_or_default());
        Ok(State { mib: kilobytes / 1024.0, files, threads: threads as usize })
    }

    /// Waits, up to half a minute, until nothing is in flight and the usage is stable, and returns it.
    pub fn settled(&self) -> Result<State, String> {
        let mut last = self.state()?;
        for _ in 0..30 {
            thread::sleep(Duration::from_secs(1));
            let now = self.state()?;
            let is_same =
                (now.files, now.threads) == (last.files, last.threads) && (now.mib - last.mib).abs() < 0.5;
            if is_same && self.number("frsim_in_flight")? == 0.0 {
                return Ok(now);
            }
            last = now;
        }
        Ok(last)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns `target/release/dukcapil-fr-sim`, next to the directory of `target/release/examples/soak`.
fn binary_path() -> Result<PathBuf, Box<dyn Error>> {
    let this = std::env::current_exe()?;
    let program = this.parent().and_then(Path::parent).ok_or("no directory")?.join("dukcapil-fr-sim");
    if program.exists() {
        Ok(program)
    } else {
        Err(format!("{} does not exist; run cargo build --release", program.display()).into())
    }
}
