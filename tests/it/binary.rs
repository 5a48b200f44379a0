//! The built binary, as a user starts it: flags, environment, exit codes, output and commands.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Body, KEYS, MORNING, SITIS_NIK, elsewhere, eventually, exchange, http, write_fixture};

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dukcapil-fr-sim"));
    command.args(args).current_dir(elsewhere()).env_remove("CI").stdin(Stdio::null());
    command
}

pub fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A serving binary; killed when dropped.
pub struct Served {
    child: Child,
    ready: String,
    stdout: BufReader<std::process::ChildStdout>,
}

/// Returns the flags for a free port, this admin listener and these keys.
pub fn listening<'a>(admin: &'a str, keys: &'a Path) -> [&'a str; 6] {
    ["--listen", "127.0.0.1:0", "--admin-listen", admin, "--keys", keys.to_str().unwrap()]
}

impl Served {
    pub fn start(args: &[&str]) -> Served {
        Served::from(command(args))
    }

    pub fn from(mut command: Command) -> Served {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        stdout.read_line(&mut ready).unwrap();
        Served { child, ready, stdout }
    }

    /// Starts with free ports, the shared keys and the built-in fixtures.
    pub fn plain(more: &[&str]) -> Served {
        Served::start(&[&listening("127.0.0.1:0", KEYS.path())[..], more].concat())
    }

    /// Returns the ready line.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Returns the address of the admin listener.
    pub fn admin(&self) -> std::net::SocketAddr {
        match serde_json::from_str::<Value>(&self.ready) {
            Ok(ready) => address(ready["admin"].as_str().unwrap()),
            Err(_) => address(&self.value("admin")),
        }
    }

    /// Returns a value of the ready line.
    pub fn value(&self, name: &str) -> String {
        let part = self.ready.split_whitespace().find_map(|part| part.strip_prefix(&format!("{name}=")));
        part.unwrap_or_else(|| panic!("no {name} in {:?}", self.ready)).to_owned()
    }

