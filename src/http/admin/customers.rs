//! `GET|POST /customers`, `GET|PUT|PATCH|DELETE /customers/{customer_id}`.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json as value};

use super::{ApiError, Json, JsonOrNothing, Removed, json};
use crate::base::duration::Ttl;
use crate::base::time;
use crate::config::{CustomerId, CustomerSpec};
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::customers::{CustomerEntry, CustomerInput, READ_ONLY};

/// Where a customer comes from.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CustomerSource {
    /// A fixture file, or built in.
    Fixtures,
    /// The admin API.
    Api,
}

/// A customer with everything that it inherits, as it can be put again, and what a caller of it needs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerView {
    #[serde(flatten)]
    customer: CustomerSpec,
    /// Where its requests go, on the data listener: the path of the first methode under the first prefix.
    path: String,
    /// What `user_id` and `password` are encrypted with: SPKI PEM.
    public_key_pem: String,
    source: CustomerSource,
    /// When it goes by itself: RFC 3339 in Jakarta time.
    expires: Option<String>,
}

/// The body of `POST /customers` and `PUT /customers/{customer_id}`, which [`read`] takes apart: a [`CustomerSpec`] with a ttl and,
/// so that what was shown can be put again, what a [`CustomerView`] shows besides.
pub struct CustomerBody;

impl JsonSchema for CustomerBody {
    fn schema_name() -> Cow<'static, str> {
        "CustomerBody".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = CustomerSpec::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "A customer as a fixture file has it. All of it is optional.".into(),
        );
        let ttl = value!({ "anyOf": [generator.subschema_for::<Ttl>(), { "type": "null" }], "description": "It goes by itself after so long; null: it stays." });
        let ignored = READ_ONLY
            .map(|key| (key, value!({ "description": "As GET shows it; putting it changes nothing." })));
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(
                [("ttl", ttl)].into_iter().chain(ignored).map(|(key, schema)| (key.to_owned(), schema)),
            );
        }
        schema
    }
}

/// The schema of the body of `PATCH /customers/{customer_id}`.
pub fn patch_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "description": "Keys of a customer with their new values; null takes one away." })
}

/// A customer in the list.
#[derive(Debug, Serialize, JsonSchema)]
struct CustomerLine {
    customer_id: String,
    methode: Vec<String>,
    extends: Option<String>,
    source: CustomerSource,
    /// Rules of its own; `GET /customers/{customer_id}/rules` has those put for it as well.
    rules: usize,
    /// When it goes by itself: RFC 3339 in Jakarta time.
    expires: Option<String>,
}

/// All customers, in the order of their ids.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerList {
    customers: Vec<CustomerLine>,
}

pub async fn list(shared: web::Data<AppState>) -> HttpResponse {
    let engine = &shared.engine;
    let line = |listed: CustomerEntry| CustomerLine {
        customer_id: listed.customer.id.clone(),
        methode: listed.customer.methode.clone(),
        extends: listed.spec.extends.as_ref().map(ToString::to_string),
        source: source(&listed),
        rules: listed.customer.rules.len(),
        expires: listed.expires.map(time::rfc3339),
    };
    json(&CustomerList {
        customers: engine.customers.all(engine.clock.now()).into_iter().map(line).collect(),
    })
}

pub async fn one(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let engine = &shared.engine;
    let listed = engine.customers.listed(&customer_id, engine.clock.now());
    let listed = listed.ok_or_else(|| ApiError::unknown_customer(&customer_id))?;
    Ok(json(&view(engine, &listed)))
}

/// Makes a customer with an id and an account of its own.
pub async fn create(
    shared: web::Data<AppState>,
    JsonOrNothing(wanted): JsonOrNothing<Value>,
) -> Result<HttpResponse, ApiError> {
    let wanted = read(wanted)?;
    let made = run_blocking(&shared, move |engine| Ok(engine.create_customer(wanted)?)).await?;
    let location = (LOCATION, format!("/customers/{}", made.customer.id));
    Ok(HttpResponse::Created().insert_header(location).json(view(&shared.engine, &made)))
}

