//! A Redis of Debian on loopback, for the tests of replicas. Without one they are skipped, and say so; where `CI` is set they fail.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use crate::support::eventually;

/// A running server with a directory of its own; killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    flags: Vec<String>,
    directory: tempfile::TempDir,
}

impl RedisServer {
    /// Starts a server with these flags beside the usual ones; `None` where there is none to start.
    pub fn start(flags: &[&str]) -> Option<RedisServer> {
        let is_there = Command::new("redis-server").arg("--version").output().is_ok();
        if !is_there {
            assert!(std::env::var_os("CI").is_none(), "redis-server is missing: .ci/run installs it");
            eprintln!("skipped: there is no redis-server (apt-get install redis-server)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        // Somebody else may take a port between the moment that it is found free and the server's start.
        let started = (0..50).find_map(|_| {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            Some((launch(port, &flags, &directory)?, port))
        });
        let (child, port) = started.expect("a server that finds a port");
        Some(RedisServer { child, port, flags, directory })
    }

    /// The value of `--store`.
    pub fn store(&self, name: &str) -> String {
        format!("redis://127.0.0.1:{}/{name}", self.port)
    }

    /// Runs a command of its own tool.
    pub fn ask(&self, command: &[&str]) -> String {
        let Output { stdout, .. } =
            Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        String::from_utf8(stdout).unwrap().trim_end().to_owned()
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// Kills it, as the kernel does when memory is short.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on its port, over what it has on disk.
    pub fn restart(&mut self) {
        let mut again = None;
        eventually("the server starts again", || {
            again = launch(self.port, &self.flags, &self.directory);
            again.is_some()
        });
        self.child = again.unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server; `None` when it ends before it is ready, as with a port that is taken.
fn launch(port: u16, flags: &[String], directory: &tempfile::TempDir) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
        .arg("--dir")
        .arg(directory.path())
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_ready = lines.by_ref().any(|line| {
        line.is_ok_and(|line| {
            line.contains("Ready to accept connections") || line.contains("ready to accept connections")
        })
    });
    if !is_ready {
        child.wait().unwrap();
        return None;
    }
    // What it says from now on must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Some(child)
}
