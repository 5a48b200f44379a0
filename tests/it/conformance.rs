//! `conformance` and `calibrate`: runs against simulators whose policy the tester does not know, and the policies found from them. The
//! requests are counted in the simulator's journal, not by the client.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dukcapil_fr_sim::PolicySpec;
use dukcapil_fr_sim::internals::conformance::calibrate::{Calibration, calibrate};
use dukcapil_fr_sim::internals::conformance::call_spec::{
    Alteration, BuiltCall, CallField, CallPath, CallSpec, Subject, made_up_account,
};
use dukcapil_fr_sim::internals::conformance::cases::{CaseChoice, CaseGroup};
use dukcapil_fr_sim::internals::conformance::ledger::Ledger;
use dukcapil_fr_sim::internals::conformance::model::{Model, World};
use dukcapil_fr_sim::internals::conformance::observation::Answers;
use dukcapil_fr_sim::internals::conformance::pictures::{TestImage, TestPictures};
use dukcapil_fr_sim::internals::conformance::raw_client::{Exchanger, RawAnswer, TcpExchanger};
use dukcapil_fr_sim::internals::conformance::report::{CaseVerdict, ComparedWith, RunReport};
use dukcapil_fr_sim::internals::conformance::run_file::{RecordedRun, RunFile, RunHeader};
use dukcapil_fr_sim::internals::conformance::runner::{RunSettings, RunStop, Surroundings, run};
use dukcapil_fr_sim::internals::domain::policy::Policy;
use dukcapil_fr_sim::internals::keys;
use jiff::Timestamp;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::{MORNING, Sim};

/// The simulator as a model, shared by the tests: it makes a key.
pub static MODEL: LazyLock<Model> = LazyLock::new(|| Model::new().unwrap());

/// The account of `demo`, as an operator has it.
pub fn subject(sim: &Sim, customer_id: &str) -> Subject {
    Subject {
        customer_id: customer_id.to_owned(),
        methode: "CALL_FN".to_owned(),
        ip: "10.0.0.1".to_owned(),
        user_id: "demo-user".to_owned(),
        password: "demo-password".to_owned(),
        key: keys::read_public_pem(&sim.0.public_key_pem()).unwrap(),
        prefix: "/api/face-recognition".to_owned(),
        pictures: TestPictures::drawn(None),
        made_up: made_up_account(),
    }
}

/// All groups, one account failure, no pause.
pub fn settings() -> RunSettings {
    RunSettings {
        choice: CaseChoice { groups: CaseGroup::ALL.to_vec(), ..CaseChoice::default() },
        pace: Duration::ZERO,
        between: None,
        max_account_failures: 1,
        expected_order: Policy::default().precedence,
        is_loopback: true,
    }
}

pub fn exhausted(order: &Policy) -> RunSettings {
    let choice = CaseChoice { exhausted: true, ..settings().choice };
    RunSettings { choice, expected_order: order.precedence.clone(), ..settings() }
}

pub fn morning() -> Timestamp {
    MORNING.parse().unwrap()
}

pub fn new_file(path: Option<&Path>, settings: &RunSettings) -> RunFile {
    let header = RunHeader::new("sim".to_owned(), settings.choice.exhausted, morning());
    RunFile::create(path, header).unwrap()
}

pub fn tcp(address: std::net::SocketAddr) -> TcpExchanger {
    TcpExchanger { address, host: address.to_string(), timeout: Duration::from_secs(60) }
}

/// Makes the calls of a run on a stopped clock.
pub fn run_with(
    subject: &Subject,
    settings: &RunSettings,
    exchanger: &mut dyn Exchanger,
    ledger: Option<Ledger>,
    file: &mut RunFile,
) -> Result<(), RunStop> {
    let surroundings = Surroundings {
        exchanger,
        ledger,
        now: &morning,
        sleep: &|_| {},
        interrupted: &AtomicBool::new(false),
    };
    run(subject, settings, surroundings, file)
}

/// Runs against a customer of the simulator.
pub fn run_against(
    sim: &Sim,
    customer_id: &str,
    settings: &RunSettings,
) -> (RecordedRun, Result<(), RunStop>) {
    let mut file = new_file(None, settings);
    let result = run_with(&subject(sim, customer_id), settings, &mut tcp(sim.address()), None, &mut file);
    (file.run, result)
}

