//! Quotas: exact under concurrency, per Jakarta day, charged by policy.

use serde_json::json;

use crate::support::{Sim, in_parallel, thread_count};

fn used(sim: &Sim, customer: &str) -> u64 {
    let (status, quota) = sim.admin("GET", &format!("/customers/{customer}/quota"), "");
    assert_eq!(status, 200);
    quota["used"].as_u64().unwrap()
}

#[test]
fn exactly_as_many_parallel_calls_succeed_as_the_quota_allows() {
    const CALLS: usize = 20;
    let (threads, all) = (thread_count(), thread_count() * CALLS);
    let allowed = all / 3;
    let text = format!("extends = 'demo'\nquota = {{ per_day = {allowed} }}");
    let (sim, _directory) = Sim::crowded(&[("customers/small.toml", &text)]);
    let body = sim.request().text();
    let codes = in_parallel(threads, |_| [(); CALLS].map(|()| sim.call("small", &body).code())).concat();
    let count = |wanted: &str| codes.iter().filter(|code| *code == wanted).count();
    assert_eq!((count("6018"), count("5002")), (allowed, all - allowed), "{codes:?}");
    assert_eq!(used(&sim, "small"), allowed as u64);
    assert_eq!(used(&sim, "demo"), 0, "another customer's quota is its own");
}

