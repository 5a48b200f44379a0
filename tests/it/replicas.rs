//! One simulator of many replicas: `--store redis://...`, with a real Redis on loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::binary::{address, run, text};
use crate::redis_server::RedisServer;
use crate::store::{Warnings, answered, session};
use crate::support::{Body, KEYS, Sim, eventually, exchange, http, in_parallel};
use dukcapil_fr_sim::internals::protocol::encoding;

/// Replicas in this process over one store, and what they warn of.
struct Replicas {
    sims: Vec<Sim>,
    warnings: Vec<Arc<Warnings>>,
    body: Body,
}

impl Replicas {
    fn start(server: &RedisServer, count: usize) -> Replicas {
        let (sims, warnings): (Vec<_>, Vec<_>) = (0..count).map(|_| replica(server, 0)).unzip();
        let body = sims[0].request();
        Replicas { sims, warnings, body }
    }

    /// Calls a customer over a replica. Returns the code, or the status of what has none.
    fn call(&self, replica: usize, customer: &str, transaction: &str) -> String {
        let body = self.body.clone().set("transactionId", transaction).text();
        let answer = self.sims[replica % self.sims.len()].call(customer, body);
        if answer.status == 200 { answer.code() } else { answer.status.to_string() }
    }

    #[track_caller]
    fn admin(&self, replica: usize, method: &str, path: &str, body: Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, value) = self.sims[replica % self.sims.len()].admin(method, path, &body);
        assert!(status < 300, "{method} {path}: {status} {value}");
        value
    }

    #[track_caller]
    fn get(&self, replica: usize, path: &str) -> Value {
        self.admin(replica, "GET", path, Value::Null)
    }

    fn is_up(&self, replica: usize) -> bool {
        self.sims[replica].admin("GET", "/ready", "").0 == 200
    }
}

fn replica(server: &RedisServer, seed: u64) -> (Sim, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    let observer = Arc::clone(&warnings);
    let store = server.store("team");
    let sim = Sim::with(|builder| builder.shared_store(Some(&store)).seed(seed).observer(observer));
    (sim, warnings)
}

#[test]
fn a_session_over_three_replicas_answers_as_one_simulator() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas: Vec<_> = (0..3).map(|_| replica(&server, 7).0).collect();
    let steady = Sim::with(|builder| builder.seed(7));
    let body = steady.request();
    for (number, step) in session().iter().enumerate() {
        let replica = &replicas[number % 3];
        let [got, want] =
            [replica, &steady].map(|sim| answered(step, sim.address(), sim.admin_address(), &body));
        assert!(got == want, "step {number}\n{got}\n{want}");
    }
    // Who comes later has the same.
    let late = replica(&server, 7).0;
    for path in ["/customers", "/requests", "/gallery?limit=100", "/clock"] {
        assert_eq!(late.admin("GET", path, ""), replicas[1].admin("GET", path, ""), "{path}");
    }
}

#[test]
fn exactly_as_many_parallel_calls_over_three_replicas_succeed_as_the_quota_allows() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 3);
    let mut ids = 0;
    for quota in [1, 7, 100, 1000] {
        let customer = format!("q{quota}");
        let spec =
            json!({ "extends": "demo", "quota": { "per_day": quota }, "policy": { "quota_counts": "all" } });
        replicas.admin(0, "PUT", &format!("/customers/{customer}"), spec);
        let each = quota / 9 + 10;
        let codes = in_parallel(9, |client| {
            let call = |number| replicas.call(client, &customer, &format!("{client}-{number}"));
            (0..each).map(call).collect::<Vec<_>>()
        });
        let mut counts = BTreeMap::new();
        codes.into_iter().flatten().for_each(|code| *counts.entry(code).or_insert(0) += 1);
        let expected = [("5002".to_owned(), 9 * each - quota), ("6018".to_owned(), quota)];
        assert_eq!(counts, expected.into(), "{quota}");
        ids += 9 * each;
        for replica in 0..3 {
            let state = &replicas.get(replica, &format!("/customers/{customer}/quota"));
            assert_eq!((&state["used"], &state["left"]), (&json!(quota), &json!(0)));
            let question = json!({ "match": { "customer_id": customer, "code": "6018" }, "count": quota });
            replicas.admin(replica, "POST", "/requests/verify", question);
        }
        // One journal: ids 1, 2, 3; each ordinal once.
        let journal = replicas.get(2, &format!("/requests?limit=10000&customer_id={customer}"));
        let entries = journal["requests"].as_array().unwrap();
        assert_eq!(entries[0]["id"], ids, "the newest");
        let ordinals: BTreeSet<_> = entries.iter().map(|entry| entry["ordinal"].as_u64().unwrap()).collect();
        assert!(ordinals.into_iter().eq(1..=9 * each));
        assert!(entries.iter().all(|entry| entry["state"] == "done"));
    }
}

