//! The witness: three replicas and their Redis are killed under load. Every answer that a client got is the journal's, and the journal is
//! what one simulator answers to the same requests in that order. So no answer is lost, none is given twice, and quotas and rules are
//! counted exactly.
//!
//! A round takes seconds. `FRSIM_KILL_MINUTES=60 cargo test --release --test it replica_kills:: -- --nocapture` goes on for an hour and
//! sums up in one line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::binary::{Served, address};
use crate::redis_server::RedisServer;
use crate::store::ask;
use crate::support::{Body, KEYS, MORNING, Sim, eventually, exchange, http, in_parallel};

const REPLICAS: usize = 3;
const CLIENTS: usize = 6;
/// Answers between two kills, and kills of a round: of a replica, and of the server at the end.
const ANSWERS: u64 = 60;
const KILLS: u64 = 4;

/// Least number of answers that the quota of a round allows.
const QUOTA: u64 = 120;

#[derive(Debug, Default)]
struct Figures {
    rounds: u64,
    answers: u64,
    unanswered: u64,
    unavailable: u64,
    kills_of_replicas: u64,
    kills_of_redis: u64,
    /// Answers that are not in the journal, or with another code, in rounds in which no replica told that the history went back.
    missing: u64,
    /// The same in rounds in which it was told: a server that writes every second may forget the newest when it is killed.
    forgotten: u64,
    /// Requests that are in the journal twice.
    twice: u64,
    /// Entries that one simulator answers otherwise.
    different: u64,
}

/// A replica that is killed and started again.
struct Replica(Mutex<Served>);

fn served(server: &RedisServer) -> Served {
    let store = server.store("kills");
    Served::plain(&["--quiet", "--clock", MORNING, "--journal", "64MiB", "--store", &store])
}

impl Replica {
    fn endpoint(&self) -> std::net::SocketAddr {
        address(&self.0.lock().unwrap().value("endpoint"))
    }

    fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let admin = self.0.lock().unwrap().admin();
        let answer = exchange(admin, &http(method, path, "", body.as_bytes()));
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null))
    }

    fn saw_the_history_go_back(&self) -> bool {
        let admin = self.0.lock().unwrap().admin();
        let metrics = exchange(admin, &http("GET", "/metrics", "", b""));
        let count =
            metrics.text().lines().find(|line| line.starts_with("frsim_shared_store_regressions_total{"));
        !count.expect("the metric").ends_with(" 0")
    }

    /// Kills it, and starts another in its place.
    fn kill(&self, server: &RedisServer) {
        let mut served = self.0.lock().unwrap();
        served.signal("KILL");
        *served = self::served(server);
    }
}

/// The customer of a round: a quota, and rules whose counts, draws and states depend on the order of all requests.
fn customer() -> Value {
    json!({ "extends": "demo", "quota": { "per_day": QUOTA }, "policy": { "quota_counts": "identified" }, "rules": [
        { "name": "first", "per": "transaction_id", "times": 1, "every": 2, "reply": { "code": "6014" } },
        { "name": "tenths", "exact": "3/10", "reply": { "code": "5001" } },
        { "name": "down", "when": { "state": "" }, "every": 7, "set_state": "down" },
        { "name": "up", "when": { "state": "down" }, "every": 3, "set_state": "", "reply": { "code": "5000" } },
    ] })
}

/// Sends requests from all clients, and kills meanwhile. Returns what was answered, by transaction.
fn load_and_kill(
    (server, replicas): (&Mutex<RedisServer>, &[Replica]),
    customer: &str,
    body: &Body,
    figures: &mut Figures,
) -> BTreeMap<String, String> {
    let (count, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let path = format!("/api/face-recognition/{customer}/CALL_FN");
    let results = in_parallel(CLIENTS + 1, |client| {
        let (mut answers, mut unanswered, mut unavailable) = (Vec::new(), 0, 0);
        if client == CLIENTS {
            let wait = |answers| {
                eventually("answers", || count.load(Ordering::Relaxed) >= answers);
            };
            for kill in 1..=KILLS {
                wait(kill * ANSWERS);
                replicas[kill as usize % REPLICAS].kill(&server.lock().unwrap());
            }
            wait((KILLS + 1) * ANSWERS);
            let mut server = server.lock().unwrap();
            server.kill();
            server.restart();
            wait((KILLS + 2) * ANSWERS);
            is_over.store(true, Ordering::Relaxed);
            return (answers, unanswered, unavailable);
        }
        for number in 0.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let transaction = format!("{client}-{number}");
            let body: Vec<u8> = body.clone().set("transactionId", &*transaction).into();
            let endpoint = replicas[(client + number) % REPLICAS].endpoint();
            match ask(endpoint, &http("POST", &path, "", &body)).as_deref() {
                // The error of a store that is down has no code of the document.
                Some("null") => unavailable += 1,
                Some(code) => {
                    answers.push((transaction, code.to_owned()));
                    count.fetch_add(1, Ordering::Relaxed);
                }
                None => unanswered += 1,
            }
        }
        (answers, unanswered, unavailable)
    });
    let mut answered = BTreeMap::new();
    for (answers, unanswered, unavailable) in results {
        answered.extend(answers);
        figures.unanswered += unanswered;
        figures.unavailable += unavailable;
    }
    (figures.kills_of_replicas, figures.kills_of_redis) =
        (figures.kills_of_replicas + KILLS, figures.kills_of_redis + 1);
    answered
}

