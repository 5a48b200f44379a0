//! `GET|PUT|DELETE /customers/{customer_id}/rules[/{name}]`, `POST /faults/preview`, `GET|PUT /customers/{customer_id}/state`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, Json, customer, json};
use crate::http::Shared;
use crate::ledger;
use crate::rules::{Rule, RuleSpec};

/// All rules in force, in the order in which they are tried.
pub async fn list(
    shared: web::Data<Shared>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let fixtures = shared.engine.fixtures();
    let rules = shared.engine.rules(customer(&fixtures, &customer_id)?);
    Ok(json(&json!({ "rules": rules.iter().map(|rule| shown(rule)).collect::<Vec<_>>() })))
}

pub async fn one(
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let fixtures = shared.engine.fixtures();
    let rules = shared.engine.rules(customer(&fixtures, &customer_id)?);
    let rule =
        rules.iter().find(|rule| rule.name == name).ok_or_else(|| unknown_rule(&customer_id, &name))?;
    Ok(json(&shown(rule)))
}

/// Creates or replaces one rule. It comes before the fixture's rules.
pub async fn put(
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
    Json(mut spec): Json<RuleSpec>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let fixtures = shared.engine.fixtures();
    let customer = customer(&fixtures, &customer_id)?;
    if spec.name.as_ref().is_some_and(|own| *own != name) {
        return Err(ApiError::invalid("the name in the body is not the one in the path").path("/name"));
    }
    spec.name = Some(name);
    let file = |name: &str| fixtures.file_beside_customers(name);
    let mut rule = Rule::new(&spec, 1, &file).map_err(ApiError::invalid)?;
    let now = shared.engine.clock.now();
    rule.put = Some(now);
    rule.expires = match spec.ttl {
        Some(ttl) => Some(
            now.checked_add(ttl.0)
                .map_err(|_| ApiError::invalid("ttl goes beyond the year 9999").path("/ttl"))?,
        ),
        None => None,
    };
    let answer = shown(&rule);
    shared.engine.put_rule(&customer.id, rule).map_err(ApiError::invalid)?;
    Ok(json(&answer))
}

/// Takes back one rule that was put.
pub async fn remove(
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let fixtures = shared.engine.fixtures();
    let customer = customer(&fixtures, &customer_id)?;
    if shared.engine.remove_rules(&customer.id, Some(&name)) > 0 {
        return Ok(json(&json!({ "removed": 1 })));
    }
    if customer.rules.iter().any(|rule| rule.name == name) {
        return Err(ApiError::invalid(format!("the rule {name:?} is the fixture's")).hint(
            "edit the file, or put a customer of your own; only rules put over the API can be taken back",
        ));
    }
    Err(unknown_rule(&customer_id, &name))
}

/// Takes back every rule that was put.
pub async fn remove_all(
    shared: web::Data<Shared>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let fixtures = shared.engine.fixtures();
    let removed = shared.engine.remove_rules(&customer(&fixtures, &customer_id)?.id, None);
    Ok(json(&json!({ "removed": removed })))
}

fn unknown_rule(customer_id: &str, name: &str) -> ApiError {
    let shown = crate::protocol::body::shown(name);
    ApiError::not_found(format!("{customer_id} has no rule {shown}"))
        .hint(format!("GET /customers/{customer_id}/rules lists them"))
}

/// A rule as written, with its name.
fn shown(rule: &Rule) -> Value {
    let mut value = serde_json::to_value(&rule.spec).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.insert("name".to_owned(), rule.name.clone().into());
    }
    value
}

/// What `POST /faults/preview` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    customer_id: String,
    /// Default: every rule.
    rule: Option<String>,
    /// How many draws: 1 to 1000.
    #[serde(default = "ten")]
    count: u64,
}

fn ten() -> u64 {
    10
}

/// The next draws of rules, as they will fall; nothing is counted.
pub async fn preview(
    shared: web::Data<Shared>,
    Json(wanted): Json<Preview>,
) -> Result<HttpResponse, ApiError> {
    if !(1..=1000).contains(&wanted.count) {
        return Err(ApiError::invalid("count is 1 to 1000").path("/count"));
    }
    let engine = &shared.engine;
    let fixtures = engine.fixtures();
    let customer = customer(&fixtures, &wanted.customer_id)?;
    let rules = engine.rules(customer);
    let chosen: Vec<_> =
        rules.iter().filter(|rule| wanted.rule.as_ref().is_none_or(|name| *name == rule.name)).collect();
    if let (Some(name), true) = (&wanted.rule, chosen.is_empty()) {
        return Err(unknown_rule(&wanted.customer_id, name).path("/rule"));
    }
    let book = engine.ledger.book(&customer.id);
    let book = ledger::open(&book);
    let now = engine.clock.now();
    let seed = (engine.seed(), customer.id.as_str());
    let previews: Vec<_> = chosen
        .into_iter()
        .map(|rule| json!({ "name": rule.name, "draws": book.scenario.preview(rule, seed, now, wanted.count) }))
        .collect();
    Ok(json(&json!({ "customer_id": customer.id, "rules": previews })))
}

/// What `PUT /customers/{customer_id}/state` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    state: String,
}

pub async fn read_state(
    shared: web::Data<Shared>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let fixtures = shared.engine.fixtures();
    let book = shared.engine.ledger.book(&customer(&fixtures, &customer_id)?.id);
    let state = ledger::open(&book).scenario.state.clone();
    Ok(json(&json!({ "state": state })))
}

pub async fn change_state(
    shared: web::Data<Shared>,
    customer_id: web::Path<String>,
    Json(State { state }): Json<State>,
) -> Result<HttpResponse, ApiError> {
    let fixtures = shared.engine.fixtures();
    let book = shared.engine.ledger.book(&customer(&fixtures, &customer_id)?.id);
    if state.len() > 256 {
        return Err(ApiError::invalid("a state has at most 256 bytes").path("/state"));
    }
    ledger::open(&book).scenario.state.clone_from(&state);
    Ok(json(&json!({ "state": state })))
}
