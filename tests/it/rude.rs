//! What one client does to others: long lists, costly conditions, large rules, customers that are removed and changed while they are in
//! use, a full disk. `docs/reference/http-behaviour.md` names these tests.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
#[cfg(target_os = "linux")]
use std::process::Command;
use std::sync::mpsc::channel;

use dukcapil_fr_sim::internals::domain::nik::NikContext;
use dukcapil_fr_sim::internals::domain::nik::api::NikAnswer;
use dukcapil_fr_sim::internals::state::customers::CustomerError;
use serde_json::{Value, json};

use crate::abuse::{connect, read_answers, sent};
#[cfg(target_os = "linux")]
use crate::binary::{Served, address, command, listening};
#[cfg(target_os = "linux")]
use crate::support::{KEYS, thread_count};
use crate::support::{Sim, exchange, http, parse, unchunked};
#[cfg(target_os = "linux")]
use crate::wire::{kilobytes_resident, processor_ticks};

#[track_caller]
fn admin(sim: &Sim, method: &str, path: &str, body: Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = sim.admin(method, path, &body);
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

/// Returns a request to the NIK API for so many different NIKs.
fn niks(count: usize) -> String {
    let niks: Vec<_> = (0..count).map(|number| format!("31740557{number:08}")).collect();
    json!({ "nik": niks, "process": "full" }).to_string()
}

#[test]
fn a_long_answer_about_niks_is_sent_in_pieces_and_arrives_whole() {
    let body = niks(2000);
    let context = NikContext { today: jiff::civil::date(2026, 11, 21), min_age: 17 };
    let expected: String =
        NikAnswer::to(body.clone().into_bytes(), 2000, context).unwrap().pieces().collect();
    assert!(expected.len() > 1_000_000);
    for head in ["plain", "tomcat"] {
        let (sim, _directory) = Sim::over(&[("simulator.toml", &format!("policy = {{ head = '{head}' }}"))]);
        let answer = sim.post("/api/nik", &body);
        let whole = if head == "tomcat" { unchunked(&answer.body) } else { answer.body };
        assert!(whole == expected.as_bytes(), "{head}");
        let old = http("POST", "/api/nik", "", body.as_bytes());
        let old = String::from_utf8(old).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
        let answer = exchange(sim.address(), old.as_bytes());
        assert!(answer.body == expected.as_bytes(), "{head}, HTTP/1.0");
        assert!(answer.head.to_lowercase().contains(&format!("content-length: {}", expected.len())));
    }
    let sim = Sim::start();
    let ask = format!("POST /api/nik HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answers = read_answers(&mut sent(sim.address(), ask.repeat(2)), 2);
    assert!(answers.iter().all(|answer| answer.body == expected.as_bytes()), "the connection is kept");
}

#[test]
fn a_list_of_niks_beyond_the_limit_is_a_413() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { niks = 10 }")]);
    assert_eq!(sim.post("/api/nik", niks(10)).status, 200);
    let answer = sim.post("/api/nik", niks(11));
    let error = &answer.json()["error"];
    assert_eq!(
        (answer.status, &error["code"], &error["path"]),
        (413, &json!("list_too_long"), &json!("/nik"))
    );
    assert_eq!(error["message"], "nik has 11 elements, at most 10 are allowed (limits.niks)");
    assert!(error["hint"].as_str().unwrap().contains("limits.niks"));
}

#[cfg(target_os = "linux")]
#[test]
fn readers_that_do_not_read_cost_no_memory_for_their_answers() {
    let served = Served::plain(&["--quiet"]);
    let data = address(&served.value("endpoint"));
    let before = kilobytes_resident(&served);
    let ask = http("POST", "/api/nik", "", niks(10_000).as_bytes());
    let mut streams: Vec<_> = (0..8).map(|_| sent(data, &ask)).collect();
    for stream in &mut streams {
        let mut start = [0; 15];
        stream.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 200 OK");
    }
    // The answers have 60 MB.
    let grown = kilobytes_resident(&served).saturating_sub(before);
    assert!(grown < 30 << 10, "{grown} kB");
    assert_eq!(exchange(served.admin(), &http("GET", "/health", "", b"")).status, 200);
}

/// In processor time, because no answer tells how much was done for nobody.
#[cfg(target_os = "linux")]
#[test]
fn clients_of_the_nik_api_that_have_gone_cost_no_work() {
    let served = Served::plain(&["--quiet"]);
    let data = address(&served.value("endpoint"));
    let ask = http("POST", "/api/nik", "", niks(20_000).as_bytes());
    let before = processor_ticks(&served);
    let clients = 8 * thread_count();
    (0..clients).for_each(|_| assert_eq!(exchange(data, &ask).status, 200));
    let answered = processor_ticks(&served);
    (0..clients).for_each(|_| drop(sent(data, &ask)));
    let metric = |name: &str| {
        let metrics = exchange(served.admin(), &http("GET", "/metrics", "", b""));
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        line.unwrap_or(0_usize)
    };
    crate::support::eventually("all were accepted, and none is in flight", || {
        metric("frsim_connections_total") == 2 * clients && metric("frsim_in_flight") == 0
    });
    let (answered, gone) = (answered - before, processor_ticks(&served) - answered);
    assert!(gone < answered / 4, "{clients} that had gone took {gone} ticks, as many answers {answered}");
}

#[test]
fn conditions_look_at_the_beginning_of_long_texts_only() {
    let rules = "[[rules]]\nwhen = { transaction_id = '/z$/' }\nreply = { code = '6014' }\n\
                 [[rules]]\nper = 'transaction_id'\nskip = 1\nreply = { code = '5000' }\n";
    let customer = format!("extends = 'load'\n{rules}");
    let limits = ("simulator.toml", "limits = { condition_chars = 10 }");
    let (sim, _directory) = Sim::over(&[limits, ("customers/c.toml", &customer)]);
    let code = |id: &str| sim.call("c", sim.request().set("transactionId", id).text()).code();
    assert_eq!(code("aaaaaaaaaz"), "6014");
    assert_eq!(code("aaaaaaaaaaz"), "6018", "the eleventh character is not looked at");
    assert_eq!(code("aaaaaaaaaay"), "5000", "nor is it counted by");
    // The long text is as fast as the short one, whatever the pattern.
    let long = "a".repeat(5 << 20);
    assert_eq!(sim.call("c", sim.request().set("transactionId", long).text()).code(), "5000");
}

#[test]
fn rules_are_limited_in_number() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { rules = 3 }")]);
    let rules = |count: usize| -> Value {
        (0..count).map(|number| json!({ "rate": 0.5, "name": number.to_string(), "delay": "1ms" })).collect()
    };
    admin(&sim, "PUT", "/customers/a", json!({ "extends": "demo", "rules": rules(3) }));
    let (status, answer) =
        sim.admin("PUT", "/customers/a", &json!({ "extends": "demo", "rules": rules(4) }).to_string());
    let error = &answer["error"];
    assert_eq!((status, &error["path"]), (400, &json!("/rules")));
    assert_eq!(error["message"], "the customer has 4 rules; at most 3 are allowed (limits.rules)");
    let put =
        |name: usize| sim.admin("PUT", &format!("/customers/a/rules/{name}"), r#"{"reply":{"code":"6014"}}"#);
    assert_eq!([1, 2, 3, 3].map(|name| put(name).0), [200; 4]);
    let (status, answer) = put(4);
    assert_eq!(status, 400);
    assert!(answer["error"]["message"].as_str().unwrap().contains("limits.rules"), "{answer}");
    admin(&sim, "DELETE", "/customers/a/rules/1", Value::Null);
    assert_eq!(put(4).0, 200);
}

#[test]
fn regexes_are_limited_in_memory() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { regexes = '40KiB' }")]);
    let rule = |pattern: &str| json!({ "when": { "transaction_id": pattern }, "delay": "1ms" });
    let put = |customer: &str, name: &str, pattern: &str| {
        let path = format!("/customers/{customer}/rules/{name}");
        let (status, answer) = sim.admin("PUT", &path, &rule(pattern).to_string());
        assert_eq!(
            status == 400,
            answer["error"]["message"].to_string().contains("limits.regexes"),
            "{answer}"
        );
        status
    };
    // Each takes 16 KiB.
    assert_eq!(
        [put("demo", "a", "/^a+$/"), put("load", "a", "/^a+$/"), put("flaky", "a", "/^a+$/")],
        [200, 200, 400]
    );
    assert_eq!(put("flaky", "a", "a*"), 200, "a glob takes none");
    assert_eq!(put("demo", "a", "/^b+$/"), 200, "a rule makes room for the one that replaces it");
    admin(&sim, "DELETE", "/customers/demo/rules", Value::Null);
    assert_eq!(put("flaky", "b", "/^a+$/"), 200);
    let customer = |id: &str, count: usize| {
        let rules: Vec<_> = (0..count).map(|number| rule(&format!("/^{number}+$/"))).collect();
        sim.admin(
            "PUT",
            &format!("/customers/{id}"),
            &json!({ "extends": "demo", "rules": rules }).to_string(),
        )
        .0
    };
    assert_eq!(
        [customer("a", 2), customer("b", 1), customer("a", 1), customer("b", 1)],
        [200, 400, 200, 200]
    );
    let heir = json!({ "extends": "a" });
    admin(&sim, "PUT", "/customers/c", heir);
    assert_eq!(customer("c", 0), 200, "what is inherited counts once");
    // What a base leaves behind counts as long as a customer has it.
    ["c", "a", "b"]
        .iter()
        .for_each(|id| drop(admin(&sim, "DELETE", &format!("/customers/{id}"), Value::Null)));
    let rules = [rule("/^1+$/"), rule("/^2+$/")];
    admin(&sim, "PUT", "/customers/base", json!({ "extends": "demo", "rules": rules, "ttl": "1m" }));
    admin(&sim, "PUT", "/customers/heir", json!({ "extends": "base" }));
    admin(&sim, "PUT", "/clock", json!({ "advance": "2m" }));
    assert_eq!(customer("a", 1), 400);
    admin(&sim, "DELETE", "/customers/heir", Value::Null);
    assert_eq!(customer("a", 1), 200);
}