    /// Returns the id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the exit. Returns the exit code, the rest of stdout, and stderr.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        self.stdout.read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code(), out, err)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn address(url: &str) -> std::net::SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

#[test]
fn one_ready_line_goes_to_stdout_and_everything_else_to_stderr() {
    let served = Served::plain(&[]);
    assert!(served.ready.starts_with("ready endpoint=http://127.0.0.1:"), "{}", served.ready);
    let (endpoint, admin) = (served.value("endpoint"), served.value("admin"));
    assert_eq!(exchange(address(&admin), &http("GET", "/ready", "", b"")).status, 200);
    let path = "/api/face-recognition/demo/CALL_FN";
    exchange(address(&endpoint), &http("POST", path, "", br#"{"transactionId":"T-\u001b[31m"}"#));
    exchange(address(&endpoint), &http("POST", "/api/face-recognition/dukcapil/demo/CALL_FN", "", b"{}"));
    served.signal("TERM");
    let (code, out, err) = served.end();
    let path = "/api/face-recognition/dukcapil/demo/CALL_FN";
    assert!(err.contains(&format!("HTTP 404 nothing is at this path: POST {path}")), "{err}");
    assert_eq!((code, out.as_str()), (Some(0), ""));
    assert!(err.contains("demo") && err.contains("5004") && err.contains("is missing"), "{err}");
    let try_it = format!("dukcapil-fr-sim call --url {endpoint} --admin {admin}\n");
    assert!(err.contains(&try_it) && err.contains("sample-<code>"), "the banner says what to try: {err}");
    assert!(err.contains("demo-user / demo-password"), "{err}");
    assert!(err.contains(&format!("console   {admin}/ in a browser\n")), "{err}");
    assert!(!err.contains('\u{1b}'), "no colour, and no client's escape codes, away from a terminal");
}

#[test]
fn an_interrupt_stops_it_too() {
    let served = Served::plain(&["--quiet"]);
    served.signal("INT");
    assert_eq!(served.end(), (Some(0), String::new(), String::new()));
}

#[test]
fn a_shutdown_over_the_admin_api_is_answered_and_stops_it_too() {
    let served = Served::plain(&["--quiet"]);
    let answer = exchange(address(&served.value("admin")), &http("POST", "/shutdown", "", b""));
    assert_eq!((answer.status, answer.text()), (200, r#"{"status":"stopping"}"#));
    assert_eq!(served.end(), (Some(0), String::new(), String::new()));
}

#[test]
fn the_ready_line_and_the_log_are_json_under_log_json() {
    let served = Served::plain(&["--log", "json"]);
    let ready: Value = serde_json::from_str(&served.ready).unwrap();
    let endpoint = ready["endpoint"].as_str().unwrap();
    assert!(ready["admin"].is_string());
    exchange(address(endpoint), &http("POST", "/api/face-recognition/sample-6014/X", "", b"{}"));
    served.signal("TERM");
    let (_, _, err) = served.end();
    let events: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (events[0]["event"].as_str(), events[1]["event"].as_str()),
        (Some("started"), Some("request"))
    );
    assert_eq!(
        (events[1]["customer_id"].as_str(), events[1]["code"].as_str()),
        (Some("sample-6014"), Some("6014"))
    );
}

#[test]
fn the_port_file_has_both_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ports.json");
    let served = Served::plain(&["--port-file", path.to_str().unwrap()]);
    let ports: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(ports, json!({ "endpoint": served.value("endpoint"), "admin": served.value("admin") }));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn without_an_admin_listener_the_line_says_off_and_the_file_null() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ports.json");
    let args = ["serve", "--port-file", path.to_str().unwrap()];
    let served = Served::start(&[&args[..], &listening("off", KEYS.path())].concat());
    assert!(served.ready.ends_with(" admin=off\n"), "{}", served.ready);
    let ports: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(ports["admin"], Value::Null);
}

/// Returns the flags of `serve --help`, each with its help text.
fn flags_of_serve() -> Vec<(String, String)> {
    let help = run(&["serve", "--help"]);
    let mut flags: Vec<(String, String)> = Vec::new();
    for line in text(&help.stdout).lines().map(str::trim) {
        let long = line.split(' ').find_map(|word| word.strip_prefix("--"));
        if let (true, Some(name)) = (line.starts_with('-'), long) {
            flags.push((name.to_owned(), String::new()));
        }
        if let Some((_, part)) = flags.last_mut() {
            part.push_str(line);
            part.push(' ');
        }
    }
    flags
}

#[test]
fn every_flag_has_an_environment_variable() {
    let flags = flags_of_serve();
    assert!(flags.len() > 15 && flags.iter().any(|(name, _)| name == "show-nik"), "{flags:?}");
    for (name, part) in flags {
        // These two only print.
        if name != "help" && name != "version" {
            let variable = format!("[env: FRSIM_{}", name.to_uppercase().replace('-', "_"));
            assert!(part.contains(&variable), "--{name} has no {variable}: {part}");
        }
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let keys = KEYS.path().to_str().unwrap();
    let mut with_nothing = command(&["--listen", "127.0.0.1:0", "--admin-listen", "off", "--keys", keys]);
    for (name, _) in flags_of_serve() {
        with_nothing.env(format!("FRSIM_{}", name.to_uppercase().replace('-', "_")), "");
    }
    let served = Served::from(with_nothing);
    assert!(served.ready.starts_with("ready endpoint="), "{}", served.ready);
    for args in [&["check", "--keys", keys][..], &["serve", "--help"], &["encrypt", "--help"]] {
        let out = command(args).env("FRSIM_FIXTURES", "").env("FRSIM_KEYS", "").output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    }
}

#[test]
fn invalid_serve_variables_do_not_break_other_commands() {
    let keys = KEYS.path().to_str().unwrap();
    for (name, value) in [("FRSIM_LOG", "x"), ("FRSIM_LISTEN", "nowhere"), ("FRSIM_QUIET", "perhaps")] {
        let checked = command(&["check", "--keys", keys]).env(name, value).output().unwrap();
        assert!(checked.status.success(), "{name}: {}", text(&checked.stderr));
        for serve in [&["serve"][..], &["--seed", "1"]] {
            let refused = command(serve).env(name, value).output().unwrap();
            assert_eq!(refused.status.code(), Some(2), "{serve:?} {name}");
        }
    }
}

#[test]
fn verbose_and_quiet_override_each_other_and_each_others_variables() {
    for (name, value, args, lines) in [
        ("FRSIM_QUIET", "true", &["-v"][..], "hint: "),
        ("FRSIM_VERBOSE", "false", &["-q"], ""),
        ("FRSIM_VERBOSE", "true", &["--quiet"], ""),
        ("FRSIM_QUIET", "true", &["-q", "-v"], "hint: "),
        ("FRSIM_QUIET", "true", &[], ""),
        ("FRSIM_VERBOSE", "true", &["-v", "-q"], ""),
        ("FRSIM_VERBOSE", "true", &[], "hint: "),
    ] {
        for serve in [&["serve"][..], &[]] {
            let keys = KEYS.path().to_str().unwrap();
            let plain = ["--listen", "127.0.0.1:0", "--admin-listen", "off", "--keys", keys];
            let mut command = command(&[serve, &plain, args].concat());
            command.env(name, value);
            let served = Served::from(command);
            exchange(
                address(&served.value("endpoint")),
                &http("POST", "/api/face-recognition/demo/X", "", b"{}"),
            );
            served.signal("TERM");
            let (code, _, err) = served.end();
            assert_eq!(code, Some(0));
            assert!(err.contains(lines) && err.is_empty() == lines.is_empty(), "{name} {args:?}: {err}");
        }
    }
}

#[test]
fn the_json_log_has_what_was_sent_with_hint_and_warnings() {
    let served = Served::plain(&["--log", "json"]);
    let ready: Value = serde_json::from_str(&served.ready).unwrap();
    let endpoint = address(ready["endpoint"].as_str().unwrap());
    exchange(endpoint, &http("POST", "/api/face-recognition/demo/X", "", b"{}"));
    served.signal("TERM");
    let (_, _, err) = served.end();
    let lines: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<_> = lines[1].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = "event id at customer_id transaction_id trace_id outcome code sent rule fault delay_us reason hint warnings elapsed_us";
    assert_eq!(keys.join(" "), expected);
    assert_eq!((&lines[1]["outcome"], &lines[1]["code"]), (&json!("5004"), &json!("5004")));
    assert_eq!((&lines[1]["sent"]["status"], &lines[1]["sent"]["end"]), (&json!(200), &json!("complete")));
    let warning = &lines[1]["warnings"][0];
    assert!(lines[1]["hint"].is_string() && warning["name"].is_string() && warning["message"].is_string());
    assert_eq!(lines[2], json!({ "event": "stopped", "requests": { "5004": 1 }, "faults": {}, "seed": 0 }));
}

#[test]
fn flags_override_environment_variables() {
    let mut with_environment = command(&["--layout", "compact"]);
    with_environment
        .env("FRSIM_LISTEN", "127.0.0.1:0")
        .env("FRSIM_ADMIN_LISTEN", "127.0.0.1:0")
        .env("FRSIM_KEYS", KEYS.path())
        .env("FRSIM_CLOCK", MORNING)
        .env("FRSIM_LAYOUT", "as-printed")
        .env("FRSIM_SHOW_NIK", "true");
    let served = Served::from(with_environment);
    let endpoint = address(&served.value("endpoint"));
    let answer = exchange(endpoint, &http("POST", "/api/face-recognition/always-5001/X", "", b"{}"));
    assert!(answer.text().starts_with("{\"error\":{\"errorCode\":5001,"), "{}", answer.text());
    let clock = exchange(address(&served.value("admin")), &http("GET", "/clock", "", b"")).json();
    assert_eq!(clock, json!({ "now": MORNING, "frozen": true }));
}

#[test]
fn bad_arguments_and_fixtures_exit_2() {
    let directory = tempfile::tempdir().unwrap();
    write_fixture(directory.path(), "customers/x.toml", "methode = ['A']\nacount = {}\n");
    let fixtures = directory.path().to_str().unwrap();
    let keys = KEYS.path().to_str().unwrap();
    for (args, expected) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--listen", "nowhere"], "such as 127.0.0.1:8080"),
        (&["--key-bits", "512"], "1024 to 8192"),
        (&["--clock", "yesterday"], "RFC 3339"),
        (&["--layout", "pretty"], "documented, compact, as-printed"),
        (&["--max-body", "huge"], "10MiB"),
        (&["--admin-listen", "0.0.0.0:0", "--listen", "127.0.0.1:0", "--keys", keys], "needs --admin-token"),
        (&["--fixtures", "/no/such/directory"], "is not a directory"),
        (
            &["--listen", "127.0.0.1:0", "--admin-listen", "off", "--keys", keys, "--fixtures", fixtures],
            "x.toml:2:1: unknown key `acount` (did you mean `account`?)",
        ),
    ] {
        let out = run(args);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(expected), "{args:?}: {}", text(&out.stderr));
        assert_eq!(text(&out.stdout), "");
    }
}

#[test]
fn beyond_loopback_with_a_token_is_allowed() {
    let served = Served::start(&[&["--admin-token", "t"][..], &listening("0.0.0.0:0", KEYS.path())].concat());
    assert!(served.value("admin").starts_with("http://0.0.0.0:"));
}

#[test]
fn a_token_that_no_client_can_send_is_rejected_and_not_printed() {
    // The address is in use: without the token check, the start would fail there instead.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let plain =
        ["--listen", &taken, "--admin-listen", "127.0.0.1:0", "--keys", KEYS.path().to_str().unwrap()];
    for (token, at) in [
        ("geheim\n", 7),
        ("geh\teim", 4),
        (" geheim", 1),
        ("geheim ", 7),
        ("geh eim", 4),
        ("gehéim", 4),
        ("\u{7f}", 1),
    ] {
        let by_flag = run(&[&plain[..], &["--admin-token", token]].concat());
        let by_variable = command(&plain).env("FRSIM_ADMIN_TOKEN", token).output().unwrap();
        for out in [by_flag, by_variable] {
            let said = text(&out.stderr);
            assert_eq!(out.status.code(), Some(2), "{token:?}: {said}");
            assert!(
                said.contains(&format!("character {at} is not allowed: use visible ASCII")),
                "{token:?}: {said}"
            );
            assert!(!said.contains(token.trim()), "{said}");
        }
    }
    for token in ["!~", "a-b.c_d~e+f/g==", "\"'<>\\"] {
        let served = Served::plain(&["--admin-token", token]);
        let head = format!("Authorization: Bearer {token}\r\n");
        let answer = exchange(address(&served.value("admin")), &http("GET", "/clock", &head, b""));
        assert_eq!(answer.status, 200, "{token}");
    }
}

#[test]
fn an_address_in_use_exits_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let keys = KEYS.path().to_str().unwrap();
    for args in [
        ["--listen", &address, "--admin-listen", "off", "--keys", keys],
        ["--listen", "127.0.0.1:0", "--admin-listen", &address, "--keys", keys],
    ] {
        let out = run(&args);
        assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains(&address));
    }
}

