//! `explain`: asks a running simulator, or works offline, and says which.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::binary::{Served, command, text};
use crate::support::{Body, KEYS, MORNING, SITIS_NIK, exchange, http};

const NOTHING: &str = "http://127.0.0.1:1";

/// Explains a good body, in an empty directory.
fn explain(admin: &str, more: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let public = std::fs::read_to_string(KEYS.path().join("public.pem")).unwrap();
    std::fs::write(directory.path().join("body.json"), Body::encrypted_with(&public).text()).unwrap();
    std::fs::create_dir(directory.path().join("own")).unwrap();
    let args = [&["explain", "body.json"][..], more].concat();
    command(&args)
        .current_dir(directory.path())
        .env("FRSIM_ADMIN", admin)
        .env("FRSIM_KEYS", KEYS.path())
        .output()
        .unwrap()
}

fn lines(out: &Output) -> (String, String) {
    assert!(out.status.success(), "{}", text(&out.stderr));
    let (first, rest) = text(&out.stdout).split_once('\n').unwrap();
    (first.to_owned(), rest.to_owned())
}

fn admin(served: &Served, method: &str, path: &str, body: &str) {
    let answer = exchange(served.admin(), &http(method, path, "", body.as_bytes()));
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
}

#[test]
fn quota_customers_rules_and_clock_are_those_of_the_running_simulator() {
    let served = Served::plain(&["--clock", MORNING]);
    let url = served.value("admin");
    admin(&served, "PUT", "/customers/demo/quota", r#"{"used":80}"#);
    admin(
        &served,
        "PUT",
        "/customers/put",
        r#"{"extends":"demo","rules":[{"name":"r","when":{"clock":"09:00..11:00"},"reply":{"code":"6014"},"fault":{"kind":"reset"}}]}"#,
    );
    let offline = format!(
        "offline: built-in fixtures; quotas and customers of a running simulator are not known (nothing answers at {NOTHING})"
    );
    for (customer, asked, alone) in
        [("demo", "5002  ", "6018  "), ("put", "6014  ", "5001~  "), ("load", "6018  ", "6018  ")]
    {
        let (first, rest) = lines(&explain(&url, &["--customer", customer]));
        assert_eq!(first, format!("asked the simulator at {url}"));
        assert!(rest.starts_with(asked), "{customer}: {rest}");
        assert_eq!(
            rest.contains("\nfault                reset by rule \"r\"\n"),
            customer == "put",
            "{rest}"
        );
        let (first, rest_alone) = lines(&explain(NOTHING, &["--customer", customer]));
        assert_eq!(first, offline);
        assert!(rest_alone.starts_with(alone), "{customer}: {rest_alone}");
        assert_eq!(rest == rest_alone, customer == "load", "the text is the same for both");
    }
    let count = exchange(served.admin(), &http("GET", "/requests", "", b"")).json();
    assert_eq!(count["requests"], serde_json::json!([]), "it consumes nothing");
}

#[test]
fn flags_that_make_sense_offline_only_mean_offline() {
    let served = Served::plain(&[]);
    let url = served.value("admin");
    let keys = KEYS.path().to_str().unwrap();
    for (flags, fixtures, why) in [
        (&["--offline"][..], "", "--offline"),
        (&["--fixtures", "own"], " and ./own", "--fixtures"),
        (&["--keys", keys], "", "--keys"),
        (&["--clock", MORNING], "", "--clock"),
    ] {
        let (first, rest) = lines(&explain(&url, flags));
        let line = format!(
            "offline: built-in fixtures{fixtures}; quotas and customers of a running simulator are not known ({why} is given)"
        );
        assert_eq!(first, line);
        assert!(rest.starts_with("6018  "), "{rest}");
    }
}

#[test]
fn json_stays_one_document_and_niks_are_shown_on_request_only() {
    let served = Served::plain(&[]);
    let url = served.value("admin");
    let masked = format!("{}XXXXXXXXXX", &SITIS_NIK[..6]);
    let mut documents = Vec::new();
    for (admin, says) in [(url.as_str(), "asked the simulator at "), (NOTHING, "offline: ")] {
        let out = explain(admin, &["--json", "--customer", "load"]);
        assert!(text(&out.stderr).starts_with(says), "{}", text(&out.stderr));
        let document: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(document["candidates"][0]["nik"], masked);
        documents.push(document);
        for (flags, shown, hidden) in
            [(&[][..], masked.as_str(), SITIS_NIK), (&["--show-nik"], SITIS_NIK, &masked)]
        {
            let (_, rest) = lines(&explain(admin, flags));
            assert!(rest.matches(shown).count() == 2 && !rest.contains(hidden), "{rest}");
        }
    }
    assert_eq!(documents[0], documents[1], "the same format");
}

#[test]
fn a_wrong_token_is_told_and_another_server_means_offline() {
    let served = Served::plain(&["--admin-token", "t"]);
    let url = served.value("admin");
    let wrong = explain(&url, &["--admin-token", "wrong"]);
    assert_eq!((wrong.status.code(), text(&wrong.stdout)), (Some(1), ""));
    let said = text(&wrong.stderr);
    assert!(said.contains("the admin token is missing or wrong") && said.contains("--offline"), "{said}");
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<a>";
    let (other, server) = crate::tail::serving(page.to_owned());
    let (first, rest) = lines(&explain(&other, &[]));
    server.join().unwrap();
    assert!(first.ends_with(&format!(" not known ({other} is not the admin API of a simulator)")), "{first}");
    assert!(rest.starts_with("6018  "), "{rest}");
    let (first, _) = lines(&explain(&url, &["--admin-token", "t"]));
    assert_eq!(first, format!("asked the simulator at {url}"));
}

#[test]
fn a_body_that_is_not_text_is_explained_offline() {
    let served = Served::plain(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("body");
    std::fs::write(&file, b"{\"ip\":\"\xff\"}").unwrap();
    let keys = Path::new(KEYS.path());
    let out = command(&["explain", file.to_str().unwrap(), "--admin", &served.value("admin")])
        .env("FRSIM_KEYS", keys)
        .output()
        .unwrap();
    let (first, rest) = lines(&out);
    assert!(
        first.starts_with("offline: ")
            && first.ends_with("(the body is not UTF-8, which POST /explain cannot carry)"),
        "{first}"
    );
    assert!(rest.starts_with("5004~  "), "{rest}");
}