#[test]
fn a_regex_that_is_too_large_is_told_in_short_and_its_key_once() {
    let sim = Sim::start();
    let message = |pattern: &str| {
        let rule = json!({ "when": { "transaction_id": pattern }, "delay": "1ms" });
        let (status, answer) = sim.admin("PUT", "/customers/demo/rules/a", &rule.to_string());
        let error = &answer["error"];
        assert_eq!((status, &error["path"]), (400, &json!("/when/transaction_id")));
        error["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        message(r"/\pL{50}/"),
        "transaction_id: the regex \"/\\\\pL{50}/\" would take more than 1 MiB of memory, the maximum; write a simpler one, or a glob such \
         as \"T-*\""
    );
    let long = message(&format!("/{}/", "a,".repeat(100_000)));
    assert!(long.starts_with("transaction_id: the regex \"/a,a,") && long.len() < 250, "{long}");
    let wrong = message("/(/");
    assert_eq!(wrong.matches("transaction_id").count(), 1 + usize::from(wrong.contains("write")), "{wrong}");
}

#[test]
fn regexes_are_compiled_beside_the_admin_listeners_thread() {
    let sim = Sim::start();
    let rules: Vec<_> = (0..120)
        .map(|number| json!({ "name": format!("{number}"), "when": { "ip": format!("/^\\w{{30}}{number}$/") }, "delay": "1ms" }))
        .collect();
    let body = json!({ "extends": "demo", "rules": rules }).to_string();
    let mut slow = sent(sim.admin_address(), http("PUT", "/customers/slow", "", body.as_bytes()));
    assert_eq!(sim.admin("GET", "/health", "").0, 200);
    slow.set_nonblocking(true).unwrap();
    let early = slow.peek(&mut [0]);
    assert!(early.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "/health waited for the rules");
    slow.set_nonblocking(false).unwrap();
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).unwrap();
    assert!([200, 400].contains(&parse(&answer).status));
}