#[test]
fn a_setting_over_one_replica_is_in_force_on_another_for_the_next_request() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 2);
    replicas.admin(0, "PUT", "/customers/bank", json!({ "extends": "load" }));
    for number in 0..1000 {
        let code = ["6014", "5001", "5000"][number % 3];
        let rule = json!({ "reply": { "code": code } });
        replicas.admin(number, "PUT", "/customers/bank/rules/now", rule);
        assert_eq!(replicas.call(number + 1, "bank", "T"), code, "request {number}");
    }
}

#[test]
fn a_clock_over_midnight_at_one_replica_is_another_days_quota_at_another() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 3);
    for day in 0..5 {
        assert_eq!(replicas.call(day + 1, "quota-one-left", "T"), "6018", "day {day}");
        assert_eq!(replicas.call(day + 2, "quota-one-left", "T"), "5002", "day {day}");
        replicas.admin(day, "PUT", "/clock", json!({ "advance": "14h" }));
        let clocks = [0, 1, 2].map(|replica| replicas.get(replica, "/clock"));
        assert!(clocks.iter().all(|clock| *clock == clocks[0]), "{clocks:?}");
        replicas.admin(day + 1, "PUT", "/clock", json!({ "advance": "10h" }));
    }
    replicas.admin(0, "PUT", "/customers/demo/clock", json!({ "advance": "48h" }));
    assert_eq!(replicas.get(1, "/customers/demo/clock"), replicas.get(2, "/customers/demo/clock"));
}

#[test]
fn the_journal_of_any_replica_has_an_answer_as_soon_as_the_client_has_it() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 3);
    for number in 0..100 {
        let transaction = format!("T-{number}");
        replicas.call(number, "demo", &transaction);
        let filter = json!({ "transaction_id": transaction, "state": "done" });
        let question = json!({ "match": filter, "count": 1 });
        replicas.admin(number + 1, "POST", "/requests/verify", question.clone());
        replicas.admin(number + 2, "POST", "/requests/wait", question);
        assert_eq!(replicas.get(number + 2, "/requests?limit=1")["requests"][0]["id"], number + 1);
    }
    // Each replica tells which one answered.
    let told = [0, 1, 2].map(|replica| {
        let newest = replicas.get(replica, "/requests?limit=3");
        [0, 1, 2].map(|place| newest["requests"][place]["replica"].as_str().unwrap().to_owned())
    });
    assert!(told[0] == told[1] && told[1] == told[2], "{told:?}");
    assert_eq!(BTreeSet::from(told[0].clone()).len(), 3, "{told:?}");
    // Who waits at one replica is woken by an answer of another, and so is a reader of events.
    let mut events = TcpStream::connect(replicas.sims[2].admin_address()).unwrap();
    events.write_all(&http("GET", "/events", "Last-Event-ID: 100\r\n", b"")).unwrap();
    std::thread::scope(|scope| {
        let question = json!({ "match": { "transaction_id": "late" }, "timeout": "60s" });
        let waiting = scope.spawn(|| replicas.admin(1, "POST", "/requests/wait", question));
        replicas.call(0, "demo", "late");
        assert_eq!(waiting.join().unwrap()["requests"][0]["id"], 101);
    });
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    eventually("the events of another replica's request", || {
        let count = std::io::Read::read(&mut events, &mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&seen);
        text.contains("event: request\nid: 101\n") && text.contains("event: done")
    });
    replicas.admin(0, "PUT", "/customers/demo/quota", json!({ "per_day": 99 }));
    eventually("the change of another replica", || {
        let count = std::io::Read::read(&mut events, &mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&seen);
        text.contains("event: changed") && text.contains("/customers/demo/quota")
    });
    assert_eq!(replicas.admin(1, "DELETE", "/requests?customer_id=demo", Value::Null)["removed"], 101);
    assert_eq!(replicas.get(2, "/requests")["requests"], json!([]));
    replicas.call(1, "demo", "again");
    assert_eq!(replicas.get(0, "/requests")["requests"][0]["id"], 102, "ids go on");
}

