//! Resolves one customer: from its specification, inheritance applied, to the `Customer` that the engine uses.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::built_rules::BuiltRules;
use super::gallery::{self, Pictures};
use super::model::CustomerSpec;
use super::problem::{FieldError, field_error};
use super::values::{CustomerId, Methode, Population};
use crate::base::suggestion;
use crate::domain::capacity::{Capacity, CapacitySpec};
use crate::domain::customer::{Account, Customer};
use crate::domain::matcher::Gallery;
use crate::domain::policy::{Policy, PolicySpec};
use crate::domain::rules::{Rule, RuleDefinition, RuleError, RuleSpec};
use crate::keys::{KeyRing, PrivateKey};

/// Default methode of a customer (doc 1).
pub(super) const DOCUMENTED_METHODE: &str = "CALL_FN";

/// Origin of a specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecSource {
    /// A fixture file.
    File,
    /// A call of the admin API at this instant. Its rules may have a `ttl`, and its key may be generated.
    Api(Timestamp),
}

/// Returns a file in `customers/` that rules and capacities can reference.
pub(super) fn attached_file(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<Vec<u8>, String> {
    files.get(name).cloned().ok_or_else(|| {
        let suggestion = suggestion::suffix(name, files.keys().map(String::as_str));
        format!("there is no file {name:?} in customers/{suggestion}")
    })
}

pub(super) fn read_capacity(
    spec: &CapacitySpec,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Capacity, FieldError> {
    let capacity = Capacity::new(spec, &|name| attached_file(files, name));
    capacity.map_err(|(key, message)| field_error(&["capacity", key], message))
}

/// Everything that resolving a customer needs.
#[derive(Clone, Copy)]
pub(super) struct Resolver<'a> {
    pub(super) attached_files: &'a BTreeMap<String, Vec<u8>>,
    pub(super) policy: &'a Arc<Policy>,
    pub(super) keys: &'a KeyRing,
    pub(super) population: u64,
    pub(super) gallery: &'a Gallery,
    pub(super) pictures: &'a Pictures,
    pub(super) max_rules: usize,
    pub(super) built_rules: &'a BuiltRules,
}

/// Value of `key` that requests a generated key; admin API only.
pub(super) const GENERATE: &str = "generate";

impl Resolver<'_> {
    /// Resolves a customer. `spec` includes everything that it inherits.
    pub(super) fn resolve(
        &self,
        id: &CustomerId,
        spec: &CustomerSpec,
        source: SpecSource,
    ) -> Result<Customer, Vec<FieldError>> {
        let mut errors = Errors::default();
        let methode = errors.keep(methode(spec));
        let key = self.key(id, spec.key.as_deref(), source);
        let key = errors.keep(key.map_err(|message| vec![field_error(&["key"], message)]));
        let text = |name, value: &Option<String>| credential(name, value.as_deref(), key.as_deref());
        let user_id = errors.keep(text("user_id", &spec.account.user_id));
        let password = errors.keep(text("password", &spec.account.password));
        let capacity = spec.capacity.as_ref().map(|spec| read_capacity(spec, self.attached_files));
        let capacity = errors.keep(capacity.transpose().map_err(|error| vec![error]));
        let rules = errors.keep(self.rules(spec.rules.as_ref(), source));
        let shared_gallery = spec.gallery.shared.unwrap_or(true);
        let gallery = errors.keep(gallery::own(
            spec.gallery.identities.as_deref().unwrap_or_default(),
            self.pictures,
            shared_gallery.then_some(self.gallery),
        ));
        let (
            Some(methode),
            Some(key),
            Some(user_id),
            Some(password),
            Some(capacity),
            Some(rules),
            Some(gallery),
        ) = (methode, key, user_id, password, capacity, rules, gallery)
        else {
            return Err(errors.0);
        };
        Ok(Customer {
            id: id.to_string(),
            methode,
            account: Account { user_id, password },
            allow: spec.access.allow.clone(),
            access_peer: spec.access.peer.unwrap_or(false),
            per_day: spec.quota.per_day.flatten(),
            policy: self.policy_with(&spec.policy),
            key,
            capacity,
            rules,
            gallery,
            shared_gallery,
            population: spec.population.map_or(self.population, |Population(people)| people),
            extends: spec.extends.as_ref().map(ToString::to_string),
        })
    }

    /// The global policy, shared, where the customer sets no key of its own.
    fn policy_with(&self, own: &PolicySpec) -> Arc<Policy> {
        if *own == PolicySpec::default() {
            return Arc::clone(self.policy);
        }
        Arc::new(Policy::clone(self.policy).with(own))
    }

    fn key(
        &self,
        id: &CustomerId,
        name: Option<&str>,
        source: SpecSource,
    ) -> Result<Arc<PrivateKey>, String> {
        match (name, source) {
            (None, _) => Ok(Arc::clone(self.keys.server())),
            (Some(GENERATE), SpecSource::Api(_)) => self.keys.made_for(id.as_str()),
            (Some(name), _) => self.keys.named(name),
        }
    }

    /// Builds a customer's rules, or takes those that were built from the same list. Files that they reference are in `customers/`.
    fn rules(
        &self,
        specs: Option<&Arc<Vec<RuleSpec>>>,
        source: SpecSource,
    ) -> Result<Vec<Arc<Rule>>, Vec<FieldError>> {
        let Some(specs) = specs else { return Ok(Vec::new()) };
        let definitions = match self.built_rules.get(specs) {
            Some(definitions) => definitions,
            None => self.built_rules.add(specs, self.build_rules(specs, source)?),
        };
        let of_api = |mut rule: Rule| match source {
            SpecSource::File => Ok(Arc::new(rule)),
            SpecSource::Api(now) => rule.put_at(now).map(|()| Arc::new(rule)),
        };
        let (mut rules, mut errors) = (Vec::new(), Vec::new());
        for (index, rule) in Rule::all(&definitions).enumerate() {
            match of_api(rule) {
                Ok(rule) => rules.push(rule),
                Err(message) => errors.push(rule_error(index, Some("ttl"), message)),
            }
        }
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }

    fn build_rules(
        &self,
        specs: &[RuleSpec],
        source: SpecSource,
    ) -> Result<Vec<RuleDefinition>, Vec<FieldError>> {
        if specs.len() > self.max_rules {
            let message = format!(
                "the customer has {} rules; at most {} are allowed (limits.rules)",
                specs.len(),
                self.max_rules
            );
            return Err(vec![field_error(&["rules"], message)]);
        }
        let (mut rules, mut before) = (Vec::with_capacity(specs.len()), RulesBefore::default());
        let mut errors = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            match self.rule(spec, index + 1, source, &rules, &before) {
                Ok(rule) => {
                    before.add(&rule, rules.len());
                    rules.push(rule);
                }
                Err(found) => {
                    errors.extend(found.into_iter().map(|(key, message)| rule_error(index, key, message)));
                }
            }
        }
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }

    /// Builds a rule; `rules` and `before` are those in front of it.
    fn rule(
        &self,
        spec: &RuleSpec,
        number: usize,
        source: SpecSource,
        rules: &[RuleDefinition],
        before: &RulesBefore,
    ) -> Result<RuleDefinition, Vec<RuleError>> {
        let rule = RuleDefinition::new(spec, number, &|name| attached_file(self.attached_files, name))?;
        if source == SpecSource::File && spec.ttl.is_some() {
            let message = format!("rule {:?}: ttl is only for rules created over the admin API", rule.name);
            return Err(vec![(Some("ttl"), message)]);
        }
        if before.names.contains(&rule.name) {
            return Err(vec![(Some("name"), format!("duplicate rule name {:?}", rule.name))]);
        }
        let mut always_firing = before.always_firing.iter().map(|index| &rules[*index]);
        if let Some(shadow) = always_firing.find(|other| other.shadows(&rule)) {
            return Err(vec![(
                None,
                format!(
                    "rule {:?} can never fire: {:?} comes first, always fires and decides the same",
                    rule.name, shadow.name
                ),
            )]);
        }
        Ok(rule)
    }
}