#[test]
fn a_quota_ends_with_the_day_in_jakarta() {
    let sim = Sim::start();
    sim.admin("PUT", "/customers/demo/quota", r#"{"per_day":1}"#);
    sim.admin("PUT", "/clock", r#"{"now":"2026-11-21T23:59:59+07:00"}"#);
    assert_eq!(sim.call("demo", sim.request().text()).code(), "6018");
    assert_eq!(sim.call("demo", sim.request().text()).code(), "5002");
    sim.admin("PUT", "/clock", r#"{"advance":"1s"}"#);
    assert_eq!(sim.call("demo", sim.request().text()).code(), "6018");
    let (_, quota) = sim.admin("GET", "/customers/demo/quota", "");
    assert_eq!(quota, json!({ "per_day": 1, "used": 1, "left": 0, "day": "2026-11-22" }));
}

#[test]
fn the_quota_is_read_and_set_over_the_admin_api() {
    let sim = Sim::start();
    let (_, quota) = sim.admin("GET", "/customers/demo/quota", "");
    assert_eq!(quota, json!({ "per_day": 80, "used": 0, "left": 80, "day": "2026-11-21" }));
    let (_, quota) = sim.admin("PUT", "/customers/demo/quota", r#"{"per_day":80,"used":79}"#);
    assert_eq!(quota["left"], 1);
    let (_, quota) = sim.admin("PUT", "/customers/demo/quota", r#"{"per_day":null}"#);
    assert_eq!(
        (quota["per_day"].clone(), quota["left"].clone(), quota["used"].as_u64()),
        (json!(null), json!(null), Some(79))
    );
    for (body, path) in
        [(r#"{"used":-1}"#, "/used"), (r#"{"per_day":"x"}"#, "/per_day"), (r#"{"usd":1}"#, "/usd"), ("", "")]
    {
        let (status, error) = sim.admin("PUT", "/customers/demo/quota", body);
        assert_eq!((status, error["error"]["path"].as_str()), (400, Some(path)), "{body}: {error}");
    }
    let (status, error) = sim.admin("GET", "/customers/nobody/quota", "");
    assert_eq!((status, error["error"]["code"].as_str()), (404, Some("not_found")));
}

#[test]
fn the_latest_quota_change_wins_and_usage_stays() {
    let sim = Sim::start();
    let quota = || sim.admin("GET", "/customers/z/quota", "").1;
    let done = |method: &str, path: &str, body: serde_json::Value| {
        let (status, answer) = sim.admin(method, path, &body.to_string());
        assert_eq!(status, 200, "{method} {path} {body}: {answer}");
        let quota = quota();
        (quota["per_day"].as_u64(), quota["used"].as_u64())
    };
    let put = |per_day: u64| json!({ "extends": "demo", "quota": { "per_day": per_day } });
    done("PUT", "/customers/z", put(2));
    assert_eq!(done("PUT", "/customers/z/quota", json!({ "per_day": 1, "used": 1 })), (Some(1), Some(1)));
    assert_eq!(sim.call("z", sim.request().text()).code(), "5002");
    for (method, body, expected) in [
        ("PATCH", json!({ "rules": [{ "delay": "1ms" }] }), Some(1)),
        ("PATCH", json!({ "quota": { "per_day": 3 } }), Some(3)),
        ("PATCH", json!({ "quota": { "per_day": 2 } }), Some(2)),
        ("PUT", put(2), Some(2)),
        ("PUT", put(3), Some(3)),
        ("PUT", json!({ "extends": "demo" }), Some(80)),
        ("PUT", json!({ "extends": "demo", "methode": ["X"] }), Some(1)),
        ("PUT", json!({ "extends": "load" }), None),
        ("PATCH", json!({ "quota": null }), None),
    ] {
        let before = done("PUT", "/customers/z/quota", json!({ "per_day": 1 }));
        assert_eq!(before, (Some(1), Some(1)));
        assert_eq!(done(method, "/customers/z", body.clone()), (expected, Some(1)), "{method} {body}");
    }
    done("PUT", "/customers/z", put(3));
    let answers = [(); 3].map(|()| sim.call("z", sim.request().text()).code());
    assert_eq!(answers, ["6018", "6018", "5002"], "one was used before");
}

/// Charges by value of `quota_counts`, for a call with a match, one without, one with a wrong threshold and one with a wrong
/// password.
#[test]
fn charging_is_policy() {
    let stranger = dukcapil_fr_sim::internals::protocol::encoding::encode(&crate::support::stranger());
    for (policy, charged) in [
        ("matched", [1, 1, 0, 0]),
        ("identified", [1, 0, 0, 0]),
        ("authenticated", [1, 1, 1, 0]),
        ("all", [1, 1, 1, 1]),
    ] {
        let text = format!("extends = 'demo'\npolicy = {{ quota_counts = '{policy}' }}");
        let (sim, _directory) = Sim::over(&[("customers/c.toml", &text)]);
        let good = sim.request();
        let calls = [
            good.clone(),
            good.clone().set("image", stranger.as_str()),
            good.clone().set("threshold", "0"),
            good.clone().encrypted("password", "x"),
        ];
        let mut before = 0;
        for (body, expected) in calls.iter().zip(charged) {
            sim.call("c", body.text());
            let after = used(&sim, "c");
            assert_eq!(after - before, expected, "{policy}");
            assert_eq!(sim.last()["answer"]["charged"], expected == 1);
            before = after;
        }
    }
}

/// Charges of a rule's answer, by value of `quota_counts`: the returned answer counts, not the result of the checks.
#[test]
fn a_rules_answer_is_charged_like_a_matcher_answer() {
    let replies = [
        json!({ "sample": "6018" }),
        json!({ "code": "6018" }),
        json!({ "code": "6018", "candidates": [{ "nik": "1", "score": 9.0 }] }),
        json!({ "code": "6018", "candidates": [] }),
        json!({ "sample": "5005" }),
        json!({ "status": 200 }),
    ];
    for (policy, charged) in [
        ("matched", [true, true, true, true, false, false]),
        ("identified", [true, true, true, false, false, false]),
        ("authenticated", [true, true, true, true, true, false]),
    ] {
        let sim = Sim::start();
        for (reply, charged) in replies.iter().zip(charged) {
            let rules = json!([{ "reply": reply }]);
            let customer = json!({ "extends": "load", "policy": { "quota_counts": policy }, "rules": rules });
            let (status, answer) = sim.admin("PUT", "/customers/c", &customer.to_string());
            assert_eq!(status, 200, "{answer}");
            sim.call("c", sim.request().text());
            assert_eq!(sim.last()["answer"]["charged"], charged, "{policy}: {reply}");
        }
    }
}

#[test]
fn the_verification_shape_returns_the_remaining_quota() {
    let sim = Sim::start();
    let wrong = sim.request().set("threshold", "0").text();
    let limiter = |customer: &str| sim.call(customer, &wrong).json()["quotaLimiter"].clone();
    assert_eq!(limiter("demo"), "80");
    sim.call("demo", sim.request().text());
    assert_eq!(limiter("demo"), "79");
    assert_eq!(limiter("load"), "80", "there is no limit");
    assert_eq!(sim.call("nobody", sim.request().text()).json()["quotaLimiter"], "80");
}