/// A simulator with a global policy, a customer with a large quota, and one whose quota is used up.
pub fn with_policy(spec: &PolicySpec) -> Sim {
    let spec = spec.clone();
    Sim::with(|builder| {
        builder
            .policy(spec)
            .customer("bank", json!({ "extends": "demo", "quota": { "per_day": 1000 } }))
            .customer("out", json!({ "extends": "demo", "quota": { "per_day": 0 } }))
    })
}

pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// A policy of which each key of the endpoint may differ from the default.
pub fn random_policy(random: &mut ChaCha8Rng) -> PolicySpec {
    let mut written = json!({});
    let mut checks = ["parameters", "decryption", "account", "quota", "ip", "threshold", "image", "capacity"];
    if random.random_bool(0.9) {
        checks.shuffle(random);
    }
    written["precedence"] = json!(checks);
    for (key, values) in [
        ("layout", json!(["documented", "compact", "compact", "as-printed"])),
        ("transaction_id", json!(["echo", "literal"])),
        ("uid", json!(["7301010xxxxxxxxx", "none"])),
        ("quota_limiter", json!(["left", "left", "left", "limit", "habis", "77"])),
        ("face_threshold", json!(["echo", "verbatim", "7.0"])),
        ("numbers", json!(["strict", "loose"])),
        ("malformed_json", json!(["5004", "400"])),
        ("content_type", json!(["any", "415"])),
        ("accept", json!(["any", "406"])),
        ("head", json!(["plain", "tomcat"])),
        ("types", json!(["documented", "native"])),
        ("trim_messages", json!([false, true])),
        ("not_found", json!(["6018", "6019", { "code": "6020" }, { "code": "6100", "error": "Tidak ada" }])),
        ("quota_counts", json!(["matched", "identified", "authenticated", "all"])),
        ("unknown_customer", json!(["5001", "5004", "4040"])),
        ("wrong_methode", json!(["5004", "5001", "4041"])),
        ("bad_image", json!(["5004", "6015"])),
        ("base64", json!(["strict", "mime"])),
        ("max_results", json!([10, 3, 25])),
    ] {
        written[key] = values.as_array().unwrap().choose(random).unwrap().clone();
    }
    for code in ["5001", "5005", "5006", "5004"] {
        if random.random_bool(0.3) {
            written["shape"][code] = json!(["identification", "verification"].choose(random).unwrap());
        }
    }
    serde_json::from_value(written).unwrap()
}

/// A request with any defects of the cases, together.
pub fn random_request(random: &mut ChaCha8Rng) -> CallSpec {
    let text = |field, text: &str| Alteration::Text(field, text.to_owned());
    let mut pool = vec![
        Alteration::Without(CallField::TransactionSource),
        Alteration::Undecryptable(CallField::UserId),
        Alteration::MadeUpPassword,
        Alteration::Wrapped(CallField::Password),
        text(CallField::Ip, "192.0.2.1"),
        text(CallField::Ip, "x"),
        text(CallField::Threshold, "21"),
        text(CallField::Threshold, " 5"),
        text(CallField::Threshold, "8.50"),
        text(CallField::Threshold, "abc"),
        Alteration::Number(CallField::TransactionSource, 11),
        Alteration::Image(TestImage::NotAnImage),
        Alteration::Image(TestImage::WrappedPortrait),
        Alteration::Image(TestImage::Gif),
    ];
    pool.shuffle(random);
    pool.truncate(random.random_range(0..4));
    let path =
        [CallPath::Own, CallPath::Own, CallPath::Own, CallPath::UnknownCustomer, CallPath::UnknownMethode];
    CallSpec { path: *path.choose(random).unwrap(), ..CallSpec::but(pool) }
}

/// Keys that a run of all groups tells, whatever the policy.
const ALWAYS_TOLD: [&str; 15] = [
    "precedence",
    "malformed_json",
    "content_type",
    "accept",
    "numbers",
    "head",
    "layout",
    "max_results",
    "not_found",
    "bad_image",
    "base64",
    "unknown_customer",
    "wrong_methode",
    "face_threshold",
    "trim_messages",
];

