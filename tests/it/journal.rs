//! Live use of the journal by programs: verified counts, waiting calls, and the event stream.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use dukcapil_fr_sim::internals::http::admin::{Removed, requests, verify, wait};
use dukcapil_fr_sim::internals::http::api_error;
use dukcapil_fr_sim::internals::state::journal::{Entry, RequestMarks};
use schemars::schema_for;
use serde_json::{Value, json};

use crate::support::{SITIS_NIK, Sim, eventually, exchange, http};
use crate::timers::VirtualTime;

/// Starts with virtual time.
fn with_virtual_time() -> (Sim, Arc<VirtualTime>) {
    let timer = Arc::new(VirtualTime::default());
    (Sim::with(|builder| builder.timer(timer.clone())), timer)
}

fn verified(sim: &Sim, question: Value) -> (u16, Value) {
    sim.admin("POST", "/requests/verify", &question.to_string())
}

/// Calls `/requests/wait` on a separate thread.
fn waiting(sim: &Sim, question: Value) -> thread::JoinHandle<(u16, Value)> {
    let (address, body) = (sim.admin_address(), question.to_string());
    thread::spawn(move || {
        let answer = exchange(address, &http("POST", "/requests/wait", "", body.as_bytes()));
        (answer.status, answer.json())
    })
}

/// Waits until a metric has a value.
#[track_caller]
fn wait_for_gauge(sim: &Sim, name: &str, value: u64) {
    eventually(&format!("{name} is {value}"), || gauge(sim, name) == value);
}

fn gauge(sim: &Sim, name: &str) -> u64 {
    let answer = exchange(sim.admin_address(), &http("GET", "/metrics", "", b""));
    let line =
        answer.text().lines().find_map(|line| line.strip_prefix(&format!("{name} "))).map(str::to_owned);
    line.unwrap_or_else(|| panic!("no {name} in {}", answer.text())).parse().unwrap()
}

#[test]
fn a_correct_count_is_confirmed_and_a_wrong_one_reports_near_misses() {
    let sim = Sim::start();
    for (id, threshold) in [("T-1", "7"), ("T-2", "0"), ("X-1", "7")] {
        sim.call("demo", sim.request().set("transactionId", id).set("threshold", threshold).text());
    }
    sim.call("load", sim.request().text());
    let question = |count: Value| json!({ "match": { "customer_id": "demo", "code": "6018", "transaction_id": "T*" }, "count": count });
    for right in [
        json!({ "exactly": 1 }),
        json!({ "at_least": 1 }),
        json!({ "at_most": 3 }),
        json!({ "at_least": 0, "at_most": 1 }),
    ] {
        assert_eq!(verified(&sim, question(right.clone())), (200, json!({ "count": 1 })), "{right}");
    }
    let (status, unmet) = verified(&sim, question(json!({ "exactly": 2 })));
    assert_eq!(status, 409);
    assert_eq!(unmet["error"]["code"], "count_differs");
    assert_eq!(unmet["error"]["message"], "1 request found, expected exactly 2");
    assert_eq!((&unmet["count"], &unmet["matched"]), (&json!(1), &json!([1])));
    let code = json!({ "code": { "want": "6018", "got": "5005" } });
    assert_eq!(
        unmet["nearest"][0],
        json!({ "id": 3, "differs": {
        "transaction_id": { "want": "T*", "got": "X-1" } } })
    );
    assert_eq!(unmet["nearest"][1], json!({ "id": 2, "differs": code }));
    assert_eq!(unmet["nearest"][2]["id"], 4, "one difference as well, and newer, but another customer's");
    let (status, unmet) = verified(&sim, json!({ "count": { "at_most": 2 } }));
    assert_eq!((status, &unmet["count"], &unmet["matched"]), (409, &json!(4), &json!([4, 3, 2, 1])));
    assert_eq!(unmet["nearest"], json!([]), "too many have no near misses");
}

