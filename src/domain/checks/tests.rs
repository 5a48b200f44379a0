//! Every check as a table of cases: input, status and reason.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use super::*;
use crate::base::network::AllowedNetwork;
use crate::domain::capacity::Availability;
use crate::domain::customer::{Account, Customer};
use crate::domain::evidence::{Credential, Evidence, Photo};
use crate::domain::policy::Policy;
use crate::domain::quota::QuotaView;
use crate::keys::PrivateKey;
use crate::protocol::{Body, Code};

static KEY: LazyLock<Arc<PrivateKey>> =
    LazyLock::new(|| Arc::new(PrivateKey::generate("test", 1024).unwrap()));

fn customer() -> Customer {
    Customer {
        extends: None,
        id: "demo".to_owned(),
        methode: vec!["CALL_FN".to_owned()],
        account: Account { user_id: "demo-user".to_owned(), password: "demo-password".to_owned() },
        allow: Some(["10.0.0.0/8", "127.0.0.1"].map(|net| net.parse::<AllowedNetwork>().unwrap()).to_vec()),
        access_peer: false,
        per_day: Some(80),
        policy: Arc::default(),
        key: Arc::clone(&KEY),
        capacity: None,
        rules: Vec::new(),
        gallery: crate::domain::matcher::Gallery::default(),
        shared_gallery: true,
        population: 0,
    }
}

const GOOD: &str = r#"{"transactionId":"T","transactionSource":"test","threshold":"5","image":"AA==","user_id":"AA==","password":"AA==","ip":"10.0.0.1"}"#;

fn decrypted(plain: &str) -> Credential {
    Credential::Opened { plain: plain.to_owned(), line_breaks: false }
}

/// What a case may change of the good one.
struct Case {
    methode: &'static str,
    peer: Option<IpAddr>,
    evidence: Evidence<'static>,
    quota: QuotaView,
    availability: Option<Availability>,
}

/// Evaluates the checks on the good case, modified by `change`.
fn evaluate(json: &str, customer: Option<&Customer>, change: impl Fn(&mut Case)) -> Vec<Finding> {
    let body = Body::decode(json.as_bytes());
    let policy = customer.map_or_else(Arc::<Policy>::default, |customer| Arc::clone(&customer.policy));
    let mut case = Case {
        methode: "CALL_FN",
        peer: None,
        evidence: Evidence {
            user_id: decrypted("demo-user"),
            password: decrypted("demo-password"),
            photo: Some(photo()),
            owner_of_user_id: None,
        },
        quota: QuotaView { per_day: Some(80), used: 0 },
        availability: Some(Availability::Unlimited),
    };
    change(&mut case);
    assess(&CheckInput {
        body: &body,
        customer_id: customer.map_or("nobody", |customer| customer.id.as_str()),
        methode: case.methode,
        customer,
        policy: &policy,
        peer: case.peer,
        evidence: &case.evidence,
        quota: case.quota,
        availability: case.availability,
    })
}

fn photo() -> Photo<'static> {
    let mut png = std::io::Cursor::new(Vec::new());
    ::image::DynamicImage::new_rgb8(4, 4).write_to(&mut png, ::image::ImageFormat::Png).unwrap();
    Photo::of_file(png.into_inner(), &crate::domain::limits::Limits::default())
}

#[track_caller]
fn expect(findings: &[Finding], check: Check, status: Status, code: Option<&str>, reason: &str) {
    let finding = findings.iter().find(|finding| finding.check == check).expect("a finding");
    assert_eq!(finding.status, status, "{}", finding.reason);
    assert_eq!(finding.code.as_ref().map(Code::as_str), code);
    assert!(finding.reason.contains(reason), "{}", finding.reason);
    assert_eq!(finding.hint.is_some(), status == Status::Failed, "exactly a failed finding has a hint");
}

#[test]
fn a_good_case_passes_every_check() {
    for finding in evaluate(GOOD, Some(&customer()), |_| {}) {
        assert_eq!(finding.status, Status::Passed, "{:?}: {}", finding.check, finding.reason);
    }
}

#[test]
fn there_is_a_finding_for_every_check_in_the_default_order() {
    let findings = evaluate("", None, |_| {});
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, Check::ALL);
}

#[test]
fn capacity() {
    let demo = customer();
    for (availability, status, reason) in [
        (None, Status::Unknown, "evaluated only when no other check failed"),
        (Some(Availability::Unlimited), Status::Passed, "any number"),
        (Some(Availability::WorkerFree { busy: 1, workers: 4 }), Status::Passed, "1 of 4 workers are busy"),
        (
            Some(Availability::MustWait { workers: 1, waiting: 0 }),
            Status::Passed,
            "the only worker is busy; no request waits",
        ),
        (
            Some(Availability::MustWait { workers: 4, waiting: 1 }),
            Status::Passed,
            "1 request waits before it",
        ),
        (
            Some(Availability::Full { workers: 4, waiting: 16 }),
            Status::Failed,
            "all 4 workers are busy and 16 requests wait",
        ),
    ] {
        let code = (status == Status::Failed).then_some("6014");
        expect(
            &evaluate(GOOD, Some(&demo), |case| case.availability = availability),
            Check::Capacity,
            status,
            code,
            reason,
        );
    }
}

