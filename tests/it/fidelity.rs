//! What answers rest on: compared with the answers of customers that have another value of one key, and the table of all behaviour.

use std::collections::{BTreeMap, BTreeSet};

use dukcapil_fr_sim::Preset;
use dukcapil_fr_sim::internals::conformance::call_spec::{
    Alteration, CallBody, CallField, CallHttp, CallPath, CallSpec, Subject,
};
use dukcapil_fr_sim::internals::conformance::cases::{CASES, FORM_KEYS};
use dukcapil_fr_sim::internals::conformance::pictures::{TestImage, TestPictures};
use dukcapil_fr_sim::internals::conformance::raw_client::Exchanger;
use dukcapil_fr_sim::internals::domain::fidelity::table;
use dukcapil_fr_sim::internals::domain::policy::{FIXED, KEYS};
use dukcapil_fr_sim::internals::protocol::Outcome;
use rand::rngs::ChaCha8Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::conformance::{subject, tcp};
use crate::support::{Answer, Body, SITI, Sim, exchange, http, stranger};
use crate::tidy::root;

/// Keys whose standing is assumed. `head` is in every answer's basis instead; an unknown customer has no policy of its own.
fn assumed() -> BTreeSet<&'static str> {
    let keys = KEYS.iter().filter(|key| key.standing.to_string() == "assumed").map(|key| key.name);
    keys.filter(|key| *key != "head").collect()
}

/// The keys that an entry or an explanation lists, each with what differs.
fn listed(entry: &Value) -> BTreeMap<String, String> {
    let all = entry["rests_on"].as_array().expect("every entry has it").iter();
    all.map(|one| {
        let text = |name: &str| one[name].as_str().expect("a text").to_owned();
        assert_eq!(text("standing"), "assumed");
        (text("key"), text("differs"))
    })
    .collect()
}

/// Other values of the keys, for a policy with the defaults and for one with the opposite.
fn other_values(is_opposite: bool) -> Vec<(&'static str, Value)> {
    let checks = ["parameters", "decryption", "account", "quota", "ip", "threshold", "image"];
    let orders = checks.map(|check| ("precedence", json!([check])));
    let [default, opposite] = policies();
    let other = if is_opposite { default } else { opposite };
    let single = other.as_object().unwrap().iter().filter(|(key, _)| *key != "precedence");
    let single =
        single.map(|(key, value)| (KEYS.iter().find(|known| known.name == key).unwrap().name, value.clone()));
    let more = [
        ("face_threshold", json!("7.0")),
        ("quota_counts", json!("identified")),
        ("quota_counts", json!("all")),
        ("quota_counts", json!("matched")),
    ];
    single.chain(orders).chain(more).collect()
}

fn policies() -> [Value; 2] {
    [
        json!({
            "transaction_id": "echo", "face_threshold": "echo", "numbers": "strict", "malformed_json": "5004", "content_type": "any",
            "accept": "any", "not_found": "6018", "quota_counts": "matched", "wrong_methode": "5004", "bad_image": "5004",
            "base64": "strict", "precedence": [],
        }),
        json!({
            "transaction_id": "literal", "face_threshold": "verbatim", "numbers": "loose", "malformed_json": "400", "content_type": "415",
            "accept": "406", "not_found": "6019", "quota_counts": "authenticated", "wrong_methode": "5001", "bad_image": "6015",
            "base64": "mime", "precedence": ["image", "threshold", "ip", "account"],
        }),
    ]
}

/// A request with up to three defects.
fn random_request(random: &mut ChaCha8Rng) -> CallSpec {
    let text = |field, text: &str| Alteration::Text(field, text.to_owned());
    let mut pool = vec![
        Alteration::Without(CallField::TransactionSource),
        Alteration::Undecryptable(CallField::UserId),
        Alteration::MadeUpPassword,
        Alteration::Wrapped(CallField::Password),
        Alteration::Wrapped(CallField::UserId),
        text(CallField::Ip, "x"),
        text(CallField::Threshold, "21"),
        text(CallField::Threshold, " 5"),
        text(CallField::Threshold, "8.50"),
        text(CallField::Threshold, "7.0"),
        Alteration::Number(CallField::TransactionSource, 11),
        Alteration::Number(CallField::TransactionId, 12),
        text(CallField::TransactionId, "nxGen NBAP TestTool"),
        Alteration::Image(TestImage::NotAnImage),
        Alteration::Image(TestImage::WrappedPortrait),
        Alteration::Image(TestImage::Face),
    ];
    pool.shuffle(random);
    pool.truncate(random.random_range(0..4));
    let usual = |random: &mut ChaCha8Rng| random.random_bool(0.75);
    let path = if usual(random) { CallPath::Own } else { CallPath::UnknownMethode };
    let http = [CallHttp::Usual, CallHttp::Usual, CallHttp::NoType, CallHttp::TextPlain, CallHttp::AcceptXml];
    let body = [CallBody::Fields, CallBody::Fields, CallBody::Fields, CallBody::Fields, CallBody::NotJson];
    CallSpec {
        path,
        http: *http.choose(random).unwrap(),
        body: *body.choose(random).unwrap(),
        ..CallSpec::but(pool)
    }
}

