//! Customers of the admin API as a store keeps them: as written, and with what they inherited. The first is resolved anew at the start, so
//! a customer follows what it extends; the second is what it stays when that is no longer possible.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ApiCustomer, CustomerRegistry, PendingChange, Table};
use crate::base::hash::{hex, unhex};
use crate::base::json;
use crate::config::{CustomerId, CustomerSpec, Fixtures};
use crate::domain::rules::{Fingerprint, Rule};
use crate::state::known_accounts::KnownAccounts;
use crate::state::store::{Store, StoreWrite, StoredState, set};

/// Subject of the customers in a store; the fields are their ids.
const CUSTOMERS: &str = "customers";

/// A customer as it is stored. Its account and its key are in the clear.
#[derive(Serialize, Deserialize)]
struct StoredCustomer {
    spec: CustomerSpec,
    /// With everything that it inherited.
    resolved: CustomerSpec,
    expires: Option<String>,
    /// When each of its rules was created, by fingerprint.
    rules: Vec<(String, String)>,
    /// The key generated for it.
    key: Option<String>,
}

impl CustomerRegistry {
    /// Hands over changes to a store from now on.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        self.store = Some(Arc::clone(store));
    }

    /// Returns the writes that make all customers of the admin API.
    #[must_use]
    pub fn whole(&self) -> Vec<StoreWrite> {
        let table = self.api_customers.read();
        table.iter().map(|(id, customer)| self.write(id, Some(customer))).collect()
    }

    /// Hands over the customers with these ids, as the table has them now; to be called under its lock.
    pub(super) fn push<'a>(&self, table: &Table, changed: impl IntoIterator<Item = &'a CustomerId>) {
        if let Some(store) = &self.store {
            store.push(changed.into_iter().map(|id| self.write(id, table.get(id))).collect());
        }
    }

    fn write(&self, id: &CustomerId, customer: Option<&ApiCustomer>) -> StoreWrite {
        let subject = CUSTOMERS.into();
        let Some(ApiCustomer { spec, resolved, expires, customer, .. }) = customer else {
            return StoreWrite::Remove { subject, field: id.to_string() };
        };
        let created = |rule: &Arc<Rule>| Some((hex(&rule.fingerprint), rule.put?.to_string()));
        let stored = StoredCustomer {
            spec: spec.clone(),
            resolved: CustomerSpec::clone(resolved),
            expires: expires.map(|expires| expires.to_string()),
            rules: customer.rules.iter().filter_map(created).collect(),
            key: self.fixtures_guard().keys.generated_pem(id.as_str()),
        };
        set(&subject, id.as_str(), json::text(&stored))
    }

    /// Takes over the customers of an earlier run. Returns a message for each that is not what it would be now.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn restore(&mut self, stored: &StoredState, now: Timestamp) -> Result<Vec<String>, String> {
        let fixtures = self.fixtures();
        let (mut table, mut messages) = (Table::new(), Vec::new());
        for (name, text) in stored.fields.get(CUSTOMERS).into_iter().flatten() {
            let damaged = |what: String| format!("the customer {name}: {what}");
            let id: CustomerId = name.parse().map_err(damaged)?;
            let stored = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
            match as_it_was(&id, stored, &fixtures, &self.accounts, now).map_err(damaged)? {
                Ok(customer) => drop(table.insert(id, customer)),
                Err(message) => messages.push(format!("the stored customer {id} is left out: {message}")),
            }
        }
        let pending = PendingChange { table: &table, change: None, fixtures: &fixtures, now };
        let mut renewed = Vec::new();
        for id in table.keys() {
            match pending.renewed(id) {
                Ok(resolved) => renewed.push((id.clone(), resolved)),
                Err((_, message)) => messages.push(format!(
                    "the stored customer {id} stays as it was: with these fixtures, {message}"
                )),
            }
        }
        self.renew(&mut table, renewed);
        *self.api_customers.get_mut() = table;
        Ok(messages)
    }
}

/// Returns a customer as it was in the earlier run, or why it cannot be that any more.
///
/// # Errors
/// What cannot be read.
fn as_it_was(
    id: &CustomerId,
    stored: StoredCustomer,
    fixtures: &Fixtures,
    accounts: &Arc<KnownAccounts>,
    now: Timestamp,
) -> Result<Result<ApiCustomer, String>, String> {
    let StoredCustomer { spec, resolved, expires, rules, key } = stored;
    key.map_or(Ok(()), |pem| fixtures.keys.restore(id.as_str(), &pem))?;
    let instant = |text: String| text.parse::<Timestamp>().map_err(|error| error.to_string());
    let expires = expires.map(instant).transpose()?;
    let created = |(fingerprint, put): (String, String)| {
        let fingerprint: Fingerprint = unhex(&fingerprint).ok_or("a rule's fingerprint")?;
        Ok::<_, String>((fingerprint, instant(put)?))
    };
    let created = rules.into_iter().map(created).collect::<Result<HashMap<_, _>, _>>()?;
    let mut customer = match fixtures.resolve(id, &resolved, now) {
        Ok(customer) => customer,
        Err(errors) => {
            let messages = errors.into_iter().map(|(_, message)| message).collect::<Vec<_>>();
            return Ok(Err(messages.join("; ")));
        }
    };
    for rule in &mut customer.rules {
        if let Some(put) = created.get(&rule.fingerprint) {
            Arc::make_mut(rule).put_at(*put)?;
        }
    }
    let chain = vec![id.clone()];
    let customer = Arc::new(customer);
    let known = accounts.hold(&customer);
    Ok(Ok(ApiCustomer { spec, customer, known, resolved: Arc::new(resolved), expires, chain }))
}
