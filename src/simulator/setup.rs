//! Customers and rules as JSON, as the builder and tests write them, and their errors.
//!
//! The library takes `json!({...})`, in the model of the files and the admin API: with Rust types a test would need twenty imports.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::config::CustomerId;
use crate::domain::customer::Customer;
use crate::domain::rules::RuleSpec;
use crate::engine::Engine;
use crate::state::customers::CustomerInput;

/// Error of a call from a test: what is wrong, and where.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TestError(pub(super) String);

// `unwrap` prints `Debug`.
impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Creates or replaces a customer, given as JSON.
pub(super) fn put_customer(engine: &Engine, id: &str, customer: &impl Serialize) -> Result<(), TestError> {
    let input = customer_input(customer)?;
    let result = engine.put_customer(&parse_id(id)?, input);
    result.map(drop).map_err(|error| TestError(error.to_string()))
}

/// Creates or replaces a rule, given as JSON.
pub(super) fn put_rule(
    engine: &Engine,
    customer_id: &str,
    name: &str,
    rule: &impl Serialize,
) -> Result<(), TestError> {
    let customer = find_customer(engine, customer_id)?;
    let spec: RuleSpec = parse(rule)?;
    engine.put_rule(&customer.id, name, spec).map(drop).map_err(TestError)
}

pub(super) fn find_customer(engine: &Engine, customer_id: &str) -> Result<Arc<Customer>, TestError> {
    engine.customer(customer_id).ok_or_else(|| TestError(format!("no customer has the id {customer_id:?}")))
}

pub(super) fn parse_id(text: &str) -> Result<CustomerId, TestError> {
    text.parse().map_err(TestError)
}

pub(super) fn customer_input(customer: &impl Serialize) -> Result<CustomerInput, TestError> {
    CustomerInput::read(json(customer)?).map_err(|error| with_path(&error))
}

pub(super) fn parse<T: serde::de::DeserializeOwned>(value: &impl Serialize) -> Result<T, TestError> {
    serde_path_to_error::deserialize(json(value)?).map_err(|error| with_path(&error))
}

pub(super) fn json(value: &impl Serialize) -> Result<Value, TestError> {
    serde_json::to_value(value).map_err(|error| TestError(error.to_string()))
}

pub(super) fn with_path(error: &serde_path_to_error::Error<serde_json::Error>) -> TestError {
    match error.path().to_string() {
        path if path == "." => TestError(error.inner().to_string()),
        path => TestError(format!("{path}: {}", error.inner())),
    }
}
