//! `GET|PUT|DELETE /customers/{customer_id}/rules[/{name}]`, `POST /faults/preview`, `GET|PUT /customers/{customer_id}/state`.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Json, Removed, customer, json};
use crate::domain::rules::{Draw, Rule, RuleSpec};
use crate::http::state::AppState;
use crate::state::customer_state;

/// A customer's rules.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RuleList {
    /// In the order in which they are tried.
    rules: Vec<RuleSpec>,
}

/// All rules in force, in the order in which they are tried.
pub async fn list(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    Ok(json(&RuleList { rules: shared.engine.rules(&customer).iter().map(|rule| shown(rule)).collect() }))
}

pub async fn one(
    shared: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let rules = shared.engine.rules(&*customer(&shared, &customer_id)?);
    let rule =
        rules.iter().find(|rule| rule.name == name).ok_or_else(|| unknown_rule(&customer_id, &name))?;
    Ok(json(&shown(rule)))
}

/// Creates or replaces one rule. It comes before the fixture's rules.
pub async fn put(
    shared: web::Data<AppState>,
    path: web::Path<(String, String)>,
    Json(spec): Json<RuleSpec>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let customer = customer(&shared, &customer_id)?;
    if spec.name.as_ref().is_some_and(|own| *own != name) {
        return Err(ApiError::invalid("the name in the body is not the one in the path").path("/name"));
    }
    Ok(json(&shared.engine.put_rule(&customer.id, &name, spec).map_err(ApiError::invalid)?))
}

/// Takes back one rule that was put.
pub async fn remove(
    shared: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let customer = customer(&shared, &customer_id)?;
    if shared.engine.remove_rules(&customer.id, Some(&name)) > 0 {
        return Ok(json(&Removed { removed: 1 }));
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
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let removed = shared.engine.remove_rules(&customer(&shared, &customer_id)?.id, None);
    Ok(json(&Removed { removed }))
}

fn unknown_rule(customer_id: &str, name: &str) -> ApiError {
    let shown = crate::base::text::quoted(name);
    ApiError::not_found(format!("{customer_id} has no rule {shown}"))
        .hint(format!("GET /customers/{customer_id}/rules lists them"))
}

/// A rule as written, with its name.
fn shown(rule: &Rule) -> RuleSpec {
    RuleSpec { name: Some(rule.name.clone()), ..rule.spec.clone() }
}

/// Which draws are looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    customer_id: String,
    /// The rule's name; default: every rule.
    rule: Option<String>,
    /// How many draws.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "ten")]
    count: u64,
}

fn ten() -> u64 {
    10
}

/// The next draws of a customer's rules.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Preview {
    customer_id: String,
    rules: Vec<RulePreview>,
}

/// The next draws of one rule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RulePreview {
    name: String,
    draws: Vec<Draw>,
}

/// The next draws of rules, as they will fall; nothing is counted.
pub async fn preview(
    shared: web::Data<AppState>,
    Json(wanted): Json<PreviewRequest>,
) -> Result<HttpResponse, ApiError> {
    if !(1..=1000).contains(&wanted.count) {
        return Err(ApiError::invalid("count is 1 to 1000").path("/count"));
    }
    let engine = &shared.engine;
    let customer = customer(&shared, &wanted.customer_id).map_err(|error| error.path("/customer_id"))?;
    let rules = engine.rules(&customer);
    let chosen: Vec<_> =
        rules.iter().filter(|rule| wanted.rule.as_ref().is_none_or(|name| *name == rule.name)).collect();
    if let (Some(name), true) = (&wanted.rule, chosen.is_empty()) {
        return Err(unknown_rule(&wanted.customer_id, name).path("/rule"));
    }
    let book = engine.states.book(&customer.id);
    let book = customer_state::lock(&book);
    let now = engine.now_of(&book);
    let seed = (engine.seed(), customer.id.as_str());
    let draws = |rule: &Rule| book.scenario.preview(rule, seed, now, wanted.count);
    let rules =
        chosen.into_iter().map(|rule| RulePreview { name: rule.name.clone(), draws: draws(rule) }).collect();
    Ok(json(&Preview { customer_id: customer.id.clone(), rules }))
}

/// The state of a customer's scenario.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioState {
    /// What `when.state` is compared with; at first it is empty.
    #[schemars(length(max = 256))]
    state: String,
}

pub async fn read_state(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let book = shared.engine.states.book(&customer(&shared, &customer_id)?.id);
    let state = customer_state::lock(&book).scenario.state.clone();
    Ok(json(&ScenarioState { state }))
}

pub async fn change_state(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(wanted): Json<ScenarioState>,
) -> Result<HttpResponse, ApiError> {
    let book = shared.engine.states.book(&customer(&shared, &customer_id)?.id);
    if wanted.state.len() > 256 {
        return Err(ApiError::invalid("a state has at most 256 bytes").path("/state"));
    }
    customer_state::lock(&book).scenario.state.clone_from(&wanted.state);
    Ok(json(&wanted))
}
