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
fn numbers_are_read_strictly_or_loosely() {
    let source = |body: crate::support::Body| body.set("transactionSource", 7);
    for (field, value, tid) in [
        ("transactionId", json!(11), "11"),
        ("transactionId", json!(true), "true"),
        ("transactionSource", json!(1.50), "T-1"),
        ("threshold", json!(" 7"), "T-1"),
        ("threshold", json!("+7"), "T-1"),
        ("threshold", json!("07"), "T-1"),
    ] {
        let change = |body: crate::support::Body| body.set(field, value.clone());
        assert_eq!(call("", change).code(), "5004", "{field}: {value}");
        let loose = call("numbers = 'loose'", change).json();
        assert_eq!(
            (&loose["errorCode"], &loose["tid"], &loose["faceThreshold"]),
            (&json!("6018"), &json!(tid), &json!("7.0")),
            "{field}: {value}"
        );
    }
    for (field, value, code) in [
        ("ip", json!(10), "5003"),
        ("image", json!(12345678), "5004"),
        ("user_id", json!(12345678), "5006"),
        ("password", json!(false), "5006"),
        ("threshold", json!("021"), "5005"),
        ("threshold", json!("5,0"), "5004"),
        ("threshold", json!(true), "5004"),
        ("transactionId", json!([1]), "5004"),
        ("transactionId", json!(null), "5004"),
        ("transactionId", json!(123456789012345678901_i128 as f64), "5004"),
    ] {
        let change = |body: crate::support::Body| source(body).set(field, value.clone());
        assert_eq!(call("numbers = 'loose'", change).code(), code, "{field}: {value}");
    }
}

#[test]
fn what_is_read_loosely_is_a_warning_without_the_value_of_a_secret() {
    let (sim, _directory) =
        Sim::over(&[("customers/c.toml", "extends = 'demo'\npolicy = { numbers = 'loose' }")]);
    let body = sim.request().set("transactionId", 11).set("threshold", " 07.0").set("password", 987654321);
    sim.call("c", body.text());
    let entry = sim.last();
    let warnings = entry["warnings"].as_array().unwrap();
    let told: Vec<_> = warnings
        .iter()
        .map(|warning| (warning["name"].as_str(), warning["message"].as_str().unwrap()))
        .collect();
    let loose = |text| (Some("loosely_read"), text);
    assert_eq!(
        told,
        [
            loose("transactionId is a number and was read as text (policy numbers = \"loose\")"),
            loose(
                "threshold is a string that JSON would not write so and was read as 7 (policy numbers = \"loose\")"
            ),
            loose("password is a number and was read as text (policy numbers = \"loose\")"),
        ]
    );
    assert_eq!(
        (&entry["request"]["transaction_id"], &entry["request"]["threshold"]),
        (&json!("11"), &json!(7.0))
    );
    assert!(!entry.to_string().contains("987654321"), "{entry}");
}

#[test]
fn types_of_the_verification_shape() {
    let wrong = |body: crate::support::Body| body.set("threshold", "0");
    let documented = call("layout = 'compact'", wrong);
    let native = call("layout = 'compact'\ntypes = 'native'", wrong);
    assert_eq!(
        native.text(),
        r#"{"error":{"errorCode":5005,"errorMessage":" Threshold tidak sesuai."},"httpResponseCode":200,"matchScore":0,"transactionId":"T-1","uid":"7301010xxxxxxxxx","verificationResult":false,"quotaLimiter":80}"#
    );
    assert_eq!(documented.json()["quotaLimiter"], "80");
    let literal = |text: &str| call(&format!("types = 'native'\nquota_limiter = '{text}'"), wrong).json();
    for (text, expected) in
        [("7", json!(7)), ("07", json!("07")), ("a \"b\"", json!("a \"b\"")), ("", json!(""))]
    {
        assert_eq!(literal(text)["quotaLimiter"], expected);
    }
    assert_eq!(call("types = 'native'\nuid = '12'", wrong).json()["uid"], "12", "ids stay strings");
    let (plain, same) = (call("", |body| body), call("types = 'native'", |body| body));
    assert_eq!(plain.text(), same.text(), "the identification shape has its types already");
}

