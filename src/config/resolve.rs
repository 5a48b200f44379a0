//! Resolves one customer: from its specification, inheritance applied, to the `Customer` that the engine uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::gallery::{self, Pictures};
use super::model::CustomerSpec;
use super::problem::{FieldError, field_error};
use super::values::{CustomerId, Methode, Population};
use crate::base::suggestion;
use crate::domain::capacity::{Capacity, CapacitySpec};
use crate::domain::customer::{Account, Customer};
use crate::domain::matcher::Gallery;
use crate::domain::policy::Policy;
use crate::domain::rules::{Rule, RuleSpec};
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
    pub(super) policy: &'a Policy,
    pub(super) keys: &'a KeyRing,
    pub(super) population: u64,
    pub(super) gallery: &'a Gallery,
    pub(super) pictures: &'a Pictures,
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
    ) -> Result<Customer, FieldError> {
        let methode = match &spec.methode {
            Some(methode) if methode.is_empty() => {
                return Err(field_error(&["methode"], "methode is empty; list at least one"));
            }
            Some(methode) => methode.iter().map(|Methode(name)| name.clone()).collect(),
            None => vec![DOCUMENTED_METHODE.to_owned()],
        };
        let shared_gallery = spec.gallery.shared.unwrap_or(true);
        let rules = self.rules(spec.rules.as_deref().unwrap_or_default(), source)?;
        let key =
            self.key(id, spec.key.as_deref(), source).map_err(|message| field_error(&["key"], message))?;
        Ok(Customer {
            id: id.to_string(),
            methode,
            account: Account {
                user_id: credential("user_id", spec.account.user_id.as_deref(), &key)?,
                password: credential("password", spec.account.password.as_deref(), &key)?,
            },
            allow: spec.access.allow.clone(),
            access_peer: spec.access.peer.unwrap_or(false),
            per_day: spec.quota.per_day.flatten(),
            policy: self.policy.clone().with(&spec.policy),
            key,
            capacity: spec
                .capacity
                .as_ref()
                .map(|spec| read_capacity(spec, self.attached_files))
                .transpose()?,
            rules,
            gallery: gallery::own(
                spec.gallery.identities.as_deref().unwrap_or_default(),
                self.pictures,
                shared_gallery.then_some(self.gallery),
            )?,
            shared_gallery,
            population: spec.population.map_or(self.population, |Population(people)| people),
            extends: spec.extends.as_ref().map(ToString::to_string),
        })
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

    /// Builds a customer's rules. Files that they reference are in `customers/`.
    fn rules(&self, specs: &[RuleSpec], source: SpecSource) -> Result<Vec<Arc<Rule>>, FieldError> {
        let file = |name: &str| attached_file(self.attached_files, name);
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            let here = |message: String| field_error(&["rules", &index.to_string()], message);
            let mut rule = Rule::new(spec, index + 1, &file).map_err(here)?;
            match source {
                SpecSource::File if spec.ttl.is_some() => {
                    return Err(here(format!(
                        "rule {:?}: ttl is only for rules created over the admin API",
                        rule.name
                    )));
                }
                SpecSource::File => {}
                SpecSource::Api(now) => rule.put_at(now).map_err(here)?,
            }
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(here(format!("duplicate rule name {:?}", rule.name)));
            }
            if let Some(shadow) = rules.iter().find(|other| other.shadows(&rule)) {
                let message = format!(
                    "rule {:?} can never fire: {:?} comes first, always fires and decides the same",
                    rule.name, shadow.name
                );
                return Err(here(message));
            }
            rules.push(Arc::new(rule));
        }
        Ok(rules)
    }
}

/// Checks a credential: it must be set, not empty, and short enough for the customer's key.
pub(super) fn credential(
    name: &'static str,
    value: Option<&str>,
    key: &PrivateKey,
) -> Result<String, FieldError> {
    let invalid = |message: String| field_error(&["account", name], message);
    match value {
        None => {
            Err(invalid(format!("account.{name} is missing; set it, or inherit it with extends = \"demo\"")))
        }
        Some("") => Err(invalid(format!("account.{name} is empty"))),
        // PKCS#1 v1.5 padding takes 11 bytes.
        Some(text) if text.len() > key.size() - 11 => Err(invalid(format!(
            "account.{name} has {} bytes; a key of {} bits encrypts at most {} bytes",
            text.len(),
            key.bits(),
            key.size() - 11
        ))),
        Some(text) => Ok(text.to_owned()),
    }
}