#[test]
fn replicas_share_customers_rules_counts_states_people_and_what_is_under_way() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 3);
    let rules = json!([
        { "name": "crowd", "when": { "in_flight": ">1" }, "reply": { "code": "6014" } },
        { "name": "hang", "when": { "transaction_id": "hang" }, "fault": { "kind": "hang" } },
        { "name": "twice", "per": "transaction_id", "times": 2, "reply": { "code": "5001" } },
    ]);
    replicas.admin(0, "PUT", "/customers/bank", json!({ "extends": "load", "rules": rules }));
    let codes: Vec<_> = (0..4).map(|number| replicas.call(number, "bank", "T")).collect();
    assert_eq!(codes, ["5001", "5001", "6018", "6018"], "each rule is counted once");
    // A request that hangs at one replica is under way for all.
    let body = replicas.body.clone().set("transactionId", "hang").text();
    let mut hanging = TcpStream::connect(replicas.sims[0].address()).unwrap();
    hanging.write_all(&http("POST", "/api/face-recognition/bank/CALL_FN", "", body.as_bytes())).unwrap();
    replicas.sims[0].wait_for_in_flight(1);
    eventually("it is in the journal", || {
        replicas.get(1, "/requests?limit=1")["requests"][0]["state"] == "in_flight"
    });
    assert_eq!(replicas.call(1, "bank", "U"), "6014");
    drop(hanging);
    eventually("it ends for all", || {
        replicas.call(2, "bank", "V") == "6018" || replicas.call(2, "bank", "V") == "5001"
    });
    // Ids and NIKs are made up once.
    let made: BTreeSet<_> = (0..6)
        .map(|number| replicas.admin(number, "POST", "/customers", json!({}))["customer_id"].to_string())
        .collect();
    assert_eq!(made.len(), 6);
    let picture = encoding::encode(&crate::support::stranger());
    let person = json!({ "name": "Ani", "customer_id": "bank", "pictures": [picture] });
    let nik = replicas.admin(0, "POST", "/gallery", person)["nik"].as_str().unwrap().to_owned();
    let photo = replicas.body.clone().set("transactionId", "W").set("image", &*picture);
    for sim in &replicas.sims {
        assert!(
            sim.call("bank", photo.clone().set("transactionId", "T").text()).candidates().contains_key(&nik)
        );
    }
    let listed = [0, 1, 2].map(|replica| replicas.get(replica, "/gallery?limit=100"));
    assert!(listed.iter().all(|gallery| *gallery == listed[0]));
    // A customer goes with everything that it had, at all replicas.
    replicas.admin(1, "DELETE", "/customers/bank", Value::Null);
    assert_eq!(replicas.sims[2].admin("GET", "/customers/bank", "").0, 404);
    replicas.admin(2, "PUT", "/customers/bank", json!({ "extends": "load", "rules": rules }));
    assert_eq!(replicas.call(0, "bank", "T"), "5001", "its counts begin again");
    let entry = &replicas.get(1, "/requests?limit=1")["requests"][0];
    assert_eq!(entry["ordinal"], 1, "and so do its ordinals");
    replicas.admin(1, "POST", "/reset?scope=state&customer_id=bank", Value::Null);
    replicas.call(2, "bank", "T");
    assert_eq!(replicas.get(0, "/requests?limit=1")["requests"][0]["ordinal"], 1);
}

