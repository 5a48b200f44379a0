//! Inheritance between customers (`extends`).

use std::collections::BTreeMap;

use super::model::CustomerSpec;
use super::problem::{FieldError, field_error};
use super::values::CustomerId;
use crate::base::suggestion;

/// Customer specifications by id, without inheritance.
pub(super) type SpecsById<'a> = BTreeMap<&'a CustomerId, &'a CustomerSpec>;

/// Returns the customer's specification merged over those it extends, the farthest base first.
pub(super) fn inherited(
    id: &CustomerId,
    specs: &SpecsById,
    max_bases: usize,
) -> Result<CustomerSpec, FieldError> {
    let chain = chain(id, specs, max_bases)?;
    Ok(chain.iter().rev().fold(CustomerSpec::default(), |merged, id| merged.overlaid(specs[id])))
}

/// Returns the ids of a customer and of everything it extends, the nearest first.
///
/// # Errors
/// When a base does not exist, or the chain is circular or has more than `max_bases` bases.
pub(super) fn chain<'a>(
    id: &'a CustomerId,
    specs: &SpecsById<'a>,
    max_bases: usize,
) -> Result<Vec<&'a CustomerId>, FieldError> {
    let mut chain = vec![id];
    while let Some(base) = specs[chain[chain.len() - 1]].extends.as_ref() {
        if chain.contains(&base) {
            return Err(field_error(&["extends"], format!("circular extends: {base} extends itself")));
        }
        if !specs.contains_key(base) {
            return Err(field_error(&["extends"], unknown_base(base, specs)));
        }
        if chain.len() > max_bases {
            return Err(field_error(&["extends"], too_long(max_bases)));
        }
        chain.push(base);
    }
    Ok(chain)
}

/// Returns the error about a customer that extends too many others. The limit keeps the time linear that all chains together take.
pub(super) fn too_long(max_bases: usize) -> String {
    format!(
        "the chain of extends has more than {max_bases} customers behind this one; shorten it, or raise limits.extends in simulator.toml"
    )
}

pub(super) fn unknown_base(base: &CustomerId, specs: &SpecsById) -> String {
    let suggestion = suggestion::suffix(base.as_str(), specs.keys().map(|id| id.as_str()));
    format!("there is no customer {base} to extend{suggestion}")
}