/// Sends requests sequentially on one connection; none may take long.
fn many_requests(endpoint: std::net::SocketAddr, count: usize) {
    let mut stream = std::net::TcpStream::connect(endpoint).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    let request =
        b"POST /api/face-recognition/sample-6014/X HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    for number in 0..count {
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        while !bytes.ends_with(b"\n}") {
            let read = stream.read(&mut chunk).unwrap_or_else(|error| panic!("answer {number}: {error}"));
            assert_ne!(read, 0);
            bytes.extend_from_slice(&chunk[..read]);
        }
    }
}

#[test]
fn an_unread_log_blocks_neither_the_endpoint_nor_its_exit() {
    let mut served = Served::plain(&["-v"]);
    let unread = served.child.stderr.take().unwrap();
    many_requests(address(&served.value("endpoint")), 3000);
    served.signal("TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    drop(unread);
}

#[test]
fn a_log_that_is_read_has_every_request_in_order() {
    let mut served = Served::plain(&["--log", "json"]);
    let ready: Value = serde_json::from_str(&served.ready).unwrap();
    let mut stderr = served.child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        log
    });
    many_requests(address(ready["endpoint"].as_str().unwrap()), 1000);
    served.signal("TERM");
    let log = log.join().unwrap();
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ids: Vec<_> = events.filter_map(|event| event["id"].as_u64()).collect();
    assert_eq!(ids, (1..=1000).collect::<Vec<_>>());
}

