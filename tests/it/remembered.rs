//! The caches of ciphertexts and photos do not change any answer.

use dukcapil_fr_sim::internals::protocol::encoding::encode;
use serde_json::{Value, json};

use crate::support::{Body, SITI, Sim, stranger};

const NOTHING_REMEMBERED: &str = "limits = { remembered_ciphertexts = 0, remembered_photos = 0 }";

/// Returns requests for which a cache of ciphertexts or photos could return a wrong result; most are repeated.
fn requests(good: &Body) -> Vec<(&'static str, String)> {
    let wrap = |name: &str| {
        let text = good.members[name].as_str().expect("a text");
        format!("{}\r\n{}", &text[..76], &text[76..])
    };
    let kinds = [
        ("demo", good.clone()),
        ("demo", good.clone().set("image", encode(&stranger()))),
        ("demo", good.clone().set("image", encode(&SITI[..5000]))),
        ("demo", good.clone().set("image", wrap("image"))),
        ("demo", good.clone().set("password", wrap("password"))),
        ("demo", good.clone().set("password", good.members["user_id"].clone())),
        ("demo", good.clone().encrypted("password", "demo-password\n")),
        ("demo", good.clone().encrypted("user_id", "somebody")),
        ("always-6014", good.clone()),
        ("nobody", good.clone()),
        ("load", good.clone().set("threshold", 3)),
    ];
    let twice = kinds.iter().chain(kinds.iter().rev());
    twice.map(|(customer, body)| (*customer, body.text())).collect()
}

/// Returns the newest entry, without fields that differ between runs.
fn entry(sim: &Sim) -> Value {
    let mut entry = sim.last();
    entry["elapsed_us"] = json!(null);
    entry["request"]["peer"] = json!(null);
    // The retry warning depends on real time.
    if let Some(warnings) = entry["warnings"].as_array_mut() {
        warnings.retain(|warning| warning["name"] != "retry_without_backoff");
    }
    entry
}

#[test]
fn answers_and_findings_are_the_same_with_and_without_caches() {
    let (without, _directory) = Sim::over(&[("simulator.toml", NOTHING_REMEMBERED)]);
    let with = Sim::start();
    for (number, (customer, body)) in requests(&with.request()).into_iter().enumerate() {
        let (one, other) = (with.call(customer, &body), without.call(customer, &body));
        assert_eq!(one.text(), other.text(), "request {number} to {customer}");
        assert_eq!(entry(&with), entry(&without), "request {number} to {customer}");
    }
}

#[test]
fn a_customers_new_password_is_effective_at_once() {
    let account = |password: &str| format!("[account]\nuser_id = 'demo-user'\npassword = '{password}'\n");
    let (sim, directory) = Sim::over(&[("customers/bank.toml", &account("demo-password"))]);
    let request = sim.request().text();
    for _ in 0..2 {
        assert_eq!(sim.call("bank", &request).code(), "6018");
    }
    crate::support::write_fixture(directory.path(), "customers/bank.toml", &account("another"));
    assert_eq!(sim.admin("POST", "/config/reload", "").0, 200);
    assert_eq!(sim.call("bank", &request).code(), "5001");
}
