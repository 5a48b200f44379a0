//! `extends`: what a customer inherits, and from whom.

use std::collections::BTreeMap;

use super::model::CustomerSpec;
use super::problem::{FieldError, wrong};
use super::values::CustomerId;
use crate::base::suggestion;

/// What files say of customers.
pub(super) type SpecsById<'a> = BTreeMap<&'a CustomerId, &'a CustomerSpec>;

/// The customer's own words over those it extends, the farthest first.
pub(super) fn inherited(id: &CustomerId, words: &SpecsById) -> Result<CustomerSpec, FieldError> {
    let chain = chain(id, words)?;
    Ok(chain.iter().rev().fold(CustomerSpec::default(), |whole, id| whole.overlaid(words[id])))
}

/// A customer and all that it extends, the nearest first.
pub(super) fn chain<'a>(
    id: &'a CustomerId,
    words: &SpecsById<'a>,
) -> Result<Vec<&'a CustomerId>, FieldError> {
    let mut chain = vec![id];
    while let Some(base) = words[chain[chain.len() - 1]].extends.as_ref() {
        if chain.contains(&base) {
            return Err(wrong(
                &["extends"],
                format!("extends goes in a circle: {base} extends itself in the end"),
            ));
        }
        if !words.contains_key(base) {
            return Err(wrong(&["extends"], unknown_base(base, words)));
        }
        chain.push(base);
    }
    Ok(chain)
}

pub(super) fn unknown_base(base: &CustomerId, words: &SpecsById) -> String {
    let proposal = suggestion::suffix(base.as_str(), words.keys().map(|id| id.as_str()));
    format!("there is no customer {base} to extend{proposal}")
}