#[test]
fn invalid_requests_are_rejected_with_path_and_suggestion() {
    let sim = Sim::start();
    let check = |route: &str, question: Value, path: &str, hint: Option<&str>| {
        let (status, answer) = sim.admin("POST", &format!("/requests/{route}"), &question.to_string());
        let error = &answer["error"];
        assert_eq!((status, error["path"].as_str()), (400, Some(path)), "{question}: {answer}");
        assert!(hint.is_none() || error["hint"].as_str() == hint, "{question}: {answer}");
    };
    let one = json!({ "exactly": 1 });
    check(
        "verify",
        json!({ "match": { "custmer_id": "x" }, "count": one }),
        "/match/custmer_id",
        Some("did you mean `customer_id`?"),
    );
    check(
        "verify",
        json!({ "match": { "image": { "sha25": "x" } }, "count": one }),
        "/match/image/sha25",
        Some("did you mean `sha256`?"),
    );
    check("verify", json!({ "match": { "code": "/(/" }, "count": one }), "/match/code", None);
    check("verify", json!({ "match": { "ordinal": "5..1" }, "count": one }), "/match/ordinal", None);
    check("verify", json!({ "match": { "since": "yesterday" }, "count": one }), "/match/since", None);
    check("verify", json!({ "match": { "state": "over" }, "count": one }), "/match/state", None);
    check("verify", json!({ "match": {} }), "", None);
    for count in [json!({}), json!({ "exactly": 1, "at_least": 1 }), json!({ "at_least": 2, "at_most": 1 })] {
        check("verify", json!({ "count": count }), "/count", None);
    }
    check("verify", json!({ "count": { "exactly": -1 } }), "/count/exactly", None);
    check("wait", json!({ "count": 0 }), "/count", None);
    check("wait", json!({ "count": 1001 }), "/count", None);
    check("wait", json!({ "timeout": "11m" }), "/timeout", None);
    check("wait", json!({ "timeout": "soon" }), "/timeout", None);
    check("wait", json!({ "timout": "1s" }), "/timout", Some("did you mean `timeout`?"));
}

#[test]
fn a_count_is_a_number_or_bounds_in_verify_and_in_wait() {
    let sim = Sim::start();
    for _ in 0..2 {
        sim.call("demo", sim.request().text());
    }
    for (count, verify, wait) in [
        (json!(2), 200, 200),
        (json!(1), 409, 200),
        (json!(3), 409, 408),
        (json!({ "exactly": 2 }), 200, 200),
        (json!({ "exactly": 1 }), 409, 408),
        (json!({ "at_least": 1 }), 200, 200),
        (json!({ "at_least": 3 }), 409, 408),
        (json!({ "at_most": 2 }), 200, 200),
        (json!({ "at_most": 1 }), 409, 408),
        (json!({ "at_least": 1, "at_most": 2 }), 200, 200),
        (json!({ "at_least": 2, "at_most": 1 }), 400, 400),
        (json!({}), 400, 400),
        (json!("2"), 400, 400),
        (json!(-1), 400, 400),
        (json!(1.5), 400, 400),
        (json!(null), 400, 400),
        (json!(0), 409, 400),
        (json!({ "exactly": 0 }), 409, 400),
        (json!({ "exactly": 1, "at_last": 2 }), 400, 400),
    ] {
        let (status, answer) = verified(&sim, json!({ "count": count }));
        assert_eq!(status, verify, "verify {count}: {answer}");
        let question = json!({ "count": count, "timeout": "1ms" });
        let (status, answer) = sim.admin("POST", "/requests/wait", &question.to_string());
        assert_eq!(status, wait, "wait {count}: {answer}");
    }
    let (_, unmet) = verified(&sim, json!({ "count": 3 }));
    assert_eq!(unmet["error"]["message"], "2 requests found, expected exactly 3");
    let question = json!({ "count": { "at_most": 1 }, "timeout": "1ms" });
    let (_, unmet) = sim.admin("POST", "/requests/wait", &question.to_string());
    assert_eq!(unmet["error"]["message"], "2 requests came within 1ms, expected at most 1");
}

#[test]
fn a_nik_is_matched_as_the_journal_shows_it() {
    let sim = Sim::start();
    sim.call("demo", sim.request().set("transactionId", SITIS_NIK).text());
    let question = |id: &str| json!({ "match": { "transaction_id": id }, "count": { "exactly": 1 } });
    let (status, unmet) = verified(&sim, question(SITIS_NIK));
    assert_eq!(status, 409);
    assert!(unmet["error"]["hint"].as_str().is_some_and(|hint| hint.contains("--show-nik")), "{unmet}");
    assert_eq!(verified(&sim, question("317405XXXXXXXXXX")).0, 200);
}

