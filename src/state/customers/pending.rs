//! The customers as they would be after a change that is not applied yet: resolves and checks them before anything changes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::CustomerError;
use super::table::{ApiCustomer, Table};
use crate::base::suggestion;
use crate::config::{CustomerId, CustomerSpec, FieldError, Fixtures};
use crate::domain::customer::Customer;
use crate::domain::rules::{Rule, RuleSpec};

/// A resolved customer, the specification it was resolved from, and the ids of its `extends` chain, the nearest first.
pub(super) struct Resolved {
    pub(super) customer: Customer,
    pub(super) spec: Arc<CustomerSpec>,
    pub(super) chain: Vec<CustomerId>,
}

pub(super) type ResolvedById = (CustomerId, Resolved);

/// Checks that the regexes of the table's customers stay within their limit, with this specification of one of them. Each list of rules
/// counts once, however many customers share it, and as long as one has it: its base may have expired. Those of files do not count.
pub(super) fn check_regexes(
    table: &Table,
    id: &CustomerId,
    spec: &CustomerSpec,
    fixtures: &Fixtures,
) -> Result<(), CustomerError> {
    let bytes = |rules: &Arc<Vec<RuleSpec>>| rules.iter().map(|rule| rule.when.regex_bytes()).sum::<usize>();
    let own = spec.rules.as_ref().map_or(0, bytes);
    if own == 0 {
        return Ok(());
    }
    let max = fixtures.limits.regexes.0;
    let replaced = table.get(id).and_then(|found| found.spec.rules.as_ref());
    let mut known: HashSet<_> = fixtures.rule_lists().chain(replaced).map(Arc::as_ptr).collect();
    let held =
        table.iter().filter(|(other, _)| *other != id).filter_map(|(_, found)| found.resolved.rules.as_ref());
    let others: usize = held.filter(|rules| known.insert(Arc::as_ptr(rules))).map(bytes).sum();
    if (own + others) as u64 > max {
        let message = format!(
            "the regexes of all customers would take more than {max} bytes of memory (limits.regexes); use globs, or fewer"
        );
        return Err(CustomerError::Wrong((vec!["rules".to_owned()], message)));
    }
    Ok(())
}

/// Replaces each rule that `before` has already, by fingerprint, with `merge(rule, rule before)`.
pub(super) fn with_known_rules(
    mut customer: Customer,
    before: Option<&Customer>,
    merge: impl Fn(&Arc<Rule>, &Arc<Rule>) -> Arc<Rule>,
) -> Customer {
    let before = before.into_iter().flat_map(|before| &before.rules);
    let before: HashMap<_, _> = before.map(|rule| (rule.fingerprint, rule)).collect();
    for rule in &mut customer.rules {
        if let Some(before) = before.get(&rule.fingerprint) {
            *rule = merge(rule, before);
        }
    }
    customer
}

/// The customers as they would be after a change that is not applied yet.
#[derive(Clone, Copy)]
pub(super) struct PendingChange<'a> {
    pub(super) table: &'a Table,
    /// Customer to change and its new specification; `None` to remove it.
    pub(super) change: Option<(&'a CustomerId, Option<&'a CustomerSpec>)>,
    pub(super) fixtures: &'a Fixtures,
    pub(super) now: Timestamp,
}

/// Layer of a link in an `extends` chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Api,
    File,
}

impl<'a> PendingChange<'a> {
    fn api_spec(&self, id: &CustomerId) -> Option<&'a CustomerSpec> {
        match self.change {
            Some((changed, spec)) if changed == id => spec,
            _ => self.table.get(id).map(|found| &found.spec),
        }
    }

    fn spec(&self, layer: Layer, id: &CustomerId) -> Option<&'a CustomerSpec> {
        match layer {
            Layer::Api => self.api_spec(id),
            Layer::File => self.fixtures.spec(id.as_str()),
        }
    }

    /// Resolves a customer from its specification merged over those it extends, the farthest base first.
    pub(super) fn resolve(&self, id: &CustomerId) -> Result<Resolved, FieldError> {
        let mut chain: Vec<(Layer, CustomerId)> = vec![(Layer::Api, id.clone())];
        let mut specs: Vec<&CustomerSpec> = self.api_spec(id).into_iter().collect();
        while let Some(base) = specs.last().and_then(|spec| spec.extends.as_ref()) {
            let layer = self.base_layer(base, &chain)?;
            if chain.len() > self.fixtures.limits.extends {
                return Err(self.fixtures.too_many_bases());
            }
            specs.extend(self.spec(layer, base));
            chain.push((layer, base.clone()));
        }
        let merged = specs.iter().rev().fold(CustomerSpec::default(), |merged, spec| merged.overlaid(spec));
        let customer = self.fixtures.resolve(id, &merged, self.now);
        let customer = customer.map_err(|errors| errors.into_iter().next().unwrap_or_default())?;
        let chain = chain.into_iter().map(|(_, id)| id).collect();
        Ok(Resolved { customer, spec: Arc::new(merged), chain })
    }

    /// Returns the layer of the next base: API, unless that link is in the chain already or the chain has reached the files.
    fn base_layer(&self, base: &CustomerId, chain: &[(Layer, CustomerId)]) -> Result<Layer, FieldError> {
        let in_files = chain.iter().any(|(layer, _)| *layer == Layer::File);
        let is_new = |layer: Layer| !chain.iter().any(|(link, id)| *link == layer && id == base);
        if !in_files && is_new(Layer::Api) && self.api_spec(base).is_some() {
            return Ok(Layer::Api);
        }
        let error = |message: String| Err((vec!["extends".to_owned()], message));
        match self.fixtures.spec(base.as_str()) {
            Some(_) if is_new(Layer::File) => Ok(Layer::File),
            None if self.change.is_some_and(|(id, spec)| spec.is_none() && id == base) => {
                error(format!("there would be no customer {base} to extend"))
            }
            None if is_new(Layer::Api) => {
                let ids = self.table.keys().map(CustomerId::as_str);
                let known = ids.chain(self.fixtures.customers.keys().map(String::as_str));
                let suggestion = suggestion::suffix(base.as_str(), known);
                error(format!("there is no customer {base} to extend{suggestion}"))
            }
            _ => error(format!("circular extends: {base} extends itself")),
        }
    }

    /// Resolves a customer of the table again; its rules keep their state.
    pub(super) fn renewed(&self, id: &CustomerId) -> Result<Resolved, FieldError> {
        let resolved = self.resolve(id)?;
        let before = self.table.get(id).map(|found| &*found.customer);
        let customer = with_known_rules(resolved.customer, before, |rule, before| {
            Arc::new(rule.with_times(before.created, before.expires))
        });
        Ok(Resolved { customer, ..resolved })
    }

    /// Resolves again the customers that extend `id`. One that is invalid even without the change stays unchanged: its base has
    /// expired or was removed from the files.
    pub(super) fn dependents(&self, id: &CustomerId) -> Result<Vec<ResolvedById>, CustomerError> {
        let extends =
            |(other, customer): &(&CustomerId, &ApiCustomer)| *other != id && customer.chain.contains(id);
        let renewed = |other: &CustomerId| match self.renewed(other) {
            Ok(renewed) => Some(Ok((other.clone(), renewed))),
            Err(_) if self.unchanged().resolve(other).is_err() => None,
            Err((_, message)) => Some(Err(CustomerError::Dependent { other: other.to_string(), message })),
        };
        self.table.iter().filter(extends).filter_map(|(other, _)| renewed(other)).collect()
    }

    fn unchanged(&self) -> PendingChange<'a> {
        PendingChange { change: None, ..*self }
    }
}