#[test]
fn an_unwritable_public_key_is_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(KEYS.path().join("private.pem"), directory.path().join("private.pem")).unwrap();
    // Not even root can rename a file over a directory.
    std::fs::create_dir_all(directory.path().join("public.pem/x")).unwrap();
    let served = Served::start(&[&["-q"][..], &listening("off", directory.path())].concat());
    served.signal("TERM");
    let (code, _, err) = served.end();
    assert_eq!(code, Some(0));
    assert!(err.contains(" warning: ") && err.contains("public.pem: cannot be written"), "{err}");
}

#[test]
fn offline_commands_write_nothing_into_the_keys_directory() {
    let directory = tempfile::tempdir().unwrap();
    let private = directory.path().join("private.pem");
    std::fs::copy(KEYS.path().join("private.pem"), &private).unwrap();
    let keys = directory.path().to_str().unwrap();
    // The explained body does not matter.
    let body = private.to_str().unwrap();
    for args in [&["check", "--keys", keys][..], &["explain", body, "--keys", keys]] {
        let out = run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "{args:?}");
    }
}

#[test]
fn a_broken_pipe_exits_quietly() {
    for args in [&["check", "--policy"][..], &["check", "--keys", KEYS.path().to_str().unwrap()]] {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let out = child.wait_with_output().unwrap();
        assert_eq!((out.status.code(), text(&out.stderr)), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn unusable_keys_exit_4() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("private.pem"), "rubbish").unwrap();
    let out = run(&listening("off", directory.path()));
    assert_eq!(out.status.code(), Some(4));
    assert!(text(&out.stderr).contains("private.pem"), "{}", text(&out.stderr));
}

#[test]
fn a_hangup_reloads_the_fixtures() {
    let directory = tempfile::tempdir().unwrap();
    let fixtures = directory.path().to_str().unwrap();
    let mut served = Served::plain(&["--fixtures", fixtures]);
    let stderr = BufReader::new(served.child.stderr.take().unwrap());
    served.signal("HUP");
    let reloaded = stderr.lines().map_while(Result::ok).find(|line| line.contains("fixtures reloaded"));
    assert!(reloaded.is_some_and(|line| line.contains("customers")));
}

#[test]
fn keys_of_both_encodings_and_other_sizes_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("private.pem");
    for (bits, flag) in [("1024", "-traditional"), ("3072", "-traditional"), ("2048", "")] {
        let script = format!("openssl genrsa {flag} -out {} {bits} 2>/dev/null", path.display());
        if !Command::new("sh").args(["-c", &script]).status().is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "openssl must be installed under CI");
            eprintln!("SKIPPED: openssl is not installed");
            return;
        }
        let pem = std::fs::read_to_string(&path).unwrap();
        let expected =
            if flag.is_empty() { "-----BEGIN PRIVATE KEY-----" } else { "-----BEGIN RSA PRIVATE KEY-----" };
        assert!(pem.starts_with(expected), "{pem}");
        // A public key that does not belong to the private one would refuse the start.
        let _ = std::fs::remove_file(directory.path().join("public.pem"));
        let served = Served::start(&listening("off", directory.path()));
        let public = std::fs::read_to_string(directory.path().join("public.pem")).unwrap();
        let body = Body::encrypted_with(&public).text();
        let answer = exchange(
            address(&served.value("endpoint")),
            &http("POST", "/api/face-recognition/demo/CALL_FN", "", body.as_bytes()),
        );
        assert_eq!(answer.code(), "6018", "{bits}");
    }
}