#[test]
fn while_the_store_is_down_nothing_is_decided_and_it_comes_back_by_itself() {
    let Some(mut server) = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]) else {
        return;
    };
    let replicas = Replicas::start(&server, 2);
    replicas.admin(0, "PUT", "/customers/bank", json!({ "extends": "demo", "quota": { "per_day": 3 } }));
    assert_eq!(replicas.call(0, "bank", "a"), "6018");
    let down = |how: &str| {
        for sim in &replicas.sims {
            let path = "/api/face-recognition/bank/CALL_FN";
            let answer = exchange(sim.address(), &http("POST", path, "", replicas.body.text().as_bytes()));
            assert_eq!(answer.status, 503, "{how}");
            assert!(answer.head.to_lowercase().contains("\r\nretry-after: 1"), "{}", answer.head);
            assert_eq!(answer.json()["error"]["code"], "store_unavailable");
            for (method, path) in [("GET", "/ready"), ("GET", "/requests"), ("PUT", "/clock")] {
                let answer = exchange(sim.admin_address(), &http(method, path, "", br#"{"advance":"1h"}"#));
                assert_eq!(
                    (answer.status, &answer.json()["error"]["code"]),
                    (503, &json!("store_unavailable"))
                );
                assert!(answer.head.to_lowercase().contains("\r\nretry-after: 1"), "{}", answer.head);
            }
            for path in ["/health", "/version", "/metrics", "/openapi.json"] {
                assert_eq!(exchange(sim.admin_address(), &http("GET", path, "", b"")).status, 200, "{path}");
            }
        }
    };
    server.kill();
    down("killed");
    server.restart();
    eventually("it comes back", || replicas.is_up(0) && replicas.is_up(1));
    assert_eq!(replicas.call(1, "bank", "b"), "6018", "it goes on");
    // A server that hangs: one patience, then at once.
    server.signal("STOP");
    down("hanging");
    server.signal("CONT");
    eventually("it comes back", || replicas.is_up(0) && replicas.is_up(1));
    // What was sent to the server that hung may have been counted.
    replicas.admin(1, "PUT", "/customers/bank/quota", json!({ "per_day": 3, "used": 2 }));
    assert_eq!(["c", "d"].map(|transaction| replicas.call(0, "bank", transaction)), ["6018", "5002"]);
    for (replica, warnings) in replicas.warnings.iter().enumerate() {
        let all = warnings.all();
        let count = |part: &str| all.iter().filter(|warning| warning.contains(part)).count();
        let told = ["cannot be reached", "does not answer within 2 seconds", "can be used again"].map(count);
        assert_eq!(told, [1, 1, 2], "{all:?}");
        assert_eq!(count("WENT BACK"), 0, "{all:?}");
        assert_eq!(replicas.get(replica, "/ready")["store"], "shared");
    }
}

/// What is wrong with the store is said where it is met, not in the log alone.
#[test]
fn a_store_that_answers_and_cannot_be_used_says_why_in_each_answer() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 1);
    let sim = &replicas.sims[0];
    for (breaks, mends, why) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..], "is full"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "is a copy of another one"),
    ] {
        server.ask(breaks);
        // The first one meets it.
        assert_eq!(replicas.call(0, "load", "T"), "503", "{why}");
        let path = "/api/face-recognition/load/CALL_FN";
        let answer = exchange(sim.address(), &http("POST", path, "", replicas.body.text().as_bytes()));
        let admin = ["/ready", "/customers/demo/quota"].map(|path| sim.admin("GET", path, "").1);
        for answer in admin.into_iter().chain([answer.json()]) {
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(why) && !message.contains("in force"), "{why}: {message}");
        }
        server.ask(mends);
        eventually("it comes back", || replicas.is_up(0));
        assert_eq!(replicas.call(0, "load", "T"), "6018", "{why}");
    }
}