/// Compares what was answered with the journal, and the journal with one simulator.
fn compare(
    replicas: &[Replica],
    customer_id: &str,
    answered: &BTreeMap<String, String>,
    (steady, body): (&Sim, &Body),
    figures: &mut Figures,
) {
    let listing = |replica: &Replica| {
        let path = format!("/requests?limit=10000&customer_id={customer_id}");
        replica.admin("GET", &path, &Value::Null).1["requests"].as_array().cloned().unwrap_or_default()
    };
    let mut entries = listing(&replicas[0]);
    entries.reverse();
    let ids: Vec<_> = entries.iter().map(|entry| entry["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "every id once");
    let others = listing(&replicas[1]);
    assert!(others.iter().rev().map(|entry| &entry["id"]).eq(entries.iter().map(|entry| &entry["id"])));
    let mut by_transaction = BTreeMap::new();
    for entry in &entries {
        // One that broke off, or came while the server was away, was not decided.
        let Some(code) = entry["answer"]["code"].as_str() else { continue };
        let transaction = entry["request"]["transaction_id"].as_str().unwrap();
        figures.twice += u64::from(by_transaction.insert(transaction, code).is_some());
    }
    let is_missing = |(transaction, code): &(&String, &String)| {
        by_transaction.get(transaction.as_str()) != Some(&code.as_str())
    };
    let missing = answered.iter().filter(is_missing).count() as u64;
    // All replicas are of this round: each was killed and started again before the server was.
    match replicas.iter().any(Replica::saw_the_history_go_back) {
        true => figures.forgotten += missing,
        false => figures.missing += missing,
    }
    let spec = customer().to_string();
    assert_eq!(steady.admin("PUT", &format!("/customers/{customer_id}"), &spec).0, 200);
    for entry in entries.iter().filter(|entry| !entry["answer"]["code"].is_null()) {
        let transaction = entry["request"]["transaction_id"].as_str().unwrap();
        let code = steady.call(customer_id, body.clone().set("transactionId", transaction).text()).code();
        figures.different += u64::from(entry["answer"]["code"] != *code);
    }
    // What is charged is what the entries say, at all replicas.
    let charged = entries.iter().filter(|entry| entry["answer"]["charged"] == true).count() as u64;
    for replica in replicas {
        let path = format!("/customers/{customer_id}/quota");
        assert_eq!(replica.admin("GET", &path, &Value::Null).1["used"], charged);
    }
    // A request whose step was in the history when the server went away is answered 503: it has an entry for each.
    let decided = entries.iter().filter(|entry| !entry["answer"]["code"].is_null());
    let ordinals: Vec<_> = decided.filter_map(|entry| entry["ordinal"].as_u64()).collect();
    assert_eq!(ordinals.iter().collect::<BTreeSet<_>>().len(), ordinals.len(), "every ordinal once");
    figures.answers += answered.len() as u64;
    figures.rounds += 1;
}

fn rounds(fsync: &str) -> Option<Figures> {
    let server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", fsync])?;
    let replicas: Vec<_> = (0..REPLICAS).map(|_| Replica(Mutex::new(served(&server)))).collect();
    let server = Mutex::new(server);
    let body = Body::encrypted_with(&std::fs::read_to_string(KEYS.path().join("public.pem")).unwrap());
    let steady = Sim::start();
    let minutes = std::env::var("FRSIM_KILL_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    let (begun, time) = (Instant::now(), Duration::from_secs(60 * minutes.unwrap_or(0)));
    let mut figures = Figures::default();
    while figures.rounds < 1 || begun.elapsed() < time {
        let customer_id = format!("bank-{}", figures.rounds);
        let path = format!("/customers/{customer_id}");
        let (status, created) = replicas[0].admin("PUT", &path, &customer());
        assert_eq!(status, 200, "{created}");
        let answered = load_and_kill((&server, &replicas), &customer_id, &body, &mut figures);
        eventually("the replicas are there again", || {
            replicas.iter().all(|replica| replica.admin("GET", "/ready", &Value::Null).0 == 200)
        });
        compare(&replicas, &customer_id, &answered, (&steady, &body), &mut figures);
        assert_eq!(replicas[1].admin("POST", "/reset?scope=journal", &Value::Null).0, 200);
        assert_eq!(replicas[2].admin("DELETE", &path, &Value::Null).0, 200);
    }
    println!("appendfsync {fsync}, {} s: {figures:?}", begun.elapsed().as_secs());
    Some(figures)
}

#[track_caller]
fn check(figures: Option<Figures>) -> u64 {
    let Some(figures) = figures else { return 0 };
    assert!(figures.answers >= (KILLS + 2) * ANSWERS && figures.kills_of_redis >= 1, "{figures:?}");
    assert_eq!((figures.missing, figures.twice, figures.different), (0, 0, 0), "{figures:?}");
    figures.forgotten
}

#[test]
fn replicas_and_a_server_that_writes_every_second_are_killed_and_what_is_lost_is_told() {
    check(rounds("everysec"));
}

#[test]
fn replicas_and_a_server_that_writes_always_are_killed_and_nothing_answered_is_lost() {
    assert_eq!(check(rounds("always")), 0, "nothing is forgotten");
}
