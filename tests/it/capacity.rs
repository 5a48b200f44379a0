//! The matcher's capacity over HTTP: order of service, 6014 when the queue is full, and no leaked slots. Uses virtual time.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dukcapil_fr_sim::internals::state::worker_pool::CapacityGauge;
use serde_json::{Value, json};

use crate::support::{
    Answer, Body, Sim, eventually, http, in_parallel, parse, read_to_the_end, thread_count, write_fixture,
};
use crate::timers::VirtualTime;

const SECOND: Duration = Duration::from_secs(1);

/// A customer with its own matcher: one worker, a queue of two, one second per request.
const SMALL: (&str, &str) =
    ("customers/c.toml", "extends = 'load'\ncapacity = { workers = 1, queue = 2, service_time = '1s' }");

pub struct Rig {
    pub sim: Sim,
    pub time: Arc<VirtualTime>,
    directory: tempfile::TempDir,
}

/// A sent request without an answer yet.
pub struct Sent(TcpStream);

impl Sent {
    /// Waits for the answer.
    pub fn answer(mut self) -> Answer {
        parse(&read_to_the_end(&mut self.0).0)
    }

    pub fn code(self) -> String {
        self.answer().code()
    }
}

impl Rig {
    pub fn start(files: &[(&str, &str)]) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write_fixture(directory.path(), name, text);
        }
        let (time, path) = (Arc::new(VirtualTime::default()), directory.path().to_owned());
        // No grace period: tests leave requests behind that never finish.
        let sim = Sim::with(|builder| {
            builder.workers(thread_count()).fixtures(Some(path)).grace(Duration::ZERO).timer(time.clone())
        });
        Rig { sim, time, directory }
    }

    fn edit(&self, name: &str, text: &str) {
        write_fixture(self.directory.path(), name, text);
        self.sim.0.reload().unwrap();
    }

    /// Sends a request, and waits until the engine has decided about it.
    pub fn send(&self, customer: &str, body: &Body) -> Sent {
        let before = self.journaled();
        let sent = self.begin(customer, body);
        eventually("the request is decided", || self.journaled() != before);
        sent
    }

    /// Sends a request, and does not wait.
    fn begin(&self, customer: &str, body: &Body) -> Sent {
        let mut stream = TcpStream::connect(self.sim.address()).unwrap();
        // Only so that a failing test does not hang.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let path = format!("/api/face-recognition/{customer}/CALL_FN");
        stream.write_all(&http("POST", &path, "", body.text().as_bytes())).unwrap();
        Sent(stream)
    }

    fn journaled(&self) -> usize {
        let (_, listing) = self.sim.admin("GET", "/requests?limit=1000", "");
        listing["requests"].as_array().unwrap().len()
    }

    /// Sends a request that passes every check.
    pub fn good(&self, customer: &str) -> Sent {
        self.send(customer, &self.sim.request())
    }

    fn gauge(&self, customer: Option<&str>) -> CapacityGauge {
        let mut all = self.sim.0.engine().capacities().into_iter();
        all.find(|gauge| gauge.customer_id.as_deref() == customer).expect("a matcher")
    }

    /// Returns busy workers, waiting requests, served, rejected.
    fn counts(&self, customer: Option<&str>) -> (usize, usize, u64, u64) {
        let gauge = self.gauge(customer);
        (gauge.busy, gauge.waiting, gauge.served, gauge.refused)
    }

    /// Waits until the matcher has these counts: slots are released on other threads.
    fn until(&self, customer: Option<&str>, counts: (usize, usize, u64, u64)) {
        eventually(&format!("{counts:?}"), || self.counts(customer) == counts);
    }

    /// Waits until a customer's own matcher is empty.
    pub fn until_empty(&self, customer: &str) {
        eventually("the matcher is empty", || {
            let gauge = self.gauge(Some(customer));
            gauge.busy + gauge.waiting == 0
        });
    }

    fn finding(&self) -> Value {
        self.sim.last()["findings"].as_array().unwrap().last().unwrap().clone()
    }
}

