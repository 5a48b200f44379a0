//! The library as the tests of another project use it: one simulator per test, a real HTTP client, no admin API.

use std::time::Duration;

use dukcapil_fr_sim::{Request, Scope, Simulator};
use serde_json::{Value, json};

use crate::support::{KEYS, MORNING};

/// A project's own client: posts and reads the body.
async fn post(request: &Request) -> reqwest::Result<(u16, Value)> {
    let client = reqwest::Client::new().post(request.url()).header("accept", "application/json");
    let answer = client.header("content-type", "application/json").body(request.body()).send().await?;
    let status = answer.status().as_u16();
    Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
}

async fn code(request: &Request) -> String {
    let (status, answer) = post(request).await.unwrap();
    assert_eq!(status, 200);
    let nested = &answer["error"]["errorCode"];
    if nested.is_null() { answer["errorCode"].as_str().unwrap().to_owned() } else { nested.to_string() }
}

async fn start(builder: dukcapil_fr_sim::Builder) -> Simulator {
    builder.keys(Some(KEYS.path().to_owned())).clock(MORNING.parse().unwrap()).start().await.unwrap()
}

#[tokio::test]
async fn a_scripted_scenario_runs_and_is_verified() {
    let simulator = start(
        Simulator::builder()
            .seed(7)
            .customer("bank", json!({ "extends": "demo", "quota": { "per_day": 2 } }))
            .rule(
                "bank",
                "busy once",
                json!({ "when": { "outcome": "6018" }, "times": 1, "reply": { "code": "6014" } }),
            ),
    )
    .await;
    let request = simulator.request("bank").unwrap().transaction_id("pay-1");
    assert_eq!(code(&request).await, "6014");
    assert_eq!(code(&request).await, "6018");
    assert_eq!(code(&request).await, "5002", "both answers of the matcher used up quota");
    simulator.advance(Duration::from_secs(24 * 3600)).unwrap();
    assert_eq!(code(&request).await, "6018", "a new day in Jakarta");

    simulator.verify(json!({ "customer_id": "bank", "transaction_id": "pay-*" }), 4).unwrap();
    simulator.verify(json!({ "code": "6018" }), 2..).unwrap();
    simulator.verify(json!({ "code": "5003" }), ..=0).unwrap();
    let codes: Vec<_> =
        simulator.received().iter().map(|entry| entry.answer.code.as_ref().unwrap().to_string()).collect();
    assert_eq!(codes, ["6014", "6018", "5002", "6018"]);
}

#[tokio::test]
async fn a_failed_verification_reports_near_misses() {
    let simulator = start(Simulator::builder()).await;
    code(&simulator.request("demo").unwrap().transaction_id("T-9").threshold(0)).await;
    let unmet = simulator.verify(json!({ "customer_id": "demo", "code": "6018" }), 1).unwrap_err();
    let failure = format!("{unmet:?}");
    assert!(failure.starts_with("0 requests match, expected exactly 1"), "{failure}");
    assert!(failure.contains("request 1 differs: code is \"5005\", expected \"6018\""), "{failure}");
    let wrong = simulator.verify(json!({ "cod": "6018" }), 1).unwrap_err().to_string();
    assert!(wrong.contains("unknown key `cod` (did you mean `code`?)"), "{wrong}");
}

#[tokio::test]
async fn a_built_request_can_be_invalidated_in_every_way() {
    let simulator = start(Simulator::builder()).await;
    let good = simulator.request("demo").unwrap();
    assert_eq!(code(&good.clone().without("ip")).await, "5004");
    assert_eq!(code(&good.clone().set("user_id", "plain")).await, "5006");
    assert_eq!(code(&good.clone().account("somebody", "else").unwrap()).await, "5001");
    assert_eq!(code(&good.clone().ip("192.0.2.1")).await, "5003");
    assert_eq!(code(&good.clone().threshold("21")).await, "5005");
    assert_eq!(code(&good.clone().image(b"no picture")).await, "5004");
    assert_eq!(code(&good).await, "6018");
    assert!(good.account(&"x".repeat(300), "y").is_err());
    assert!(simulator.request("nobody").is_err());
}