#[test]
fn the_threshold_is_echoed_as_a_double_or_verbatim() {
    for (written, echo, verbatim) in [
        (json!("7"), "7.0", "7"),
        (json!(7), "7.0", "7"),
        (json!("7.10"), "7.1", "7.10"),
        (json!(7.25), "7.25", "7.25"),
        (json!("0.7e1"), "7.0", "0.7e1"),
    ] {
        let change = |body: crate::support::Body| body.set("threshold", written.clone());
        assert_eq!(call("", change).json()["faceThreshold"], echo, "{written}");
        assert_eq!(
            call("face_threshold = 'verbatim'", change).json()["faceThreshold"],
            verbatim,
            "{written}"
        );
    }
    let loose =
        call("face_threshold = 'verbatim'\nnumbers = 'loose'", |body| body.set("threshold", " +07\t"));
    assert_eq!(loose.json()["faceThreshold"], " +07\t");
    let (sim, _directory) = Sim::over(&[(
        "customers/c.toml",
        "extends = 'always-6014'\npolicy = { face_threshold = 'verbatim' }",
    )]);
    for (body, expected) in [
        (r#"{"threshold":7.50}"#, "7.50"),
        (r#"{"threshold":"abc"}"#, "0"),
        (r#"{"threshold":null}"#, "0"),
        ("no json", "0"),
    ] {
        assert_eq!(sim.call("c", body).json()["faceThreshold"], expected, "{body}");
    }
}

#[test]
fn nobody_is_answered_with_any_code_and_text() {
    let stranger = dukcapil_fr_sim::internals::protocol::encoding::encode(&crate::support::stranger());
    let sim = Sim::start();
    for (not_found, code, error, standing) in [
        (json!("6019"), "6019", "Foto Tidak Sesuai", "observed"),
        (json!({ "code": "6020" }), "6020", "NIK Tidak ditemukan", "observed"),
        (
            json!({ "code": "6020", "error": " Data tidak ditemukan" }),
            "6020",
            " Data tidak ditemukan",
            "observed",
        ),
        (json!({ "code": "6021", "error": "Data \"x\"" }), "6021", "Data \"x\"", "assumed"),
        (json!({ "code": "5004", "error": "Data tidak ditemukan" }), "5004", "Data tidak ditemukan", "doc"),
        (json!({ "code": "6018", "error": "Data tidak ditemukan" }), "6018", "Data tidak ditemukan", ""),
    ] {
        let customer = json!({ "extends": "demo", "policy": { "not_found": not_found } });
        let (status, answer) = sim.admin("PUT", "/customers/c", &customer.to_string());
        assert_eq!((status, &answer["policy"]["not_found"]), (200, &not_found), "{answer}");
        let answer = sim.call("c", sim.request().set("image", stranger.as_str()).text()).json();
        assert_eq!((answer["errorCode"].as_str(), answer["error"].as_str()), (Some(code), Some(error)));
        let told = sim.last()["answer"].clone();
        assert_eq!(told["charged"], true, "it is the matcher's answer: {not_found}");
        let reason = told["reason"].as_str().unwrap();
        assert_eq!(reason.contains("policy not_found"), code != "6018", "{reason}");
        assert!(reason.contains(standing), "{reason}");
        assert_eq!(sim.call("c", sim.request().text()).code(), "6018", "who is found is found");
        sim.call("c", sim.request().without("ip").text());
        assert_eq!(sim.last()["answer"]["charged"], false, "a failed check is none of the matcher's answers");
    }
    for (wrong, expected) in [
        (json!("6020"), "{ code = "),
        (json!({ "error": "x" }), "code is missing"),
        (json!({ "code": "", "error": "x" }), "a code is 1 to 32"),
        (json!(6019), "must be \"6018\", \"6019\" or an object"),
        (json!(null), ""),
    ] {
        let customer = json!({ "extends": "demo", "policy": { "not_found": wrong } });
        let (status, answer) = sim.admin("PUT", "/customers/c", &customer.to_string());
        let valid = wrong.is_null();
        assert_eq!(status, if valid { 200 } else { 400 }, "{wrong}: {answer}");
        assert!(valid || answer["error"]["message"].as_str().unwrap().contains(expected), "{answer}");
    }
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