#[test]
fn waiting_counts_earlier_requests_and_ends_with_the_missing_one() {
    let (sim, timer) = with_virtual_time();
    sim.call("demo", sim.request().set("transactionId", "first").text());
    let question = json!({ "match": { "customer_id": "demo", "code": "6018" }, "count": 2, "timeout": "5s" });
    let waiter = waiting(&sim, question.clone());
    timer.wait_for_sleep(Duration::from_secs(5));
    sim.call("load", sim.request().text());
    sim.call("demo", sim.request().set("threshold", "0").text());
    assert!(!waiter.is_finished());
    sim.call("demo", sim.request().set("transactionId", "second").text());
    let (status, waited) = waiter.join().unwrap();
    let ids: Vec<_> =
        waited["requests"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!((status, ids), (200, vec![json!(4), json!(1)]));
    assert_eq!(waiting(&sim, question).join().unwrap().0, 200, "everything is there already");
}

#[test]
fn waiting_sees_finished_requests_and_clearing() {
    let (sim, timer) = with_virtual_time();
    sim.call("demo", sim.request().text());
    let question = json!({ "match": { "state": "aborted" }, "timeout": "5s" });
    let waiter = waiting(&sim, question);
    timer.wait_for_sleep(Duration::from_secs(5));
    let entry = sim.0.engine().journal.add(entry("demo"), RequestMarks::default());
    sim.0.engine().journal.end(&entry, None, Duration::from_micros(1), std::time::Instant::now());
    assert_eq!(waiter.join().unwrap().1["requests"][0]["id"], 2);
    let waiter = waiting(&sim, json!({ "count": 3, "timeout": "6s" }));
    timer.wait_for_sleep(Duration::from_secs(6));
    sim.admin("DELETE", "/requests", "");
    sim.call("demo", sim.request().text());
    timer.end_sleep(Duration::from_secs(6));
    let (status, unmet) = waiter.join().unwrap();
    assert_eq!((status, &unmet["count"], &unmet["matched"]), (408, &json!(1), &json!([3])));
}

#[test]
fn waiting_ends_with_the_simulator_and_says_so() {
    let (sim, timer) = with_virtual_time();
    let waiter = waiting(&sim, json!({ "count": 1, "timeout": "5s" }));
    timer.wait_for_sleep(Duration::from_secs(5));
    sim.admin("POST", "/shutdown", "");
    let (status, error) = waiter.join().unwrap();
    assert_eq!((status, &error["error"]["code"]), (503, &json!("stopping")));
}

#[test]
fn an_answer_without_a_body_is_done_once_it_is_sent() {
    let sim = Sim::start();
    let rules = [
        json!({ "reply": { "status": 503 } }),
        json!({ "reply": { "status": 204 } }),
        json!({ "reply": { "status": 200, "body": "" } }),
        json!({ "fault": { "kind": "body_cut", "at": 0 } }),
    ];
    for rule in rules {
        sim.admin("PUT", "/customers/load/rules/empty", &rule.to_string());
        assert_eq!(sim.call("load", sim.request().text()).text(), "");
        let ended = json!({ "match": { "customer_id": "load" }, "count": 1, "timeout": "60s" });
        sim.admin("POST", "/requests/wait", &ended.to_string());
        eventually("the request has ended", || sim.last()["state"] != "in_flight");
        assert_eq!(sim.last()["state"], "done", "{rule}");
    }
}

#[test]
fn waiting_times_out_and_reports_near_misses() {
    let (sim, timer) = with_virtual_time();
    sim.call("demo", sim.request().set("threshold", "0").text());
    let waiter = waiting(&sim, json!({ "match": { "code": "6018" }, "count": 2, "timeout": "5s" }));
    timer.end_sleep(Duration::from_secs(5));
    let (status, unmet) = waiter.join().unwrap();
    assert_eq!((status, unmet["error"]["code"].as_str()), (408, Some("timeout")));
    assert_eq!(unmet["error"]["message"], "0 requests of 2 came within 5s");
    assert_eq!(unmet["nearest"][0]["differs"]["code"], json!({ "want": "6018", "got": "5005" }));
}

#[test]
fn a_disconnected_client_frees_its_slot_and_too_many_are_rejected() {
    let (sim, _timer) = with_virtual_time();
    let body = br#"{"count":1000,"timeout":"5s"}"#;
    let ask = || {
        let mut stream = TcpStream::connect(sim.admin_address()).unwrap();
        stream.write_all(&http("POST", "/requests/wait", "", body)).unwrap();
        stream
    };
    let mut waiters: Vec<_> = (0..256).map(|_| ask()).collect();
    wait_for_gauge(&sim, "frsim_waiting_calls", 256);
    let answer = exchange(sim.admin_address(), &http("POST", "/requests/wait", "", body));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (429, Some("too_many")));
    waiters.pop();
    wait_for_gauge(&sim, "frsim_waiting_calls", 255);
    waiters.push(ask());
    wait_for_gauge(&sim, "frsim_waiting_calls", 256);
    drop(waiters);
    wait_for_gauge(&sim, "frsim_waiting_calls", 0);
}