#[test]
fn parameters() {
    let demo = customer();
    let failed = |json: &str, reason: &str| {
        let findings = evaluate(json, Some(&demo), |_| {});
        expect(&findings, Check::Parameters, Status::Failed, Some("5004"), reason);
    };
    failed("", "the body is empty");
    failed(&GOOD.replace("\"5\"", "\"five\""), "threshold is the string \"five\"");
    failed(&GOOD.replace(r#""ip":"10.0.0.1""#, r#""ip":"""#), "ip is empty");
    failed("{}", "transactionId is missing; transactionSource is missing");
    let other = evaluate(GOOD, Some(&demo), |case| case.methode = "CALL_FR");
    expect(
        &other,
        Check::Parameters,
        Status::Failed,
        Some("5004"),
        "methode \"CALL_FR\" is not the customer's",
    );
    let both = evaluate(&GOOD.replace("\"T\"", "1"), Some(&demo), |case| case.methode = "CALL_FR");
    expect(
        &both,
        Check::Parameters,
        Status::Failed,
        Some("5004"),
        "not a string; methode \"CALL_FR\" is not",
    );
    let unknown = evaluate(GOOD, None, |case| case.methode = "CALL_FR");
    expect(&unknown, Check::Parameters, Status::Passed, None, "");
    let mut lenient = customer();
    Arc::make_mut(&mut lenient.policy).wrong_methode = Code::ACCOUNT;
    let other = evaluate(GOOD, Some(&lenient), |case| case.methode = "CALL_FR");
    expect(&other, Check::Parameters, Status::Failed, Some("5001"), "methode");
}

#[test]
fn decryption() {
    let demo = customer();
    let rejected = |text: &str| Credential::Refused { reason: text.to_owned(), hint: "do".to_owned() };
    let both = evaluate(GOOD, Some(&demo), |case| {
        case.evidence.user_id = rejected("is bad");
        case.evidence.password = rejected("is worse");
    });
    expect(&both, Check::Decryption, Status::Failed, Some("5006"), "user_id is bad; password is worse");
    expect(&both, Check::Account, Status::Unknown, None, "could not both be decrypted");
    let absent = evaluate(GOOD, Some(&demo), |case| case.evidence.password = Credential::Absent);
    expect(&absent, Check::Decryption, Status::Unknown, None, "there is no password");
}

#[test]
fn account() {
    let demo = customer();
    let failed = |user: &str, password: &str, reason: &str| {
        let findings = evaluate(GOOD, Some(&demo), |case| {
            case.evidence.user_id = decrypted(user);
            case.evidence.password = decrypted(password);
        });
        expect(&findings, Check::Account, Status::Failed, Some("5001"), reason);
        let finding = findings.iter().find(|finding| finding.check == Check::Account).unwrap();
        assert!(!finding.reason.contains("geheim"), "the reason contains the value that was sent");
    };
    failed(
        "demo-user\n",
        "demo-password",
        "user_id was decrypted, but it is the account's value with a line break at the end",
    );
    failed(" demo-user", "demo-password", "it is the account's value with white space before it");
    failed("DEMO-user", "demo-password", "the account's value in other upper and lower case");
    failed("demo-user\0", "demo-password", "the account's value with a NUL byte at the end");
    failed("demo-user:demo-password", "demo-password", "user_id and password in one text");
    failed("demo-user", "", "password was decrypted, but is empty");
    failed(
        "x",
        "y",
        "user_id was decrypted, but is not this customer's; password was decrypted, but is not this customer's",
    );
    failed(
        "demo-password",
        "demo-user",
        "user_id was decrypted, but it is the other field's value; password was decrypted, but it is the other",
    );
    failed("demo-user", "geheim", "password was decrypted, but is not this customer's");
    let other = evaluate(GOOD, Some(&demo), |case| {
        case.evidence.user_id = decrypted("bank");
        case.evidence.owner_of_user_id = Some("bank".to_owned());
    });
    expect(&other, Check::Account, Status::Failed, Some("5001"), "user_id is that of customer bank");
    let wrong_user = evaluate(GOOD, Some(&demo), |case| {
        case.evidence.user_id = decrypted("x");
        case.evidence.password = Credential::Absent;
    });
    expect(&wrong_user, Check::Account, Status::Failed, Some("5001"), "not this customer's");
    let unknown = evaluate(GOOD, None, |_| {});
    expect(&unknown, Check::Account, Status::Failed, Some("5001"), "no customer has the id \"nobody\"");
}

#[test]
fn quota() {
    let demo = customer();
    let with = |per_day, used| evaluate(GOOD, Some(&demo), |case| case.quota = QuotaView { per_day, used });
    expect(&with(Some(80), 79), Check::Quota, Status::Passed, None, "1 of 80 left");
    expect(&with(Some(80), 80), Check::Quota, Status::Failed, Some("5002"), "quota of 80 is used up");
    expect(&with(Some(80), 99), Check::Quota, Status::Failed, Some("5002"), "used up");
    expect(&with(Some(0), 0), Check::Quota, Status::Failed, Some("5002"), "used up");
    expect(&with(None, 99), Check::Quota, Status::Passed, None, "no limit");
    expect(&evaluate(GOOD, None, |_| {}), Check::Quota, Status::Unknown, None, "unknown");
}

#[test]
fn ip() {
    let demo = customer();
    let with = |ip: &str| evaluate(&GOOD.replace("10.0.0.1", ip), Some(&demo), |_| {});
    expect(&with("127.0.0.1"), Check::Ip, Status::Passed, None, "127.0.0.1");
    expect(
        &with("11.0.0.1"),
        Check::Ip,
        Status::Failed,
        Some("5003"),
        "11.0.0.1 is not in the customer's allow list",
    );
    for invalid in ["localhost", " 10.0.0.1", "10.0.0.1:80", "10.0.0.01", "10.0.0"] {
        expect(&with(invalid), Check::Ip, Status::Failed, Some("5003"), "is not an IP address");
    }
    expect(&evaluate("{}", Some(&demo), |_| {}), Check::Ip, Status::Unknown, None, "no ip");
    let open = Customer { allow: None, ..customer() };
    expect(
        &evaluate(&GOOD.replace("10.0.0.1", "8.8.8.8"), Some(&open), |_| {}),
        Check::Ip,
        Status::Passed,
        None,
        "",
    );
    let closed = Customer { allow: Some(Vec::new()), ..customer() };
    expect(&evaluate(GOOD, Some(&closed), |_| {}), Check::Ip, Status::Failed, Some("5003"), "not in");
}

#[test]
fn the_peer_is_checked_only_with_access_peer() {
    let strict = Customer { access_peer: true, ..customer() };
    let with = |customer: &Customer, peer: &str| {
        evaluate(GOOD, Some(customer), |case| case.peer = Some(peer.parse().unwrap()))
    };
    expect(
        &with(&strict, "192.168.0.1"),
        Check::Ip,
        Status::Failed,
        Some("5003"),
        "the connection's peer 192.168.0.1",
    );
    expect(&with(&strict, "10.9.9.9"), Check::Ip, Status::Passed, None, "");
    expect(&with(&strict, "::ffff:10.9.9.9"), Check::Ip, Status::Passed, None, "");
    expect(&evaluate(GOOD, Some(&strict), |_| {}), Check::Ip, Status::Unknown, None, "peer is unknown");
    let without_ip = evaluate("{}", Some(&strict), |case| case.peer = Some([192, 168, 0, 1].into()));
    expect(&without_ip, Check::Ip, Status::Failed, Some("5003"), "the connection's peer 192.168.0.1");
    expect(&with(&customer(), "192.168.0.1"), Check::Ip, Status::Passed, None, "");
}

#[test]
fn threshold() {
    let demo = customer();
    let with = |json: &str| evaluate(&GOOD.replace("\"5\"", json), Some(&demo), |_| {});
    for good in ["1", "20", "\"1.0\"", "7.25", "20.0", "1e1"] {
        expect(&with(good), Check::Threshold, Status::Passed, None, "within");
    }
    for bad in ["0.999", "20.001", "0", "-5", "\"21\"", "1e999"] {
        expect(&with(bad), Check::Threshold, Status::Failed, Some("5005"), "is not within 1 to 20");
    }
    expect(&with("\"x\""), Check::Threshold, Status::Unknown, None, "no threshold");
}

#[test]
fn image() {
    let mut demo = customer();
    Arc::make_mut(&mut demo.policy).bad_image = Code::BAD_PHOTO;
    let broken = evaluate(GOOD, Some(&demo), |case| {
        case.evidence.photo =
            Some(Photo::of_file(b"GIF89a".to_vec(), &crate::domain::limits::Limits::default()))
    });
    expect(&broken, Check::Image, Status::Failed, Some("6015"), "image is GIF, not a jpg or png");
    let none = evaluate(GOOD, Some(&demo), |case| case.evidence.photo = None);
    expect(&none, Check::Image, Status::Unknown, None, "no image");
}

#[test]
fn the_precedence_decides_which_failure_is_answered() {
    let findings = evaluate("{}", None, |case| {
        case.evidence.user_id = Credential::Refused { reason: "x".to_owned(), hint: "y".to_owned() };
    });
    let first = |order: &[Check]| first_failed(&findings, order).map(|finding| finding.check);
    assert_eq!(first(&Check::ALL), Some(Check::Parameters));
    assert_eq!(first(&[Check::Threshold, Check::Account, Check::Parameters]), Some(Check::Account));
    assert_eq!(first(&[Check::Quota, Check::Ip]), None, "an unknown check has not failed");
    assert_eq!(
        evaluate(GOOD, Some(&customer()), |_| {}).iter().filter(|f| f.status == Status::Failed).count(),
        0
    );
}
