//! Rules that were built, by the list that they were built from: a customer that inherits a list shares them with all others that have it.
//! Else each would hold its own, up to `limits.rules` of them, with their regexes.
//!
//! They are those of one set of fixtures, because rules hold content of files.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::domain::rules::{RuleDefinition, RuleSpec};

/// Built rules by the address of their list, as long as a customer has them. An entry's own reference to the list keeps the address from
/// being used again.
#[derive(Debug, Default)]
pub(super) struct BuiltRules(Mutex<HashMap<usize, BuiltList>>);

#[derive(Debug)]
struct BuiltList {
    specs: Weak<Vec<RuleSpec>>,
    rules: Weak<Vec<RuleDefinition>>,
}

impl BuiltRules {
    /// Returns what was built from this list.
    pub(super) fn get(&self, specs: &Arc<Vec<RuleSpec>>) -> Option<Arc<Vec<RuleDefinition>>> {
        self.0.lock().get(&address(specs))?.rules.upgrade()
    }

    /// Adds what was built from this list, and returns it.
    pub(super) fn add(
        &self,
        specs: &Arc<Vec<RuleSpec>>,
        rules: Vec<RuleDefinition>,
    ) -> Arc<Vec<RuleDefinition>> {
        let rules = Arc::new(rules);
        let built = BuiltList { specs: Arc::downgrade(specs), rules: Arc::downgrade(&rules) };
        let mut lists = self.0.lock();
        // Seldom, so that many lists are not walked for each of them.
        if lists.len().is_power_of_two() {
            lists.retain(|_, built| built.specs.strong_count() > 0);
        }
        lists.insert(address(specs), built);
        rules
    }
}

fn address(specs: &Arc<Vec<RuleSpec>>) -> usize {
    Arc::as_ptr(specs).addr()
}