#[test]
fn the_regexes_of_calls_that_wait_are_limited_in_memory() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { regexes = '40KiB' }")]);
    let ask = |filter: Value, timeout: &str| {
        let body = json!({ "match": filter, "count": 1000, "timeout": timeout });
        http("POST", "/requests/wait", "", body.to_string().as_bytes())
    };
    let answer = |filter: Value| exchange(sim.admin_address(), &ask(filter, "1ms"));
    // Each takes 16 KiB.
    let three = json!({ "code": "/^a+$/", "ip": "/^a+$/", "image": { "sha256": "/^a+$/" } });
    let refused = answer(three);
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (429, Some("too_many")));
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("more than 40960 bytes of memory (limits.regexes)"), "{message}");
    let two = json!({ "rule": "/^a+$/", "peer": "/^a+$/" });
    let mut waiting = TcpStream::connect(sim.admin_address()).unwrap();
    waiting.write_all(&ask(two.clone(), "10m")).unwrap();
    wait_for_gauge(&sim, "frsim_waiting_calls", 1);
    eventually("one more regex is one too many", || answer(json!({ "code": "/^b+$/" })).status == 429);
    assert_eq!(answer(json!({ "code": "b*" })).status, 408, "a glob takes none");
    drop(waiting);
    wait_for_gauge(&sim, "frsim_waiting_calls", 0);
    assert_eq!(answer(two).status, 408);
}

/// A reader of the event stream.
pub struct Events {
    reader: BufReader<TcpStream>,
    pub head: String,
}

/// Kind, id and data of an event.
pub type Event = (String, Option<u64>, Value);