#[test]
fn replicas_that_are_set_up_differently_are_told_until_they_are_alike() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let fixtures = directory.path();
    let warnings: [Arc<Warnings>; 2] = Default::default();
    let store = server.store("team");
    let start = |observer: &Arc<Warnings>, max_body, fixtures: Option<&std::path::Path>| {
        let observer = Arc::clone(observer);
        Sim::with(|builder| {
            let builder = builder.shared_store(Some(&store)).observer(observer);
            builder.max_body(max_body).fixtures(fixtures.map(std::borrow::ToOwned::to_owned))
        })
    };
    let differs = |sim: &Sim, expected: Value| {
        eventually(&expected.to_string(), || sim.admin("GET", "/ready", "").1["differs"] == expected);
        assert_eq!(sim.admin("GET", "/ready", "").0, 200, "each of them serves");
    };
    crate::support::write_fixture(fixtures, "customers/new.toml", "extends = 'demo'");
    let one = start(&warnings[0], 1 << 20, Some(fixtures));
    assert_eq!(one.admin("GET", "/ready", "").1.get("differs"), None);
    let other = start(&warnings[1], 1 << 21, None);
    for sim in [&one, &other] {
        differs(sim, json!(["fixtures", "options"]));
    }
    std::fs::remove_file(fixtures.join("customers/new.toml")).unwrap();
    one.0.reload().unwrap();
    for sim in [&one, &other] {
        differs(sim, json!(["options"]));
    }
    drop(other);
    differs(&one, Value::Null);
    let other = start(&warnings[1], 1 << 20, None);
    differs(&other, Value::Null);
    let told = |number: usize| {
        let all = warnings[number].all();
        let told =
            all.into_iter().filter(|warning| warning.contains("other replicas") || warning.contains("again"));
        told.map(|warning| warning.split_once(": ").unwrap().1.chars().take(40).collect::<String>())
            .collect::<Vec<_>>()
    };
    let [both, options, alike] = [
        "other replicas have other fixtures, and ",
        "other replicas were started with other o",
        "all replicas have the same fixtures and ",
    ];
    assert_eq!(told(0), [both, options, alike]);
    assert_eq!(told(1), [both, options]);
}

#[test]
fn a_damaged_log_is_told_once_and_never_said_to_be_usable() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 1);
    server.ask(&["XADD", "{frsim:team}:log", "*", "x", "y"]);
    eventually("it is found", || !replicas.is_up(0));
    // Each attempt loads the scripts twice.
    let loads = || {
        let stats = server.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_script|load:calls=")).unwrap();
        line.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = loads();
    eventually("it is tried again and again", || loads() > before + 70);
    let all = replicas.warnings[0].all();
    assert!(all.len() == 1 && all[0].contains("is damaged: record"), "{all:?}");
    let (status, answer) = replicas.sims[0].admin("GET", "/ready", "");
    assert!(status == 503 && answer["error"]["message"].as_str().unwrap().contains("is damaged"), "{answer}");
}

#[test]
fn a_history_that_went_back_is_noticed_taken_over_and_told() {
    let Some(mut server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 2);
    replicas.admin(0, "PUT", "/customers/bank", json!({ "extends": "demo", "quota": { "per_day": 10 } }));
    (0..4).for_each(|number| assert_eq!(replicas.call(number, "bank", "T"), "6018"));
    assert_eq!(server.ask(&["SAVE"]), "OK");
    (0..3).for_each(|number| assert_eq!(replicas.call(number, "bank", "T"), "6018"));
    replicas.admin(1, "PUT", "/customers/later", json!({ "extends": "demo" }));
    server.kill();
    server.restart();
    eventually("it comes back", || replicas.is_up(0) && replicas.is_up(1));
    for (replica, warnings) in replicas.warnings.iter().enumerate() {
        let all = warnings.all();
        assert_eq!(all.iter().filter(|warning| warning.contains("WENT BACK")).count(), 1, "{all:?}");
        assert_eq!(replicas.get(replica, "/customers/bank/quota")["used"], 4);
        assert_eq!(replicas.sims[replica].admin("GET", "/customers/later", "").0, 404);
        assert_eq!(replicas.get(replica, "/requests?limit=1")["requests"][0]["id"], 4);
        let metrics = exchange(replicas.sims[replica].admin_address(), &http("GET", "/metrics", "", b""));
        let label = format!("{{store=\"{}\"}}", server.store("team"));
        for (name, value) in [("frsim_shared_store_up", 1), ("frsim_shared_store_regressions_total", 1)] {
            assert!(metrics.text().contains(&format!("{name}{label} {value}\n")), "{}", metrics.text());
        }
    }
    assert_eq!(replicas.call(1, "bank", "T"), "6018");
    assert_eq!(replicas.get(0, "/requests?limit=1")["requests"][0]["id"], 5, "ids are given again");
    // An emptied server is a store that begins.
    server.ask(&["FLUSHALL"]);
    eventually("it is noticed", || {
        replicas.call(0, "demo", "T");
        replicas.warnings[0].all().iter().filter(|warning| warning.contains("WENT BACK")).count() == 2
    });
    eventually("it comes back", || replicas.is_up(0) && replicas.is_up(1));
    assert_eq!(replicas.sims[0].admin("GET", "/customers/bank", "").0, 404);
    assert_eq!(replicas.call(1, "demo", "T"), "6018");
}

