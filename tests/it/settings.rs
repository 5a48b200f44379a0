//! Policy keys, as a user sets them: each changes an answer, globally and for one customer.

use serde_json::json;

use crate::support::{Answer, Sim};

/// Calls a customer that extends demo with this policy.
fn call(policy: &str, change: impl Fn(crate::support::Body) -> crate::support::Body) -> Answer {
    let text = format!("extends = 'demo'\n[policy]\n{policy}");
    let (sim, _directory) = Sim::over(&[("customers/c.toml", &text)]);
    sim.call("c", change(sim.request()).text())
}

#[test]
fn precedence() {
    let both_wrong = |body: crate::support::Body| body.set("threshold", "0").set("ip", "8.8.8.8");
    assert_eq!(call("", both_wrong).code(), "5003");
    assert_eq!(call("precedence = ['threshold']", both_wrong).code(), "5005");
}

#[test]
fn layout_of_one_customer() {
    assert!(
        call("layout = 'compact'", |body| body).text().starts_with("{\"tid\":\"T-1\",\"encounter_id\":null,")
    );
}

#[test]
fn shape_of_a_code() {
    let moved = call("shape.5001 = 'identification'", |body| body.encrypted("password", "x"));
    assert_eq!(moved.json()["errorCode"], "5001");
    assert_eq!(moved.json()["error"], " Akun tidak ditemukan ");
    assert!(moved.text().contains("\n    \"faceThreshold\": \"0\",\n"), "5002's white space");
    let moved = call("shape.5004 = 'verification'", |body| body.without("ip"));
    assert_eq!(moved.json()["error"], json!({ "errorCode": 5004, "errorMessage": "Parameter tidak sesuai" }));
    assert!(
        moved.text().starts_with("{\n\t\"error\":{\n\t\t\"errorCode\":5004,\n\t\t\"errorMessage\":"),
        "5001's white space"
    );
    assert_eq!(moved.json()["transactionId"], "T-1");
}

#[test]
fn values_of_the_verification_shape() {
    let wrong = |body: crate::support::Body| body.set("threshold", "0");
    assert_eq!(call("", wrong).json()["transactionId"], "T-1");
    assert_eq!(call("transaction_id = 'literal'", wrong).json()["transactionId"], "nxGen NBAP TestTool");
    assert_eq!(call("uid = '3174'", wrong).json()["uid"], "3174");
    assert_eq!(call("quota_limiter = 'limit'", wrong).json()["quotaLimiter"], "80");
    assert_eq!(call("quota_limiter = '5'", wrong).json()["quotaLimiter"], "5");
    assert_eq!(call("", wrong).json()["error"]["errorMessage"], " Threshold tidak sesuai.");
    assert_eq!(
        call("trim_messages = true", wrong).json()["error"]["errorMessage"],
        "Threshold tidak sesuai."
    );
}

#[test]
fn values_of_the_matchers_answers() {
    let stranger = dukcapil_fr_sim::internals::protocol::encoding::encode(&crate::support::stranger());
    assert_eq!(
        call("face_threshold = '7.5'", |body| body.set("threshold", 5)).json()["faceThreshold"],
        "7.5"
    );
    assert_eq!(call("face_threshold = '7.5'", |body| body.set("ip", "8.8.8.8")).json()["faceThreshold"], "0");
    assert_eq!(call("max_results = 3", |body| body).json()["maxResults"], 3);
    let nobody = call("", |body| body.set("image", stranger.as_str()));
    assert_eq!((nobody.code().as_str(), nobody.candidates().len()), ("6018", 0));
    let nobody = call("not_found = '6019'", |body| body.set("image", stranger.as_str()));
    assert_eq!(
        (nobody.code().as_str(), nobody.json()["error"].as_str()),
        ("6019", Some("Foto Tidak Sesuai"))
    );
}