fn rule_error(index: usize, key: Option<&'static str>, message: String) -> FieldError {
    let index = index.to_string();
    let path: Vec<_> = ["rules", &index].into_iter().chain(key).collect();
    field_error(&path, message)
}

/// The rules in front of one, as far as they can contradict it.
#[derive(Default)]
struct RulesBefore {
    names: HashSet<String>,
    /// Indices of a few: each decides something that those before it leave.
    always_firing: Vec<usize>,
}

impl RulesBefore {
    fn add(&mut self, rule: &RuleDefinition, index: usize) {
        self.names.insert(rule.name.clone());
        if rule.always_fires() {
            self.always_firing.push(index);
        }
    }
}

/// Errors of the parts of a customer.
#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    /// Returns a part that is right; keeps the errors of another.
    fn keep<T>(&mut self, part: Result<T, Vec<FieldError>>) -> Option<T> {
        part.map_err(|errors| self.0.extend(errors)).ok()
    }
}

fn methode(spec: &CustomerSpec) -> Result<Vec<String>, Vec<FieldError>> {
    match &spec.methode {
        Some(methode) if methode.is_empty() => {
            Err(vec![field_error(&["methode"], "methode is empty; list at least one")])
        }
        Some(methode) => Ok(methode.iter().map(|Methode(name)| name.clone()).collect()),
        None => Ok(vec![DOCUMENTED_METHODE.to_owned()]),
    }
}

/// Checks a credential: it must be set, not empty, and short enough for the customer's key, if there is one.
fn credential(
    name: &'static str,
    value: Option<&str>,
    key: Option<&PrivateKey>,
) -> Result<String, Vec<FieldError>> {
    let invalid = |message: String| Err(vec![field_error(&["account", name], message)]);
    // PKCS#1 v1.5 padding takes 11 bytes.
    let too_long = |text: &str| key.filter(|key| text.len() > key.size() - 11);
    match value {
        None => invalid(format!("account.{name} is missing; set it, or inherit it with extends = \"demo\"")),
        Some("") => invalid(format!("account.{name} is empty")),
        Some(text) => match too_long(text) {
            Some(key) => invalid(format!(
                "account.{name} has {} bytes; a key of {} bits encrypts at most {} bytes",
                text.len(),
                key.bits(),
                key.size() - 11
            )),
            None => Ok(text.to_owned()),
        },
    }
}