#[test]
fn the_policy_of_a_simulator_is_found_and_answers_with_the_same_bytes() {
    let (policies, requests) = (number("FRSIM_POLICIES", 2), number("FRSIM_REQUESTS", 25));
    for seed in 0..policies {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let spec = random_policy(&mut random);
        let truth = Policy::default().with(&spec);
        let sim = with_policy(&spec);
        let (fresh, end) = run_against(&sim, "bank", &settings());
        assert!(end.is_ok(), "{seed} {spec:?}: {end:?}");
        let first = calibrate(&MODEL, &Answers::of_runs(std::slice::from_ref(&fresh)), &Policy::default());
        let order = Policy::default().with(&first.policy);
        let (used_up, end) = run_against(&sim, "out", &exhausted(&order));
        assert!(end.is_ok(), "{seed} {spec:?}: {end:?}");
        let failures = sim.0.received().iter().filter(|entry| is_account_failure(entry)).count();
        assert!(failures <= 2, "{seed}: one a run, {failures}");
        let found = calibrate(&MODEL, &Answers::of_runs(&[fresh, used_up]), &Policy::default());
        check_against(seed, &truth, &found, &mut random, requests);
    }
}

#[test]
fn what_quota_limiter_prints_explains_also_the_run_after_the_quota_was_used_up() {
    for (limiter, allowed) in [
        ("left", vec!["left"]),
        ("limit", vec!["limit"]),
        ("80", vec!["80", "limit"]),
        ("habis", vec!["habis"]),
        ("77", vec!["77", "limit"]),
    ] {
        let spec = json!({
            "quota_limiter": limiter,
            "shape": { "5003": "verification" },
            "precedence": ["parameters", "decryption", "account", "ip", "quota", "threshold", "image", "capacity"],
        });
        let spec: PolicySpec = serde_json::from_value(spec).unwrap();
        let sim = Sim::with(|builder| {
            builder.policy(spec).customer("bank", json!({ "extends": "demo", "quota": { "per_day": 50 } }))
        });
        let (fresh, end) = run_against(&sim, "bank", &settings());
        assert!(end.is_ok(), "{end:?}");
        let first = calibrate(&MODEL, &Answers::of_runs(std::slice::from_ref(&fresh)), &Policy::default());
        let used_up = json!({ "per_day": 50, "used": 50 }).to_string();
        assert_eq!(sim.admin("PUT", "/customers/bank/quota", &used_up).0, 200);
        let order = Policy::default().with(&first.policy);
        let (used_up, end) = run_against(&sim, "bank", &exhausted(&order));
        assert!(end.is_ok(), "{end:?}");
        let runs = [fresh, used_up];
        let own = Policy { quota_limiter: limiter.to_owned(), ..Policy::default() };
        assert_eq!(calibrate(&MODEL, &Answers::of_runs(&runs), &own).best.quota_limiter, limiter);
        let found = calibrate(&MODEL, &Answers::of_runs(&runs), &Policy::default());
        assert!(found.unexplained.is_empty(), "{limiter}: {:?}", found.unexplained);
        let why = found.undetermined.iter().find(|one| one.key == "quota_limiter").map(|one| &one.why);
        let remaining: Vec<_> = match why {
            None => vec![found.policy.quota_limiter.clone().expect("it is told")],
            Some(why) => {
                let named = ["left", "limit", "80", "77", "habis"].into_iter();
                named.filter(|name| why.contains(&format!("\"{name}\""))).map(str::to_owned).collect()
            }
        };
        let mut remaining = remaining;
        remaining.sort();
        assert_eq!(remaining, allowed, "{limiter}: {why:?}");
    }
}

/// Whether a request is a failed login at a known customer.
fn is_account_failure(entry: &dukcapil_fr_sim::Entry) -> bool {
    let entry = serde_json::to_value(entry).unwrap();
    let failed = |finding: &Value| finding["check"] == "account" && finding["status"] == "failed";
    let is_known = entry["ordinal"].is_u64();
    is_known
        && entry["answer"]["code"] == "5001"
        && entry["findings"].as_array().is_some_and(|all| all.iter().any(failed))
}

