//! Customers and rules as JSON, as the builder and tests write them, and their errors.
//!
//! The library takes `json!({...})`, in the model of the files and the admin API: with Rust types a test would need twenty imports.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::reading::{self, Misread};
use crate::base::wording::Notation;
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
    engine.customer(customer_id).ok_or_else(|| TestError(engine.unknown_customer(customer_id)))
}

pub(super) fn parse_id(text: &str) -> Result<CustomerId, TestError> {
    text.parse().map_err(TestError)
}

pub(super) fn customer_input(customer: &impl Serialize) -> Result<CustomerInput, TestError> {
    CustomerInput::read(json(customer)?).map_err(with_path)
}

pub(super) fn parse<T: DeserializeOwned + JsonSchema>(value: &impl Serialize) -> Result<T, TestError> {
    reading::read(json(value)?, Notation::Json).map_err(with_path)
}

pub(super) fn json(value: &impl Serialize) -> Result<Value, TestError> {
    serde_json::to_value(value).map_err(|error| TestError(error.to_string()))
}

fn with_path(Misread { path, message, hint, .. }: Misread) -> TestError {
    let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
    // A message names the last key; the way to it is said where there is one.
    let place = if path.len() > 1 { format!("{}: ", path.join(".")) } else { String::new() };
    TestError(format!("{place}{message}{hint}"))
}
