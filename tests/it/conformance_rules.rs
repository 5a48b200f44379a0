//! `conformance`: every safety rule, servers that are not the endpoint or outside the space of policies, and the commands.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use dukcapil_fr_sim::PolicySpec;
use dukcapil_fr_sim::internals::conformance::calibrate::calibrate;
use dukcapil_fr_sim::internals::conformance::call_spec::{Alteration, CallSpec, Subject};
use dukcapil_fr_sim::internals::conformance::cases::{CaseChoice, WRONG_PASSWORD};
use dukcapil_fr_sim::internals::conformance::ledger::Ledger;
use dukcapil_fr_sim::internals::conformance::observation::Answers;
use dukcapil_fr_sim::internals::conformance::raw_client::Exchanger;
use dukcapil_fr_sim::internals::conformance::report::{ComparedWith, RunReport};
use dukcapil_fr_sim::internals::conformance::run_file::RecordedCall;
use dukcapil_fr_sim::internals::conformance::runner::{RunSettings, RunStop, Surroundings, run};
use dukcapil_fr_sim::internals::domain::policy::Policy;
use dukcapil_fr_sim::internals::keys::{self, PrivateKey};
use dukcapil_fr_sim::internals::protocol::encoding::{self, Base64Mode};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::binary::{Served, command, text};
use crate::conformance::{
    MODEL, morning, new_file, number, run_against, run_with, settings, subject, tcp, well_formed, with_policy,
};
use crate::support::{KEYS, SITIS_NIK, Sim, exchange, http};
use crate::tidy::read;

/// A small server: answers each request, by its number from 0, path and body. It stops when dropped.
struct Fake {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    fn start(answer: impl Fn(usize, &str, &[u8]) -> Vec<u8> + Send + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                if let Some((path, body)) = read_request(&mut stream) {
                    let number = counted.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.write_all(&answer(number, &path, &body));
                }
            }
        });
        Fake { address, requests, stop, thread: Some(thread) }
    }

    fn count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let body = &bytes[end + 4..];
        if head.contains("expect: 100-continue") && body.is_empty() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let is_whole = match length {
            Some(length) => body.len() >= length,
            None if head.contains("transfer-encoding: chunked") => body.ends_with(b"0\r\n\r\n"),
            None => true,
        };
        if is_whole {
            let line = String::from_utf8_lossy(&bytes[..end]).lines().next()?.to_owned();
            return Some((line.split(' ').nth(1)?.to_owned(), body.to_vec()));
        }
    }
}

