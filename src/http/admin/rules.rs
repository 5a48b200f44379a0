//! `GET|PUT|DELETE /customers/{customer_id}/rules[/{name}]`, `POST /faults/preview`, `GET|PUT /customers/{customer_id}/state`.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Json, Removed, customer, json, run_blocking};
use crate::domain::rules::{Draw, Rule, RuleSpec};
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::customer_fields::edit;

/// A customer's rules.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RuleList {
    /// Rules, in evaluation order.
    rules: Vec<RuleSpec>,
}

/// Lists all active rules, in evaluation order.
pub async fn list(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    Ok(json(&RuleList { rules: shared.engine.rules(&customer).iter().map(|rule| spec_of(rule)).collect() }))
}

pub async fn one(
    shared: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let rules = shared.engine.rules(&*customer(&shared, &customer_id)?);
    let rule =
        rules.iter().find(|rule| rule.name == name).ok_or_else(|| unknown_rule(&customer_id, &name))?;
    Ok(json(&spec_of(rule)))
}

/// Creates or replaces a rule. It is evaluated before the fixture's rules.
pub async fn put(
    shared: web::Data<AppState>,
    path: web::Path<(String, String)>,
    Json(spec): Json<RuleSpec>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let customer = customer(&shared, &customer_id)?;
    if spec.name.as_ref().is_some_and(|own| *own != name) {
        return Err(ApiError::invalid("the name in the body differs from the one in the path").path("/name"));
    }
    let put = move |engine: &Engine| engine.put_rule(&customer.id, &name, spec).map_err(ApiError::invalid);
    Ok(json(&run_blocking(&shared, put).await?))
}

/// Removes a rule created over the admin API.
pub async fn remove(
    shared: web::Data<AppState>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (customer_id, name) = path.into_inner();
    let customer = customer(&shared, &customer_id)?;
    let (id, known) = (customer.id.clone(), name.clone());
    let removed = run_blocking(&shared, move |engine| Ok(engine.remove_rules(&id, Some(&known)))).await?;
    if removed > 0 {
        return Ok(json(&Removed { removed: 1 }));
    }
    if customer.rules.iter().any(|rule| rule.name == name) {
        return Err(ApiError::invalid(format!("the rule {name:?} comes from the fixtures")).hint(
            "edit the file, or create your own customer; only rules created over the admin API can be removed",
        ));
    }
    Err(unknown_rule(&customer_id, &name))
}

/// Removes all rules created over the admin API.
pub async fn remove_all(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let customer = customer(&shared, &customer_id)?;
    let removed = run_blocking(&shared, move |engine| Ok(engine.remove_rules(&customer.id, None))).await?;
    Ok(json(&Removed { removed }))
}

fn unknown_rule(customer_id: &str, name: &str) -> ApiError {
    let shown = crate::base::text::quoted(name);
    ApiError::not_found(format!("{customer_id} has no rule {shown}"))
        .hint(format!("GET /customers/{customer_id}/rules lists them"))
}

/// Returns the rule's specification, with its name.
fn spec_of(rule: &Rule) -> RuleSpec {
    RuleSpec { name: Some(rule.name.clone()), ..rule.spec.clone() }
}

/// Body of `POST /faults/preview`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// Customer whose rules to preview.
    customer_id: String,
    /// Rule name; default: all rules.
    rule: Option<String>,
    /// Number of draws: 1 to 1000; default 10.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "ten")]
    count: u64,
}

fn ten() -> u64 {
    10
}

/// Preview of the next draws of a customer's rules.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Preview {
    customer_id: String,
    rules: Vec<RulePreview>,
}

/// Preview of the next draws of one rule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RulePreview {
    name: String,
    draws: Vec<Draw>,
}

/// Returns the next draws of rules exactly as requests will get them, without counting them.
pub async fn preview(
    shared: web::Data<AppState>,
    Json(request): Json<PreviewRequest>,
) -> Result<HttpResponse, ApiError> {
    if !(1..=1000).contains(&request.count) {
        return Err(ApiError::invalid("count must be 1 to 1000").path("/count"));
    }
    let engine = &shared.engine;
    let customer = customer(&shared, &request.customer_id).map_err(|error| error.path("/customer_id"))?;
    let rules = engine.rules(&customer);
    let selected: Vec<_> =
        rules.iter().filter(|rule| request.rule.as_ref().is_none_or(|name| *name == rule.name)).collect();
    if let (Some(name), true) = (&request.rule, selected.is_empty()) {
        return Err(unknown_rule(&request.customer_id, name).path("/rule"));
    }
    let shared_state = engine.state_of(&customer.id);
    let state = shared_state.lock();
    let now = engine.now_of(&state);
    let fixtures = engine.fixtures();
    let context = engine.draw_context(&customer.id, &fixtures);
    let draws = |rule: &Rule| state.scenario.preview(rule, context, now, request.count);
    let rules = selected
        .into_iter()
        .map(|rule| RulePreview { name: rule.name.clone(), draws: draws(rule) })
        .collect();
    Ok(json(&Preview { customer_id: customer.id.clone(), rules }))
}

/// The state of a customer's scenario.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioState {
    /// State that `when.state` is compared with; initially empty; max 256 bytes.
    #[schemars(length(max = 256))]
    state: String,
}

pub async fn read_state(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let shared_state = shared.engine.state_of(&customer(&shared, &customer_id)?.id);
    let state = shared_state.lock().scenario.state.clone();
    Ok(json(&ScenarioState { state }))
}

pub async fn change_state(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(input): Json<ScenarioState>,
) -> Result<HttpResponse, ApiError> {
    let shared_state = shared.engine.state_of(&customer(&shared, &customer_id)?.id);
    if input.state.len() > 256 {
        return Err(ApiError::invalid("a state has at most 256 bytes").path("/state"));
    }
    edit(&shared_state).scenario.state.clone_from(&input.state);
    Ok(json(&input))
}
