//! Customers over the admin API: one per test on a shared server, and the state controlled for each.

use dukcapil_fr_sim::internals::state::customers::CustomerInput;
use serde_json::{Value, json};

use crate::support::{Answer, Body, MORNING, SITIS_NIK, Sim, in_parallel, thread_count};

/// Returns a valid request of a customer from the API.
fn request(customer: &Value) -> Body {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Body::encrypted_with(&text(&customer["public_key_pem"]))
        .encrypted("user_id", &text(&customer["account"]["user_id"]))
        .encrypted("password", &text(&customer["account"]["password"]))
}

fn call(sim: &Sim, customer: &Value) -> Answer {
    sim.post(customer["path"].as_str().unwrap(), request(customer).text())
}

fn create(sim: &Sim, input: &Value) -> Value {
    let (status, customer) = sim.admin("POST", "/customers", &input.to_string());
    assert_eq!(status, 201, "{customer}");
    customer
}

fn id(customer: &Value) -> &str {
    customer["customer_id"].as_str().unwrap()
}

/// Calls the admin API, expects success and returns the answer.
#[track_caller]
fn admin_ok(sim: &Sim, method: &str, path: &str, body: Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = sim.admin(method, path, &body);
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

#[track_caller]
fn patch(sim: &Sim, customer: &Value, body: Value) -> Value {
    admin_ok(sim, "PATCH", &format!("/customers/{}", id(customer)), body)
}

/// Calls the admin API, expects an error and returns its status, code and path.
#[track_caller]
fn admin_error(sim: &Sim, method: &str, path: &str, body: &str) -> (u16, String, Value) {
    let (status, answer) = sim.admin(method, path, body);
    assert!((400..500).contains(&status), "{method} {path}: {status} {answer}");
    let error = &answer["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    (status, error["code"].as_str().unwrap().to_owned(), error["path"].clone())
}

#[test]
fn a_created_customer_is_returned_completely_and_works_at_once() {
    let sim = Sim::start();
    let (status, customer) = sim.admin("POST", "/customers", "");
    assert_eq!(status, 201);
    assert_eq!(customer["methode"], json!(["CALL_FN"]));
    assert_eq!((&customer["extends"], &customer["quota"]), (&json!("demo"), &json!({ "per_day": null })));
    assert_eq!((&customer["source"], &customer["expires"]), (&json!("api"), &Value::Null));
    assert_ne!(customer["account"]["user_id"], "demo-user");
    assert_eq!(call(&sim, &customer).code(), "6018");
    assert_eq!(sim.call(id(&customer), sim.request().text()).code(), "5001", "demo's account is not its own");
    let all = admin_ok(&sim, "GET", "/customers", Value::Null);
    let listed = all["customers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["customer_id"] == customer["customer_id"]);
    assert_eq!(listed.unwrap()["source"], "api");
    assert_eq!(admin_ok(&sim, "GET", &format!("/customers/{}", id(&customer)), Value::Null), customer);
}

#[test]
fn the_same_calls_after_a_start_create_the_same_customers() {
    let made = |seed| {
        let sim = Sim::with(|builder| builder.seed(seed));
        let both = [create(&sim, &json!({})), create(&sim, &json!({ "ttl": "5m" }))];
        both.map(|customer| (customer["customer_id"].clone(), customer["account"].clone()))
    };
    let first = made(1);
    assert_eq!(first, made(1));
    assert_ne!(first[0], first[1]);
    assert_ne!(first, made(2));
}

#[test]
fn parallel_tests_on_one_server_are_isolated() {
    let sim = Sim::with(|builder| builder.workers(thread_count()));
    in_parallel(thread_count().max(50), |number| isolated_test(&sim, number));
    assert_eq!(sim.call("demo", sim.request().text()).code(), "6018", "and the fixtures' are untouched");
    assert_eq!(admin_ok(&sim, "GET", "/clock", Value::Null)["now"], MORNING);
}

/// One test with its own quota, rule, state, clock and journal view, isolated from the others.
fn isolated_test(sim: &Sim, number: usize) {
    let quota = number % 4 + 1;
    let customer = create(sim, &json!({ "quota": { "per_day": quota }, "ttl": "10m" }));
    let at = |path: &str| format!("/customers/{}{path}", id(&customer));
    let own_code = format!("X-{number}");
    admin_ok(sim, "PUT", &at("/rules/own"), json!({ "times": 1, "reply": { "code": own_code } }));
    admin_ok(sim, "PUT", &at("/state"), json!({ "state": own_code }));
    assert_eq!(call(sim, &customer).code(), own_code);
    for _ in 0..quota {
        assert_eq!(call(sim, &customer).code(), "6018");
    }
    assert_eq!(call(sim, &customer).code(), "5002");
    admin_ok(sim, "PUT", &at("/clock"), json!({ "advance": format!("{}h", 24 * (number + 1)) }));
    assert_eq!(call(sim, &customer).code(), "6018", "a new day on this clock only");
    assert_eq!(admin_ok(sim, "GET", &at("/state"), Value::Null)["state"], own_code);
    assert_eq!(admin_ok(sim, "GET", &at("/quota"), Value::Null)["used"], 1);
    let verify = json!({ "match": { "customer_id": id(&customer) }, "count": { "exactly": quota + 3 } });
    assert_eq!(admin_ok(sim, "POST", "/requests/verify", verify)["count"], quota + 3);
    admin_ok(sim, "DELETE", &at(""), Value::Null);
    assert_eq!(call(sim, &customer).code(), "5001");
}

#[test]
fn put_creates_and_replaces_and_is_idempotent() {
    let sim = Sim::start();
    let spec = json!({ "extends": "demo", "quota": { "per_day": 5 }, "rules": [{ "name": "h", "times": 1, "reply": { "code": "6014" } }] });
    let first = admin_ok(&sim, "PUT", "/customers/bank", spec.clone());
    assert_eq!(sim.call("bank", sim.request().text()).code(), "6014");
    assert_eq!(admin_ok(&sim, "PUT", "/customers/bank", spec), first);
    assert_eq!(sim.call("bank", sim.request().text()).code(), "6018", "the rule's count continues");
    assert_eq!(
        admin_ok(&sim, "GET", "/customers/bank/quota", Value::Null)["used"],
        2,
        "and so does the quota"
    );
    let put_back = admin_ok(&sim, "PUT", "/customers/bank", first.clone());
    assert_eq!(put_back, first, "what is shown can be put");
    let other =
        json!({ "extends": "demo", "rules": [{ "name": "h", "times": 1, "reply": { "code": "5000" } }] });
    admin_ok(&sim, "PUT", "/customers/bank", other);
    assert_eq!(sim.call("bank", sim.request().text()).code(), "5000", "another rule begins anew");
}

#[test]
fn deleting_an_overlay_restores_the_fixture_customer() {
    let sim = Sim::start();
    admin_ok(&sim, "PUT", "/customers/demo", json!({ "extends": "demo", "quota": { "per_day": 1 } }));
    assert_eq!(sim.call("demo", sim.request().text()).code(), "6018");
    assert_eq!(sim.call("demo", sim.request().text()).code(), "5002");
    admin_ok(&sim, "DELETE", "/customers/demo", Value::Null);
    assert_eq!(sim.call("demo", sim.request().text()).code(), "6018");
    assert_eq!(admin_ok(&sim, "GET", "/customers/demo", Value::Null)["source"], "fixtures");
    let (status, code, _) = admin_error(&sim, "DELETE", "/customers/demo", "");
    assert_eq!((status, code.as_str()), (409, "in_fixtures"));
    assert_eq!(admin_error(&sim, "DELETE", "/customers/nobody", "").0, 404);
}

#[test]
fn patch_merges_into_the_specification() {
    let sim = Sim::start();
    admin_ok(
        &sim,
        "PUT",
        "/customers/bank",
        json!({ "extends": "demo", "quota": { "per_day": 5 }, "access": { "peer": true } }),
    );
    let patched =
        admin_ok(&sim, "PATCH", "/customers/bank", json!({ "quota": { "per_day": 6 }, "access": null }));
    assert_eq!((&patched["quota"]["per_day"], &patched["access"]["peer"]), (&json!(6), &Value::Null));
    let patched = admin_ok(&sim, "PATCH", "/customers/bank", json!({ "quota": { "per_day": null } }));
    assert_eq!(patched["quota"]["per_day"], 80, "inherited again");
    let of_fixture = admin_ok(&sim, "PATCH", "/customers/flaky", json!({ "quota": { "per_day": 3 } }));
    assert_eq!((&of_fixture["source"], &of_fixture["quota"]["per_day"]), (&json!("api"), &json!(3)));
    assert!(!of_fixture["rules"].as_array().unwrap().is_empty(), "its rules stay");
    assert_eq!(admin_error(&sim, "PATCH", "/customers/nobody", "{}").0, 404);
    let (status, _, path) = admin_error(&sim, "PATCH", "/customers/bank", r#"{"quota":{"per_dy":1}}"#);
    assert_eq!((status, path), (400, json!("/quota/per_dy")));
}

#[test]
fn a_customer_expires_on_the_simulators_clock() {
    let sim = Sim::start();
    let customer = create(&sim, &json!({ "ttl": "5m" }));
    assert_eq!(customer["expires"], "2026-11-21T10:05:00+07:00");
    admin_ok(&sim, "PUT", &format!("/customers/{}/clock", id(&customer)), json!({ "advance": "25h" }));
    assert_eq!(call(&sim, &customer).code(), "6018", "its own clock does not end it");
    let patched = patch(&sim, &customer, json!({ "quota": { "per_day": 9 } }));
    assert_eq!(patched["expires"], customer["expires"], "a patch leaves its end");
    let other = create(&sim, &json!({ "ttl": "5m" }));
    let with_ttl = |ttl| patch(&sim, &other, json!({ "ttl": ttl }));
    assert_eq!(with_ttl(json!("7m"))["expires"], "2026-11-21T10:07:00+07:00", "unless it states another");
    assert_eq!(with_ttl(Value::Null)["expires"], Value::Null, "or that there is none");
    admin_ok(&sim, "PUT", "/clock", json!({ "advance": "5m" }));
    assert_eq!(call(&sim, &customer).code(), "5001");
    assert_eq!(sim.admin("GET", &format!("/customers/{}", id(&customer)), "").0, 404);
    assert_eq!(call(&sim, &other).code(), "6018");
}

/// Puts and removes one customer on many threads, without HTTP between them.
#[test]
fn a_put_returns_its_own_customer_despite_concurrent_puts_and_deletes() {
    const ROUNDS: usize = 200;
    let sim = Sim::start();
    let (engine, contested) = (sim.0.engine(), "contested".parse().unwrap());
    let removed = in_parallel(thread_count(), |thread| {
        let round = |round: usize| {
            let per_day = thread * ROUNDS + round;
            let input = CustomerInput::read(json!({ "extends": "demo", "quota": { "per_day": per_day } }));
            let put = engine.put_customer(&contested, input.unwrap()).unwrap();
            assert_eq!(put.customer.per_day, Some(per_day as u64), "another one's customer");
            engine.remove_customer(&contested).is_ok()
        };
        (0..ROUNDS).filter(|number| round(*number)).count()
    });
    let (all, removed) = (removed.len() * ROUNDS, removed.into_iter().sum::<usize>());
    assert!(0 < removed && removed < all, "{removed} of {all} were removed: the calls did not overlap");
    assert_eq!(sim.admin("GET", "/customers/contested", "").0, 404);
}

#[test]
fn a_put_is_answered_with_its_own_customer_despite_concurrent_puts_and_deletes() {
    const ROUNDS: usize = 50;
    let sim = Sim::start();
    in_parallel(thread_count(), |thread| {
        for round in 0..ROUNDS {
            let per_day = thread * ROUNDS + round;
            let spec = json!({ "extends": "demo", "quota": { "per_day": per_day } });
            let put = admin_ok(&sim, "PUT", "/customers/contested", spec);
            assert_eq!(put["quota"]["per_day"], per_day, "another one's customer");
            let status = sim.admin("DELETE", "/customers/contested", "").0;
            assert!([200, 404].contains(&status), "{status}");
        }
    });
}

#[test]
fn a_key_can_be_generated_for_a_customer() {
    let sim = Sim::start();
    let customer = create(&sim, &json!({ "key": "generate" }));
    let server = sim.0.public_key_pem();
    assert_ne!(customer["public_key_pem"].as_str(), Some(server.as_str()));
    assert_eq!(call(&sim, &customer).code(), "6018");
    let with_servers_key =
        sim.request().encrypted("user_id", customer["account"]["user_id"].as_str().unwrap());
    let answer = sim.post(customer["path"].as_str().unwrap(), with_servers_key.text());
    assert_eq!(answer.code(), "5006");
    let reason = sim.last()["answer"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("was encrypted with another known key"), "{reason}");
    let again = patch(&sim, &customer, json!({ "quota": { "per_day": 9 } }));
    assert_eq!(again["public_key_pem"], customer["public_key_pem"], "it keeps its key");
}

#[test]
fn customers_extend_each_other_and_follow_each_others_changes() {
    let sim = Sim::start();
    admin_ok(&sim, "PUT", "/customers/base", json!({ "extends": "demo", "quota": { "per_day": 5 } }));
    admin_ok(&sim, "PUT", "/customers/child", json!({ "extends": "base" }));
    admin_ok(&sim, "PUT", "/customers/base", json!({ "extends": "demo", "quota": { "per_day": 6 } }));
    assert_eq!(admin_ok(&sim, "GET", "/customers/child", Value::Null)["quota"]["per_day"], 6);
    let (status, answer) = sim.admin("DELETE", "/customers/base", "");
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("in_use")));
    assert_eq!(
        answer["error"]["message"],
        "child extends it and would become invalid: there would be no customer base to extend"
    );
    let (status, _, path) = admin_error(&sim, "PUT", "/customers/base", r#"{"extends":"child"}"#);
    assert_eq!((status, path), (400, json!("/extends")), "circular extends");
    assert_eq!(admin_error(&sim, "PUT", "/customers/other", r#"{"extends":"nobody"}"#).2, "/extends");
    assert_eq!(
        admin_ok(&sim, "GET", "/customers/child", Value::Null)["quota"]["per_day"],
        6,
        "nothing changed"
    );
}

#[test]
fn an_expired_base_does_not_affect_others() {
    let sim = Sim::start();
    admin_ok(
        &sim,
        "PUT",
        "/customers/base",
        json!({ "extends": "demo", "quota": { "per_day": 5 }, "ttl": "1m" }),
    );
    admin_ok(&sim, "PUT", "/customers/child", json!({ "extends": "base" }));
    let before = admin_ok(&sim, "GET", "/customers/child", Value::Null);
    admin_ok(&sim, "PUT", "/clock", json!({ "advance": "2m" }));
    let other = json!({ "account": { "user_id": "q", "password": "q" } });
    assert_eq!(admin_ok(&sim, "PUT", "/customers/demo", other)["account"]["user_id"], "q");
    admin_ok(&sim, "PATCH", "/customers/demo", json!({ "quota": { "per_day": 7 } }));
    admin_ok(&sim, "DELETE", "/customers/demo", Value::Null);
    assert_eq!(admin_ok(&sim, "GET", "/customers/child", Value::Null), before, "it stays as it was");
    let (status, answer) = sim.admin("PUT", "/customers/child", r#"{"extends":"base"}"#);
    assert_eq!((status, &answer["error"]["path"]), (400, &json!("/extends")));
    assert!(answer["error"]["hint"].as_str().unwrap().contains("leave out extends"), "{answer}");
    let mut alone = before.clone();
    alone.as_object_mut().unwrap().shift_remove("extends");
    assert_eq!(admin_ok(&sim, "PUT", "/customers/child", alone)["quota"]["per_day"], 5, "it needs no base");
}

#[test]
fn a_restored_base_is_followed_again() {
    let sim = Sim::start();
    admin_ok(&sim, "PUT", "/customers/base", json!({ "extends": "demo", "ttl": "1m" }));
    admin_ok(&sim, "PUT", "/customers/child", json!({ "extends": "base" }));
    admin_ok(&sim, "PUT", "/clock", json!({ "advance": "2m" }));
    admin_ok(&sim, "PUT", "/customers/base", json!({ "extends": "demo", "quota": { "per_day": 3 } }));
    assert_eq!(admin_ok(&sim, "GET", "/customers/child", Value::Null)["quota"]["per_day"], 3);
    assert_eq!(admin_error(&sim, "DELETE", "/customers/base", "").1, "in_use", "and is protected again");
}

#[test]
fn a_base_removed_from_the_files_does_not_affect_others() {
    let (sim, directory) = Sim::over(&[("customers/base.toml", "extends = 'demo'")]);
    admin_ok(&sim, "PUT", "/customers/child", json!({ "extends": "base" }));
    std::fs::remove_file(directory.path().join("customers/base.toml")).unwrap();
    admin_ok(&sim, "POST", "/config/reload", Value::Null);
    admin_ok(&sim, "PUT", "/customers/demo", json!({ "extends": "demo", "quota": { "per_day": 1 } }));
    assert_eq!(sim.call("child", sim.request().text()).code(), "6018", "it stays as it was");
}

#[test]
fn api_customers_survive_a_reload_and_follow_it() {
    let (sim, directory) = Sim::over(&[("customers/base.toml", "extends = 'demo'\nquota = { per_day = 1 }")]);
    admin_ok(&sim, "PUT", "/customers/child", json!({ "extends": "base" }));
    admin_ok(&sim, "PUT", "/customers/child/rules/own", json!({ "times": 1, "reply": { "code": "6014" } }));
    let base = directory.path().join("customers/base.toml");
    std::fs::write(&base, "extends = 'demo'\nquota = { per_day = 2 }").unwrap();
    assert!(admin_ok(&sim, "POST", "/config/reload", Value::Null)["customers"].as_u64().unwrap() > 20);
    assert_eq!(admin_ok(&sim, "GET", "/customers/child", Value::Null)["quota"]["per_day"], 2);
    assert_eq!(sim.call("child", sim.request().text()).code(), "6014");
    std::fs::remove_file(base).unwrap();
    admin_ok(&sim, "POST", "/config/reload", Value::Null);
    assert_eq!(sim.call("child", sim.request().text()).code(), "6018", "it stays as it was");
}

#[test]
fn a_failed_reload_reports_problems_and_changes_nothing() {
    let (sim, directory) = Sim::over(&[]);
    std::fs::create_dir_all(directory.path().join("customers")).unwrap();
    std::fs::write(directory.path().join("customers/bad.toml"), "extends = 'demo'\nquota = { per_dya = 2 }")
        .unwrap();
    let (status, answer) = sim.admin("POST", "/config/reload", "");
    assert_eq!((status, &answer["error"]["code"]), (422, &json!("wrong_fixtures")));
    let problem = &answer["problems"][0];
    assert_eq!((&problem["line"], &problem["column"]), (&json!(2), &json!(11)));
    assert!(problem["hint"].as_str().unwrap().contains("per_day"), "{problem}");
    let found = admin_ok(&sim, "POST", "/config/validate", Value::Null);
    assert_eq!((&found["valid"], &found["problems"][0]), (&json!(false), problem));
    assert_eq!(sim.call("demo", sim.request().text()).code(), "6018");
}

#[test]
fn drafts_are_validated_without_being_applied() {
    let sim = Sim::start();
    let draft = json!({ "customers": { "bank": { "extends": "demo" }, "a b": {}, "x": { "extends": "nobody" } },
        "simulator": { "policy": { "layuot": "compact" } } });
    let found = admin_ok(&sim, "POST", "/config/validate", draft);
    let paths: Vec<_> =
        found["problems"].as_array().unwrap().iter().map(|problem| problem["path"].clone()).collect();
    assert_eq!(
        paths,
        [json!("/simulator/policy/layuot"), json!("/customers/a b"), json!("/customers/x/extends")]
    );
    assert_eq!(found["valid"], false);
    assert_eq!(sim.admin("GET", "/customers/bank", "").0, 404);
    assert_eq!(
        admin_ok(&sim, "POST", "/config/validate", json!({ "customers": { "bank": { "extends": "demo" } } }))
            ["valid"],
        true
    );
}

#[test]
fn a_draft_follows_the_rules_of_files() {
    let sim = Sim::start();
    let problem = |draft: Value| {
        let found = admin_ok(&sim, "POST", "/config/validate", draft.clone());
        let problems = found["problems"].as_array().unwrap();
        // Without an account both of its keys are missing.
        let expected = if draft["customers"]["demo"].is_object() { 2 } else { 1 };
        assert_eq!((found["valid"] == true, problems.len()), (false, expected), "{draft}: {found}");
        let text = |key: &str| problems[0][key].as_str().unwrap().to_owned();
        (text("path"), text("message"))
    };
    let customer = |words: Value| json!({ "customers": { "x": words } });
    admin_ok(&sim, "PUT", "/customers/put", json!({ "extends": "demo" }));
    for (draft, path, message) in [
        (
            json!({ "simulator": { "prefixes": [] } }),
            "/simulator/prefixes",
            "the endpoint would have no path",
        ),
        (
            json!({ "simulator": { "capacity": { "workers": 1, "service_time": { "from": "none.csv" } } } }),
            "/simulator/capacity/service_time",
            "there is no file",
        ),
        (
            customer(json!({ "extends": "demo", "customer_id": "y" })),
            "/customers/x/customer_id",
            "differs from the id",
        ),
        (
            customer(json!({ "extends": "demo", "ttl": "5m" })),
            "/customers/x/ttl",
            "created over the admin API",
        ),
        (
            customer(json!({ "extends": "demo", "rules": [{ "delay": "1s", "ttl": "5m" }] })),
            "/customers/x/rules/0/ttl",
            "created over the admin API",
        ),
        (customer(json!({ "extends": "demo", "key": "generate" })), "/customers/x/key", "generate"),
        (customer(json!({ "extends": "put" })), "/customers/x/extends", "there is no customer put"),
        (customer(json!({ "extends": "deno" })), "/customers/x/extends", "did you mean \"demo\""),
    ] {
        let (at, said) = problem(draft);
        assert_eq!(at, path);
        assert!(said.contains(message), "{path}: {said}");
    }
    let both =
        json!({ "customers": { "a": { "extends": "b" }, "b": { "extends": "demo", "customer_id": "b" } } });
    assert_eq!(admin_ok(&sim, "POST", "/config/validate", both)["valid"], true, "drafts extend each other");
    let alone = json!({ "customers": { "demo": { "methode": ["X"] } } });
    assert_eq!(
        problem(alone).0,
        "/customers/demo/account/user_id",
        "those that extend it are not told as well"
    );
}

#[test]
fn a_draft_that_breaks_other_files_is_reported() {
    let child = "extends = 'base'\ngallery.shared = true";
    let (sim, _directory) =
        Sim::over(&[("customers/base.toml", "extends = 'demo'"), ("customers/child.toml", child)]);
    let siti = json!({ "nik": SITIS_NIK, "name": "x", "pictures": ["siti.jpg"] });
    let own = json!({ "extends": "demo", "gallery": { "shared": false, "identities": [siti] } });
    let found = admin_ok(&sim, "POST", "/config/validate", json!({ "customers": { "base": own } }));
    let problem = &found["problems"][0];
    assert_eq!(problem["path"], "/customers/base", "{found}");
    let message = problem["message"].as_str().unwrap();
    assert!(message.starts_with("child extends it and would become invalid: the NIK"), "{message}");
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let sim = Sim::with(|builder| builder.seed(42));
    let config = admin_ok(&sim, "GET", "/config", Value::Null);
    assert_eq!((&config["seed"], &config["admin_token"]), (&json!(42), &json!(false)));
    assert_eq!(config["endpoint"], sim.0.url());
    assert_eq!(
        (&config["policy"]["layout"], &config["limits"]["customers"]),
        (&json!("documented"), &json!(10_000))
    );
}

#[test]
fn a_reset_affects_only_its_scope() {
    let sim = Sim::start();
    let reset = |query: &str| admin_ok(&sim, "POST", &format!("/reset?{query}"), Value::Null);
    let prepare = || {
        admin_ok(&sim, "PUT", "/customers/demo/rules/r", json!({ "reply": { "code": "6014" } }));
        admin_ok(&sim, "PUT", "/customers/demo/state", json!({ "state": "down" }));
        admin_ok(&sim, "PUT", "/customers/demo/quota", json!({ "per_day": 7, "used": 3 }));
        admin_ok(&sim, "PUT", "/customers/demo/clock", json!({ "advance": "1h" }));
        admin_ok(&sim, "PUT", "/clock", json!({ "advance": "1m" }));
        admin_ok(&sim, "PUT", "/customers/mine", json!({ "extends": "demo" }));
        sim.call("load", sim.request().text());
    };
    let seen = || {
        let get = |path: &str| admin_ok(&sim, "GET", path, Value::Null);
        let quota = get("/customers/demo/quota");
        (
            get("/customers/demo/rules")["rules"].as_array().unwrap().len(),
            get("/customers/demo/state")["state"].as_str().unwrap().to_owned(),
            (quota["per_day"].as_u64().unwrap(), quota["used"].as_u64().unwrap()),
            get("/clock")["now"] == MORNING,
            sim.admin("GET", "/customers/mine", "").0,
            get("/requests")["requests"].as_array().unwrap().len(),
        )
    };
    let (down, up) = ("down".to_owned(), String::new());
    prepare();
    assert_eq!(seen(), (1, down.clone(), (7, 3), false, 200, 1));
    reset("scope=rules");
    assert_eq!(seen(), (0, down.clone(), (7, 3), false, 200, 1));
    reset("scope=state&customer_id=load");
    assert_eq!(seen().1, down, "of another customer");
    reset("scope=state");
    reset("scope=quota&customer_id=demo");
    assert_eq!(seen(), (0, up.clone(), (80, 0), false, 200, 1));
    reset("scope=journal&customer_id=demo");
    assert_eq!(seen().5, 1, "of another customer");
    reset("scope=journal");
    reset("scope=clock");
    assert_eq!(seen(), (0, up.clone(), (80, 0), true, 200, 0));
    assert_eq!(admin_ok(&sim, "GET", "/customers/demo/clock", Value::Null)["now"], MORNING);
    reset("scope=customers");
    assert_eq!(seen().4, 404);
    prepare();
    reset("scope=all&customer_id=mine");
    assert_eq!(seen().4, 200, "all of one customer keeps the customer");
    assert_eq!(reset("scope=all"), json!({ "scope": "all", "customer_id": null }));
    assert_eq!(seen(), (0, up, (80, 0), true, 404, 0));
}

#[test]
fn a_reset_of_a_fixture_customer_changes_nothing() {
    let sim = Sim::start();
    let reset = "/reset?scope=customers&customer_id=demo";
    let before = admin_ok(&sim, "GET", "/customers/demo", Value::Null);
    assert_eq!(
        admin_ok(&sim, "POST", reset, Value::Null),
        json!({ "scope": "customers", "customer_id": "demo" })
    );
    admin_ok(&sim, "PUT", "/customers/demo", json!({ "extends": "demo", "quota": { "per_day": 1 } }));
    admin_ok(&sim, "POST", reset, Value::Null);
    assert_eq!(admin_ok(&sim, "GET", "/customers/demo", Value::Null), before);
    admin_ok(&sim, "PUT", "/customers/base", json!({ "extends": "demo" }));
    admin_ok(&sim, "PUT", "/customers/child", json!({ "extends": "base" }));
    assert_eq!(admin_error(&sim, "POST", "/reset?scope=customers&customer_id=base", "").1, "in_use");
}

#[test]
fn a_reset_scenario_restarts_counts_and_ordinals() {
    let sim = Sim::start();
    let play = || {
        let codes: Vec<_> = (0..6).map(|_| sim.call("busy-then-ok", sim.request().text()).code()).collect();
        codes
    };
    let first = play();
    assert!(first.contains(&"6014".to_owned()) && first.contains(&"6018".to_owned()));
    assert_ne!(play(), first);
    admin_ok(&sim, "POST", "/reset?scope=state&customer_id=busy-then-ok", Value::Null);
    assert_eq!(play(), first);
}

#[test]
fn a_customers_clock_follows_the_simulators_until_it_is_changed() {
    let sim = Sim::start();
    let own = |body: Value| admin_ok(&sim, "PUT", "/customers/demo/clock", body);
    admin_ok(&sim, "PUT", "/clock", json!({ "advance": "1h" }));
    assert_eq!(
        admin_ok(&sim, "GET", "/customers/demo/clock", Value::Null)["now"],
        "2026-11-21T11:00:00+07:00"
    );
    assert_eq!(own(json!({ "advance": "13h" }))["now"], "2026-11-22T00:00:00+07:00");
    sim.call("demo", sim.request().text());
    assert_eq!(sim.last()["at"], "2026-11-22T00:00:00.000+07:00", "the journal shows the customer's time");
    sim.call("load", sim.request().text());
    assert_eq!(sim.last()["at"], "2026-11-21T11:00:00.000+07:00");
    assert_eq!(own(json!({ "now": "2030-01-01T00:00:00Z" }))["now"], "2030-01-01T07:00:00+07:00");
    assert_eq!(own(json!({ "reset": true }))["now"], "2026-11-21T11:00:00+07:00");
    assert_eq!(
        own(json!({ "freeze": false }))["frozen"],
        false,
        "it runs although the simulator's clock is stopped"
    );
    assert_eq!(admin_ok(&sim, "GET", "/clock", Value::Null)["frozen"], true);
}

#[test]
fn invalid_input_is_rejected_with_its_path_and_changes_nothing() {
    let sim = Sim::start();
    let before = admin_ok(&sim, "GET", "/customers", Value::Null);
    let huge = "x".repeat(1 << 20);
    for (method, path, body, status, at) in [
        ("POST", "/customers", "{", 400, json!("")),
        ("POST", "/customers", "[]", 400, json!("")),
        ("POST", "/customers", r#"{"ttl":"soon"}"#, 400, json!("/ttl")),
        ("POST", "/customers", r#"{"ttl":"99999999 years"}"#, 400, json!("/ttl")),
        ("POST", "/customers", r#"{"ttl":"0s"}"#, 400, json!("/ttl")),
        ("PUT", "/customers/bank", r#"{"extends":"demo","ttl":"0 ms"}"#, 400, json!("/ttl")),
        ("PATCH", "/customers/demo", r#"{"ttl":"0"}"#, 400, json!("/ttl")),
        ("PUT", "/customers/demo/rules/r", r#"{"set_state":"x","ttl":"0m 0s"}"#, 400, json!("/ttl")),
        ("POST", "/customers", r#"{"customer_id":"demo"}"#, 409, json!("/customer_id")),
        ("POST", "/customers", r#"{"customer_id":"a/b"}"#, 400, json!("/customer_id")),
        ("POST", "/customers", r#"{"quota":{"per_day":-1}}"#, 400, json!("/quota/per_day")),
        ("POST", "/customers", r#"{"rules":[{"reply":{"code":"6014"},"times":0}]}"#, 400, json!("/rules/0")),
        ("POST", "/customers", r#"{"key":"../private.pem"}"#, 400, json!("/key")),
        ("PUT", "/customers/bank", "{}", 400, json!("/account/user_id")),
        ("PUT", "/customers/bank", r#"{"customer_id":"other","extends":"demo"}"#, 400, json!("/customer_id")),
        ("PUT", "/customers/.hidden", r#"{"extends":"demo"}"#, 400, json!("customer_id")),
        ("POST", "/reset", "", 400, json!("scope")),
        ("POST", "/reset?scope=everything", "", 400, json!("scope")),
        ("POST", "/reset?scope=quota&customer_id=nobody", "", 404, json!("customer_id")),
        ("PUT", "/customers/demo/clock", r#"{"now":"99999-01-01T00:00:00Z"}"#, 400, json!("/now")),
        ("PUT", "/customers/demo/clock", r#"{"advance":"9000years"}"#, 400, json!("/advance")),
        ("PUT", "/customers/nobody/clock", r#"{"advance":"1h"}"#, 404, Value::Null),
    ] {
        let (got, _, pointer) = admin_error(&sim, method, path, body);
        assert_eq!((got, &pointer), (status, &at), "{method} {path} {body}");
    }
    let (status, answer) = sim.admin("POST", "/customers", &json!({ "customer_id": huge }).to_string());
    assert_eq!(status, 400);
    assert!(answer.to_string().len() < 2000, "it is not sent back whole");
    assert_eq!(admin_ok(&sim, "GET", "/customers", Value::Null), before);
    assert_eq!(admin_ok(&sim, "GET", "/customers/demo/clock", Value::Null)["now"], MORNING);
}

#[test]
fn the_list_has_quota_state_clock_and_requests_of_each() {
    let sim = Sim::start();
    create(&sim, &json!({ "customer_id": "bank", "quota": { "per_day": 5 } }));
    let put = |path: &str, body: Value| drop(admin_ok(&sim, "PUT", &format!("/customers/bank/{path}"), body));
    let glance = |id: &str| {
        let list = admin_ok(&sim, "GET", "/customers", Value::Null);
        let line = list["customers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|line| line["customer_id"] == id)
            .cloned()
            .unwrap();
        json!({ "quota": line["quota"], "state": line["state"], "clock": line["clock"], "requests": line["requests"] })
    };
    let untouched = json!({
        "quota": { "per_day": 80, "used": 0, "left": 80, "day": "2026-11-21" },
        "state": "",
        "clock": { "now": MORNING, "frozen": true, "own": false },
        "requests": 0,
    });
    assert_eq!(glance("demo"), untouched);
    put("quota", json!({ "used": 3 }));
    put("state", json!({ "state": "down" }));
    for _ in 0..2 {
        sim.call("bank", "{}");
    }
    put("clock", json!({ "advance": "15h" }));
    let expected = json!({
        "quota": { "per_day": 5, "used": 0, "left": 5, "day": "2026-11-22" },
        "state": "down",
        "clock": { "now": "2026-11-22T01:00:00+07:00", "frozen": true, "own": true },
        "requests": 2,
    });
    assert_eq!(glance("bank"), expected);
    assert_eq!(admin_ok(&sim, "GET", "/customers/bank/quota", Value::Null), expected["quota"]);
    put("clock", json!({ "reset": true }));
    let quota = json!({ "per_day": 5, "used": 3, "left": 2, "day": "2026-11-21" });
    assert_eq!((&glance("bank")["quota"], &glance("bank")["clock"]["own"]), (&quota, &json!(false)));
    put("clock", json!({ "freeze": false }));
    assert_eq!(glance("bank")["clock"]["frozen"], false, "a customer's clock runs on alone");
    assert_eq!(glance("demo"), untouched, "nothing of it concerns another customer");
}

#[test]
fn the_number_of_customers_is_limited() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "[limits]\ncustomers = 30")]);
    let count = || admin_ok(&sim, "GET", "/customers", Value::Null)["customers"].as_array().unwrap().len();
    // An API customer over one of the fixtures is one customer with it.
    admin_ok(&sim, "PATCH", "/customers/load", json!({ "quota": { "per_day": 1 } }));
    for _ in count()..30 {
        create(&sim, &json!({ "ttl": "1m" }));
    }
    assert_eq!(count(), 30);
    let (status, code, _) = admin_error(&sim, "POST", "/customers", "{}");
    assert_eq!((status, code.as_str()), (409, "too_many_customers"));
    admin_ok(&sim, "PATCH", "/customers/demo", json!({ "quota": { "per_day": 1 } }));
    assert_eq!(count(), 30, "one that is known can still be changed");
    admin_ok(&sim, "PUT", "/clock", json!({ "advance": "1m" }));
    create(&sim, &json!({}));
}

#[test]
fn a_removed_customer_leaves_no_state_to_its_successor() {
    let sim = Sim::start();
    let put =
        || admin_ok(&sim, "PUT", "/customers/bank", json!({ "extends": "demo", "quota": { "per_day": 1 } }));
    put();
    admin_ok(
        &sim,
        "PUT",
        "/customers/bank/rules/r",
        json!({ "when": { "request": 2 }, "reply": { "code": "6014" } }),
    );
    admin_ok(&sim, "PUT", "/customers/bank/state", json!({ "state": "x" }));
    assert_eq!(sim.call("bank", sim.request().text()).candidates().keys().next().unwrap(), SITIS_NIK);
    admin_ok(&sim, "DELETE", "/customers/bank", Value::Null);
    put();
    assert_eq!(admin_ok(&sim, "GET", "/customers/bank/rules", Value::Null)["rules"], json!([]));
    assert_eq!(admin_ok(&sim, "GET", "/customers/bank/state", Value::Null)["state"], "");
    assert_eq!(sim.call("bank", sim.request().text()).code(), "6018", "its quota is fresh");
    assert_eq!(sim.last()["ordinal"], 1);
}