#[test]
fn what_a_replica_that_is_gone_had_under_way_is_aborted_and_no_longer_counted() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 2);
    let key = |name: &str| format!("{{frsim:team}}:{name}");
    replicas.admin(0, "PUT", "/customers/bank", json!({ "extends": "load" }));
    // A replica that has died long ago, with one request under way.
    server.ask(&["ZADD", &key("replicas"), "1", "dead"]);
    server.ask(&["HSET", &key("flight:bank"), "dead", "1"]);
    server.ask(&["SADD", &key("flying"), "bank"]);
    let entry = replicas.get(0, "/requests?limit=1");
    assert_eq!(entry["requests"], json!([]));
    eventually("it is buried", || server.ask(&["EXISTS", &key("flight:bank")]) == "0");
    assert_eq!(server.ask(&["ZSCORE", &key("replicas"), "dead"]), "");
}

#[test]
fn a_change_that_the_store_does_not_take_is_in_force_at_no_replica() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 2);
    let turn = "{frsim:team}:turn";
    let mut number = 0;
    let mut path = String::new();
    // Somebody else gets the turn while a key is generated, as when this replica was stopped for too long.
    eventually("the turn is lost in the middle of a change", || {
        number += 1;
        path = format!("/customers/late{number}");
        let spec = r#"{"extends":"demo","key":"generate"}"#;
        let status = std::thread::scope(|scope| {
            let put = scope.spawn(|| replicas.sims[0].admin("PUT", &path, spec).0);
            while server.ask(&["SET", turn, "another", "XX"]) != "OK" && !put.is_finished() {}
            put.join().unwrap()
        });
        server.ask(&["DEL", turn]);
        eventually("it can be used", || replicas.is_up(0));
        assert!(status == 200 || status == 503, "{status}");
        status == 503
    });
    for replica in 0..2 {
        assert_eq!(replicas.sims[replica].admin("GET", &path, "").0, 404, "replica {replica}");
    }
    let listed = [0, 1].map(|replica| replicas.get(replica, "/customers"));
    assert_eq!(listed[0], listed[1]);
    assert_eq!(replicas.call(0, "demo", "T"), "6018");
}

#[test]
fn many_requests_whose_rule_counts_before_the_body_are_all_admitted() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 1);
    let rule = json!({ "name": "count", "every": 1_000_000, "fault": { "kind": "slow_read" } });
    replicas.admin(0, "PUT", "/customers/bank", json!({ "extends": "load", "rules": [rule] }));
    let codes = in_parallel(500, |number| replicas.call(0, "bank", &format!("T-{number}")));
    assert!(codes.iter().all(|code| code == "6018"), "{codes:?}");
    assert_eq!(replicas.get(0, "/requests?limit=1")["requests"][0]["id"], 500);
}

#[test]
fn a_caller_that_sends_half_a_change_keeps_no_other_waiting() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 2);
    let change = http("PUT", "/customers/demo/quota", "", br#"{"per_day":9}"#);
    let (begin, end) = change.split_at(change.len() - 4);
    let mut slow = TcpStream::connect(replicas.sims[0].admin_address()).unwrap();
    slow.write_all(begin).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    for replica in 0..2 {
        replicas.admin(replica, "PUT", "/customers/demo/quota", json!({ "per_day": 7 }));
    }
    slow.write_all(end).unwrap();
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut slow, &mut answer).unwrap();
    assert_eq!(crate::support::parse(&answer).status, 200);
    assert_eq!(replicas.get(1, "/customers/demo/quota")["per_day"], 9);
}

#[test]
fn a_change_that_gets_no_turn_says_so() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let replicas = Replicas::start(&server, 1);
    server.ask(&["SET", "{frsim:team}:turn", "another"]);
    let (status, answer) = replicas.sims[0].admin("PUT", "/customers/demo/quota", r#"{"per_day":7}"#);
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("store_unavailable")));
    assert!(answer["error"]["message"].as_str().unwrap().contains("had the turn for too long"), "{answer}");
    assert!(replicas.is_up(0), "the store is up");
}