/// Checks that what was found is right, that what must be found was, and that answers are the same.
fn check_against(seed: u64, truth: &Policy, found: &Calibration, random: &mut ChaCha8Rng, requests: u64) {
    assert!(found.unexplained.is_empty(), "{seed} {truth:?}: {:?}", found.unexplained);
    let measured: BTreeSet<_> = found.measured.iter().map(|one| one.key.split('.').next().unwrap()).collect();
    for key in ALWAYS_TOLD {
        assert!(measured.contains(key), "{seed}: {key} {:?}", found.undetermined);
    }
    let (policy, true_values) = (value(&Policy::default().with(&found.policy)), value(truth));
    let is_printed = truth.layout == serde_json::from_value(json!("as-printed")).unwrap();
    for key in measured.iter().filter(|key| !["precedence", "shape"].contains(key)) {
        let has_no_such_quotes = *key == "layout" && is_printed;
        assert!(
            policy[*key] == true_values[*key] || has_no_such_quotes,
            "{seed}: {key} {} {}",
            policy[*key],
            true_values[*key]
        );
    }
    // What is said to be undetermined may be anything.
    let candidate = with_undetermined(truth, found);
    for _ in 0..requests {
        let spec = random_request(random);
        let call = MODEL.call(&spec, "cf-random").unwrap();
        for exhausted in [false, true] {
            let world = World { any_ip: false, exhausted };
            let [own, true_answer] = [&candidate, truth].map(|policy| MODEL.answer(policy, world, &call));
            let same = own.comparable == true_answer.comparable;
            assert!(
                same,
                "{seed} {spec:?} {exhausted}: {:?}",
                own.comparable.differences(&true_answer.comparable)
            );
        }
    }
}

fn value(policy: &Policy) -> Value {
    serde_json::to_value(policy).unwrap()
}

/// The found policy, with the true values of the keys that are said to be undetermined.
fn with_undetermined(truth: &Policy, found: &Calibration) -> Policy {
    let (mut written, true_values) = (json!({}), value(truth));
    let is_found = |key: &str| found.measured.iter().any(|one| one.key == key);
    for one in found.undetermined.iter().filter(|one| !is_found(&one.key)) {
        if let Some(code) = one.key.strip_prefix("shape.") {
            let code = code.parse::<u32>().unwrap().to_string();
            if let Some(shape) = true_values["shape"].get(&code) {
                written["shape"][code] = shape.clone();
            }
        } else {
            written[&one.key] = true_values[&one.key].clone();
        }
    }
    let undetermined: PolicySpec = serde_json::from_value(written).unwrap();
    let mut policy = Policy::default().with(&undetermined).with(&found.policy);
    // A code that was never seen has the document's shape in both.
    for (code, shape) in &truth.shape {
        policy.shape.entry(code.clone()).or_insert(*shape);
    }
    if found.undetermined.iter().any(|one| one.key == "precedence") {
        policy.precedence.clone_from(&truth.precedence);
    }
    policy
}

#[test]
fn faults_make_values_undetermined_and_never_wrong() {
    for seed in 0..number("FRSIM_POLICIES", 2) {
        let mut random = ChaCha8Rng::seed_from_u64(1000 + seed);
        let spec = random_policy(&mut random);
        let truth = Policy::default().with(&spec);
        let sim = with_policy(&spec);
        for (name, effect) in [
            ("reset", json!({ "fault": { "kind": "reset" } })),
            ("gone", json!({ "fault": { "kind": "empty_close" } })),
            ("cut", json!({ "fault": { "kind": "truncate", "at": 0.5 } })),
            ("hang", json!({ "fault": { "kind": "hang" } })),
            ("busy", json!({ "reply": { "code": "6014" } })),
        ] {
            // The first call proves that this is the endpoint.
            let mut rule = json!({ "rate": 0.02, "skip": 1 });
            rule.as_object_mut().unwrap().extend(effect.as_object().unwrap().clone());
            sim.0.put_rule("bank", name, rule).unwrap();
        }
        let mut file = new_file(None, &settings());
        let subject = subject(&sim, "bank");
        // A hanging answer is waited for; an answer that is only slow is lost, which is as good.
        let mut exchanger = TcpExchanger { timeout: Duration::from_secs(5), ..tcp(sim.address()) };
        let end = run_with(&subject, &settings(), &mut exchanger, None, &mut file);
        let run = file.run;
        let stopped_by_busy = matches!(&end, Err(RunStop::Early(why)) if why.contains("6014"));
        assert!(end.is_ok() || stopped_by_busy, "{seed}: {end:?}");
        let found = calibrate(&MODEL, &Answers::of_runs(&[run]), &Policy::default());
        assert!(found.unexplained.is_empty(), "{seed} {spec:?}: {:?}", found.unexplained);
        let (policy, true_values) = (value(&Policy::default().with(&found.policy)), value(&truth));
        for one in
            found.measured.iter().filter(|one| one.key != "precedence" && !one.key.starts_with("shape."))
        {
            let has_no_such_quotes = one.key == "layout" && true_values["layout"] == "as-printed";
            let same = policy[&one.key] == true_values[&one.key];
            assert!(same || has_no_such_quotes, "{seed}: {one:?} is {}", true_values[&one.key]);
        }
        let candidate = with_undetermined(&truth, &found);
        for _ in 0..20 {
            let call = MODEL.call(&random_request(&mut random), "cf-random").unwrap();
            let [own, other] =
                [&candidate, &truth].map(|policy| MODEL.answer(policy, World::default(), &call));
            assert_eq!(own.comparable, other.comparable, "{seed} {spec:?}");
        }
    }
}

