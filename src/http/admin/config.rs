//! `GET /config`, `POST /config/reload`, `POST /config/validate`.
//!
//! A draft takes the place of the file it is for, over the existing files, and is resolved by the same code. So a draft has the same
//! problems as the file would have.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ApiError, JsonOrNothing, json};
use crate::config::{CustomerId, CustomerSpec, Fixtures, PeerSource, Problem, SimulatorSpec};
use crate::domain::limits::Limits;
use crate::domain::policy::Policy;
use crate::http::api_error::{ErrorBody, pointer_to};
use crate::http::state::AppState;

/// Start options of the simulator, and the configuration that applies to all customers. Secrets are redacted: only their presence is shown.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigView {
    /// Version of the simulator.
    version: &'static str,
    /// Base URL of the data listener.
    endpoint: String,
    /// Base URL of the admin listener.
    admin: Option<String>,
    /// Whether the admin API requires a token.
    admin_token: bool,
    /// Fixture directory, whose files replace the built-in ones.
    fixtures: Option<String>,
    /// Keys directory; null: the key is not stored.
    keys: Option<String>,
    /// Size of the server's RSA key, in bits.
    key_bits: usize,
    /// Preset of the policy: `documented`, `probable` or `measured:FILE`.
    preset: String,
    /// Seed of the random number generators.
    seed: u64,
    /// Max request body, in bytes.
    max_body: usize,
    /// Grace period for in-flight answers on shutdown, in milliseconds.
    grace_ms: u64,
    /// Capacity of the journal, in bytes.
    journal: usize,
    /// File that journal entries are appended to.
    journal_file: Option<String>,
    /// File that keeps state over a restart; null: memory only.
    store: Option<String>,
    /// Whether NIKs are shown instead of masked.
    show_nik: bool,
    /// Number of threads of the data listener.
    workers: usize,
    /// Path prefixes of the endpoint.
    prefixes: Vec<String>,
    /// Where the client address is taken from.
    peer: PeerSource,
    /// Limits of the simulator.
    limits: Limits,
    /// Global policy.
    policy: Policy,
    /// Number of customers.
    customers: usize,
}

pub async fn read(shared: web::Data<AppState>) -> HttpResponse {
    let (engine, start, settings) = (&shared.engine, &shared.start, &shared.settings);
    let fixtures = engine.fixtures();
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    json(&ConfigView {
        version: env!("CARGO_PKG_VERSION"),
        endpoint: format!("http://{}", start.endpoint),
        admin: start.admin.map(|address| format!("http://{address}")),
        admin_token: settings.admin_tokens.are_required(),
        fixtures: shared.reloader.directory.present().map(|path| path.display().to_string()),
        keys: path(&start.keys),
        key_bits: fixtures.keys.server().bits(),
        preset: start.preset.to_string(),
        seed: start.seed,
        max_body: settings.max_body,
        grace_ms: u64::try_from(start.grace.as_millis()).unwrap_or(u64::MAX),
        journal: start.journal_bytes,
        journal_file: path(&start.journal_file),
        store: engine.store().map(|store| store.path().display().to_string()),
        show_nik: engine.shows_nik(),
        workers: settings.workers,
        prefixes: fixtures.prefixes.clone(),
        peer: fixtures.peer,
        limits: fixtures.limits.clone(),
        policy: Policy::clone(&fixtures.policy),
        customers: engine.customers.customers(engine.clock.now()).len(),
    })
}

/// A problem in the fixtures or in a draft.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemView {
    /// Fixture file; null for a draft in the body.
    file: Option<String>,
    /// Line, from 1; null for a problem of the file as a whole.
    line: Option<usize>,
    /// Column in characters, from 1.
    column: Option<usize>,
    /// JSON pointer into the body, for a draft.
    path: Option<String>,
    /// What is wrong.
    message: String,
    /// How to fix it.
    hint: Option<String>,
}

/// Result of a validation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validation {
    /// Whether there are no problems.
    valid: bool,
    /// Number of customers in the files; null when the files are invalid.
    customers: Option<usize>,
    /// All problems, in the files and in the drafts.
    problems: Vec<ProblemView>,
}

/// Response of a rejected reload.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WrongFixtures {
    error: ErrorBody,
    /// All problems in the fixtures.
    problems: Vec<ProblemView>,
}

/// Response of a successful reload.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reloaded {
    /// Number of customers in the files.
    customers: usize,
}

