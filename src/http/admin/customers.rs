//! `GET|POST /customers`, `GET|PUT|PATCH|DELETE /customers/{customer_id}`.

use std::borrow::Cow;

use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{HttpResponse, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value, json as value};

use super::quota::QuotaOfDay;
use super::{ApiError, Json, JsonOrNothing, Removed, customer, json, run_blocking, unknown_customer};
use crate::base::duration::Ttl;
use crate::base::{self, time};
use crate::config::{CustomerId, CustomerSpec};
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::state::clock::{ClockMode, ClockReading};
use crate::state::customers::{CustomerEntry, CustomerInput, READ_ONLY};

/// Origin of a customer.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CustomerSource {
    /// A fixture file, on disk or built in.
    Fixtures,
    /// The admin API.
    Api,
}

/// A customer with everything it inherits, in a form that PUT accepts, and what clients of the customer need.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerView {
    #[serde(flatten)]
    customer: CustomerSpec,
    /// Request path on the data listener: first prefix, first methode.
    path: String,
    /// Public key that encrypts `user_id` and `password`: SPKI PEM.
    public_key_pem: String,
    /// Origin of the customer.
    source: CustomerSource,
    /// When the customer expires: RFC 3339 in Jakarta time; null: never.
    expires: Option<String>,
}

/// Body of `POST /customers` and `PUT /customers/{customer_id}`, parsed by [`read`]: a [`CustomerSpec`], a ttl, and the read-only keys of
/// a [`CustomerView`], so that PUT accepts the response of GET.
pub struct CustomerBody;

impl JsonSchema for CustomerBody {
    fn schema_name() -> Cow<'static, str> {
        "CustomerBody".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = CustomerSpec::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "A customer, as in a fixture file. Every key is optional.".into(),
        );
        let ttl = value!({
            "anyOf": [generator.subschema_for::<Ttl>(), { "type": "null" }],
            "description": "Time to live: the customer expires after this duration; null: never.",
        });
        let ignored = READ_ONLY.map(|key| {
            (key, value!({ "description": "Read-only: as GET returns it; ignored in a request." }))
        });
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.extend(
                [("ttl", ttl)].into_iter().chain(ignored).map(|(key, schema)| (key.to_owned(), schema)),
            );
        }
        schema
    }
}

/// Returns the schema of the body of `PATCH /customers/{customer_id}`.
pub fn patch_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "description": "Customer keys with their new values; null removes a key." })
}

/// A customer in the list.
#[derive(Debug, Serialize, JsonSchema)]
struct CustomerLine {
    /// Customer id.
    customer_id: String,
    /// Allowed values of `methode`.
    methode: Vec<String>,
    /// Id of the customer it extends.
    extends: Option<String>,
    /// Origin of the customer.
    source: CustomerSource,
    /// Number of its rules, without those created over the admin API; `GET /customers/{customer_id}/rules` lists all.
    rules: usize,
    /// When the customer expires: RFC 3339 in Jakarta time; null: never.
    expires: Option<String>,
    /// Its quota for today, by its own clock.
    quota: QuotaOfDay,
    /// State of its scenario.
    state: String,
    /// Its clock.
    clock: CustomerClock,
    /// Number of its requests since the start, or since its scenario was reset: the ordinal of the newest.
    requests: u64,
}

/// A customer's clock in the list.
#[derive(Debug, Serialize, JsonSchema)]
struct CustomerClock {
    /// Current time: RFC 3339 in Jakarta time.
    now: String,
    /// Whether the clock is frozen.
    frozen: bool,
    /// Whether the clock is the customer's own; false: it follows the simulator's.
    own: bool,
}

/// All customers, sorted by id.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerList {
    customers: Vec<CustomerLine>,
}

/// Lists all customers. There may be ten thousand, so the list is written beside the admin thread.
pub async fn list(shared: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let text = |engine: &Engine| {
        let entries = engine.customers.all(engine.clock.now());
        let list = CustomerList { customers: entries.iter().map(|entry| line(engine, entry)).collect() };
        Ok(base::json::text(&list))
    };
    let text = run_blocking(&shared, text).await?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(text))
}

fn line(engine: &Engine, entry: &CustomerEntry) -> CustomerLine {
    let customer = &entry.customer;
    let state = engine.state_of(&customer.id);
    let state = state.lock();
    let ClockReading { now, frozen } = state.clock.read(engine.clock.read());
    let day = time::jakarta_day(now);
    CustomerLine {
        customer_id: customer.id.clone(),
        methode: customer.methode.clone(),
        extends: entry.spec.extends.as_ref().map(ToString::to_string),
        source: source(entry),
        rules: customer.rules.len(),
        expires: entry.expires.map(time::rfc3339),
        quota: QuotaOfDay::new(state.quota(day, customer.per_day), day),
        state: state.scenario.state.clone(),
        clock: CustomerClock { now: time::rfc3339(now), frozen, own: state.clock != ClockMode::default() },
        requests: state.requests(),
    }
}