impl Events {
    pub fn follow(sim: &Sim, query: &str, headers: &str) -> Events {
        let mut stream = TcpStream::connect(sim.admin_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = format!("GET /events{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        Events { reader, head }
    }

    /// Returns the next line of the stream. Every event is one chunk; chunk lengths are skipped.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.reader.read_line(&mut line).unwrap(), 0, "the stream ended");
        line.trim_end().to_owned()
    }

    pub fn next(&mut self) -> Event {
        let (mut kind, mut id) = (String::new(), None);
        loop {
            let line = self.line();
            match line.split_once(": ") {
                Some(("event", name)) => kind = name.to_owned(),
                Some(("id", text)) => id = Some(text.parse().unwrap()),
                Some(("data", data)) => return (kind, id, serde_json::from_str(data).unwrap()),
                _ => {}
            }
        }
    }

    /// Returns kind and id of the next event.
    fn told(&mut self) -> (String, u64) {
        let (kind, id, data) = self.next();
        assert_eq!(id.is_some(), kind == "request", "only what was added has an id");
        assert!(id.is_none_or(|id| data["id"] == id));
        assert_eq!(data["state"], if kind == "request" { "in_flight" } else { kind.as_str() });
        (kind, data["id"].as_u64().unwrap())
    }
}

fn told(kind: &str, id: u64) -> (String, u64) {
    (kind.to_owned(), id)
}

#[test]
fn events_report_requests_at_arrival_and_end() {
    let sim = Sim::start();
    let mut all = Events::follow(&sim, "", "");
    let head = all.head.to_lowercase();
    for line in
        ["200 ok", "content-type: text/event-stream", "cache-control: no-cache", "x-accel-buffering: no"]
    {
        assert!(head.contains(line), "{line} in {head}");
    }
    let mut of_demo = Events::follow(&sim, "?customer_id=demo", "");
    sim.call("load", sim.request().text());
    sim.call("demo", sim.request().text());
    let expected = [told("request", 1), told("done", 1), told("request", 2), told("done", 2)];
    assert_eq!([(); 4].map(|()| all.told()), expected);
    assert_eq!([(); 2].map(|()| of_demo.told()), expected[2..]);
    assert_eq!(sim.admin("GET", "/events?customer=demo", "").0, 400);
}

#[test]
fn a_reconnected_reader_resumes_at_its_last_event() {
    let sim = Sim::start();
    for _ in 0..3 {
        sim.call("demo", sim.request().text());
    }
    let mut back = Events::follow(&sim, "", "Last-Event-ID: 1\r\n");
    sim.call("demo", sim.request().text());
    let expected: Vec<_> =
        [2, 3, 4].into_iter().flat_map(|id| [told("request", id), told("done", id)]).collect();
    assert_eq!((0..6).map(|_| back.told()).collect::<Vec<_>>(), expected);
    let headers = "Last-Event-ID: x\r\n";
    let answer = exchange(sim.admin_address(), &http("GET", "/events", headers, b""));
    assert_eq!((answer.status, answer.json()["error"]["path"].as_str()), (400, Some("Last-Event-ID")));
}

#[test]
fn cleared_entries_are_events_also_for_a_reader_that_was_away() {
    let sim = Sim::start();
    let (mut all, mut of_demo) =
        (Events::follow(&sim, "", ""), Events::follow(&sim, "?customer_id=demo", ""));
    for customer in ["demo", "load"] {
        sim.call(customer, sim.request().text());
    }
    for query in ["?customer_id=load", "?customer_id=demo", ""] {
        sim.admin("DELETE", &format!("/requests{query}"), "");
    }
    let cleared = |events: &mut Events, count: usize| {
        let next = || events.next();
        let found = std::iter::repeat_with(next).filter(|(kind, ..)| kind == "cleared").take(count);
        found.map(|(_, id, data)| (id, data["customer_id"].clone())).collect::<Vec<_>>()
    };
    let [load, demo, every] = ["load".into(), "demo".into(), Value::Null].map(|whose| (None, whose));
    assert_eq!(cleared(&mut all, 3), [load, demo.clone(), every.clone()]);
    assert_eq!(cleared(&mut of_demo, 2), [demo, every.clone()]);
    sim.call("demo", sim.request().text());
    let mut back = Events::follow(&sim, "", "Last-Event-ID: 1\r\n");
    assert_eq!(back.next(), ("cleared".to_owned(), None, json!({ "customer_id": null })));
    assert_eq!([(); 2].map(|()| back.told()), [told("request", 3), told("done", 3)]);
}

/// Returns an entry without a request.
fn entry(customer_id: &str) -> Entry {
    let blank = Entry::blank("2026-11-21T03:00:00Z".parse().unwrap());
    Entry { customer_id: Some(customer_id.to_owned()), connection: 1, ..blank }
}

#[test]
fn a_slow_reader_receives_the_number_of_missed_events() {
    let sim = Sim::start();
    let mut events = Events::follow(&sim, "", "");
    const ADDED: u64 = 30_000;
    for _ in 0..ADDED {
        sim.0.engine().journal.add(entry("demo"), RequestMarks::default());
    }
    let (mut heard, mut lost) = (0, 0);
    while heard + lost < ADDED {
        let (kind, id, data) = events.next();
        if kind == "lagged" {
            lost += data["lost"].as_u64().unwrap();
        } else {
            heard += 1;
            assert_eq!(id, Some(heard + lost), "none is left out unsaid");
        }
    }
    assert!(heard > 0 && lost > 0, "{heard} heard, {lost} lost");
}

#[test]
fn an_idle_stream_sends_keep_alives() {
    let (sim, timer) = with_virtual_time();
    let mut events = Events::follow(&sim, "", "");
    for _ in 0..2 {
        timer.end_sleep(Duration::from_secs(15));
        eventually("a ping", || events.line() == ": ping");
    }
    sim.call("demo", sim.request().text());
    assert_eq!(events.told(), told("request", 1));
}

#[test]
fn readers_are_limited_and_free_their_slot() {
    let sim = Sim::start();
    let mut readers: Vec<_> = (0..64).map(|_| Events::follow(&sim, "", "")).collect();
    let answer = exchange(sim.admin_address(), &http("GET", "/events", "", b""));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (429, Some("too_many")));
    readers.pop();
    wait_for_gauge(&sim, "frsim_event_readers", 63);
    readers.push(Events::follow(&sim, "", ""));
}

