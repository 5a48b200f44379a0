//! Resolves one customer: from the specification with everything inherited to the customer that answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::gallery::{self, Pictures};
use super::model::CustomerSpec;
use super::problem::{FieldError, wrong};
use super::values::{CustomerId, Methode, Population};
use crate::base::suggestion;
use crate::domain::capacity::{Capacity, CapacitySpec};
use crate::domain::customer::{Account, Customer};
use crate::domain::matcher::Gallery;
use crate::domain::policy::Policy;
use crate::domain::rules::{Rule, RuleSpec};
use crate::keys::{KeyRing, PrivateKey};

/// The methode that a customer has by default (doc 1).
pub(super) const DOCUMENTED_METHODE: &str = "CALL_FN";

/// Where a customer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecSource {
    /// In a file.
    InFile,
    /// In a call of the admin API at this instant: its rules may end by themselves, and its key may be made for it.
    OverApi(Timestamp),
}

pub(super) fn attached_file(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<Vec<u8>, String> {
    files.get(name).cloned().ok_or_else(|| {
        let proposal = suggestion::suffix(name, files.keys().map(String::as_str));
        format!("there is no file {name:?} in customers/{proposal}")
    })
}

pub(super) fn read_capacity(
    spec: &CapacitySpec,
    files: &BTreeMap<String, Vec<u8>>,
) -> Result<Capacity, FieldError> {
    let read = Capacity::new(spec, &|name| attached_file(files, name));
    read.map_err(|(key, message)| wrong(&["capacity", key], message))
}

/// What customers are resolved with.
#[derive(Clone, Copy)]
pub(super) struct Resolver<'a> {
    pub(super) attached_files: &'a BTreeMap<String, Vec<u8>>,
    pub(super) policy: &'a Policy,
    pub(super) keys: &'a KeyRing,
    pub(super) population: u64,
    pub(super) gallery: &'a Gallery,
    pub(super) pictures: &'a Pictures,
}

/// What a customer of the admin API has for a key when one is to be made for it.
pub(super) const GENERATE: &str = "generate";

impl Resolver<'_> {
    /// `spec` has everything that the customer inherits.
    pub(super) fn resolve(
        &self,
        id: &CustomerId,
        spec: &CustomerSpec,
        written: SpecSource,
    ) -> Result<Customer, FieldError> {
        let methode = match &spec.methode {
            Some(methode) if methode.is_empty() => {
                return Err(wrong(&["methode"], "no methode is left"));
            }
            Some(methode) => methode.iter().map(|Methode(name)| name.clone()).collect(),
            None => vec![DOCUMENTED_METHODE.to_owned()],
        };
        let shared_gallery = spec.gallery.shared.unwrap_or(true);
        let rules = self.rules(spec.rules.as_deref().unwrap_or_default(), written)?;
        let key = self.key(id, spec.key.as_deref(), written).map_err(|message| wrong(&["key"], message))?;
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
        written: SpecSource,
    ) -> Result<Arc<PrivateKey>, String> {
        match (name, written) {
            (None, _) => Ok(Arc::clone(self.keys.server())),
            (Some(GENERATE), SpecSource::OverApi(_)) => self.keys.made_for(id.as_str()),
            (Some(name), _) => self.keys.named(name),
        }
    }

    /// Reads a customer's rules. Files that they name stand beside the customers' own.
    fn rules(&self, specs: &[RuleSpec], written: SpecSource) -> Result<Vec<Arc<Rule>>, FieldError> {
        let file = |name: &str| attached_file(self.attached_files, name);
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            let here = |message: String| wrong(&["rules", &index.to_string()], message);
            let mut rule = Rule::new(spec, index + 1, &file).map_err(here)?;
            match written {
                SpecSource::InFile if spec.ttl.is_some() => {
                    return Err(here(format!(
                        "rule {:?}: ttl is for rules put over the admin API",
                        rule.name
                    )));
                }
                SpecSource::InFile => {}
                SpecSource::OverApi(now) => rule.put_at(now).map_err(here)?,
            }
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(here(format!("the rule name {:?} stands twice", rule.name)));
            }
            if let Some(shadow) = rules.iter().find(|other| other.shadows(&rule)) {
                let message = format!(
                    "rule {:?} can never fire: {:?} before it always does, and decides the same",
                    rule.name, shadow.name
                );
                return Err(here(message));
            }
            rules.push(Arc::new(rule));
        }
        Ok(rules)
    }
}

pub(super) fn credential(
    name: &'static str,
    value: Option<&str>,
    key: &PrivateKey,
) -> Result<String, FieldError> {
    let wrong = |message: String| wrong(&["account", name], message);
    match value {
        None => {
            Err(wrong(format!("account.{name} is missing; write it, or extends = \"demo\" to inherit it")))
        }
        Some("") => Err(wrong(format!("account.{name} is empty"))),
        // PKCS#1 v1.5 takes eleven bytes for itself.
        Some(text) if text.len() > key.size() - 11 => Err(wrong(format!(
            "account.{name} has {} bytes; a key of {} bits encrypts at most {}",
            text.len(),
            key.bits(),
            key.size() - 11
        ))),
        Some(text) => Ok(text.to_owned()),
    }
}