#[test]
fn call_is_a_complete_client() {
    let served = Served::plain(&[]);
    let (endpoint, admin) = (served.value("endpoint"), served.value("admin"));
    let call = |more: &[&str]| run(&[&["call", "--url", &endpoint, "--admin", &admin][..], more].concat());
    let found = call(&[]);
    let out = text(&found.stdout);
    assert!(found.status.success() && out.contains("\"errorCode\": \"6018\""), "{out}");
    assert!(out.contains(&format!("{SITIS_NIK}     20.000")), "{out}");
    assert!(out.contains("reason:  1 candidate, score 20.00"), "{out}");
    let wrong = call(&["--password", "guess"]);
    let out = text(&wrong.stdout);
    assert!(
        out.contains("5001") && out.contains("reason:  password was decrypted, but is not this customer's"),
        "{out}"
    );
    let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/gallery/andi.png");
    let public = KEYS.path().join("public.pem");
    let other = call(&[
        "--image",
        picture,
        "--threshold",
        "20",
        "--customer",
        "load",
        "--public-key",
        public.to_str().unwrap(),
    ]);
    assert!(text(&other.stdout).contains("7371012804969008"), "{}", text(&other.stdout));
    assert_eq!(run(&["call", "--url", "http://127.0.0.1:1", "--admin", &admin]).status.code(), Some(3));
}