#[test]
fn requests_that_break_off_while_the_store_hangs_keep_no_other_waiting() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let store = server.store("team");
    let sim = Sim::with(|builder| builder.shared_store(Some(&store)).workers(1));
    let begun = http("POST", "/api/face-recognition/demo/CALL_FN", "", sim.request().text().as_bytes());
    let begin = || {
        let mut stream = TcpStream::connect(sim.address()).unwrap();
        stream.write_all(&begun[..begun.len() - 1]).unwrap();
        stream
    };
    let streams: Vec<_> = (0..4).map(|_| begin()).collect();
    sim.wait_for_in_flight(4);
    server.signal("STOP");
    drop(streams);
    std::thread::sleep(std::time::Duration::from_millis(100));
    // This one needs no store.
    let nik = json!({ "nik": ["1234567891234567"], "process": "full" }).to_string();
    assert_eq!(exchange(sim.address(), &http("POST", "/api/nik", "", nik.as_bytes())).status, 200);
    let metrics = exchange(sim.admin_address(), &http("GET", "/metrics", "", b""));
    let is_up = metrics.text().contains(&format!("frsim_shared_store_up{{store=\"{store}\"}} 1\n"));
    server.signal("CONT");
    assert!(is_up, "it was answered before anybody had waited long for the store");
    eventually("they end", || sim.in_flight() == 0);
}

/// A vector that only one replica has would make it answer otherwise than the others.
#[test]
fn a_face_engine_over_a_shared_store_needs_its_vectors_kept() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let store = server.store("team");
    let faces = |keep: &str| {
        format!(
            "[matcher.faces]\nurl = 'http://127.0.0.1:9/'\nvectors = 'v'\nstrangers = {{ mean = 0.0, deviation = 0.1 }}\n{keep}\n"
        )
    };
    let directory = tempfile::tempdir().unwrap();
    crate::support::write_fixture(directory.path(), "simulator.toml", &faces(""));
    let (code, said) = refused(&store, &["--fixtures", directory.path().to_str().unwrap()], &[]);
    assert!(code == Some(2) && said.contains("write keep = true under [matcher.faces]"), "{code:?} {said}");
    // A reload neither.
    let warnings = Arc::new(Warnings::default());
    let (sim, fixtures) =
        Sim::over_with(&[], |builder| builder.shared_store(Some(&store)).observer(warnings).watch(false));
    crate::support::write_fixture(fixtures.path(), "simulator.toml", &faces(""));
    let (status, answer) = sim.admin("POST", "/config/reload", "");
    assert!(status == 400 || status == 422, "{status} {answer}");
    assert!(answer.to_string().contains("needs keep = true"), "{answer}");
    crate::support::write_fixture(fixtures.path(), "simulator.toml", &faces("keep = true"));
    assert_eq!(sim.admin("POST", "/config/reload", "").0, 200);
}

#[test]
fn the_log_at_the_server_is_bounded() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let store = server.store("team");
    let sim = Sim::with(|builder| builder.shared_store(Some(&store)).journal_bytes(1 << 20));
    let body = vec![b' '; 1 << 10];
    // A record of a customer with large rules fills pages quickly.
    let page = "x".repeat(200_000);
    for number in 0..120 {
        let rule = json!({ "reply": { "status": 200, "body": format!("{number}{page}") } });
        assert_eq!(sim.admin("PUT", "/customers/demo/rules/page", &rule.to_string()).0, 200);
    }
    sim.call("demo", &body);
    let meta = |field: &str| server.ask(&["HGET", "{frsim:team}:meta", field]).parse::<u64>().unwrap_or(0);
    let kept: u64 = server.ask(&["XLEN", "{frsim:team}:log"]).parse().unwrap();
    assert!(meta("bytes") <= (8 << 20) + 64 * 210_000, "{} bytes", meta("bytes"));
    assert!(kept < meta("records"), "{kept} of {} records", meta("records"));
    // Who comes now begins behind what the log has no longer.
    let late = Sim::with(|builder| builder.shared_store(Some(&store)));
    assert_eq!(late.admin("GET", "/customers/demo/rules", ""), sim.admin("GET", "/customers/demo/rules", ""));
}

