//! Customer registry: customers from the fixtures, overlaid by customers created over the admin API. The latter survive a reload.
//!
//! An API customer may extend any customer; its base is searched first among the API customers, then in the files. Customers in
//! files extend only customers in files.
//!
//! The fixtures stay one immutable snapshot. An API customer is resolved against it when it is created or changed, when a customer that
//! it extends changes, and on a reload. One that a reload makes unresolvable stays unchanged, with a warning. A change is rejected only
//! for the dependents that it makes invalid itself: the base of another one may have expired long ago.
//!
//! Changes are serialized. Readers wait only for the insertion into the table, not for the resolution, which may generate a key. A
//! request looks its customer up once, when it is admitted.
//!
//! A time to live runs on the simulator's clock, not on the customer's own: a test may move its customer's clock over midnight without
//! losing the customer.

mod error;
mod input;
mod pending;
mod stored;
mod table;

pub use error::CustomerError;
pub use input::{CustomerInput, READ_ONLY};
pub use stored::{CUSTOMERS, GENERATED, MADE};
pub use table::CustomerEntry;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};

use crate::base::suggestion;
use crate::config::{CustomerId, CustomerSpec, FieldError, Fixtures};
use crate::domain::customer::Customer;
use crate::state::known_accounts::{KnownAccounts, KnownCustomer};
use crate::state::store::Store;
use pending::{PendingChange, Resolved, ResolvedById, check_regexes, with_known_rules};
use table::{ApiCustomer, Table};

/// Registry of all customers: the active fixtures, and the customers of the admin API that overlay them.
#[derive(Debug)]
pub struct CustomerRegistry {
    fixtures: ArcSwap<Fixtures>,
    api_customers: RwLock<Table>,
    /// The accounts of both.
    accounts: Arc<KnownAccounts>,
    known_in_fixtures: Mutex<Vec<KnownCustomer>>,
    /// Serializes changes. Its holder reads, resolves (slow: this may generate a key) and only then locks the table for writing, so
    /// that requests are not blocked meanwhile.
    write_lock: Mutex<()>,
    /// How many customers were generated.
    generated: Mutex<u64>,
    /// Where customers are kept over a restart; steps are pushed under the table's lock.
    store: Option<Arc<Store>>,
}

/// A customer's specification as written, and when the customer expires.
#[derive(Clone, Debug)]
pub struct SpecAndExpiry {
    pub spec: CustomerSpec,
    /// On the simulator's clock; `None`: it never expires.
    pub expires: Option<Timestamp>,
}

impl CustomerRegistry {
    /// Creates a registry of the fixtures' customers.
    #[must_use]
    pub fn new(fixtures: Fixtures) -> CustomerRegistry {
        let accounts = Arc::new(KnownAccounts::default());
        CustomerRegistry {
            known_in_fixtures: Mutex::new(known_in(&fixtures, &accounts)),
            accounts,
            fixtures: ArcSwap::from_pointee(fixtures),
            api_customers: RwLock::default(),
            write_lock: Mutex::default(),
            generated: Mutex::default(),
            store: None,
        }
    }

    /// Returns the active fixtures.
    #[must_use]
    pub fn fixtures(&self) -> Arc<Fixtures> {
        self.fixtures.load_full()
    }

    /// Returns the active fixtures for short use: cheaper than [`CustomerRegistry::fixtures`], but not to be held.
    pub fn fixtures_guard(&self) -> Guard<Arc<Fixtures>> {
        self.fixtures.load()
    }

    /// Returns the accounts of all customers.
    #[must_use]
    pub fn accounts(&self) -> &KnownAccounts {
        &self.accounts
    }

    /// Returns the customer with this id, if one exists at `now`.
    #[must_use]
    pub fn customer(&self, id: &str, now: Timestamp) -> Option<Arc<Customer>> {
        let table = self.api_customers.read();
        let found = table.get(id).filter(|found| found.is_active(now));
        found
            .map(|found| Arc::clone(&found.customer))
            .or_else(|| self.fixtures_guard().customers.get(id).cloned())
    }

    /// Returns the end of a message about an unknown customer: `; did you mean "demo"?`, or nothing when no id is close.
    #[must_use]
    pub fn suggestion(&self, id: &str, now: Timestamp) -> String {
        let customers = self.customers(now);
        suggestion::suffix(id, customers.iter().map(|customer| customer.id.as_str()))
    }

    /// Returns all customers at `now`, ordered by id.
    #[must_use]
    pub fn customers(&self, now: Timestamp) -> Vec<Arc<Customer>> {
        self.all(now).into_iter().map(|entry| entry.customer).collect()
    }