#[test]
fn neither_a_waiting_call_nor_a_reader_delays_shutdown() {
    let (sim, timer) = with_virtual_time();
    let _events = Events::follow(&sim, "", "");
    let mut waiter = TcpStream::connect(sim.admin_address()).unwrap();
    waiter.write_all(&http("POST", "/requests/wait", "", br#"{"timeout":"5s"}"#)).unwrap();
    timer.wait_for_sleep(Duration::from_secs(5));
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        drop(sim);
        let _ = ended.send(());
    });
    assert_eq!(end.recv_timeout(Duration::from_secs(10)), Ok(()), "dropping hangs");
}

#[test]
fn a_retry_without_backoff_and_a_repeated_transaction_id_are_warnings() {
    let (sim, timer) = with_virtual_time();
    let sends_after = |millis: u64| {
        timer.advance(Duration::from_millis(millis));
        let code = sim.call("busy-then-ok", sim.request().text()).code();
        (code, sim.last()["warnings"].clone())
    };
    let retry = "the same transactionId comes 10 ms after request 1 ended with 6014; wait before a retry, and longer each time";
    let retry = json!([{ "name": "retry_without_backoff", "message": retry }]);
    assert_eq!(sends_after(0), ("6014".to_owned(), json!([])));
    assert_eq!(sends_after(10), ("6014".to_owned(), retry));
    assert_eq!(sends_after(1000), ("6018".to_owned(), json!([])));
    let question = json!({ "customer_id": "busy-then-ok", "body": sim.request().text() });
    for _ in 0..2 {
        let (_, explanation) = sim.admin("POST", "/explain", &question.to_string());
        let message = explanation["warnings"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("3 times, last in request 3 at 2026-11-21T10:00:00.000+07:00"),
            "{explanation}"
        );
    }
    assert_eq!(sends_after(5000).1[0]["name"], "repeated_transaction_id");
    let wanted = json!({ "match": { "warning": "retry_*" }, "count": { "exactly": 1 } });
    assert_eq!(verified(&sim, wanted).0, 200);
    sim.call("demo", sim.request().text());
    assert_eq!(sim.last()["warnings"], json!([]), "another customer is another client");
}

/// Validates answers against the schemas of their types.
#[test]
fn answers_match_their_schemas() {
    let (sim, timer) = with_virtual_time();
    sim.call("demo", sim.request().text());
    sim.call("flaky", sim.request().set("threshold", "0").text());
    sim.call("truncated", sim.request().text());
    sim.call("nobody", "{}");
    let check = |schema: schemars::Schema, value: &Value| {
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {value}");
    };
    let listing = sim.admin("GET", "/requests", "").1;
    assert_eq!(listing["requests"].as_array().unwrap().len(), 4);
    check(schema_for!(requests::JournalPage), &listing);
    check(schema_for!(Entry), &listing["requests"][0]);
    let unmet = verified(&sim, json!({ "match": { "code": "1*" }, "count": { "exactly": 1 } })).1;
    check(schema_for!(verify::UnmetExpectation), &unmet);
    check(schema_for!(verify::Verified), &verified(&sim, json!({ "count": { "at_least": 0 } })).1);
    check(schema_for!(api_error::ErrorAnswer), &verified(&sim, json!({})).1);
    check(schema_for!(wait::Waited), &waiting(&sim, json!({ "count": 4 })).join().unwrap().1);
    let waiter = waiting(&sim, json!({ "count": 5, "timeout": "5s" }));
    timer.end_sleep(Duration::from_secs(5));
    check(schema_for!(verify::UnmetExpectation), &waiter.join().unwrap().1);
    check(schema_for!(Removed), &sim.admin("DELETE", "/requests", "").1);
}

#[test]
fn before_pages_back_through_the_journal() {
    let sim = Sim::start();
    (0..5).for_each(|_| drop(sim.call("sample-6018", "{}")));
    let ids = |query: &str| {
        let (_, page) = sim.admin("GET", &format!("/requests?{query}"), "");
        let entries = page["requests"].as_array().unwrap().iter();
        entries.map(|entry| entry["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids("limit=2"), [5, 4]);
    assert_eq!(ids("limit=2&before=4"), [3, 2]);
    assert_eq!((ids("before=2"), ids("before=1")), (vec![1], vec![]));
}