/// Creates or replaces a customer.
pub async fn put(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(wanted): Json<Value>,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&customer_id)?;
    let wanted = named(read(wanted)?, &customer_id)?;
    let put = run_blocking(&shared, move |engine| Ok(engine.put_customer(&id, wanted)?)).await?;
    Ok(json(&view(&shared.engine, &put)))
}

/// Changes a customer: a JSON merge patch (RFC 7396) of what was written of it. One of the fixtures is overlaid.
pub async fn patch(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(patch): Json<Value>,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&customer_id)?;
    let merged = move |spec: CustomerSpec| {
        let mut merged = serde_json::to_value(&spec).unwrap_or_default();
        let (states_quota, ttl) = (states_quota(&patch), patch.get("ttl").cloned());
        merge(&mut merged, patch);
        if let (Some(members), Some(ttl)) = (merged.as_object_mut(), ttl) {
            // No part of what is written of it: null is an order here, not an absence.
            members.insert("ttl".to_owned(), ttl);
        }
        let wanted = named(read(merged)?, &customer_id)?;
        Ok::<_, ApiError>(CustomerInput { states_quota, ..wanted })
    };
    let changed = run_blocking(&shared, move |engine| engine.change_customer(&id, merged)).await?;
    Ok(json(&view(&shared.engine, &changed)))
}

/// Takes back a customer that was put. One of the fixtures that has its id is in force again.
pub async fn remove(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let engine = &shared.engine;
    let known = engine.customer(&customer_id).ok_or_else(|| ApiError::unknown_customer(&customer_id))?;
    engine.remove_customer(&id_of(&known.id)?)?;
    Ok(json(&Removed { removed: 1 }))
}

/// What a body says of the customer in the path.
fn named(mut wanted: CustomerInput, customer_id: &str) -> Result<CustomerInput, ApiError> {
    match wanted.spec.customer_id.take() {
        Some(own) if own.as_str() != customer_id => {
            let message = "the customer_id in the body is not the one in the path";
            Err(ApiError::invalid(message).path("/customer_id"))
        }
        _ => Ok(wanted),
    }
}

/// Does something that may make a key, which takes long, away from the thread that answers.
async fn run_blocking<T: Send + 'static>(
    shared: &web::Data<AppState>,
    work: impl FnOnce(&Engine) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let engine = Arc::clone(&shared.engine);
    web::block(move || work(&engine)).await.unwrap_or_else(|_| Err(ApiError::stopping()))
}

fn id_of(text: &str) -> Result<CustomerId, ApiError> {
    text.parse().map_err(|message: String| ApiError::invalid(message).path("customer_id"))
}

fn read(wanted: Value) -> Result<CustomerInput, ApiError> {
    CustomerInput::read(wanted).map_err(ApiError::in_json)
}

/// Whether a patch says anything of the quota, be it that nothing is to be said of it any more.
fn states_quota(patch: &Value) -> bool {
    patch.get("quota").is_some_and(|quota| quota.is_null() || quota.get("per_day").is_some())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else { return *target = patch };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(members) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            members.shift_remove(&key);
        } else {
            merge(members.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn source(listed: &CustomerEntry) -> CustomerSource {
    if listed.is_put { CustomerSource::Api } else { CustomerSource::Fixtures }
}

fn view(engine: &Engine, listed: &CustomerEntry) -> CustomerView {
    let customer = &listed.customer;
    let mut spec = CustomerSpec::clone(&listed.spec);
    spec.customer_id = customer.id.parse().ok();
    spec.methode = customer.methode.iter().map(|name| name.parse().ok()).collect();
    spec.quota.per_day = Some(customer.per_day);
    spec.rules.get_or_insert_default();
    let methode = customer.methode.first().map_or("", String::as_str);
    CustomerView {
        path: engine.fixtures().path_of(&customer.id, methode),
        public_key_pem: customer.key.public_pem().to_owned(),
        source: source(listed),
        expires: listed.expires.map(time::rfc3339),
        customer: spec,
    }
}