fn response(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a request on to the simulator, for another customer.
fn forwarded(simulator: SocketAddr, customer: &str, body: &[u8]) -> Vec<u8> {
    let headers = "Accept: application/json\r\nContent-Type: application/json\r\n";
    let path = format!("/api/face-recognition/{customer}/CALL_FN");
    let answer = exchange(simulator, &http("POST", &path, headers, body));
    response("200 OK", std::str::from_utf8(&answer.body).unwrap())
}

#[test]
fn each_surprise_ends_the_run_at_once() {
    let html = json!({ "status": 200, "body": "<html>Please log in</html>" });
    let found = json!({ "code": "6018", "candidates": [{ "nik": SITIS_NIK, "score": 9.5 }] });
    let many = json!({ "status": 200, "body": "{\"errorCode\":\"5004\"}" });
    let failing = |body: &str| json!({ "status": 503, "body": body });
    for (name, reply, skip, why, most) in [
        ("quota", json!({ "code": "5002" }), 1, "5002: today's quota is used up", 2),
        ("busy", json!({ "code": "6014" }), 1, "6014 came twice in a row", 4),
        ("account", json!({ "code": "5001" }), 1, "5001 where the account was not made up", 4),
        ("status", json!({ "status": 503, "body": "down" }), 1, "a status other than 200 came twice", 4),
        ("login", html.clone(), 1, "an answer of neither shape", 2),
        (
            "quota, another status",
            failing("{\"errorCode\":\"5002\",\"error\":\"\"}"),
            1,
            "5002: today's quota is used up",
            2,
        ),
        (
            "account, another status",
            failing("{\"errorCode\":\"5001\",\"error\":\"\"}"),
            0,
            "5001 where the account was not made up",
            1,
        ),
        ("found, another status", failing(SITIS_NIK), 1, "candidates came where none were meant", 2),
        (
            "found, as an object",
            json!({ "status": 200, "body": "{\"errorCode\":\"6018\",\"error\":\"\",\"response\":{\"face\":{\"FACE_T5\":{\"7\":9}}}}" }),
            1,
            "candidates came where none were meant",
            2,
        ),
        (
            "a code for the terminal",
            json!({ "status": 200, "body": "{\"errorCode\":\"\\u001b[31m\",\"error\":\"\"}" }),
            0,
            "an answer of neither shape",
            1,
        ),
        ("half a shape", many, 1, "an answer of neither shape", 2),
        ("found", found.clone(), 1, "candidates came where none were meant", 2),
        ("login first", html, 0, "an answer of neither shape", 1),
        ("other first", json!({ "code": "5005" }), 0, "the first answer is 5005", 1),
        (
            "error first",
            json!({ "status": 302, "headers": { "Location": "http://127.0.0.1:1/" }, "body": "" }),
            0,
            "the first answer has status 302",
            1,
        ),
    ] {
        let sim = with_policy(&PolicySpec::default());
        sim.0.put_rule("bank", name, json!({ "skip": skip, "reply": reply })).unwrap();
        let (run, end) = run_against(&sim, "bank", &settings());
        assert!(matches!(&end, Err(RunStop::Early(text)) if text.contains(why)), "{name}: {end:?}");
        assert!(run.stopped.is_some_and(|text| text.contains(why)), "{name}");
        let received = sim.0.received().len();
        assert!(received <= most && received == run.calls.len(), "{name}: {received} requests");
        let kept: String = run
            .calls
            .iter()
            .filter_map(|call| call.result.as_ref().ok())
            .map(|answer| answer.body.as_str())
            .collect();
        assert!(!kept.contains(SITIS_NIK), "{name}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Fake::start(|_, _, _| response("200 OK", "{}"));
    let location = elsewhere.address;
    let first = Fake::start(move |_, _, _| {
        format!("HTTP/1.1 302 Found\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n")
            .into_bytes()
    });
    let sim = Sim::start();
    let mut file = new_file(None, &settings());
    let end = run_with(&subject(&sim, "bank"), &settings(), &mut tcp(first.address), None, &mut file);
    assert!(matches!(end, Err(RunStop::Early(_))), "{end:?}");
    assert_eq!((first.count(), elsewhere.count()), (1, 0));
}

#[test]
fn hours_and_an_interruption_end_the_run_before_a_call() {
    let sim = with_policy(&PolicySpec::default());
    let at = |text: &str| jiff::civil::Time::strptime("%H:%M", text).unwrap();
    for (from, to, is_within) in [
        ("20:00", "23:30", false),
        ("09:00", "10:00", false),
        ("10:00", "10:01", true),
        ("22:00", "10:01", true),
        ("22:00", "09:59", false),
    ] {
        let choice = CaseChoice { only: vec!["4.6/21".to_owned()], ..CaseChoice::default() };
        let settings = RunSettings { between: Some((at(from), at(to))), choice, ..settings() };
        let (run, end) = run_against(&sim, "bank", &settings);
        assert_eq!(end.is_ok(), is_within, "{from}..{to}: {end:?}");
        assert_eq!(run.calls.len(), if is_within { 2 } else { 0 });
    }
    let interrupted = AtomicBool::new(false);
    let mut file = new_file(None, &settings());
    let (subject, settings) =
        (subject(&sim, "bank"), RunSettings { pace: std::time::Duration::from_secs(3), ..settings() });
    let mut exchanger = tcp(sim.address());
    let pauses = std::cell::RefCell::new(Vec::new());
    let sleep = |pause| {
        pauses.borrow_mut().push(pause);
        // The operator interrupts in the second pause.
        interrupted.store(pauses.borrow().len() == 2, Ordering::Relaxed);
    };
    let surroundings = Surroundings {
        exchanger: &mut exchanger,
        ledger: None,
        now: &morning,
        sleep: &sleep,
        interrupted: &interrupted,
    };
    let end = run(&subject, &settings, surroundings, &mut file);
    assert!(matches!(&end, Err(RunStop::Early(why)) if why == "interrupted"), "{end:?}");
    assert_eq!(file.run.calls.len(), 2);
    assert_eq!(*pauses.borrow(), [settings.pace; 2], "a pause before each call but the first");
}

/// The reasons of the failed checks of an entry, by check.
fn failed(entry: &dukcapil_fr_sim::Entry, check: &str) -> String {
    let entry = serde_json::to_value(entry).unwrap();
    let findings = entry["findings"].as_array().cloned().unwrap_or_default();
    let found = findings.iter().find(|finding| finding["check"] == check && finding["status"] == "failed");
    found.map_or_else(String::new, |finding| finding["reason"].as_str().unwrap().to_owned())
}

#[test]
fn the_right_user_id_leaves_with_a_wrong_password_only_when_the_risk_is_accepted() {
    let is_dangerous = |entry: &dukcapil_fr_sim::Entry| {
        let (account, decryption) = (failed(entry, "account"), failed(entry, "decryption"));
        account.contains("password was decrypted")
            && !account.contains("user_id was decrypted")
            && !decryption.contains("user_id")
    };
    for (accepted, expected) in [(Vec::new(), 0), (vec![WRONG_PASSWORD.to_owned()], 1)] {
        let sim = with_policy(&PolicySpec::default());
        let choice = CaseChoice { accepted, ..settings().choice };
        let settings = RunSettings { choice, max_account_failures: 3, ..settings() };
        let (_, end) = run_against(&sim, "bank", &settings);
        assert!(end.is_ok(), "{end:?}");
        assert!(sim.0.received().len() > 35);
        assert_eq!(sim.0.received().iter().filter(|entry| is_dangerous(entry)).count(), expected);
    }
}

#[test]
fn account_failures_stay_within_the_limit_and_what_would_exceed_it_is_named() {
    for (limit, most, skipped) in [
        (0, 0, &["order/eliminate", "4.3/unknown-user", "4.7/wrapped"][..]),
        (1, 1, &["4.7/wrapped", "order/again"]),
        (3, 3, &[]),
    ] {
        let sim = with_policy(&toml::from_str("base64 = 'mime'").unwrap());
        let settings = RunSettings { max_account_failures: limit, ..settings() };
        let (run, end) = run_against(&sim, "bank", &settings);
        assert!(end.is_ok(), "{limit}: {end:?}");
        let received = sim.0.received();
        let answered = received.iter().filter(|entry| {
            let code = serde_json::to_value(entry.as_ref()).unwrap()["answer"]["code"] == "5001";
            code && failed(entry, "account").contains("decrypted")
        });
        assert_eq!(answered.count(), most, "{limit}");
        for case in skipped {
            assert!(
                run.skipped.iter().any(|(id, why)| id == case && why.contains("--max-account-failures")),
                "{limit}: {case}"
            );
        }
    }
}

#[test]
fn account_failures_count_over_resumed_runs_and_whatever_the_status() {
    let sim = with_policy(&toml::from_str("base64 = 'mime'").unwrap());
    let only = |case: &str| {
        let choice = CaseChoice { only: vec![case.to_owned()], ..CaseChoice::default() };
        RunSettings { choice, ..settings() }
    };
    let simulator = sim.address();
    let other_status = Fake::start(move |_, _, body| {
        let answer = String::from_utf8(forwarded(simulator, "bank", body)).unwrap();
        if answer.contains("5001") { answer.replacen("200 OK", "401 No", 1) } else { answer }.into_bytes()
    });
    for address in [simulator, other_status.address] {
        let mut file = new_file(None, &settings());
        for case in ["4.3/unknown-user", "4.7/wrapped"] {
            let end = run_with(&subject(&sim, "bank"), &only(case), &mut tcp(address), None, &mut file);
            assert!(end.is_ok(), "{end:?}");
        }
        let has_account = |call: &&RecordedCall| call.sends.but.contains(&Alteration::MadeUpAccount);
        assert_eq!(file.run.calls.iter().filter(has_account).count(), 1);
        assert!(file.run.skipped.iter().any(|(case, _)| case == "4.7/wrapped"), "{:?}", file.run.skipped);
    }
}

#[test]
fn a_run_whose_answer_repeated_a_credential_does_not_go_on() {
    let sim = with_policy(&PolicySpec::default());
    let simulator = sim.address();
    let echo = Fake::start(move |number, _, body| match number {
        1 => response("200 OK", "{\"errorCode\":\"5004\",\"error\":\"demo%2Dpassword\"}"),
        _ => forwarded(simulator, "bank", body),
    });
    let mut file = new_file(None, &settings());
    for _ in 0..2 {
        let end = run_with(&subject(&sim, "bank"), &settings(), &mut tcp(echo.address), None, &mut file);
        assert!(
            matches!(&end, Err(RunStop::Refused(why)) if why.contains("repeats a credential")),
            "{end:?}"
        );
        assert_eq!(echo.count(), 2);
    }
}

#[test]
fn a_resumed_run_first_sees_that_the_endpoint_is_still_there() {
    let sim = with_policy(&PolicySpec::default());
    let only = |case: &str| {
        let choice = CaseChoice { only: vec![case.to_owned()], ..CaseChoice::default() };
        RunSettings { choice, ..settings() }
    };
    let subject = subject(&sim, "bank");
    for (page, requests) in
        [("<html>Please log in</html>", 1), ("{\"errorCode\":\"5005\",\"error\":\"\"}", 1)]
    {
        let mut file = new_file(None, &settings());
        let end = run_with(&subject, &only("4.6/21"), &mut tcp(sim.address()), None, &mut file);
        assert!(end.is_ok() && file.run.calls.len() == 2, "{end:?}");
        // What is answered already needs no call.
        assert!(run_with(&subject, &only("4.6/21"), &mut tcp(sim.address()), None, &mut file).is_ok());
        assert_eq!(file.run.calls.len(), 2);
        let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        let other = Fake::start(move |_, _, body| {
            seen.lock().unwrap().push(String::from_utf8_lossy(body).into_owned());
            response("200 OK", page)
        });
        let end = run_with(&subject, &only("4.6/0.5"), &mut tcp(other.address), None, &mut file);
        assert!(matches!(end, Err(RunStop::Early(_))), "{end:?}");
        assert_eq!((other.count(), bodies.lock().unwrap().as_slice()), (requests, &["{}".to_owned()][..]));
    }
    let mut file = new_file(None, &settings());
    for (case, calls) in [("4.6/21", 2), ("4.6/0.5", 4), ("4.4/foreign", 6)] {
        let end = run_with(&subject, &only(case), &mut tcp(sim.address()), None, &mut file);
        assert!(end.is_ok() && file.run.calls.len() == calls, "{case}: {end:?}");
    }
}

#[test]
fn a_chunked_answer_is_read_strictly_and_to_a_megabyte() {
    let sim = Sim::start();
    let call = CallSpec::default().build(&subject(&sim, "demo"), "cf-1").unwrap();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for (body, expected) in [
        ("2\r\n{}\r\n0\r\n\r\n".to_owned(), Ok(2)),
        (format!("{}0\r\n\r\n", chunk.repeat(64)), Ok(1 << 20)),
        (format!("{}0\r\n\r\n", chunk.repeat(65)), Err("longer than a megabyte")),
        ("+2\r\n{}\r\n0\r\n\r\n".to_owned(), Err("malformed")),
        ("2\r\n{}xx0\r\n\r\n".to_owned(), Err("malformed")),
        ("2\r\n{}\r\n".to_owned(), Err("closed before the end")),
    ] {
        let name = body[..body.len().min(40)].to_owned();
        let server = Fake::start(move |_, _, _| {
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
        });
        let found = tcp(server.address).exchange(&call).map(|answer| answer.body.len());
        match expected {
            Ok(length) => assert_eq!(found, Ok(length), "{name}"),
            Err(why) => assert!(found.as_ref().is_err_and(|text| text.contains(why)), "{name}: {found:?}"),
        }
    }
}

#[test]
fn the_drawn_portrait_is_in_no_gallery() {
    let sim = with_policy(&PolicySpec::default());
    let choice = CaseChoice {
        only: vec!["match/none".to_owned(), "match/no-face".to_owned()],
        ..CaseChoice::default()
    };
    let (run, end) = run_against(&sim, "bank", &RunSettings { choice, ..settings() });
    assert!(end.is_ok() && run.calls.len() == 4, "{end:?}");
    let body = &run.calls[2].result.as_ref().unwrap().body;
    assert!(body.contains("6018") && body.contains(r#"{\"face\":{\"FACE_T5\":{}}}"#), "{body}");
}

/// Plants a text in each field, runs everything, and returns all that was written.
fn written_by(simulator: &Sim, address: SocketAddr, subject: &Subject) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.jsonl");
    let settings = RunSettings { max_account_failures: 3, ..settings() };
    let ledger = Ledger::open(&directory.path().join("ledger"), "sim:1", "ledger-customer", 100).unwrap();
    let mut file = new_file(Some(&path), &settings);
    let end = run_with(subject, &settings, &mut tcp(address), Some(ledger), &mut file);
    let report = RunReport::new(&file.run, &ComparedWith::Policy(&MODEL, &Policy::default()));
    well_formed(&report.junit());
    let found = calibrate(&MODEL, &Answers::of_runs(std::slice::from_ref(&file.run)), &Policy::default());
    let mut all = format!("{end:?} {subject:?} {:?} {found:?}", simulator.address());
    all += &[report.text(), report.json(), report.junit(), report.markdown()].concat();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        all += &std::fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    all
}

#[test]
fn no_secret_and_no_personal_data_is_in_any_file_report_or_message() {
    let (user, password, ip) = ("canary-user-7c1f", "canary-password-9d2e", "203.0.113.77");
    let sim = Sim::with(|builder| {
        builder.customer(
            "canary-customer",
            json!({ "account": { "user_id": user, "password": password }, "access": { "allow": [ip] } }),
        )
    });
    let canary = Subject {
        user_id: user.to_owned(),
        password: password.to_owned(),
        ip: ip.to_owned(),
        ..subject(&sim, "canary-customer")
    };
    let echo = format!(r#"{{"errorCode":"5004","error":"{password} of {user} from {ip}"}}"#);
    let ip_echo =
        format!(r#"{{"tid":null,"error":"from {ip} at /canary-customer/CALL_FN","errorCode":"5004"}}"#);
    let nik = format!(
        r#"{{"errorCode":"6018","error":"{SITIS_NIK}","response":"{{\"face\":{{\"FACE_T5\":{{\"{SITIS_NIK}\":9.5}}}}}}"}}"#
    );
    let spoilt = |body: &str, at: usize| format!("{}\u{7}{}", &body[..at], &body[at..]);
    let bodies = [
        echo.clone(),
        ip_echo,
        nik.clone(),
        spoilt(&nik, 30),
        spoilt(&echo, 10),
        nik[..nik.len() - 9].to_owned(),
    ];
    let mirror = Fake::start(|_, path, body| {
        let body = json!(format!("{path} {}", String::from_utf8_lossy(body))).to_string();
        response("200 OK", &format!("{{\"errorCode\":\"5004\",\"error\":{}}}", body.replace('/', "\\/")))
    });
    let addresses = bodies.map(|body| Fake::start(move |_, _, _| response("200 OK", &body)));
    let mut written =
        vec![written_by(&sim, sim.address(), &canary), written_by(&sim, mirror.address, &canary)];
    written.extend(addresses.iter().map(|fake| written_by(&sim, fake.address, &canary)));
    assert!(written[0].contains("match/none") && written[0].contains("4.6/21"), "a whole run");
    for index in [1, 2] {
        assert!(written[index].contains("repeats a credential"), "{}", written[index]);
    }
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let long_base64 = regex::Regex::new("[A-Za-z0-9+/]{80,}").unwrap();
    for (index, all) in written.iter().enumerate() {
        for secret in [user, password, ip, "canary-customer", SITIS_NIK] {
            for form in [secret.to_owned(), encoding::encode(secret.as_bytes()), hex(secret)] {
                let shown = if secret == "canary-customer" {
                    all.replace("Subject(canary-customer)", "")
                } else {
                    all.clone()
                };
                assert!(!shown.contains(&form), "{index}: {secret} in {all}");
            }
        }
        assert!(!long_base64.is_match(all), "{index}: {:?}", long_base64.find(all));
    }
}

/// Opens a field with the key of the tests.
fn opened(key: &PrivateKey, body: &Value, field: &str) -> Option<String> {
    let decoded = encoding::decode(body[field].as_str()?, Base64Mode::Strict).ok()?;
    String::from_utf8(key.open(&decoded.bytes).ok()?).ok()
}

#[test]
fn a_server_outside_the_space_of_policies_is_never_called_calibrated() {
    let sim = with_policy(&toml::from_str("precedence = ['account', 'parameters']").unwrap());
    sim.0.put_customer("other", json!({ "extends": "demo", "quota": { "per_day": 1000 }, "policy": { "precedence": ["threshold", "ip", "image"] } })).unwrap();
    sim.0.put_customer("usual", json!({ "extends": "demo", "quota": { "per_day": 1000 }, "policy": { "precedence": ["parameters", "decryption"] } })).unwrap();
    let simulator = sim.address();
    let key = keys::read(KEYS.path()).unwrap().unwrap();
    // Looks the account up by user_id before it decrypts the password.
    let staged = Fake::start(move |_, _, body| {
        let read: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_unknown = opened(&key, &read, "user_id").is_some_and(|user_id| user_id != "demo-user");
        let is_complete = read["transactionSource"].is_string();
        forwarded(simulator, if is_unknown && is_complete { "always-5001" } else { "usual" }, body)
    });
    let without_order = Fake::start(move |number, _, body| {
        forwarded(simulator, if number % 2 == 0 { "usual" } else { "other" }, body)
    });
    let other_text = Fake::start(move |_, _, body| {
        let bytes = forwarded(simulator, "usual", body);
        let text = String::from_utf8(bytes).unwrap();
        text.replace("Parameter tidak sesuai", "Parameter tidak SESUAI").into_bytes()
    });
    for (name, fake) in [("staged", &staged), ("no order", &without_order), ("other text", &other_text)] {
        let settings = RunSettings { max_account_failures: 2, ..settings() };
        let mut file = new_file(None, &settings);
        let end = run_with(&subject(&sim, "bank"), &settings, &mut tcp(fake.address), None, &mut file);
        let found = calibrate(&MODEL, &Answers::of_runs(&[file.run]), &Policy::default());
        let is_early = matches!(end, Err(RunStop::Early(_)));
        assert!(!found.unexplained.is_empty() || is_early, "{name}: {end:?} {:?}", found.measured);
    }
}

/// Runs the binary with the credentials of demo in the environment.
fn conformance(args: &[&str]) -> Output {
    let mut command = command(args);
    command.env("FRSIM_USER_ID", "demo-user").env("FRSIM_PASSWORD", "demo-password");
    // A proxy that does not exist: it is not asked.
    for variable in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        command.env(variable, "http://127.0.0.1:1");
    }
    command.output().unwrap()
}

/// The flags of a run against a target.
fn run_flags<'a>(target: &'a str, public: &'a str) -> Vec<&'a str> {
    vec![
        "conformance",
        "run",
        "--target",
        target,
        "--customer",
        "demo",
        "--ip",
        "10.0.0.1",
        "--public-key",
        public,
    ]
}

fn with<'a>(flags: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [flags, more].concat()
}

fn public_key() -> PathBuf {
    KEYS.path().join("public.pem")
}

#[test]
fn the_plan_never_connects_and_names_calls_costs_and_risks() {
    let plan = conformance(&["conformance", "plan", "--group", "door,path,order,matcher,quota"]);
    let out = text(&plan.stdout);
    assert_eq!(plan.status.code(), Some(0));
    for part in [
        "order/eliminate",
        "one account failure",
        "match/none",
        "are paid",
        "Rp 27000",
        "{}; is this the endpoint",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let matcher = conformance(&["conformance", "plan", "--group", "matcher"]);
    let paid = text(&matcher.stdout).split("at most ").nth(1).unwrap().split(' ').next().unwrap();
    for (page, said) in [
        ("docs/how-to/conformance.md", format!("up to {paid} calls that may be paid")),
        ("docs/id/how-to/conformance.md", format!("sampai {paid} panggilan yang mungkin berbayar")),
    ] {
        assert!(read(page).contains(&said), "{page}: {said}");
    }
    let one = conformance(&["conformance", "plan", "--case", "4.6/21", "--price", "5000"]);
    assert_eq!(
        text(&one.stdout).lines().filter(|line| line.contains('/')).count(),
        2,
        "{}",
        text(&one.stdout)
    );
    let wrong = conformance(&["conformance", "plan", "--case", "4.6/12"]);
    assert!(wrong.status.code() == Some(2) && text(&wrong.stderr).contains("4.6/21"), "{wrong:?}");
    for (flags, needed) in [
        (&["--case", "4.3/wrong-password"][..], "needs --accept-risk account.wrong-password"),
        (&["--case", "quota/exhausted"], "needs --state exhausted"),
        (&["--case", "4.6/21", "--state", "exhausted"], "without --state exhausted"),
        (&["--group", "order", "--state", "exhausted"], "only the group quota"),
    ] {
        let refused = conformance(&with(&["conformance", "plan"], flags));
        assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains(needed), "{refused:?}");
    }
    let face = conformance(&["conformance", "plan", "--case", "match/self"]);
    assert!(face.status.success() && text(&face.stdout).contains("match/self"), "{face:?}");
    let no_face = conformance(&with(&run_flags("http://127.0.0.1:1", "x.pem"), &["--case", "match/self"]));
    assert!(text(&no_face.stderr).contains("needs --face and --consent"), "{no_face:?}");
}

#[test]
fn two_lost_answers_in_a_row_end_the_run() {
    let sim = Sim::start();
    let address = sim.address();
    let silent = Fake::start(move |number, _, body| match number {
        0 => forwarded(address, "demo", body),
        _ => Vec::new(),
    });
    let mut file = new_file(None, &settings());
    let end = run_with(&subject(&sim, "demo"), &settings(), &mut tcp(silent.address), None, &mut file);
    assert!(matches!(&end, Err(RunStop::Early(why)) if why.contains("two calls in a row")), "{end:?}");
    let lost = file.run.calls.iter().filter(|call| call.result.is_err()).count();
    assert!((2..6).contains(&lost) && silent.count() == file.run.calls.len(), "{lost}");
    let end = run_with(&subject(&sim, "demo"), &settings(), &mut tcp(address), None, &mut file);
    assert!(end.is_ok(), "a run goes on when the answers come again: {end:?}");
}

#[test]
fn a_run_off_loopback_is_refused_before_anything_is_sent() {
    let public = public_key();
    let public = public.to_str().unwrap();
    for (target, more, why) in [
        ("http://10.255.255.1:9", &[][..], "--budget N"),
        ("http://10.255.255.1:9", &["--budget", "20"], "--confirm 10.255.255.1:9"),
        ("http://10.255.255.1:9", &["--budget", "20", "--confirm", "10.255.255.1:90"], "is not the target"),
        (
            "http://10.255.255.1:9",
            &["--budget", "20", "--confirm", "10.255.255.1:9", "--pace", "100ms"],
            "at least 1s",
        ),
        ("http://8.8.8.8", &["--budget", "20", "--confirm", "8.8.8.8:80"], "--allow-public"),
    ] {
        let refused = conformance(&with(&run_flags(target, public), more));
        assert!(
            refused.status.code() == Some(6) && text(&refused.stderr).contains(why),
            "{target} {more:?}: {refused:?}"
        );
        assert!(
            more.contains(&"--pace") || text(&refused.stdout).contains("4.5/empty-object"),
            "the plan is printed"
        );
    }
    let flags = run_flags("http://127.0.0.1:9", public);
    #[cfg(unix)]
    {
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("credentials");
        std::fs::write(&open, "demo-user\ndemo-password\n").unwrap();
        let refused = conformance(&with(&flags, &["--credentials", open.to_str().unwrap()]));
        let is_refused = refused.status.code() == Some(6) && text(&refused.stderr).contains("chmod 600");
        assert!(is_refused, "{refused:?}");
    }
    let missing = command(&flags).output().unwrap();
    assert!(
        missing.status.code() == Some(2) && text(&missing.stderr).contains("FRSIM_USER_ID"),
        "{missing:?}"
    );
}

#[cfg(unix)]
fn make_private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}

#[test]
fn a_run_is_calibrated_shown_resumed_and_compared_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (out, junit, measured, ledger) =
        (path("run.jsonl"), path("junit.xml"), path("measured.toml"), path("ledger"));
    let (credentials, public) = (path("credentials"), public_key());
    std::fs::write(&credentials, "demo-user\ndemo-password\n").unwrap();
    make_private(Path::new(&credentials));
    let served = Served::plain(&["--preset", "probable"]);
    let target = served.value("endpoint");
    let spelt = target.replace("127.0.0.1", "127.1");
    let flags = run_flags(&target, public.to_str().unwrap());
    let flags = with(
        &flags,
        &["--credentials", &credentials, "--budget", "60", "--ledger", &ledger, "--name", "fr-test"],
    );
    let to_file = with(&flags, &["--group", "door,path,order,matcher,quota", "--out", &out]);
    let junit_flag = format!("junit={junit}");
    let differs = conformance(&with(&to_file, &["--report", "text", "--report", &junit_flag]));
    assert_eq!(differs.status.code(), Some(1), "the probable server is not the documented one: {differs:?}");
    well_formed(&std::fs::read_to_string(&junit).unwrap());
    let calls = std::fs::read_to_string(&ledger).unwrap().lines().count();
    let calibrated = conformance(&["calibrate", &out, "--write", &measured]);
    assert!(calibrated.status.code() == Some(0), "{calibrated:?}");
    let told = text(&calibrated.stderr);
    assert!(
        told.contains("layout") && told.contains("measured by") && told.contains("place of quota"),
        "{told}"
    );
    let file = std::fs::read_to_string(&measured).unwrap();
    for part in [
        "head = \"tomcat\"",
        "malformed_json = \"400\"",
        "[[measured]]",
        "target = \"fr-test\"",
        "[[undetermined]]",
    ] {
        assert!(file.contains(part), "{part}: {file}");
    }
    let same = conformance(&with(&to_file, &["--resume", "--expect", &measured]));
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    assert_eq!(std::fs::read_to_string(&ledger).unwrap().lines().count(), calls, "no call was made again");
    for (args, code, part) in [
        (vec!["conformance", "show", &out, "--baseline", &out], 0, "as expected"),
        (vec!["conformance", "show", &out, "--report", "markdown"], 1, "| DIFFERS"),
        (
            vec!["conformance", "show", &out, &out, "--report", "junit=x.xml"],
            2,
            "a report file holds one run",
        ),
        (vec!["conformance", "show", &out, "--expect", &measured, "--report", "json"], 0, "\"fr-test\""),
        (vec!["calibrate", &out, "--explain", "head"], 0, "head = \"plain\": is refuted by 4.5/empty-object"),
        (
            vec!["check", "--policy", "--preset", &format!("measured:{measured}")],
            0,
            "at fr-test by 4.5/empty-object",
        ),
    ] {
        let shown = conformance(&args);
        assert!(
            shown.status.code() == Some(code)
                && [&shown.stdout, &shown.stderr].iter().any(|told| text(told).contains(part)),
            "{args:?}: {shown:?}"
        );
    }
    let again = conformance(&to_file);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("--resume"), "{again:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let key = std::fs::metadata(Path::new(&ledger).with_extension("key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    let (nowhere, gone) = (format!("json={}", path("no/such/directory")), path("gone.jsonl"));
    for (more, why) in [
        (&["--customer", "always-5004", "--out", &out, "--resume"][..], "for another customer"),
        (&["--report", &nowhere], "no/such/directory"),
        (&["--baseline", &gone], "gone.jsonl"),
    ] {
        let is_other = more.contains(&"--customer");
        let kept = if is_other { [&flags[..4], &flags[6..]].concat() } else { flags.clone() };
        let refused = conformance(&with(&kept, more));
        assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains(why), "{refused:?}");
        assert_eq!(std::fs::read_to_string(&ledger).unwrap().lines().count(), calls, "{more:?}");
    }
    // Nothing is left of the budget but a few calls, however the target is spelt and wherever the report goes.
    let flags: Vec<_> =
        flags.iter().map(|flag| if *flag == target { spelt.as_str() } else { *flag }).collect();
    let flags = if cfg!(target_os = "linux") { with(&flags, &["--report", "text=/dev/full"]) } else { flags };
    let stopped = conformance(&with(&flags, &["--group", "door,order"]));
    assert!(stopped.status.code() == Some(5) && text(&stopped.stderr).contains("--budget"), "{stopped:?}");
    assert_eq!(std::fs::read_to_string(&ledger).unwrap().lines().count(), 60);
    drop(served);
    let measured_server = Served::plain(&["--preset", &format!("measured:{measured}")]);
    let target = measured_server.value("endpoint");
    let like = conformance(&with(
        &run_flags(&target, public.to_str().unwrap()),
        &["--expect", &measured, "--group", "door,path,order,matcher"],
    ));
    assert_eq!(like.status.code(), Some(0), "the calibrated simulator answers alike: {like:?}");
}

#[test]
fn over_a_contradiction_no_file_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let (out, measured) = (directory.path().join("run.jsonl"), directory.path().join("measured.toml"));
    let sim = with_policy(&PolicySpec::default());
    let mut file = new_file(Some(&out), &settings());
    let end = run_with(&subject(&sim, "bank"), &settings(), &mut tcp(sim.address()), None, &mut file);
    assert!(end.is_ok(), "{end:?}");
    let text_of_run = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, text_of_run.replacen("IP Tidak Sesuai", "IP Salah", 1)).unwrap();
    let args = ["calibrate", out.to_str().unwrap(), "--write", measured.to_str().unwrap()];
    let refused = conformance(&args);
    assert!(refused.status.code() == Some(1) && !measured.exists(), "{refused:?}");
    assert!(
        text(&refused.stderr).contains("UNEXPLAINED: call ") && text(&refused.stderr).contains("IP Salah"),
        "{refused:?}"
    );
    std::fs::write(&out, text_of_run.replacen("\"call\"", "\"cal\"", 1)).unwrap();
    let broken = conformance(&args);
    assert!(broken.status.code() == Some(2) && text(&broken.stderr).contains("line 2"), "{broken:?}");
    std::fs::write(&out, text_of_run.replacen(&file.run.header.run, "run-1", 1)).unwrap();
    let broken = conformance(&args);
    assert!(broken.status.code() == Some(2) && text(&broken.stderr).contains("line 1"), "{broken:?}");
}