#[test]
fn undocumented_codes() {
    assert_eq!(call("bad_image = '6015'", |body| body.set("image", "AAAA")).code(), "6015");
    let (sim, _directory) =
        Sim::over(&[("simulator.toml", "policy = { unknown_customer = '5004', wrong_methode = '9002' }")]);
    assert_eq!(sim.call("nobody", sim.request().text()).code(), "5004");
    let wrong = sim.post("/api/face-recognition/demo/CALL_FR", sim.request().text());
    assert_eq!(wrong.code(), "9002");
    assert_eq!(wrong.json()["faceThreshold"], "0");
}

#[test]
fn base64_with_line_breaks() {
    let wrapped = |body: crate::support::Body| {
        let image = body.members["image"].as_str().unwrap().to_owned();
        body.set("image", format!("{}\r\n{}", &image[..76], &image[76..]))
    };
    assert_eq!(call("", wrapped).code(), "5004");
    let text = "extends = 'demo'\npolicy = { base64 = 'mime' }";
    let (sim, _directory) = Sim::over(&[("customers/c.toml", text)]);
    assert_eq!(sim.call("c", wrapped(sim.request()).text()).code(), "6018");
    assert_eq!(sim.last()["warnings"][0]["name"], "line_breaks");
}

#[test]
fn prefixes_are_configurable_and_several_may_be_active() {
    let text = "prefixes = ['/api/face-recognition/dukcapil', '/fr']";
    let (sim, _directory) = Sim::over(&[("simulator.toml", text)]);
    let body = sim.request().text();
    for path in ["/api/face-recognition/dukcapil/demo/CALL_FN", "/fr/demo/CALL_FN"] {
        assert_eq!(sim.post(path, &body).code(), "6018");
    }
    assert_eq!(sim.post("/api/face-recognition/demo/CALL_FN", &body).status, 404);
}

#[test]
fn the_peer_is_checked_if_access_peer_is_set() {
    let customer = ("customers/c.toml", "extends = 'demo'\naccess = { peer = true, allow = ['10.0.0.0/8'] }");
    let (sim, _directory) = Sim::over(&[customer]);
    assert_eq!(sim.call("c", sim.request().text()).code(), "5003", "the peer is 127.0.0.1");
    assert!(sim.last()["answer"]["reason"].as_str().unwrap().contains("the connection's peer 127.0.0.1"));

    let (sim, _directory) = Sim::over(&[customer, ("simulator.toml", "peer = 'x-forwarded-for'")]);
    let forwarded = |header: &str| {
        let body = sim.request().text();
        let bytes = crate::support::http("POST", "/api/face-recognition/c/CALL_FN", header, body.as_bytes());
        crate::support::exchange(sim.address(), &bytes).code()
    };
    assert_eq!(forwarded("X-Forwarded-For: 8.8.8.8, 10.0.0.5\r\n"), "6018");
    assert_eq!(forwarded("X-Forwarded-For: 10.0.0.5, 8.8.8.8\r\n"), "5003");
    assert_eq!(
        forwarded("X-Forwarded-For: 10.0.0.5, unknown\r\n"),
        "6018",
        "an unknown address is not checked"
    );
    assert_eq!(sim.last()["request"]["peer"], json!(null));
    assert!(sim.last()["warnings"].to_string().contains("x_forwarded_for"));

    let (sim, _directory) = Sim::over(&[customer, ("simulator.toml", "peer = 'proxy-protocol'")]);
    let behind = |source: &str| {
        let body = sim.request().text();
        let mut bytes = format!("PROXY TCP4 {source} 10.0.0.1 4000 8080\r\n").into_bytes();
        bytes.extend(crate::support::http("POST", "/api/face-recognition/c/CALL_FN", "", body.as_bytes()));
        crate::support::exchange(sim.address(), &bytes).code()
    };
    assert_eq!((behind("10.0.0.5"), behind("8.8.8.8")), ("6018".to_owned(), "5003".to_owned()));
    assert_eq!(sim.last()["request"]["peer"], "8.8.8.8");
}