#[test]
fn no_more_calls_are_made_in_a_day_than_the_budget_over_all_runs() {
    let sim = with_policy(&PolicySpec::default());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.jsonl");
    let ledger = || Some(Ledger::open(&path, "sim:1", "bank", 7).unwrap());
    for made in [7, 7] {
        let mut file = new_file(None, &settings());
        let end = run_with(&subject(&sim, "bank"), &settings(), &mut tcp(sim.address()), ledger(), &mut file);
        assert!(matches!(&end, Err(RunStop::Early(why)) if why.contains("--budget")), "{end:?}");
        assert_eq!(sim.0.received().len(), made);
    }
}

/// Sends a call, and then dies with the answer on the way, at the call with this number.
struct DyingExchanger {
    inner: TcpExchanger,
    left: usize,
}

impl Exchanger for DyingExchanger {
    fn exchange(&mut self, call: &BuiltCall) -> Result<RawAnswer, String> {
        let answer = self.inner.exchange(call);
        assert!(self.left > 0, "killed");
        self.left -= 1;
        answer
    }
}

#[test]
fn a_run_that_is_killed_at_any_call_goes_on_without_a_second_call_and_within_the_budget() {
    let sim = with_policy(&PolicySpec::default());
    let choice = CaseChoice { groups: CaseChoice::DEFAULT_GROUPS.to_vec(), ..CaseChoice::default() };
    let settings = RunSettings { choice, ..settings() };
    let (whole, end) = run_against(&sim, "bank", &settings);
    assert!(end.is_ok() && whole.calls.len() > 20, "{end:?}");
    let reference = RunReport::new(&whole, &ComparedWith::Baseline(&whole));
    for killed_at in 0..whole.calls.len() {
        sim.0.reset(dukcapil_fr_sim::Scope::Journal, None).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (out, ledger) = (directory.path().join("run.jsonl"), directory.path().join("ledger"));
        // One more: before a run goes on, the endpoint must be there again.
        let budget = whole.calls.len() as u32 + 1;
        let open = || Some(Ledger::open(&ledger, "sim:1", "bank", budget).unwrap());
        let subject = subject(&sim, "bank");
        let crashed = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut exchanger = DyingExchanger { inner: tcp(sim.address()), left: killed_at };
            let mut file = new_file(Some(&out), &settings);
            run_with(&subject, &settings, &mut exchanger, open(), &mut file)
        }));
        assert!(crashed.is_err());
        let mut file = RunFile::resume(&out, &RunHeader::new("sim".to_owned(), false, morning())).unwrap();
        let end = run_with(&subject, &settings, &mut tcp(sim.address()), open(), &mut file);
        // The first call proves that this is the endpoint; once it is lost, nothing more is sent.
        let expected = if killed_at == 0 { matches!(end, Err(RunStop::Early(_))) } else { end.is_ok() };
        assert!(expected, "{killed_at}: {end:?}");
        let received = sim.0.received();
        let ids: BTreeSet<_> = received.iter().map(|entry| journal_id(entry)).collect();
        let lines = std::fs::read_to_string(&ledger).unwrap().lines().count();
        assert!(
            lines == received.len() && lines <= budget as usize,
            "{killed_at}: {lines} of {}",
            received.len()
        );
        let with_id = received.iter().filter(|entry| journal_id(entry).starts_with("\"cf-")).count();
        let other = ids.iter().filter(|id| id.starts_with("\"cf-")).count();
        assert_eq!(with_id, other, "{killed_at}: a transactionId twice");
        if killed_at > 0 {
            let read = RecordedRun::read(&std::fs::read_to_string(&out).unwrap()).unwrap();
            assert_eq!(read, file.run);
            let report = RunReport::new(&read, &ComparedWith::Baseline(&whole));
            let lost = |report: &RunReport| {
                report.cases.iter().filter(|case| matches!(case.verdict, CaseVerdict::Lost(_))).count()
            };
            assert!(lost(&report) >= 1 && report.stopped.is_none() && lost(&reference) == 0, "{killed_at}");
        }
    }
}