    /// Returns all customers at `now` with their origin, ordered by id.
    #[must_use]
    pub fn all(&self, now: Timestamp) -> Vec<CustomerEntry> {
        let fixtures = self.fixtures_guard();
        let of_files =
            fixtures.customers.keys().filter_map(|id| Some((id.as_str(), from_fixtures(&fixtures, id)?)));
        let table = self.api_customers.read();
        let active = table.iter().filter(|(_, customer)| customer.is_active(now));
        let of_api = active.map(|(id, customer)| (id.as_str(), customer.entry()));
        of_files.chain(of_api).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Returns the customer with this id and its origin, if one exists at `now`.
    #[must_use]
    pub fn listed(&self, id: &str, now: Timestamp) -> Option<CustomerEntry> {
        let found =
            self.api_customers.read().get(id).filter(|found| found.is_active(now)).map(ApiCustomer::entry);
        found.or_else(|| from_fixtures(&self.fixtures_guard(), id))
    }

    /// Returns the customers of the admin API that extend this one, directly or not.
    #[must_use]
    pub fn dependents(&self, id: &CustomerId) -> Vec<Arc<Customer>> {
        let table = self.api_customers.read();
        let extends = table.iter().filter(|(other, found)| *other != id && found.chain.contains(id));
        extends.map(|(_, found)| Arc::clone(&found.customer)).collect()
    }

    /// Returns a customer's specification as written, without inheritance, and its expiry.
    fn spec_and_expiry(&self, id: &str) -> Option<SpecAndExpiry> {
        let found = self
            .api_customers
            .read()
            .get(id)
            .map(|found| SpecAndExpiry { spec: found.spec.clone(), expires: found.expires });
        found.or_else(|| Some(SpecAndExpiry { spec: self.fixtures_guard().spec(id)?.clone(), expires: None }))
    }

    /// Replaces the fixtures; the API customers now overlay the new ones. Returns a message for each API customer that can no longer
    /// be resolved: it stays unchanged.
    pub fn replace_fixtures(&self, fixtures: Fixtures, now: Timestamp) -> Vec<String> {
        let _lock = self.write_lock.lock();
        let table = self.api_customers.read();
        let pending = PendingChange { table: &table, change: None, fixtures: &fixtures, now };
        let (renewed, failed): (Vec<_>, Vec<_>) =
            table.keys().map(|id| (id.clone(), pending.renewed(id))).partition(|(_, result)| result.is_ok());
        let renewed: Vec<_> =
            renewed.into_iter().filter_map(|(id, result)| Some((id, result.ok()?))).collect();
        drop(table);
        self.insert_renewed(&mut self.api_customers.write(), renewed);
        let known = known_in(&fixtures, &self.accounts);
        *self.known_in_fixtures.lock() = known;
        self.fixtures.store(Arc::new(fixtures));
        let message_of = |(id, result): (CustomerId, Result<_, FieldError>)| {
            let (_, message) = result.err()?;
            Some(format!("customer {id} of the admin API stays unchanged: with the new fixtures, {message}"))
        };
        failed.into_iter().filter_map(message_of).collect()
    }

    /// Creates a customer under an unused id.
    ///
    /// # Errors
    /// When the id is in use, the specification is invalid, or the limit is reached; nothing is changed then.
    pub fn add(
        &self,
        id: &CustomerId,
        entry: SpecAndExpiry,
        now: Timestamp,
    ) -> Result<CustomerEntry, CustomerError> {
        let _lock = self.write_lock.lock();
        if self.customer(id.as_str(), now).is_some() {
            return Err(CustomerError::Taken);
        }
        self.insert(id, entry, now)
    }

    /// Creates or replaces a customer. `now` is on the clock of the customer being replaced: new rules begin then.
    ///
    /// # Errors
    /// When the specification is invalid, a customer that extends it would become invalid, or the limit is reached; nothing is
    /// changed then.
    pub fn put(
        &self,
        id: &CustomerId,
        entry: SpecAndExpiry,
        now: Timestamp,
    ) -> Result<CustomerEntry, CustomerError> {
        let _lock = self.write_lock.lock();
        self.insert(id, entry, now)
    }

    /// Replaces a customer by what `change` makes of its specification and expiry, as one atomic step. Call
    /// [`CustomerRegistry::remove_expired`] before.
    ///
    /// # Errors
    /// Those of `change` and of [`CustomerRegistry::put`]; [`CustomerError::Unknown`] when no customer has the id.
    pub fn change<E: From<CustomerError>>(
        &self,
        id: &CustomerId,
        now: Timestamp,
        change: impl FnOnce(SpecAndExpiry) -> Result<SpecAndExpiry, E>,
    ) -> Result<CustomerEntry, E> {
        let _lock = self.write_lock.lock();
        let before = self.spec_and_expiry(id.as_str()).ok_or(CustomerError::Unknown)?;
        Ok(self.insert(id, change(before)?, now)?)
    }

    fn insert(
        &self,
        id: &CustomerId,
        SpecAndExpiry { spec, expires }: SpecAndExpiry,
        now: Timestamp,
    ) -> Result<CustomerEntry, CustomerError> {
        let fixtures = self.fixtures();
        let table = self.api_customers.read();
        let exists = table.contains_key(id) || fixtures.customers.contains_key(id.as_str());
        let max = fixtures.limits.customers;
        let not_overlaid = || fixtures.customers.keys().filter(|id| !table.contains_key(id.as_str())).count();
        let may_be_full = table.len() + fixtures.customers.len() >= max;
        if !exists && may_be_full && table.len() + not_overlaid() >= max {
            return Err(CustomerError::Full(max));
        }
        check_regexes(&table, id, &spec, &fixtures)?;
        let pending =
            PendingChange { table: &table, change: Some((id, Some(&spec))), fixtures: &fixtures, now };
        let Resolved { customer, spec: resolved, chain } =
            pending.resolve(id).map_err(CustomerError::Wrong)?;
        let before =
            table.get(id).map(|found| &found.customer).or_else(|| fixtures.customers.get(id.as_str()));
        let customer = Arc::new(with_known_rules(customer, before.map(Arc::as_ref), |rule, before| {
            Arc::new(rule.with_times(before.created, rule.expires))
        }));
        let renewed = pending.dependents(id)?;
        drop(table);
        let mut table = self.api_customers.write();
        let known = self.accounts.hold(&customer);
        let inserted = ApiCustomer { spec, customer, known, resolved, expires, chain };
        let entry = inserted.entry();
        table.insert(id.clone(), inserted);
        self.push(&table, [id]);
        self.insert_renewed(&mut table, renewed);
        Ok(entry)
    }

    /// Removes a customer of the admin API; a customer of the fixtures with its id becomes active again.
    ///
    /// # Errors
    /// When the admin API has no such customer, or one that extends it would become invalid.
    pub fn remove(&self, id: &CustomerId, now: Timestamp) -> Result<(), CustomerError> {
        let _lock = self.write_lock.lock();
        let fixtures = self.fixtures();
        let table = self.api_customers.read();
        if !table.contains_key(id) {
            let in_file = fixtures.customers.contains_key(id.as_str());
            return Err(if in_file { CustomerError::InFile } else { CustomerError::Unknown });
        }
        let renewed = PendingChange { table: &table, change: Some((id, None)), fixtures: &fixtures, now }
            .dependents(id)?;
        drop(table);
        let mut table = self.api_customers.write();
        table.remove(id);
        self.push(&table, [id]);
        self.insert_renewed(&mut table, renewed);
        Ok(())
    }

    fn insert_renewed(&self, table: &mut Table, renewed: Vec<ResolvedById>) {
        let ids: Vec<_> = renewed.iter().map(|(id, _)| id.clone()).collect();
        self.renew(table, renewed);
        self.push(table, &ids);
    }

    fn renew(&self, table: &mut Table, renewed: Vec<ResolvedById>) {
        for (id, Resolved { customer, spec, chain }) in renewed {
            if let Some(entry) = table.get_mut(&id) {
                let customer = Arc::new(customer);
                entry.known = self.accounts.hold(&customer);
                (entry.customer, entry.resolved, entry.chain) = (customer, spec, chain);
            }
        }
    }

    /// Removes all customers of the admin API and returns their ids.
    pub fn clear(&self) -> Vec<CustomerId> {
        let _lock = self.write_lock.lock();
        let mut table = self.api_customers.write();
        self.push_cleared();
        std::mem::take(&mut *table).into_keys().collect()
    }

    /// Removes expired customers and returns their ids. Customers that extend them stay unchanged, and are resolved again when a
    /// customer is created under such an id.
    pub fn remove_expired(&self, now: Timestamp) -> Vec<CustomerId> {
        if self.api_customers.read().values().all(|customer| customer.is_active(now)) {
            return Vec::new();
        }
        let _lock = self.write_lock.lock();
        let mut table = self.api_customers.write();
        let expired = table.extract_if(.., |_, customer| !customer.is_active(now));
        let ids: Vec<_> = expired.map(|(id, _)| id).collect();
        self.push(&table, &ids);
        ids
    }
}

fn from_fixtures(fixtures: &Fixtures, id: &str) -> Option<CustomerEntry> {
    let (customer, spec) = (fixtures.customers.get(id)?, fixtures.resolved_spec(id)?);
    Some(CustomerEntry {
        customer: Arc::clone(customer),
        spec: Arc::clone(spec),
        is_from_api: false,
        expires: None,
    })
}

fn known_in(fixtures: &Fixtures, accounts: &Arc<KnownAccounts>) -> Vec<KnownCustomer> {
    fixtures.customers.values().map(|customer| accounts.hold(customer)).collect()
}