#[test]
fn an_answer_rests_on_exactly_the_keys_under_another_value_of_which_it_differs() {
    let (mut seen, mut unlisted) = (BTreeSet::new(), BTreeSet::new());
    for (is_opposite, base) in policies().into_iter().enumerate() {
        let others = other_values(is_opposite == 1);
        let customer =
            |policy: &Value| json!({ "extends": "demo", "quota": { "per_day": 4 }, "policy": policy });
        let sim = Sim::with(|builder| {
            let builder = builder.customer("base", customer(&base));
            others.iter().enumerate().fold(builder, |builder, (index, (key, value))| {
                let mut policy = base.clone();
                policy[*key] = value.clone();
                builder.customer(&format!("other-{index}"), customer(&policy))
            })
        });
        let subject_of = |id: &str| Subject { pictures: face(), ..subject(&sim, id) };
        let mut random = ChaCha8Rng::seed_from_u64(is_opposite as u64);
        for number in 0..60 {
            if number % 12 == 0 {
                sim.admin("PUT", "/clock", r#"{"advance":"24h"}"#);
            }
            let spec = random_request(&mut random);
            let send = |id: &str| {
                let call = spec.build(&subject_of(id), "cf-1").unwrap();
                let answer = tcp(sim.address()).exchange(&call).unwrap();
                // Spring's page names the path, and the time of its own clock.
                let is_documented = answer.status == 200;
                (answer.status, is_documented.then_some(answer.body))
            };
            // History apart, of which only `quota_counts` knows: the others begin with the same quota.
            let (_, quota) = sim.admin("GET", "/customers/base/quota", "");
            let used = json!({ "used": quota["used"] }).to_string();
            for (index, _) in others.iter().enumerate().filter(|(_, (key, _))| *key != "quota_counts") {
                sim.admin("PUT", &format!("/customers/other-{index}/quota"), &used);
            }
            let own = send("base");
            let entry = sim.last();
            let rests_on = listed(&entry);
            let differing = others.iter().enumerate().filter_map(|(index, (key, _))| {
                let (status, body) = send(&format!("other-{index}"));
                let code = |body: &Option<Vec<u8>>| body.as_ref().map(|body| code_of(body));
                let differs = if (status, code(&body)) == (own.0, code(&own.1)) { "value" } else { "code" };
                ((status, &body) != (own.0, &own.1)).then(|| ((*key).to_owned(), differs.to_owned()))
            });
            // Where a value differs under one value and the code under another, the code counts.
            let mut expected: BTreeMap<String, String> = BTreeMap::new();
            for (key, differs) in differing {
                let known = expected.entry(key).or_insert_with(|| differs.clone());
                if differs == "code" {
                    *known = differs;
                }
            }
            assert_eq!(rests_on, expected, "{is_opposite} {number} {spec:?}: {entry:#}");
            unlisted.extend(assumed().into_iter().filter(|key| !rests_on.contains_key(*key)));
            seen.extend(rests_on.into_keys());
        }
    }
    let all: BTreeSet<_> = assumed().into_iter().filter(|key| *key != "unknown_customer").collect();
    assert_eq!(
        seen.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        all,
        "each key matters for a request"
    );
    assert!(unlisted.is_superset(&all), "and for another it does not");
}

fn code_of(body: &[u8]) -> String {
    Answer { status: 200, head: String::new(), body: body.to_vec() }.code()
}

/// The portrait is nobody's; the face is in the gallery.
fn face() -> TestPictures {
    TestPictures::drawn(Some(SITI.to_vec()))
}

/// A request with the values of the document's samples.
fn documented(sim: &Sim) -> Body {
    sim.request().set("transactionId", "nxGen NBAP TestTool").set("threshold", "7.0")
}

#[test]
fn the_documents_answers_rest_on_nothing_and_each_part_has_its_section() {
    let sim = Sim::start();
    let good = documented(&sim);
    sim.admin("PUT", "/customers/demo/quota", r#"{"used":80}"#);
    for (code, customer, body, section) in [
        ("6018", "load", good.clone(), "doc 4.1, found"),
        ("5002", "demo", good.clone(), "doc 4.2"),
        ("5001", "load", good.clone().encrypted("user_id", "nobody"), "doc 4.3"),
        ("5003", "load", good.clone().set("ip", "192.0.2.1"), "doc 4.4"),
        ("5004", "load", good.clone().without("ip"), "doc 4.5, tid null and no response"),
        ("5005", "load", good.clone().set("threshold", "21"), "doc 4.6"),
        ("5006", "load", good.clone().set("password", "AAAA"), "doc 4.7"),
    ] {
        assert_eq!(sim.call(customer, body.text()).code(), code);
        let entry = sim.last();
        assert_eq!(entry["rests_on"], json!([]), "{code}");
        let known = json!({ "standing": "doc", "source": section });
        for part in ["code", "text", "shape", "white_space"] {
            assert_eq!(entry["basis"][part], known, "{code} {part}");
        }
        assert_eq!(entry["basis"]["head"]["standing"], "assumed");
    }
    for outcome in Outcome::documented() {
        for kind in ["sample", "always"] {
            assert_eq!(sim.call(&format!("{kind}-{}", outcome.code), good.text()).code(), outcome.code);
            let entry = sim.last();
            assert_eq!(entry["rests_on"], json!([]), "{kind} {}", outcome.code);
            assert_eq!(entry["basis"]["code"], json!({ "standing": null, "source": "a rule" }));
            assert_eq!(entry["basis"]["text"]["standing"], "doc");
        }
    }
    let (status, _) =
        sim.admin("POST", "/requests/verify", r#"{"match":{"rests_on":"assumed"},"count":{"exactly":0}}"#);
    assert_eq!(status, 200, "a test with only these passes");
}

#[test]
fn what_no_policy_key_decides_is_assumed_all_the_same() {
    let sim = Sim::start();
    assert_eq!(sim.call("load", documented(&sim).encrypted("password", "nobody's").text()).code(), "5001");
    let entry = sim.last();
    assert_eq!(entry["rests_on"], json!([]));
    let row = FIXED.iter().find(|fixed| fixed.name == "password").unwrap();
    assert_eq!(entry["basis"]["code"], json!({ "standing": "assumed", "source": row.source }));
}

#[test]
fn a_quota_below_what_is_surely_used_rests_on_nothing() {
    let sim = Sim::with(|builder| {
        builder.customer("own", json!({ "extends": "load", "quota": { "per_day": 10 } }))
    });
    for image in [picture(&stranger()), picture(SITI), picture(SITI)] {
        sim.call("own", documented(&sim).set("image", image).text());
    }
    for (per_day, keys) in [(3, vec!["quota_counts"]), (2, Vec::new())] {
        let quota = json!({ "per_day": per_day }).to_string();
        assert_eq!(sim.admin("PUT", "/customers/own/quota", &quota).0, 200);
        assert_eq!(sim.call("own", documented(&sim).text()).code(), "5002");
        assert_eq!(listed(&sim.last()).into_keys().collect::<Vec<_>>(), keys, "{per_day}");
    }
}

#[test]
fn deciding_again_is_no_stage_of_the_request() {
    let policy = |base64: &str| json!({ "extends": "load", "policy": { "base64": base64 } });
    let sim =
        Sim::with(|builder| builder.customer("strict", policy("strict")).customer("mime", policy("mime")));
    let wrapped: String =
        picture(SITI).as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\r\n").collect();
    let stages = || {
        let answer = exchange(sim.admin_address(), &http("GET", "/metrics", "", b""));
        let metrics = String::from_utf8(answer.body).unwrap();
        ["image", "match"].map(|stage| {
            let line = format!("frsim_stage_seconds_count{{stage=\"{stage}\"}} ");
            metrics
                .lines()
                .find_map(|text| text.strip_prefix(&line))
                .map_or(0, |count| count.parse::<u64>().unwrap())
        })
    };
    for (customer, code, keys, matched) in
        [("strict", "5004", &["bad_image", "base64"][..], 0), ("mime", "6018", &["base64"], 1)]
    {
        let [image, matches] = stages();
        assert_eq!(sim.call(customer, documented(&sim).set("image", &*wrapped).text()).code(), code);
        assert_eq!(listed(&sim.last()).into_keys().collect::<Vec<_>>(), keys, "{customer}");
        assert_eq!(stages(), [image + 1, matches + matched], "{customer}");
    }
}

#[test]
fn a_test_that_passes_only_thanks_to_a_guess_fails() {
    let sim = Sim::start();
    let good = documented(&sim);
    sim.call("load", good.text());
    sim.call("load", good.clone().set("image", picture(&stranger())).text());
    sim.call("load", good.clone().set("threshold", "8").text());
    sim.call("load", good.clone().set("threshold", "99").set("ip", "192.0.2.1").text());
    sim.call("nobody", good.text());
    let (status, unmet) =
        sim.admin("POST", "/requests/verify", r#"{"match":{"rests_on":"assumed"},"count":{"exactly":0}}"#);
    assert_eq!((status, &unmet["count"], &unmet["matched"]), (409, &json!(4), &json!([5, 4, 3, 2])));
    for (pattern, found) in [
        ("assumed", vec![5, 4, 3, 2]),
        ("code", vec![5, 4, 2]),
        ("value", vec![3]),
        ("not_found", vec![2]),
        ("/^(not_found|unknown_customer)$/", vec![5, 2]),
        ("precedence", vec![4]),
        ("measured", vec![]),
        ("layout", vec![]),
    ] {
        let path = format!("/requests?rests_on={}", pattern.replace('^', "%5E").replace('|', "%7C"));
        let (_, listing) = sim.admin("GET", &path, "");
        let ids: Vec<_> = listing["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, found, "{pattern}");
        let verify = json!({ "match": { "rests_on": pattern }, "count": found.len() });
        assert_eq!(sim.admin("POST", "/requests/verify", &verify.to_string()).0, 200, "{pattern}");
    }
    let entry = sim.admin("GET", "/requests/2", "").1;
    let guess = json!({
        "key": "not_found", "standing": "assumed", "other_value": "6019", "other_answer": "6019", "differs": "code",
    });
    assert_eq!(entry["rests_on"], json!([guess]));
    assert_eq!(entry["basis"]["code"], json!({ "standing": "assumed", "source": "policy not_found" }));
    let (_, near) =
        sim.admin("POST", "/requests/verify", r#"{"match":{"id":1,"rests_on":"assumed"},"count":1}"#);
    let differs = json!({ "rests_on": { "want": "assumed", "got": [] } });
    let nearest = near["nearest"].as_array().unwrap();
    assert!(nearest.contains(&json!({ "id": 1, "differs": differs })), "{near:#}");
}

fn picture(file: &[u8]) -> String {
    dukcapil_fr_sim::internals::protocol::encoding::encode(file)
}

#[test]
fn what_the_client_wrote_as_threshold_is_not_repeated() {
    let sim = Sim::start();
    for written in ["3174055708909001".to_owned(), format!("7.{}", "0".repeat(100_000))] {
        sim.call("always-6018", documented(&sim).set("threshold", written.as_str()).text());
        let entry = sim.last();
        assert_eq!(listed(&entry), BTreeMap::from([("face_threshold".to_owned(), "value".to_owned())]));
        assert!(
            !entry["rests_on"].to_string().contains("3174") && entry.to_string().len() < 5000,
            "{entry:#}"
        );
    }
}

#[test]
fn an_explanation_rests_on_what_the_answer_would_rest_on() {
    let sim = Sim::start();
    let good = documented(&sim);
    for body in [
        good.clone(),
        good.clone().set("image", picture(&stranger())),
        good.clone().set("threshold", " 21"),
        good.clone().set("image", "x").set("ip", "x"),
        good.clone().encrypted("user_id", "nobody"),
    ] {
        let explained = json!({ "customer_id": "demo", "body": body.members });
        let (_, explained) = sim.admin("POST", "/explain", &explained.to_string());
        sim.call("demo", body.text());
        let entry = sim.last();
        for part in ["rests_on", "basis"] {
            // A file of POST /explain has no headers, so they are not judged; those of the request are good.
            assert_eq!(explained[part], entry[part], "{part}");
        }
    }
    let nobody = json!({ "customer_id": "nobody", "body": good.members });
    let (_, explained) = sim.admin("POST", "/explain", &nobody.to_string());
    assert_eq!(listed(&explained).keys().collect::<Vec<_>>(), ["unknown_customer"]);
}

#[test]
fn what_a_rule_answers_rests_on_an_outcome_only_where_its_condition_does() {
    let sim = Sim::start();
    let nobody = documented(&sim).set("image", picture(&stranger()));
    let rests_on = |rule: Value| {
        sim.0.put_rule("load", "r", rule).unwrap();
        sim.call("load", nobody.text());
        listed(&sim.last()).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(rests_on(json!({ "reply": { "code": "6014" } })), [""; 0], "whatever the matcher says");
    assert_eq!(
        rests_on(json!({ "when": { "outcome": "6018" }, "reply": { "code": "6014" } })),
        ["not_found"]
    );
    assert_eq!(
        rests_on(json!({ "when": { "outcome": "6019" }, "reply": { "code": "6014" } })),
        ["not_found"]
    );
    assert_eq!(rests_on(json!({ "reply": { "status": 503, "body": "" } })), [""; 0]);
    assert_eq!(sim.last()["basis"], Value::Null, "not the document's");
    assert_eq!(
        rests_on(json!({ "fault": { "kind": "gateway_page" } })),
        ["not_found"],
        "of what was decided"
    );
}

#[test]
fn what_was_measured_is_not_assumed_until_something_else_sets_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("measured.toml");
    let measured = |key: &str, case: &str| {
        format!(
            "[[measured]]\nkey = '{key}'\nat = '2026-12-01T20:51:07+07:00'\ntarget = 'fr-1n'\nrun = 'run-1'\ncases = ['{case}']\n"
        )
    };
    let text = "[policy]\nnot_found = '6018'\nhead = 'tomcat'\nlayout = 'compact'\n".to_owned()
        + &["not_found", "head", "layout"].map(|key| measured(key, "match/none")).concat();
    std::fs::write(&path, text).unwrap();
    let sim = Sim::with(|builder| {
        builder
            .preset(Preset::Measured(path.clone()))
            .customer("own", json!({ "extends": "load", "policy": { "not_found": "6018" } }))
    });
    let nobody = documented(&sim).set("image", picture(&stranger())).text();
    sim.call("load", &nobody);
    let entry = sim.last();
    assert_eq!(entry["rests_on"], json!([]));
    for part in ["white_space", "head"] {
        assert_eq!(entry["basis"][part]["standing"], "measured", "{part}");
    }
    sim.call("own", &nobody);
    assert_eq!(listed(&sim.last()).into_keys().collect::<Vec<_>>(), ["not_found"]);
    let (_, fidelity) = sim.admin("GET", "/fidelity", "");
    let row = |name: &str| {
        let rows = fidelity["behaviours"].as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    let not_found = row("not_found");
    assert_eq!(
        [
            &not_found["standing"],
            &not_found["value"],
            &not_found["source"],
            &not_found["date"],
            &not_found["cases"]
        ],
        [
            &json!("measured"),
            &json!("6018"),
            &json!("fr-1n in run-1"),
            &json!("2026-12-01T20:51:07+07:00"),
            &json!(["match/none"])
        ]
    );
    assert_eq!(row("accept")["standing"], "assumed");
    assert_eq!(row("5001")["kind"], "code");
    assert_eq!(
        fidelity["behaviours"].as_array().unwrap().len(),
        table::behaviours(&Default::default()).len()
    );
}

#[test]
fn the_page_of_all_behaviour_is_up_to_date() {
    let (path, page) = (root().join("docs/reference/fidelity.md"), table::markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(path, page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/fidelity.md is old: UPDATE_DOCS=1 cargo test --test it fidelity::"
    );
}

#[test]
fn every_case_of_the_suite_may_change_our_mind_about_something() {
    let behaviours = table::behaviours(&Default::default());
    let named: BTreeSet<_> = behaviours.iter().flat_map(|row| row.cases.iter().map(String::as_str)).collect();
    let cases: BTreeSet<_> = CASES.iter().map(|case| case.id).collect();
    assert_eq!(named, cases);
    for key in &KEYS {
        let asking: BTreeSet<_> =
            CASES.iter().filter(|case| case.keys.contains(&key.name)).map(|case| case.id).collect();
        let listed: BTreeSet<_> = key.cases.iter().copied().collect();
        let is_form = FORM_KEYS.contains(&key.name);
        assert!(
            if is_form { !listed.is_empty() } else { listed == asking },
            "{}: {listed:?} {asking:?}",
            key.name
        );
    }
    let names: BTreeSet<_> = behaviours.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), behaviours.len(), "a name twice");
    assert!(
        FIXED.iter().all(|fixed| !fixed.source.is_empty()) && KEYS.iter().all(|key| !key.source.is_empty())
    );
}