/// A request of a customer whose body is sent in two parts.
struct Upload {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Upload {
    fn begin(sim: &Sim, customer: &str) -> Upload {
        let path = format!("/api/face-recognition/{customer}/CALL_FN");
        let headers = "Accept: application/json\r\nContent-Type: application/json\r\n";
        let mut bytes = http("POST", &path, headers, sim.request().text().as_bytes());
        let rest = bytes.split_off(bytes.len() - 10);
        let mut stream = connect(sim.address());
        stream.write_all(&bytes).unwrap();
        sim.wait_for_in_flight(1);
        Upload { stream, rest }
    }

    fn end(mut self) -> crate::support::Answer {
        self.stream.write_all(&self.rest).unwrap();
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).unwrap();
        parse(&answer)
    }
}

#[test]
fn a_customer_removed_during_an_upload_leaves_nothing_to_the_next() {
    let sim = Sim::start();
    let states = || sim.0.engine().states.opened().len();
    let create =
        || admin(&sim, "PUT", "/customers/c", json!({ "extends": "demo", "quota": { "per_day": 1 } }));
    let before = states();
    for recreated in [true, false, true] {
        create();
        let upload = Upload::begin(&sim, "c");
        admin(&sim, "DELETE", "/customers/c", Value::Null);
        if recreated {
            create();
        }
        assert_eq!(upload.end().code(), "6018", "it ends as it began");
        sim.wait_for_in_flight(0);
        if recreated {
            assert_eq!(admin(&sim, "GET", "/customers/c/quota", Value::Null)["used"], 0);
            assert_eq!(sim.call("c", sim.request().text()).code(), "6018");
            let last = sim.last();
            assert_eq!((&last["ordinal"], &last["warnings"]), (&json!(1), &json!([])), "{last}");
            admin(&sim, "DELETE", "/customers/c", Value::Null);
        }
        assert_eq!(states(), before);
    }
}