#[test]
fn requests_are_served_in_order_and_6014_lasts_while_the_queue_is_full() {
    let rig = Rig::start(&[SMALL]);
    let first = rig.good("c");
    rig.time.wait_for_sleepers(1);
    assert_eq!(rig.finding()["reason"], "0 of 1 workers are busy; a free one takes the request at once");
    let (second, third) = (rig.good("c"), rig.good("c"));
    assert_eq!(rig.finding()["reason"], "the only worker is busy; 1 request waits before it");
    assert_eq!(rig.counts(Some("c")), (1, 2, 0, 0));

    let refused = rig.good("c").answer();
    assert_eq!((refused.code().as_str(), &refused.json()["faceThreshold"]), ("6014", &json!("7.0")));
    let finding = rig.finding();
    assert_eq!((&finding["check"], &finding["status"]), (&json!("capacity"), &json!("failed")));
    assert_eq!(finding["reason"], "the only worker is busy and 2 requests wait");
    assert_eq!(rig.counts(Some("c")), (1, 2, 0, 1));

    for (sent, left) in [(first, (1, 1, 1, 1)), (second, (1, 0, 2, 1)), (third, (0, 0, 3, 1))] {
        rig.time.wait_for_sleepers(1);
        rig.time.advance(SECOND);
        assert_eq!(sent.code(), "6018", "the next in order, while the others still wait");
        rig.until(Some("c"), left);
    }
    let later = rig.good("c");
    rig.time.wait_for_sleepers(1);
    rig.time.advance(SECOND);
    assert_eq!(later.code(), "6018");
}

#[test]
fn exactly_as_many_parallel_requests_are_admitted_as_there_are_slots() {
    let capacity = "capacity = { workers = 2, queue = 3, service_time = '1s' }";
    let rig = Rig::start(&[
        ("simulator.toml", capacity),
        ("customers/a.toml", "extends = 'load'"),
        ("customers/b.toml", "extends = 'load'"),
        ("customers/c.toml", "extends = 'load'"),
    ]);
    let (body, threads) = (rig.sim.request(), thread_count());
    // Customers that share a matcher do not share a lock.
    let sent = in_parallel(threads, |thread| rig.begin(["a", "b", "c"][thread % 3], &body));
    let refused = threads as u64 - 5;
    rig.until(None, (2, 3, 0, refused));
    for (sleepers, left) in [(2, (2, 1, 2, refused)), (2, (1, 0, 4, refused)), (1, (0, 0, 5, refused))] {
        rig.time.wait_for_sleepers(sleepers);
        rig.time.advance(SECOND);
        rig.until(None, left);
    }
    let mut codes: Vec<_> = sent.into_iter().map(Sent::code).collect();
    codes.sort();
    assert_eq!(codes, [vec!["6014"; threads - 5], vec!["6018"; 5]].concat());
}

#[test]
fn a_request_that_fails_another_check_takes_no_slot() {
    let rig = Rig::start(&[SMALL]);
    let wrong = rig.sim.request().set("threshold", "0");
    for _ in 0..5 {
        assert_eq!(rig.send("c", &wrong).code(), "5005");
    }
    let finding = rig.finding();
    assert_eq!((&finding["check"], &finding["status"]), (&json!("capacity"), &json!("unknown")));
    let _busy = [rig.good("c"), rig.good("c"), rig.good("c")];
    assert_eq!(
        rig.send("c", &wrong).code(),
        "5005",
        "rejections of the checks are answered during an overload too"
    );
    assert_eq!(rig.counts(Some("c")), (1, 2, 0, 0));
}

#[test]
fn an_explanation_or_a_rule_that_skips_the_checks_takes_no_slot() {
    let text = format!("{}\n[[rules]]\nchecks = 'skip'\nreply = {{ code = '6018' }}", SMALL.1);
    let rig = Rig::start(&[SMALL, ("customers/s.toml", &text)]);
    assert_eq!(rig.good("s").code(), "6018");
    assert_eq!(rig.counts(Some("s")), (0, 0, 0, 0));
    let question = json!({ "customer_id": "c", "body": rig.sim.request().text() }).to_string();
    let explain = || rig.sim.admin("POST", "/explain", &question).1;
    for _ in 0..5 {
        assert_eq!(explain()["code"], "6018");
    }
    assert_eq!(rig.counts(Some("c")), (0, 0, 0, 0));
    let _busy = [rig.good("c"), rig.good("c"), rig.good("c")];
    assert_eq!(explain()["code"], "6014", "an explanation says what would be answered now");
    assert_eq!(rig.counts(Some("c")), (1, 2, 0, 0), "an explanation rejects no request");
}

