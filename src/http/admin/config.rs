//! `GET /config`, `POST /config/reload`, `POST /config/validate`.

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

/// What the simulator was started with, and what holds for every customer. Secrets are told only as being there.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigView {
    version: &'static str,
    /// Base of the data listener.
    endpoint: String,
    /// Base of the admin listener.
    admin: Option<String>,
    /// Whether the admin API asks for a token.
    admin_token: bool,
    /// The directory whose files replace built-in ones.
    fixtures: Option<String>,
    /// The keys directory; null: the key is kept nowhere.
    keys: Option<String>,
    /// Size of the server's key.
    key_bits: usize,
    seed: u64,
    /// Largest body of a request, in bytes.
    max_body: usize,
    /// How long answers under way may take when the simulator stops.
    grace_ms: u64,
    /// Size of the journal, in bytes.
    journal: usize,
    journal_file: Option<String>,
    show_nik: bool,
    /// Threads of the data listener.
    workers: usize,
    prefixes: Vec<String>,
    peer: PeerSource,
    limits: Limits,
    /// The global policy.
    policy: Policy,
    /// How many customers there are.
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
        admin_token: settings.admin_token.is_some(),
        fixtures: path(&shared.reloader.directory),
        keys: path(&start.keys),
        key_bits: fixtures.keys.server().bits(),
        seed: start.seed,
        max_body: settings.max_body,
        grace_ms: u64::try_from(start.grace.as_millis()).unwrap_or(u64::MAX),
        journal: start.journal_bytes,
        journal_file: path(&start.journal_file),
        show_nik: engine.shows_nik(),
        workers: settings.workers,
        prefixes: fixtures.prefixes.clone(),
        peer: fixtures.peer,
        limits: fixtures.limits.clone(),
        policy: fixtures.policy.clone(),
        customers: engine.customers.customers(engine.clock.now()).len(),
    })
}

/// Something wrong in the fixtures or in what was to be one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemView {
    /// The file; null for what came in the body.
    file: Option<String>,
    /// From 1; null for a problem of the file as a whole.
    line: Option<usize>,
    /// In characters, from 1.
    column: Option<usize>,
    /// JSON pointer, for what came in the body.
    path: Option<String>,
    message: String,
    hint: Option<String>,
}

/// The fixtures as they are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validation {
    valid: bool,
    /// How many customers the files have; null when they are wrong.
    customers: Option<usize>,
    problems: Vec<ProblemView>,
}

/// Why fixtures are not put in force.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WrongFixtures {
    error: ErrorBody,
    /// Everything that is wrong with them.
    problems: Vec<ProblemView>,
}

/// The fixtures that are now in force.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reloaded {
    /// How many customers the files have.
    customers: usize,
}

/// Fixture files to be looked at, over those that there are. A file knows less than the admin API: its customers and rules have no
/// ttl, no key is made for them, and they extend those in files only.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FixtureDraft {
    /// What `simulator.toml` would say.
    #[schemars(with = "SimulatorSpec")]
    simulator: Option<Value>,
    /// What the files of customers would say, by their ids.
    #[schemars(with = "BTreeMap<CustomerId, CustomerSpec>")]
    customers: BTreeMap<String, Value>,
}

/// Puts the files as they are now in force, as a whole or not at all.
pub async fn reload(shared: web::Data<AppState>) -> Result<HttpResponse, ApiError> {
    let reloader = shared.reloader.clone();
    let reloaded = web::block(move || reloader.reload()).await.map_err(|_| ApiError::stopping())?;
    match reloaded {
        Ok(customers) => Ok(json(&Reloaded { customers })),
        Err(problems) => {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            let message = format!("the fixtures are wrong, the old ones stay in force: {first}");
            let error = ApiError::unmet(StatusCode::UNPROCESSABLE_ENTITY, "wrong_fixtures", message)
                .hint("mend the files; dukcapil-fr-sim check says the same");
            let problems = problems.into_iter().map(ProblemView::of).collect();
            Ok(HttpResponse::build(error.status()).json(WrongFixtures { error: error.body(), problems }))
        }
    }
}

/// Looks at the files as they are now and at those in the body. Nothing is put in force.
pub async fn validate(
    shared: web::Data<AppState>,
    JsonOrNothing(draft): JsonOrNothing<FixtureDraft>,
) -> Result<HttpResponse, ApiError> {
    let found = web::block(move || {
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
    Ok(json(&found.await.map_err(|_| ApiError::stopping())?))
}

impl FixtureDraft {
    fn problems(self, fixtures: &Fixtures) -> Vec<ProblemView> {
        let mut problems = Vec::new();
        let simulator = self.simulator.map(ApiError::read::<SimulatorSpec>).transpose();
        let simulator = simulator.unwrap_or_else(|error| {
            problems.push(ProblemView::in_body("/simulator", &error));
            None
        });
        let mut customers = BTreeMap::new();
        for (id, value) in self.customers {
            match customer_of(&id, value) {
                Ok((id, spec)) => drop(customers.insert(id, spec)),
                Err(error) => {
                    let at = format!("/customers/{}", crate::http::api_error::escaped(&id));
                    problems.push(ProblemView::in_body(&at, &error));
                }
            }
        }
        let wrong = fixtures.validate(&simulator.unwrap_or_default(), &customers);
        problems.extend(
            wrong
                .into_iter()
                .map(|(path, message)| ProblemView::in_body(&pointer_to(&path), &ApiError::invalid(message))),
        );
        problems
    }
}

/// What the file of a customer would say.
fn customer_of(id: &str, value: Value) -> Result<(CustomerId, CustomerSpec), ApiError> {
    let id = id.parse::<CustomerId>().map_err(ApiError::invalid)?;
    if value.get("ttl").is_some() {
        let message = "ttl is for customers put over the admin API; one of a file stays as long as the file";
        return Err(ApiError::invalid(message).path("/ttl"));
    }
    let spec = ApiError::read::<CustomerSpec>(value)?;
    match &spec.customer_id {
        Some(own) if *own != id => {
            let message = "the customer_id is not the one that the customer stands under";
            Err(ApiError::invalid(message).path("/customer_id"))
        }
        _ => Ok((id, spec)),
    }
}

impl ProblemView {
    fn of(problem: Problem) -> ProblemView {
        let Problem { file, place, message, hint } = problem;
        let (line, column) = place.unzip();
        ProblemView { file: Some(file), line, column, path: None, message, hint }
    }

    fn in_body(at: &str, error: &ApiError) -> ProblemView {
        let path = Some(format!("{at}{}", error.pointer().unwrap_or_default()));
        let ErrorBody { message, hint, .. } = error.body();
        ProblemView { file: None, line: None, column: None, path, message, hint }
    }
}
