//! A hundred restarts in a row lose no port, thread, descriptor or temporary file: of the library in one process, and of the binary.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::binary::{Served, command};
use crate::support::{Sim, exchange, http};

const RESTARTS: usize = 100;

/// Bits of a key that takes little time to be read, in a debug build too.
const QUICK: usize = 1024;

/// Set in the process of its own that restarts the library.
const CHILD: &str = "FRSIM_TEST_RESTARTS";

/// A loopback address that nobody else binds or calls from, so that a port closed for a moment is not given to another test.
fn own_loopback() -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

/// What a process holds, and the temporary files that it left.
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

/// A call of the endpoint and one of the admin API. The server closes, so it is its ports that stay in TIME_WAIT.
fn call(endpoint: SocketAddr, admin: SocketAddr) {
    let answer = exchange(endpoint, &http("POST", "/api/face-recognition/sample-6014/X", "", b"{}"));
    assert_eq!(answer.code(), "6014");
    // Answered by a thread for what takes long.
    assert_eq!(
        exchange(admin, &http("POST", "/requests/verify", "", br#"{"count":{"exactly":1}}"#)).status,
        200
    );
}

/// A connection that was answered and is kept, as a pool does.
fn pooled(endpoint: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let _ = stream.read(&mut [0; 1024]).unwrap();
    stream
}

fn start(endpoint: SocketAddr, admin: SocketAddr) -> Sim {
    let keys = std::env::temp_dir().join("keys");
    let sim = Sim::with(|builder| {
        builder.keys(Some(keys)).key_bits(QUICK).listen(endpoint).admin_listen(Some(admin))
    });
    call(sim.address(), sim.admin_address());
    sim
}

/// The kernel takes a thread that has ended out of /proc a moment later.
fn until_no_more_threads_than(threads: usize) {
    let gone = (0..100_000).any(|_| count("/proc/self/task") <= threads);
    assert!(gone, "{} threads, before there were {threads}", count("/proc/self/task"));
}

fn restart_the_library() {
    let threads = count("/proc/self/task");
    let free = SocketAddr::from((own_loopback(), 0));
    let sim = start(free, free);
    let (endpoint, admin) = (sim.address(), sim.admin_address());
    let mut of_a_pool = pooled(endpoint);
    drop(sim);
    until_no_more_threads_than(threads);
    // Behind the first start: what a process opens once, such as tokio's pipe for signals, stays.
    let before = Held::now();
    for _ in 0..RESTARTS {
        let sim = start(endpoint, admin);
        // The connection to the last one ends only now: its port was not free of it when this one started.
        of_a_pool = pooled(endpoint);
        drop(sim);
    }
    until_no_more_threads_than(threads);
    assert_eq!(Held::now(), before, "after {RESTARTS} restarts");
    drop(of_a_pool);
}

/// In a process of its own: in this one other tests start threads.
#[test]
fn a_hundred_restarts_of_the_library_leave_nothing_behind() {
    if std::env::var_os(CHILD).is_some() {
        return restart_the_library();
    }
    let temporary = tempfile::tempdir().unwrap();
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "restarts::a_hundred_restarts_of_the_library_leave_nothing_behind", "--nocapture"])
        .env(CHILD, "")
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(out.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_hundred_restarts_of_the_binary_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    let (ports, bits) = (directory.path().join("ports.json"), QUICK.to_string());
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
    assert_eq!(count(directory.path()), 3, "keys, the port file, and the directory for temporary files");
}
