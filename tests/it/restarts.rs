//! A hundred restarts leak no port, thread, descriptor or temporary file: of the library, in a process of its own, and of the binary.
//!
//! They use a loopback address that no other process uses: another test could take a port that is closed for a moment.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary::{Served, command};
use crate::support::{Sim, eventually, exchange, http};

const RESTARTS: usize = 100;

/// Key size that loads quickly, even in a debug build.
const SMALL_KEY_BITS: usize = 1024;

/// Environment variable, set in the child process that restarts the library.
const CHILD: &str = "FRSIM_TEST_RESTARTS";

/// Returns a loopback address for this process only, so that no other test takes a port that is closed for a moment.
fn own_loopback() -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

/// Resources of a process, and its leftover temporary files.
#[derive(Debug, PartialEq)]
struct Held {
    threads: usize,
    descriptors: usize,
    temporary: usize,
}

fn count(directory: impl AsRef<Path>) -> usize {
    fs::read_dir(directory).unwrap().count()
}

impl Held {
    fn now() -> Held {
        Held {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
            temporary: count(std::env::temp_dir()),
        }
    }
}

/// Calls the endpoint and the admin API. The server closes first, so its ports stay in TIME_WAIT.
fn call(endpoint: SocketAddr, admin: SocketAddr) {
    let answer = exchange(endpoint, &http("POST", "/api/face-recognition/sample-6014/X", "", b"{}"));
    assert_eq!(answer.code(), "6014");
    // Answered on the blocking thread pool.
    assert_eq!(
        exchange(admin, &http("POST", "/requests/verify", "", br#"{"count":{"exactly":1}}"#)).status,
        200
    );
}

/// Returns a kept-alive connection after one answer, as in a client's connection pool.
fn pooled(endpoint: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let _ = stream.read(&mut [0; 1024]).unwrap();
    stream
}

fn start(endpoint: SocketAddr, admin: SocketAddr) -> Sim {
    let keys = std::env::temp_dir().join("keys");
    let sim = Sim::with(|builder| {
        builder.keys(Some(keys)).key_bits(SMALL_KEY_BITS).listen(endpoint).admin_listen(Some(admin))
    });
    call(sim.address(), sim.admin_address());
    sim
}

/// Waits: the kernel removes an ended thread from /proc a moment later.
fn wait_for_max_threads(threads: usize) {
    eventually(&format!("at most {threads} threads"), || count("/proc/self/task") <= threads);
}

fn restart_the_library() {
    let threads = count("/proc/self/task");
    let free = SocketAddr::from((own_loopback(), 0));
    let sim = start(free, free);
    let (endpoint, admin) = (sim.address(), sim.admin_address());
    let mut of_a_pool = pooled(endpoint);
    drop(sim);
    wait_for_max_threads(threads);
    // Counts after the first start, because some resources stay open, such as tokio's signal pipe.
    let before = Held::now();
    for _ in 0..RESTARTS {
        let sim = start(endpoint, admin);
        // Closes the connection to the previous simulator only now, so its port was still in use at this start.
        of_a_pool = pooled(endpoint);
        drop(sim);
    }
    wait_for_max_threads(threads);
    assert_eq!(Held::now(), before, "after {RESTARTS} restarts");
    drop(of_a_pool);
}

/// Runs in a child process, because other tests start threads in this one.
#[test]
fn a_hundred_restarts_of_the_library_leak_nothing() {
    if std::env::var_os(CHILD).is_some() {
        return restart_the_library();
    }
    let temporary = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restarts::a_hundred_restarts_of_the_library_leak_nothing", "--nocapture"])
        .env(CHILD, "")
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_hundred_restarts_of_the_binary_leak_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let (ports, bits) = (directory.path().join("ports.json"), SMALL_KEY_BITS.to_string());
    let mut addresses = [format!("{}:0", own_loopback()), format!("{}:0", own_loopback())];
    let mut of_a_pool = Vec::new();
    for round in 0..=RESTARTS {
        let [listen, admin_listen] = &addresses;
        let mut command = command(&["--listen", listen, "--admin-listen", admin_listen, "--quiet"]);
        command.args(["--keys", "keys", "--key-bits", &bits, "--port-file", "ports.json"]);
        command.env("TMPDIR", &temporary).current_dir(directory.path());
        let served = Served::from(command);
        let written: Value = serde_json::from_slice(&fs::read(&ports).unwrap()).unwrap();
        let url = |name: &str| written[name].as_str().unwrap().trim_start_matches("http://").to_owned();
        addresses = [url("endpoint"), url("admin")];
        let [endpoint, admin] = addresses.each_ref().map(|address| address.parse().unwrap());
        call(endpoint, admin);
        of_a_pool = vec![pooled(endpoint)];
        if round % 2 == 0 {
            served.signal("TERM");
        } else {
            assert_eq!(exchange(admin, &http("POST", "/shutdown", "", b"")).status, 200);
        }
        assert_eq!(served.end(), (Some(0), String::new(), String::new()), "restart {round}");
    }
    drop(of_a_pool);
    assert_eq!(count(&temporary), 0);
    assert_eq!(count(directory.path().join("keys")), 2, "the pair that the first start made");
    assert_eq!(count(directory.path()), 2, "keys, and the directory for temporary files");
}
