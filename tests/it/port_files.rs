//! `--port-file`: never says anything of a run that is not there.

use std::net::TcpListener;

use crate::binary::{Served, listening, run, text};
use crate::support::KEYS;

const STALE: &str = r#"{"endpoint":"http://127.0.0.1:1","admin":"http://127.0.0.1:2"}"#;

#[test]
fn the_file_of_an_earlier_run_is_gone_when_the_start_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    let keys = KEYS.path().to_str().unwrap();
    let no_keys = directory.path().join("keys");
    std::fs::create_dir(&no_keys).unwrap();
    std::fs::write(no_keys.join("private.pem"), "rubbish").unwrap();
    let fixtures = directory.path().join("fixtures/customers");
    std::fs::create_dir_all(&fixtures).unwrap();
    std::fs::write(fixtures.join("a.toml"), "nonsense").unwrap();
    let fixtures = directory.path().join("fixtures");
    for (args, code) in [
        (&["--listen", &address, "--admin-listen", "off", "--keys", keys][..], 3),
        (&["--listen", "127.0.0.1:0", "--admin-listen", &address, "--keys", keys], 3),
        (&listening("off", &no_keys), 4),
        (&[&listening("off", KEYS.path())[..], &["--fixtures", fixtures.to_str().unwrap()]].concat(), 2),
        (&[&listening("off", KEYS.path())[..], &["--fixtures", "/nowhere"]].concat(), 2),
    ] {
        std::fs::write(&file, STALE).unwrap();
        let out = run(&[args, &["--port-file", file.to_str().unwrap()]].concat());
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}", text(&out.stderr));
        assert!(!file.exists(), "{args:?}");
    }
}

#[test]
fn a_start_that_fails_leaves_the_file_of_a_simulator_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    let running = Served::plain(&["--port-file", file.to_str().unwrap()]);
    let (before, endpoint) = (std::fs::read_to_string(&file).unwrap(), running.value("endpoint"));
    let address = endpoint.trim_start_matches("http://");
    let args = ["--listen", address, "--admin-listen", "off", "--keys", KEYS.path().to_str().unwrap()];
    let out = run(&[&args[..], &["--port-file", file.to_str().unwrap()]].concat());
    assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[test]
fn the_file_is_replaced_at_the_start_and_removed_on_exit() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ports.json");
    for (signal, content) in [("TERM", STALE), ("INT", "")] {
        std::fs::write(&file, content).unwrap();
        let served = Served::plain(&["--port-file", file.to_str().unwrap()]);
        assert!(std::fs::read_to_string(&file).unwrap().contains(&served.value("endpoint")));
        served.signal(signal);
        assert_eq!(served.end().0, Some(0));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn another_file_is_not_touched_and_the_start_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "my notes").unwrap();
    let args = [&listening("off", KEYS.path())[..], &["--port-file", file.to_str().unwrap()]].concat();
    let out = run(&args);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("is no port file of this program"), "{}", text(&out.stderr));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "my notes");
}