/// The transactionId of a journal entry, as JSON.
fn journal_id(entry: &dukcapil_fr_sim::Entry) -> String {
    serde_json::to_value(entry).unwrap()["request"]["transaction_id"].to_string()
}

#[test]
fn the_simulator_is_as_the_simulator_and_the_reports_say_so() {
    let sim = with_policy(&PolicySpec::default());
    let (run, end) = run_against(&sim, "bank", &settings());
    assert!(end.is_ok(), "{end:?}");
    let report = RunReport::new(&run, &ComparedWith::Policy(&MODEL, &Policy::default()));
    assert!(!report.differs(), "{}", report.text());
    let count = |verdict: &CaseVerdict| report.cases.iter().filter(|case| case.verdict == *verdict).count();
    assert!(count(&CaseVerdict::AsExpected) > 35, "{}", report.text());
    // GET, a slash at the end, and a picture of which the simulator does not know what it shows.
    assert_eq!(count(&CaseVerdict::Seen), 3, "{}", report.text());
    let other: PolicySpec = toml::from_str("not_found = '6019'\naccept = '406'").unwrap();
    let report = RunReport::new(&run, &ComparedWith::Policy(&MODEL, &Policy::default().with(&other)));
    let differing = report.cases.iter().filter(|case| matches!(case.verdict, CaseVerdict::Differs(_)));
    let differing: Vec<_> = differing.map(|case| case.case).collect();
    assert_eq!(differing, ["http/accept-xml", "quota/none", "match/none"]);
    for (text, parts) in [
        (report.text(), vec!["match/none           DIFFERS", "code 6018, expected 6019", "3 differ"]),
        (report.markdown(), vec!["| match/none |", "| DIFFERS; code 6018, expected 6019"]),
        (
            report.junit(),
            vec!["name=\"match/none\"", "<failure message=\"code 6018, expected 6019", "failures=\"3\""],
        ),
    ] {
        parts.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
    }
    well_formed(&report.junit());
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!((&json["run"]["target"], &json["stopped"]), (&json!("sim"), &Value::Null));
    assert_eq!(json["cases"].as_array().unwrap().len(), report.cases.len());
    let again = run_against(&sim, "bank", &settings()).0;
    let moved = RunReport::new(&again, &ComparedWith::Baseline(&run));
    assert!(!moved.differs(), "{}", moved.text());
    for (from, to, told) in [
        ("content-type: application/json", "content-type: application/json;charset=UTF-8", "charset=UTF-8"),
        ("date:", "server: nginx\r\ndate:", "header HTTP/1.1 200 OK"),
        ("date:", "connection: close\r\ndate:", "connection: close"),
    ] {
        let mut run = run.clone();
        let answers = run.calls.iter_mut().filter_map(|call| call.result.as_mut().ok());
        for answer in answers {
            let head = answer.head.join("\r\n").replace(from, to);
            answer.head = head.split("\r\n").map(str::to_owned).collect();
        }
        let report = RunReport::new(&run, &ComparedWith::Policy(&MODEL, &Policy::default()));
        assert!(report.differs() && report.text().contains(told), "{to}: {}", report.text());
    }
    let mut lost = run.clone();
    lost.calls[3].result = Err("the connection was reset".to_owned());
    let report = RunReport::new(&lost, &ComparedWith::Policy(&MODEL, &Policy::default()));
    assert!(report.differs(), "{}", report.text());
    let junit = report.junit();
    assert!(junit.contains("<error message=\"no answer: the connection was reset\"/>"), "{junit}");
    assert!(!junit.contains("errors=\"0\""), "{junit}");
}

/// Checks that every tag is closed in order, that attributes are quoted, and that nothing is escaped wrongly.
pub fn well_formed(xml: &str) {
    let mut open = Vec::new();
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a declaration");
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        assert!(text.trim().is_empty(), "{text}");
        let (is_closing, is_empty) = (tag.starts_with('/'), tag.ends_with('/'));
        let name = tag.trim_matches('/').split(' ').next().unwrap().to_owned();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let entities = tag.split('&').skip(1);
        for entity in entities {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)), "{tag}");
        }
        match (is_closing, is_empty) {
            (true, _) => assert_eq!(open.pop(), Some(name)),
            (false, false) => open.push(name),
            (false, true) => {}
        }
    }
    assert!(open.is_empty() && xml.chars().all(|c| !c.is_control() || c == '\n'), "{open:?}");
}