#[test]
fn encrypt_returns_what_the_endpoint_decrypts() {
    let public = KEYS.path().join("public.pem");
    let public = public.to_str().unwrap();
    let argument = run(&["encrypt", "demo-user", "--public-key", public]);
    let mut piped = command(&["encrypt", "--public-key", public]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"demo-password\n").unwrap();
    let password = child.wait_with_output().unwrap();
    let (user, password) = (text(&argument.stdout).trim_end(), text(&password.stdout).trim_end());
    assert_eq!((user.len(), password.len()), (344, 344), "2048 bits");
    let sim = crate::support::Sim::start();
    let body = sim.request().set("user_id", user).set("password", password);
    assert_eq!(sim.call("demo", body.text()).code(), "6018");
    assert_eq!(run(&["encrypt", &"x".repeat(246), "--public-key", public]).status.code(), Some(2));
    assert_eq!(run(&["encrypt", "x", "--public-key", "/no/such.pem"]).status.code(), Some(4));
}

#[test]
fn explain_evaluates_offline() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body.json");
    let public = std::fs::read_to_string(KEYS.path().join("public.pem")).unwrap();
    let body = Body::encrypted_with(&public);
    std::fs::write(&file, body.clone().set("threshold", "0").text()).unwrap();
    let keys = KEYS.path().to_str().unwrap();
    let out = run(&["explain", file.to_str().unwrap(), "--keys", keys]);
    let out = text(&out.stdout);
    assert!(out.contains(" (--keys is given)\n5005  threshold 0 is not within 1 to 20\n"), "{out}");
    assert!(out.contains("account     passed"), "{out}");

    std::fs::write(&file, body.text()).unwrap();
    let masked = format!("{}XXXXXXXXXX", &SITIS_NIK[..6]);
    for (flags, shown, hidden) in
        [(&[][..], masked.as_str(), SITIS_NIK), (&["--show-nik"], SITIS_NIK, &masked)]
    {
        let out = run(&[&["explain", file.to_str().unwrap(), "--keys", keys], flags].concat());
        let out = text(&out.stdout);
        assert!(out.contains(&format!("\nNIK                  score\n{shown}     20.000\n")), "{out}");
        assert!(out.contains("\"errorCode\": \"6018\"") && out.matches(shown).count() == 2, "{out}");
        assert!(!out.contains(hidden), "{out}");
    }

    let mut piped = command(&["explain", "-", "--keys", keys, "--json"]);
    let mut child = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.text().as_bytes()).unwrap();
    let explanation: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!((explanation["code"].as_str(), explanation["outcome"].as_str()), (Some("6018"), Some("6018")));
    assert_eq!(explanation["candidates"][0]["nik"], masked);
    assert!(explanation["body"].as_str().unwrap().contains(SITIS_NIK), "the body as it would be sent");
    assert_eq!(run(&["explain", "/no/such/file"]).status.code(), Some(2));
}