#[test]
fn a_disconnected_client_keeps_its_slot_to_the_end_and_no_slot_leaks() {
    let rig = Rig::start(&[SMALL]);
    let [served, waits, behind] = [rig.good("c"), rig.good("c"), rig.good("c")];
    drop((served, waits));
    let aborted = || rig.sim.admin("GET", "/requests?state=aborted", "").1["requests"].clone();
    eventually("two are aborted", || aborted().as_array().unwrap().len() == 2);
    assert_eq!(rig.counts(Some("c")), (1, 2, 0, 0), "the matcher does not notice");
    assert_eq!(rig.good("c").code(), "6014");
    for left in [(1, 1, 1, 1), (1, 0, 2, 1), (0, 0, 3, 1)] {
        rig.time.wait_for_sleepers(1);
        rig.time.advance(SECOND);
        rig.until(Some("c"), left);
    }
    assert_eq!(behind.code(), "6018");
}

#[test]
fn customers_without_their_own_matcher_share_one() {
    let rig = Rig::start(&[("simulator.toml", "[capacity]\nworkers = 2\nservice_time = '1s'"), SMALL]);
    let [first, second] = [rig.good("demo"), rig.good("load")];
    assert_eq!(rig.counts(None), (2, 0, 0, 0));
    assert_eq!(rig.good("demo").code(), "6014");
    let own = rig.good("c");
    assert_eq!((rig.counts(None), rig.counts(Some("c"))), ((2, 0, 0, 1), (1, 0, 0, 0)));
    rig.time.wait_for_sleepers(3);
    rig.time.advance(SECOND);
    assert_eq!([first, second, own].map(Sent::code), ["6018"; 3]);
    rig.until(None, (0, 0, 2, 1));
}

#[test]
fn a_6014_is_charged_like_a_matcher_answer() {
    let rig = Rig::start(&[("customers/c.toml", "extends = 'demo'\ncapacity = { workers = 1 }")]);
    let _served = rig.good("c");
    assert_eq!(rig.good("c").code(), "6014");
    assert_eq!(rig.sim.last()["answer"]["charged"], true);
    assert_eq!(rig.sim.admin("GET", "/customers/c/quota", "").1["used"], 2);
}

#[test]
fn rules_see_the_6014_and_their_delay_comes_after_the_work() {
    let rules = "[[rules]]\nwhen = { outcome = '6014' }\nreply = { status = 503, body = 'later' }\n\
                 [[rules]]\nwhen = { outcome = '6018' }\ndelay = '3s'";
    let rig =
        Rig::start(&[("customers/c.toml", &format!("{}\n{rules}", SMALL.1.replace("queue = 2, ", "")))]);
    let first = rig.good("c");
    let refused = rig.good("c").answer();
    assert_eq!((refused.status, refused.text()), (503, "later"));
    rig.time.wait_for_sleepers(1);
    rig.time.advance(SECOND);
    rig.time.wait_for_sleepers(1);
    assert_eq!(rig.counts(Some("c")), (0, 0, 1, 1), "the delay occupies no worker");
    rig.time.advance(3 * SECOND);
    assert_eq!(first.code(), "6018");
}

#[test]
fn new_limits_apply_to_new_requests_and_admitted_ones_finish() {
    let rig = Rig::start(&[SMALL]);
    let [first, second, third] = [rig.good("c"), rig.good("c"), rig.good("c")];
    rig.edit("simulator.toml", "");
    assert_eq!(rig.counts(Some("c")), (1, 2, 0, 0), "another file's edit changes nothing");
    rig.edit("customers/c.toml", &SMALL.1.replace("workers = 1, queue = 2", "workers = 2, queue = 0"));
    rig.time.wait_for_sleepers(2);
    assert_eq!(rig.counts(Some("c")), (2, 1, 0, 0), "waiting requests are not rejected");
    assert_eq!(rig.good("c").code(), "6014");
    rig.time.advance(SECOND);
    assert_eq!([first, second].map(Sent::code), ["6018"; 2]);
    rig.time.wait_for_sleepers(1);
    rig.edit("customers/c.toml", "extends = 'load'");
    assert_eq!(rig.sim.0.engine().capacities(), []);
    assert_eq!(rig.good("c").code(), "6018", "no limit any more");
    rig.time.advance(SECOND);
    assert_eq!(third.code(), "6018");
}

#[test]
fn stopping_closes_waiting_connections() {
    let rig = Rig::start(&[SMALL]);
    let sent = [rig.good("c"), rig.good("c")];
    let Rig { sim, .. } = rig;
    sim.0.stop();
    for mut request in sent {
        assert_eq!(read_to_the_end(&mut request.0).0, b"", "closed without an answer");
    }
}