#[test]
fn a_new_capacity_stays_while_an_older_upload_arrives() {
    let sim = Sim::start();
    let capacity = |workers: u64| json!({ "workers": workers, "queue": 0 });
    admin(&sim, "PUT", "/customers/c", json!({ "extends": "load", "capacity": capacity(1) }));
    let workers = || {
        let gauges = sim.0.engine().capacities();
        gauges.iter().find(|gauge| gauge.customer_id.as_deref() == Some("c")).map(|gauge| gauge.workers)
    };
    assert_eq!(sim.call("c", sim.request().text()).code(), "6018");
    let upload = Upload::begin(&sim, "c");
    admin(&sim, "PATCH", "/customers/c", json!({ "capacity": capacity(3) }));
    assert_eq!(workers(), Some(3));
    assert_eq!(upload.end().code(), "6018");
    assert_eq!(workers(), Some(3));
}

#[test]
fn counters_of_a_rule_that_a_base_loses_are_gone_with_its_dependents_too() {
    let sim = Sim::start();
    let base = |code: &str| {
        let rules = json!([{ "name": "once", "times": 1, "reply": { "code": code } }]);
        admin(&sim, "PUT", "/customers/base", json!({ "extends": "load", "rules": rules }));
    };
    base("6014");
    admin(&sim, "PUT", "/customers/heir", json!({ "extends": "base" }));
    admin(&sim, "PUT", "/customers/heirs-heir", json!({ "extends": "heir" }));
    for (code, other) in [("6014", "5000"), ("6014", "5000")] {
        for customer in ["base", "heir", "heirs-heir"] {
            let codes = [(); 2].map(|()| sim.call(customer, sim.request().text()).code());
            assert_eq!(codes, [code, "6018"], "{customer}");
        }
        base(other);
        base(code);
    }
    // Rules that stay go on counting.
    admin(&sim, "PATCH", "/customers/base", json!({ "quota": { "per_day": 100 } }));
    admin(&sim, "PATCH", "/customers/heir", json!({ "quota": { "per_day": 100 } }));
    for customer in ["base", "heir", "heirs-heir"] {
        assert_eq!(
            [(); 2].map(|()| sim.call(customer, sim.request().text()).code()),
            ["6014", "6018"],
            "{customer}"
        );
        admin(&sim, "PATCH", "/customers/base", json!({ "quota": { "per_day": 200 } }));
        assert_eq!(sim.call(customer, sim.request().text()).code(), "6018", "{customer}");
    }
}

#[test]
fn counters_of_a_rule_that_a_file_loses_are_gone() {
    let file = |code: &str| {
        format!("extends = 'load'\n[[rules]]\nname = 'once'\ntimes = 1\nreply = {{ code = '{code}' }}")
    };
    let (sim, directory) = Sim::over(&[("customers/base.toml", &file("6014"))]);
    admin(&sim, "PUT", "/customers/heir", json!({ "extends": "base" }));
    let write = |code: &str| {
        crate::support::write_fixture(directory.path(), "customers/base.toml", &file(code));
        admin(&sim, "POST", "/config/reload", Value::Null);
    };
    for _ in 0..2 {
        for customer in ["base", "heir"] {
            let codes = [(); 2].map(|()| sim.call(customer, sim.request().text()).code());
            assert_eq!(codes, ["6014", "6018"], "{customer}");
        }
        write("5000");
        write("6014");
    }
}

#[test]
fn a_chain_of_extends_over_the_api_is_limited() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { extends = 5 }")]);
    let put = |number: usize| {
        let base = if number == 0 { "demo".to_owned() } else { format!("c{}", number - 1) };
        sim.admin("PUT", &format!("/customers/c{number}"), &json!({ "extends": base }).to_string())
    };
    assert!((0..5).all(|number| put(number).0 == 200));
    let (status, answer) = put(5);
    assert_eq!((status, &answer["error"]["path"]), (400, &json!("/extends")), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("limits.extends"), "{answer}");
}