#[test]
fn check_reports_problems_and_prints_the_policy_table() {
    let directory = tempfile::tempdir().unwrap();
    let fixtures = directory.path().to_str().unwrap();
    let good = run(&["check", fixtures]);
    assert!(good.status.success() && text(&good.stdout).contains(": OK, "), "{}", text(&good.stderr));
    write_fixture(directory.path(), "customers/x.toml", "extends = 'dmo'\n");
    write_fixture(directory.path(), "simulator.toml", "[policy]\nlayuot = 'compact'\n");
    let bad = run(&["check", fixtures]);
    let said = [text(&bad.stdout), text(&bad.stderr)].concat();
    assert_eq!(bad.status.code(), Some(2));
    assert!(said.contains("simulator.toml:2:1: unknown key `layuot` (did you mean `layout`?)"), "{said}");
    assert!(
        said.contains("x.toml:1:11: there is no customer dmo to extend; did you mean \"demo\"?"),
        "{said}"
    );
    write_fixture(directory.path(), "customer/dmo.toml", "extends = 'demo'\n");
    let bad = run(&["check", fixtures]);
    let ignored = "customer/dmo.toml: is ignored (rename it to customers/dmo.toml)";
    assert!(text(&bad.stderr).contains(ignored), "{}", text(&bad.stderr));
    write_fixture(directory.path(), "simulator.toml", "");
    write_fixture(
        directory.path(),
        "customers/x.toml",
        "extends = 'demo'\nrules = [{ reply = { code = '6099' } }]\n",
    );
    let warned = run(&["check", fixtures]);
    let said = text(&warned.stderr);
    assert!(
        warned.status.success()
            && said.contains("warning: ")
            && said.contains("x.toml:2:29: the code \"6099\" is not known"),
        "{said}"
    );
    let policy = run(&["check", "--policy"]);
    assert!(text(&policy.stdout).lines().all(|line| line.chars().count() <= 80), "without a terminal");
    for key in &dukcapil_fr_sim::internals::domain::policy::KEYS {
        assert!(text(&policy.stdout).contains(key.name), "{}", key.name);
    }
}

#[test]
fn a_running_simulator_takes_fixtures_that_init_makes_later() {
    let directory = tempfile::tempdir().unwrap();
    let mut serve = command(&listening("127.0.0.1:0", KEYS.path()));
    serve.current_dir(directory.path());
    let served = Served::from(serve);
    let ask = |method: &str, path: &str| exchange(served.admin(), &http(method, path, "", b""));
    assert_eq!(ask("GET", "/config").json()["fixtures"], Value::Null);
    let init = command(&["init"]).current_dir(directory.path()).output().unwrap();
    assert!(init.status.success(), "{init:?}");
    write_fixture(directory.path(), "fixtures/customers/retry.toml", "extends = 'demo'");
    eventually("the customer", || ask("GET", "/customers/retry").status == 200);
    assert_eq!(ask("GET", "/config").json()["fixtures"], "fixtures");
    write_fixture(directory.path(), "fixtures/customers/later.toml", "extends = 'demo'");
    eventually("another edit", || ask("GET", "/customers/later").status == 200);
}

#[test]
fn init_writes_fixtures_that_pass_check() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("mine");
    let target = target.to_str().unwrap();
    assert!(run(&["init", target]).status.success());
    assert!(Path::new(target).join("customers/demo.toml").exists());
    assert!(run(&["check", target]).status.success());
    assert_eq!(run(&["init", target]).status.code(), Some(2), "nothing is overwritten");
}