#[tokio::test]
async fn faults_reach_the_client_and_the_simulator_keeps_running() {
    let simulator = start(Simulator::builder()).await;
    simulator.put_rule("demo", "reset", json!({ "times": 1, "fault": { "kind": "reset" } })).unwrap();
    let request = simulator.request("demo").unwrap();
    assert!(post(&request).await.is_err());
    assert_eq!(code(&request).await, "6018");
    simulator.verify(json!({ "fault": "reset" }), 1).unwrap();
}

#[tokio::test]
async fn a_test_customer_has_its_own_account_and_is_removed_by_a_reset() {
    let simulator = start(Simulator::builder()).await;
    let id = simulator.create_customer(json!({ "key": "generate", "ttl": "5m" })).unwrap();
    let request = simulator.request(&id).unwrap();
    assert_eq!(code(&request).await, "6018");
    assert_eq!(code(&simulator.request("demo").unwrap().account("user", "other").unwrap()).await, "5001");
    simulator.reset(Scope::Customers, Some(&id)).unwrap();
    assert_eq!(code(&request).await, "5006", "its key has gone with it");
    simulator.reset(Scope::Customers, Some("demo")).unwrap();
    assert!(simulator.reset(Scope::Quota, Some("nobody")).is_err());
}

#[tokio::test]
async fn errors_are_returned_by_start() {
    let refused = |builder: dukcapil_fr_sim::Builder| async {
        builder.keys(Some(KEYS.path().to_owned())).start().await.err().map(|error| error.to_string()).unwrap()
    };
    let said = refused(Simulator::builder().customer("bank", json!({ "extend": "demo" }))).await;
    assert!(said.starts_with("the customer bank: unknown key `extend` (did you mean `extends`?)"), "{said}");
    let said = refused(Simulator::builder().customer("a b", json!({ "extends": "demo" }))).await;
    assert!(said.contains("a customer_id has 1 to 64"), "{said}");
    let said = refused(Simulator::builder().rule("demo", "r", json!({ "times": 0, "delay": "1s" }))).await;
    assert!(said.starts_with("the rule \"r\" of demo: rule \"r\": it can never fire"), "{said}");
    for token in ["", "a b"] {
        let said = refused(Simulator::builder().admin_token(Some(token.to_owned()))).await;
        assert!(said.contains("use visible ASCII characters without spaces"), "{said}");
    }
    let said = refused(Simulator::builder().rule("nobody", "r", json!({ "delay": "1s" }))).await;
    assert!(said.contains("no customer has the id \"nobody\""), "{said}");
}

#[tokio::test]
async fn many_simulators_run_in_one_process_and_a_dropped_one_closes_its_port() {
    let (first, second) = (start(Simulator::builder()).await, start(Simulator::builder()).await);
    assert_ne!(first.url(), second.url());
    assert_eq!(code(&first.request("demo").unwrap()).await, "6018");
    assert_eq!((first.received().len(), second.received().len()), (1, 0));
    assert!(first.public_key_pem().starts_with("-----BEGIN PUBLIC KEY-----"));
    let request = first.request("demo").unwrap();
    drop(first);
    assert!(post(&request).await.unwrap_err().is_connect());
    assert_eq!(code(&second.request("demo").unwrap()).await, "6018");
}

#[test]
fn it_starts_without_an_async_runtime_and_without_an_admin_listener() {
    let builder = Simulator::builder().keys(Some(KEYS.path().to_owned())).admin_listen(None);
    let simulator = builder.start_blocking().unwrap();
    assert_eq!(simulator.admin_url(), None);
    let list = simulator.request("demo").unwrap();
    assert!(list.body().contains("\"transactionId\":\"T-1\""));
    assert!(!format!("{list:?}").contains("transactionId"), "Debug shows no body");
}