/// Runs the binary with a journal file that may have so many blocks of 512 bytes, as on a disk that becomes full.
#[cfg(target_os = "linux")]
fn with_full_disk(journal: &str, blocks: usize) -> Served {
    let args = [&listening("127.0.0.1:0", KEYS.path())[..], &["--quiet", "--journal-file", journal]].concat();
    let binary = command(&args);
    let mut limited = Command::new("bash");
    // Bash counts in KiB. The signal would end the program.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", blocks / 2);
    limited.args(["-c", &script]).arg(binary.get_program()).args(binary.get_args());
    limited.current_dir(crate::support::elsewhere()).env_remove("CI");
    Served::from(limited)
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_whole_lines_in_the_journal_file_and_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.jsonl");
    let whole_lines = || {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n'), "{text}");
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let call = |served: &Served, count: usize| {
        for _ in 0..count {
            let ask = http("POST", "/api/face-recognition/demo/CALL_FN", "", b"{}");
            exchange(address(&served.value("endpoint")), &ask);
        }
    };
    let served = with_full_disk(path.to_str().unwrap(), 16);
    call(&served, 10);
    served.signal("TERM");
    let (code, _, err) = served.end();
    assert_eq!((code, err.matches("the journal file cannot be written").count()), (Some(0), 1), "{err}");
    let lines = whole_lines();
    assert!((1..10).contains(&lines.len()), "{lines:?}");
    // As a run that was killed in the middle of a line.
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    file.write_all(b"{\"id\":99,\"at\":\"2026-").unwrap();
    let served = Served::plain(&["--quiet", "--journal-file", path.to_str().unwrap()]);
    call(&served, 1);
    served.signal("TERM");
    assert_eq!(served.end().0, Some(0));
    assert_eq!(whole_lines(), [lines, vec![1]].concat());
}

/// A client that behaves badly: what it sends to whom, or does. Connections stay open until the sequence ends.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
enum Rude {
    /// Sends so many bytes of a good request to this customer.
    Part(&'static str, usize),
    /// Sends a whole request, or several, and does not read.
    Unread(&'static str, usize),
    /// Sends bytes that are no request.
    Garbage,
    /// Asks about NIKs, and does not read.
    Niks,
    /// Reads events, or waits for requests, and goes.
    Admin(&'static str, &'static str, &'static str),
    /// Removes the customer that others use, and creates it again.
    Removes,
}

#[cfg(target_os = "linux")]
fn rude_clients() -> impl proptest::strategy::Strategy<Value = Vec<(Rude, bool)>> {
    use proptest::prelude::{Strategy, any, prop};
    let kinds = [
        Rude::Part("rude", 30),
        Rude::Part("rude", 300),
        Rude::Part("busy", 2000),
        Rude::Part("hang", 300),
        Rude::Unread("busy", 1),
        Rude::Unread("busy", 5),
        Rude::Unread("rude", 3),
        Rude::Unread("hang", 2),
        Rude::Unread("nobody", 2),
        Rude::Unread("reset", 2),
        Rude::Unread("truncated", 1),
        Rude::Garbage,
        Rude::Niks,
        Rude::Admin("GET", "/events", ""),
        Rude::Admin("POST", "/requests/wait", r#"{"match":{"code":"7777"},"timeout":"10m"}"#),
        Rude::Admin("PUT", "/customers/rude", r#"{"extends":"#),
        Rude::Removes,
    ];
    prop::collection::vec((prop::sample::select(kinds.to_vec()), any::<bool>()), 1..12).boxed()
}

#[cfg(target_os = "linux")]
#[test]
fn everything_is_given_back_after_any_sequence_of_rude_clients() {
    use std::time::Duration;

    use proptest::test_runner::{Config, TestRunner};

    use crate::wire::{descriptors, in_flight};

    let served = Served::plain(&["--quiet"]);
    let data = address(&served.value("endpoint"));
    let call = |method: &str, path: &str, body: &str| {
        exchange(served.admin(), &http(method, path, "", body.as_bytes()))
    };
    let pem = call("GET", "/keys/public.pem", "");
    let body = crate::support::Body::encrypted_with(pem.text()).text();
    let busy = r#"{"extends":"load","capacity":{"workers":1,"queue":3,"service_time":"5ms"}}"#;
    let put = |customer: &str| assert_eq!(call("PUT", &format!("/customers/{customer}"), busy).status, 200);
    put("rude");
    put("busy");
    let request = |customer: &str| {
        let path = format!("/api/face-recognition/{customer}/CALL_FN");
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
        head + &body
    };
    let gauges = || {
        let metrics = call("GET", "/metrics", "");
        let names = [
            "frsim_in_flight ",
            "frsim_matcher_workers_busy{",
            "frsim_matcher_queue{",
            "frsim_waiting_calls ",
            "frsim_event_readers ",
        ];
        let lines = metrics.text().lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let before = descriptors(&served).len();
    let act = |rude: Rude| match rude {
        Rude::Part(customer, bytes) => Some(sent(data, &request(customer).as_bytes()[..bytes])),
        Rude::Unread(customer, count) => Some(sent(data, request(customer).repeat(count))),
        Rude::Garbage => Some(sent(data, "\u{16}\u{3}\u{1}\r\n\r\n")),
        Rude::Niks => Some(sent(data, http("POST", "/api/nik", "", niks(3000).as_bytes()))),
        Rude::Admin(method, path, body) => {
            let mut bytes = http(method, path, "", body.as_bytes());
            if path.starts_with("/customers") {
                // Announces more than it sends.
                bytes =
                    String::from_utf8(bytes).unwrap().replace("Content-Length: ", "Content-Length: 9").into();
            }
            Some(sent(served.admin(), bytes))
        }
        Rude::Removes => {
            call("DELETE", "/customers/rude", "");
            put("rude");
            None
        }
    };
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&rude_clients(), |clients| {
            let streams: Vec<_> = clients.iter().map(|(rude, resets)| (act(*rude), *resets)).collect();
            for (stream, resets) in streams {
                if let Some(stream) = stream.filter(|_| resets) {
                    // RST instead of FIN.
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
            crate::support::eventually(&format!("nothing in flight after {clients:?}"), || {
                in_flight(&served) == 0
            });
            crate::support::eventually(&format!("gauges at zero after {clients:?}"), || {
                let gauges = gauges();
                assert!(gauges.len() >= 7, "{gauges:?}");
                gauges.iter().all(|gauge| *gauge == 0.0)
            });
            crate::support::eventually(&format!("the descriptors of before, after {clients:?}"), || {
                descriptors(&served).len() <= before
            });
            Ok(())
        })
        .unwrap();
    assert_eq!(call("GET", "/health", "").status, 200);
}

#[test]
fn a_change_that_takes_long_delays_other_changes_but_no_other_call() {
    let sim = Sim::start();
    for id in ["slow", "other"] {
        admin(&sim, "PUT", &format!("/customers/{id}"), json!({ "extends": "demo" }));
    }
    let customers = &sim.0.app_state().engine.customers;
    let changes = [
        ("DELETE", "/customers/other", Value::Null),
        ("POST", "/reset?scope=all", Value::Null),
        ("POST", "/reset?scope=rules&customer_id=slow", Value::Null),
        ("PUT", "/customers/slow/rules/one", json!({ "reply": { "code": "6014" } })),
        ("DELETE", "/customers/slow/rules", Value::Null),
        ("PUT", "/clock", json!({ "advance": "1h" })),
        ("PUT", "/customers/slow/clock", json!({ "advance": "1h" })),
        ("PATCH", "/customers/slow", json!({ "quota": { "per_day": 5 } })),
    ];
    let ((begun, begins), (end, ends)) = (channel(), channel::<()>());
    std::thread::scope(|scope| {
        // As one that generates a long key.
        let slow = move || {
            let changed = customers.change(&"slow".parse().unwrap(), jiff::Timestamp::now(), |entry| {
                begun.send(()).unwrap();
                let _ = ends.recv();
                Ok::<_, CustomerError>(entry)
            });
            changed.unwrap();
        };
        scope.spawn(slow);
        begins.recv().unwrap();
        let mut waiting = Vec::new();
        for (method, path, body) in &changes {
            let body = if body.is_null() { String::new() } else { body.to_string() };
            waiting.push(sent(sim.admin_address(), http(method, path, "", body.as_bytes())));
            assert_eq!(sim.admin("GET", "/health", "").0, 200, "{method} {path}");
        }
        drop(end);
        for (mut stream, (method, path, _)) in waiting.into_iter().zip(&changes) {
            let answer = read_answers(&mut stream, 1).remove(0);
            assert!([200, 404].contains(&answer.status), "{method} {path}: {}", answer.text());
        }
    });
}
