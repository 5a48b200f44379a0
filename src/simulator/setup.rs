//! Customers and rules as JSON: how the builder and tests write them, and what is wrong with them.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::config::CustomerId;
use crate::domain::customer::Customer;
use crate::domain::rules::RuleSpec;
use crate::engine::Engine;
use crate::state::customers::CustomerInput;

/// Why a simulator does not do what a test asks: what is wrong with it, and where.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TestError(pub(super) String);

// `unwrap` prints the Debug.
impl fmt::Debug for TestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Puts a customer as JSON writes it.
pub(super) fn put_customer(engine: &Engine, id: &str, customer: &impl Serialize) -> Result<(), TestError> {
    let wanted = wanted(customer)?;
    let put = engine.put_customer(&id_of(id)?, wanted);
    put.map(drop).map_err(|refusal| TestError(refusal.to_string()))
}

/// Puts a rule as JSON writes it.
pub(super) fn put_rule(
    engine: &Engine,
    customer_id: &str,
    name: &str,
    rule: &impl Serialize,
) -> Result<(), TestError> {
    let customer = known(engine, customer_id)?;
    let spec: RuleSpec = read(rule)?;
    engine.put_rule(&customer.id, name, spec).map(drop).map_err(TestError)
}

pub(super) fn known(engine: &Engine, customer_id: &str) -> Result<Arc<Customer>, TestError> {
    engine.customer(customer_id).ok_or_else(|| TestError(format!("no customer has the id {customer_id:?}")))
}

pub(super) fn id_of(text: &str) -> Result<CustomerId, TestError> {
    text.parse().map_err(TestError)
}

pub(super) fn wanted(customer: &impl Serialize) -> Result<CustomerInput, TestError> {
    CustomerInput::read(json(customer)?).map_err(|error| misread(&error))
}

pub(super) fn read<T: serde::de::DeserializeOwned>(value: &impl Serialize) -> Result<T, TestError> {
    serde_path_to_error::deserialize(json(value)?).map_err(|error| misread(&error))
}

pub(super) fn json(value: &impl Serialize) -> Result<Value, TestError> {
    serde_json::to_value(value).map_err(|error| TestError(error.to_string()))
}

pub(super) fn misread(error: &serde_path_to_error::Error<serde_json::Error>) -> TestError {
    match error.path().to_string() {
        path if path == "." => TestError(error.inner().to_string()),
        path => TestError(format!("{path}: {}", error.inner())),
    }
}