#[test]
fn healthcheck_is_0_when_ready_and_1_when_not() {
    let served = Served::plain(&[]);
    let admin = served.value("admin");
    assert_eq!(run(&["healthcheck", "--admin", &admin]).status.code(), Some(0));
    let listener = admin.strip_prefix("http://").unwrap();
    let port = listener.rsplit(':').next().unwrap();
    for (variable, value) in [
        ("FRSIM_ADMIN", admin.clone()),
        ("FRSIM_ADMIN", format!("{admin}/")),
        ("FRSIM_ADMIN_LISTEN", listener.to_owned()),
        ("FRSIM_ADMIN_LISTEN", format!("0.0.0.0:{port}")),
    ] {
        let checked = command(&["healthcheck"]).env(variable, &value).output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{variable}={value}: {}", text(&checked.stderr));
    }
    for (wrong, part) in [("https", "https is not supported"), ("", "a URL with http://")] {
        let wrong = format!("{wrong}{}", &admin["http".len()..]);
        let checked = command(&["healthcheck"]).env("FRSIM_ADMIN", &wrong).output().unwrap();
        let said = text(&checked.stderr);
        assert!(checked.status.code() == Some(2) && said.contains(part), "{wrong}: {said}");
    }
    let off = command(&["healthcheck"]).env("FRSIM_ADMIN_LISTEN", "off").output().unwrap();
    assert_eq!(off.status.code(), Some(1));
    served.signal("TERM");
    served.end();
    assert_eq!(run(&["healthcheck", "--admin", &admin]).status.code(), Some(1));
}

#[test]
fn an_answer_in_flight_is_finished_before_exit() {
    let served = Served::plain(&["--grace", "30s"]);
    let mut stream = std::net::TcpStream::connect(address(&served.value("endpoint"))).unwrap();
    let request = http("POST", "/api/face-recognition/sample-6014/X", "", b"{}");
    let (head, last) = request.split_at(request.len() - 1);
    stream.write_all(head).unwrap();
    // After an admin answer, time has passed for the server too: another thread has read the head meanwhile.
    let admin = address(&served.value("admin"));
    eventually("the server has read the head", || {
        exchange(admin, &http("GET", "/ready", "", b"")).json()["in_flight"] == 1
    });
    served.signal("TERM");
    stream.write_all(last).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\n}"), "{answer}");
    assert_eq!(served.end().0, Some(0));
}

#[test]
fn an_address_in_use_says_who_answers_there_and_what_to_do() {
    let served = Served::plain(&[]);
    let (endpoint, admin) = (address(&served.value("endpoint")), served.admin());
    let start = |listen: &str, admin: &str| {
        let keys = KEYS.path().to_str().unwrap();
        let output = run(&["--listen", listen, "--admin-listen", admin, "--keys", keys]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), ""));
        text(&output.stderr).to_owned()
    };
    let taken = start(&endpoint.to_string(), "off");
    assert!(taken.contains("in use: the endpoint of another dukcapil-fr-sim answers there"), "{taken}");
    assert!(taken.contains("--listen 127.0.0.1:0 takes a free one"), "{taken}");
    let taken = start("127.0.0.1:0", &admin.to_string());
    assert!(taken.contains("in use: the admin listener of another dukcapil-fr-sim ("), "{taken}");
    assert!(taken.contains("--admin-listen 127.0.0.1:0 takes a free one"), "{taken}");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = start(&other.local_addr().unwrap().to_string(), "off");
    assert!(taken.contains("is in use by another program"), "{taken}");
    let twice = run(&["--listen", "127.0.0.1:9090"]);
    assert_eq!(twice.status.code(), Some(2), "admin listens there by default");
    assert!(text(&twice.stderr).contains("--listen and --admin-listen are both 127.0.0.1:9090"));
    // An address of the documentation, which no machine has.
    let missing = start("192.0.2.1:8080", "off");
    assert!(missing.contains("ip addr add 192.0.2.1/32 dev lo"), "{missing}");
}