/// Starts the binary over a store that it must refuse. Returns the exit code and what it says.
fn refused(store: &str, more: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let flags = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--store", store];
    let keys = ["--keys", KEYS.path().to_str().unwrap()];
    let keys = if more.contains(&"--keys") { &[] } else { &keys[..] };
    let mut command = crate::binary::command(&[&flags[..], keys, more].concat());
    let out = command.envs(environment.iter().copied()).output().unwrap();
    assert_eq!(text(&out.stdout), "", "{store} is not served");
    (out.status.code(), text(&out.stderr).to_owned())
}

#[test]
fn a_store_that_cannot_be_used_is_refused_with_a_sentence() {
    let Some(server) = RedisServer::start(&[]) else { return };
    let team = server.store("team");
    drop(replica(&server, 5));
    let other_keys = tempfile::tempdir().unwrap();
    let other_keys = ["--seed", "5", "--key-bits", "1024", "--keys", other_keys.path().to_str().unwrap()];
    server.ask(&["SET", "{frsim:string}:meta", "x"]);
    server.ask(&["HSET", "{frsim:hash}:meta", "x", "y"]);
    server.ask(&["SET", "{frsim:rest}:log", "x"]);
    server.ask(&["HSET", "{frsim:newer}:meta", "format", "2", "made", "x", "made_by", "9.9"]);
    let at = |name: &str| server.store(name);
    for (store, more, part) in [
        (team.clone(), &["--seed", "6"][..], "was made with --seed 5, and this start has --seed 6"),
        (team.clone(), &other_keys[..], "was made with another server key"),
        (at("string"), &[][..], "is not of this program"),
        (at("hash"), &[][..], "is not of this program"),
        (at("rest"), &[][..], "is not of this program"),
        (at("newer"), &[][..], "has format 2, and this version"),
        (at("a b"), &[][..], "the name of a store has"),
        (team.replace("redis:", "rediss:"), &[][..], "speaks no TLS"),
        (
            team.replace("//", "//:s3cret@"),
            &[][..],
            "a password on the command line can be read by every user",
        ),
    ] {
        let (code, said) = refused(&store, more, &[]);
        assert!(
            code == Some(2) && said.contains(part) && !said.contains("s3cret"),
            "{store}: {code:?} {said}"
        );
    }
    let out = run(&["backup", "copy", "--store", &team]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("its server's own tools"), "{}", text(&out.stderr));
    // A full server.
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    for name in ["team", "new"] {
        let (code, said) = refused(&at(name), &["--seed", "5"], &[]);
        assert!(code == Some(2) && said.contains("is full"), "{name}: {code:?} {said}");
    }
}

#[test]
fn the_password_comes_from_a_file_or_the_environment() {
    let Some(server) = RedisServer::start(&["--requirepass", "s3cret"]) else { return };
    let team = server.store("team");
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (wrong, good) = (file("wrong", "s3kret\n"), file("good", "s3cret\n"));
    let (empty, missing) = (file("empty", "\n"), directory.path().join("missing"));
    // Cut at 4 KiB, it would be sent as a wrong password.
    let long = file("long", &"s3kret".repeat(1000));
    for (path, part) in [
        (None, "refuses the password, or wants one"),
        (Some(&*wrong), "refuses the password, or wants one"),
        (Some(&*empty), "the password on one line"),
        (Some(&*long), "long: it is larger than 4 KiB"),
        (missing.to_str(), "missing: "),
    ] {
        let more = path.map_or(Vec::new(), |path| vec!["--store-password-file", path]);
        let (code, said) = refused(&team, &more, &[]);
        assert!(code == Some(2) && said.contains(part) && !said.contains("s3kret"), "{path:?}: {said}");
    }
    let flags = ["--quiet", "--store", &team, "--store-password-file", &good];
    let served = crate::binary::Served::plain(&flags);
    let mut command = crate::binary::command(&crate::binary::listening("127.0.0.1:0", KEYS.path()));
    command.arg("--quiet").env("FRSIM_STORE", team.replace("//", "//:s3cret@"));
    let other = crate::binary::Served::from(command);
    for served in [&served, &other] {
        let config = exchange(served.admin(), &http("GET", "/config", "", b"")).text().to_owned();
        assert!(config.contains(&team) && !config.contains("s3cret"), "{config}");
        assert_eq!(exchange(address(&served.value("admin")), &http("GET", "/ready", "", b"")).status, 200);
    }
}