/// Draft fixture files, validated as if they overrode the existing files. Files have fewer features than the admin API: their customers
/// and rules have no ttl, no key is generated for them, and they extend only customers in files.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FixtureDraft {
    /// Contents of `simulator.toml`.
    #[schemars(with = "SimulatorSpec")]
    simulator: Option<Value>,
    /// Contents of customer files, by customer id.
    #[schemars(with = "BTreeMap<CustomerId, CustomerSpec>")]
    customers: BTreeMap<String, Value>,
}

/// Reloads the fixture files atomically: all of them, or none when one is invalid.
pub async fn reload(shared: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let reloader = shared.reloader.clone();
    let reloaded = super::beside(move || reloader.reload_for_call()).await?;
    match reloaded {
        Ok(customers) => Ok(json(&Reloaded { customers })),
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("the fixtures are invalid, the previous ones stay in force: {first}");
            let error = ApiError::unmet(StatusCode::UNPROCESSABLE_ENTITY, "wrong_fixtures", message)
                .hint("fix the files; dukcapil-fr-sim check reports the same problems");
            let problems = problems.into_iter().map(ProblemView::of).collect();
            Ok(HttpResponse::build(error.status()).json(WrongFixtures { error: error.body(), problems }))
        }
    }
}

/// Validates the current files, and the drafts in the body over them, without applying them.
pub async fn validate(
    shared: web::Data<AppState>,
    JsonOrNothing(draft): JsonOrNothing<FixtureDraft>,
) -> Result<HttpResponse, ApiError> {
    let validation = super::beside(move || {
        let (customers, mut problems, fixtures) = match shared.reloader.read() {
            Ok(fixtures) => (Some(fixtures.customers.len()), Vec::new(), Arc::new(fixtures)),
            Err(problems) => {
                let problems = problems.into_iter().map(ProblemView::of).collect();
                (None, problems, shared.engine.fixtures())
            }
        };
        problems.extend(draft.problems(&fixtures));
        Validation { valid: problems.is_empty(), customers, problems }
    });
    Ok(json(&validation.await?))
}

impl FixtureDraft {
    /// Validates the drafts over `fixtures` and returns their problems.
    fn problems(self, fixtures: &Fixtures) -> Vec<ProblemView> {
        let mut problems = Vec::new();
        let simulator = self.simulator.map(ApiError::read::<SimulatorSpec>).transpose();
        let simulator = simulator.unwrap_or_else(|error| {
            problems.push(ProblemView::in_body("/simulator", &error));
            None
        });
        let mut customers = BTreeMap::new();
        for (id, value) in self.customers {
            match customer_spec(&id, value) {
                Ok((id, spec)) => drop(customers.insert(id, spec)),
                Err(error) => {
                    let at = format!("/customers/{}", crate::http::api_error::escaped(&id));
                    problems.push(ProblemView::in_body(&at, &error));
                }
            }
        }
        let errors = fixtures.validate(&simulator.unwrap_or_default(), &customers);
        problems.extend(
            errors
                .into_iter()
                .map(|(path, message)| ProblemView::in_body(&pointer_to(&path), &ApiError::invalid(message))),
        );
        problems
    }
}

/// Reads the draft of a customer file.
fn customer_spec(id: &str, value: Value) -> Result<(CustomerId, CustomerSpec), ApiError> {
    let id = id.parse::<CustomerId>().map_err(ApiError::invalid)?;
    if value.get("ttl").is_some() {
        let message = "ttl is only for customers created over the admin API; a customer in a file exists as long as the file";
        return Err(ApiError::invalid(message).path("/ttl"));
    }
    let spec = ApiError::read::<CustomerSpec>(value)?;
    match &spec.customer_id {
        Some(own) if *own != id => {
            let message = "the customer_id differs from the id that the customer is listed under";
            Err(ApiError::invalid(message).path("/customer_id"))
        }
        _ => Ok((id, spec)),
    }
}

impl ProblemView {
    fn of(problem: Problem) -> ProblemView {
        let Problem { file, position, message, hint } = problem;
        let (line, column) = position.unzip();
        ProblemView { file: Some(file), line, column, path: None, message, hint }
    }

    fn in_body(at: &str, error: &ApiError) -> ProblemView {
        let path = Some(format!("{at}{}", error.pointer().unwrap_or_default()));
        let ErrorBody { message, hint, .. } = error.body();
        ProblemView { file: None, line: None, column: None, path, message, hint }
    }
}