pub async fn one(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let engine = &shared.engine;
    let entry = engine.customers.listed(&customer_id, engine.clock.now());
    let entry = entry.ok_or_else(|| unknown_customer(&shared, &customer_id))?;
    Ok(json(&view(engine, &entry)))
}

/// Creates a customer, by default with a generated id and account.
pub async fn create(
    shared: web::Data<AppState>,
    JsonOrNothing(body): JsonOrNothing<Value>,
) -> Result<HttpResponse, ApiError> {
    let created = run_blocking(&shared, move |engine| Ok(engine.create_customer(read(body)?)?)).await?;
    let location = (LOCATION, format!("/customers/{}", created.customer.id));
    Ok(HttpResponse::Created().insert_header(location).json(view(&shared.engine, &created)))
}

/// Creates or replaces a customer.
pub async fn put(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(body): Json<Value>,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&customer_id)?;
    let put = move |engine: &Engine| Ok(engine.put_customer(&id, for_path(read(body)?, &customer_id)?)?);
    let entry = run_blocking(&shared, put).await?;
    Ok(json(&view(&shared.engine, &entry)))
}

/// Updates a customer by JSON merge patch (RFC 7396) of its own specification. A customer of the fixtures is overridden.
pub async fn patch(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
    Json(patch): Json<Value>,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&customer(&shared, &customer_id)?.id)?;
    let merged = move |spec: CustomerSpec| {
        let mut merged = base::json::value(&spec);
        let (states_quota, ttl) = (states_quota(&patch), patch.get("ttl").cloned());
        merge(&mut merged, patch);
        if let (Some(members), Some(ttl)) = (merged.as_object_mut(), ttl) {
            // The ttl is not part of the specification: null is a value here (never expires), not an absence.
            members.insert("ttl".to_owned(), ttl);
        }
        let input = for_path(read(merged)?, &customer_id)?;
        Ok::<_, ApiError>(CustomerInput { states_quota, ..input })
    };
    let changed = run_blocking(&shared, move |engine| engine.change_customer(&id, merged)).await?;
    Ok(json(&view(&shared.engine, &changed)))
}

/// Removes a customer created over the admin API. A customer of the fixtures with its id becomes active again.
pub async fn remove(
    shared: web::Data<AppState>,
    customer_id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = id_of(&customer(&shared, &customer_id)?.id)?;
    run_blocking(&shared, move |engine| Ok(engine.remove_customer(&id)?)).await?;
    Ok(json(&Removed { removed: 1 }))
}

/// Removes the `customer_id` from the input.
///
/// # Errors
/// When it differs from the one in the path.
fn for_path(mut input: CustomerInput, customer_id: &str) -> Result<CustomerInput, ApiError> {
    match input.spec.customer_id.take() {
        Some(own) if own.as_str() != customer_id => {
            let message = "the customer_id in the body differs from the one in the path";
            Err(ApiError::invalid(message).path("/customer_id"))
        }
        _ => Ok(input),
    }
}

fn id_of(text: &str) -> Result<CustomerId, ApiError> {
    text.parse().map_err(|message: String| ApiError::invalid(message).path("customer_id"))
}

fn read(body: Value) -> Result<CustomerInput, ApiError> {
    CustomerInput::read(body).map_err(ApiError::misread)
}

/// Returns whether a patch sets or removes the quota.
fn states_quota(patch: &Value) -> bool {
    patch.get("quota").is_some_and(|quota| quota.is_null() || quota.get("per_day").is_some())
}

/// Applies a JSON merge patch (RFC 7396).
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

fn source(entry: &CustomerEntry) -> CustomerSource {
    if entry.is_from_api { CustomerSource::Api } else { CustomerSource::Fixtures }
}

fn view(engine: &Engine, entry: &CustomerEntry) -> CustomerView {
    let customer = &entry.customer;
    let mut spec = CustomerSpec::clone(&entry.spec);
    spec.customer_id = customer.id.parse().ok();
    spec.methode = customer.methode.iter().map(|name| name.parse().ok()).collect();
    spec.quota.per_day = Some(customer.per_day);
    spec.rules.get_or_insert_default();
    let methode = customer.methode.first().map_or("", String::as_str);
    CustomerView {
        path: engine.fixtures().path_of(&customer.id, methode),
        public_key_pem: customer.key.public_pem().to_owned(),
        source: source(entry),
        expires: entry.expires.map(time::rfc3339),
        customer: spec,
    }
}