#[test]
fn a_killed_run_goes_on_and_no_call_is_made_twice_or_beyond_the_budget() {
    let mut random = ChaCha8Rng::seed_from_u64(number("FRSIM_SEED", 0));
    let sim = Sim::start();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (out, ledger, report) = (path("run.jsonl"), path("ledger"), format!("json={}", path("report.json")));
    let (target, public) = (sim.0.url(), public_key());
    let flags = run_flags(&target, public.to_str().unwrap());
    let flags = with(
        &flags,
        &["--budget", "60", "--ledger", &ledger, "--out", &out, "--resume", "--report", &report],
    );
    let account = [("FRSIM_USER_ID", "demo-user"), ("FRSIM_PASSWORD", "demo-password")];
    let (mut kills, mut received) = (0, 0);
    for _ in 0..3 {
        let mut run = command(&flags).envs(account).spawn().unwrap();
        // The first call proves that this is the endpoint: a run without its answer does not go on.
        received += random.random_range(2..9);
        let wait = json!({ "count": received, "timeout": "60s" }).to_string();
        assert_eq!(sim.admin("POST", "/requests/wait", &wait).0, 200);
        run.kill().unwrap();
        kills += usize::from(!run.wait().unwrap().success());
        received = sim.0.received().len();
    }
    assert!(kills > 0, "each run was over before it was killed");
    let end = command(&flags).envs(account).output().unwrap();
    let ids: Vec<_> =
        sim.0.received().iter().filter_map(|entry| entry.request.transaction_id.clone()).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "a call was made twice");
    let counted = std::fs::read_to_string(&ledger).unwrap().lines().count();
    let made = sim.0.received().len();
    assert!(counted >= made && counted <= made + kills && counted <= 60, "{counted} counted, {made} made");
    let report = std::fs::read_to_string(path("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["stopped"], Value::Null);
    // An answer to nobody is lost.
    let is_lost = report["cases"].as_array().unwrap().iter().any(|case| case["verdict"]["lost"].is_string());
    assert_eq!(end.status.code(), Some(i32::from(is_lost)), "{end:?} {report}");
}

#[test]
fn a_report_in_json_is_as_its_schema_says() {
    let printed = command(&["schema", "conformance-report"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let sim = with_policy(&PolicySpec::default());
    let other: PolicySpec = toml::from_str("not_found = '6019'").unwrap();
    let (whole, _) = run_against(&sim, "bank", &settings());
    sim.0.put_rule("bank", "lost", json!({ "skip": 2, "times": 1, "fault": { "kind": "reset" } })).unwrap();
    sim.0.put_rule("bank", "quota", json!({ "skip": 6, "reply": { "code": "5002" } })).unwrap();
    let (stopped, _) = run_against(&sim, "bank", &settings());
    let expected = Policy::default().with(&other);
    let mut verdicts = BTreeSet::new();
    for run in [&whole, &stopped] {
        let report = RunReport::new(run, &ComparedWith::Policy(&MODEL, &expected));
        let report: Value = serde_json::from_str(&report.json()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        for case in report["cases"].as_array().unwrap() {
            let verdict = &case["verdict"];
            let name = verdict.as_object().and_then(|one| one.keys().next().cloned());
            verdicts.insert(name.unwrap_or_else(|| verdict.as_str().unwrap().to_owned()));
        }
        let mut wrong = report.clone();
        wrong["cases"][0]["verdict"] = json!("fine");
        assert!(!validator.is_valid(&wrong), "another verdict");
        wrong["cases"][0].as_object_mut().unwrap().remove("verdict");
        assert!(!validator.is_valid(&wrong), "no verdict");
    }
    let all = ["as-expected", "differs", "lost", "seen", "skipped"];
    assert_eq!(verdicts.iter().map(String::as_str).collect::<Vec<_>>(), all, "every verdict is in a report");
}
