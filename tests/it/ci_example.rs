//! Tests of a payment service with the simulator: its client when the endpoint is busy, and when the quota is used up.

use dukcapil_fr_sim::{Request, Simulator};
use serde_json::{Value, json};

/// The service's client, simplified: posts, and retries when the matcher is busy.
async fn identify(request: &Request) -> reqwest::Result<String> {
    loop {
        let call = reqwest::Client::new().post(request.url()).header("accept", "application/json");
        let answer = call.header("content-type", "application/json").body(request.body()).send().await?;
        let answer: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
        match answer["errorCode"].as_str() {
            Some("6014") => {} // busy: a real client waits before it retries
            Some(code) => return Ok(code.to_owned()),
            None => return Ok(answer["error"]["errorCode"].to_string()),
        }
    }
}

#[tokio::test]
async fn a_busy_matcher_is_retried() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = Simulator::builder()
        .customer("payments", json!({ "extends": "demo" }))
        .rule("payments", "busy", json!({ "times": 2, "reply": { "code": "6014" } }))
        .start()
        .await?;
    assert_eq!(identify(&simulator.request("payments")?).await?, "6018");
    simulator.verify(json!({ "customer_id": "payments", "code": "6014" }), 2)?;
    simulator.verify(json!({ "customer_id": "payments" }), 3)?;
    Ok(())
}

#[tokio::test]
async fn a_used_up_quota_is_reset_after_midnight_in_jakarta() -> Result<(), Box<dyn std::error::Error>> {
    let simulator = Simulator::builder()
        .customer("payments", json!({ "extends": "demo", "quota": { "per_day": 1 } }))
        .clock("2026-11-21T23:59:00+07:00".parse()?)
        .start()
        .await?;
    assert_eq!(identify(&simulator.request("payments")?).await?, "6018");
    assert_eq!(identify(&simulator.request("payments")?).await?, "5002");
    simulator.advance(std::time::Duration::from_secs(60))?;
    assert_eq!(identify(&simulator.request("payments")?).await?, "6018");
    Ok(())
}
