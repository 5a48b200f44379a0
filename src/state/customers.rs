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

mod stored;

pub use stored::{CUSTOMERS, GENERATED, MADE};

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::duration::Ttl;
use crate::base::reading::{self, Misread};
use crate::base::size::Size;
use crate::base::suggestion;
use crate::base::wording::Notation;
use crate::config::model::present;
use crate::config::{CustomerId, CustomerSpec, FieldError, Fixtures};
use crate::domain::customer::Customer;
use crate::domain::rules::Rule;
use crate::state::known_accounts::{KnownAccounts, KnownCustomer};
use crate::state::store::Store;

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

/// A customer created over the admin API.
#[derive(Debug)]
struct ApiCustomer {
    /// Specification as written, without inheritance.
    spec: CustomerSpec,
    customer: Arc<Customer>,
    known: KnownCustomer,
    /// Specification with inheritance applied; `customer` was resolved from it.
    resolved: Arc<CustomerSpec>,
    /// Expiry, on the simulator's clock.
    expires: Option<Timestamp>,
    /// Ids of the customer and of everything it extends, the nearest first.
    chain: Vec<CustomerId>,
}

/// Why a customer cannot be created, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerError {
    /// The specification is invalid: where, and why.
    Wrong(FieldError),
    /// Another customer extends it and would become invalid: which, and why.
    Dependent { other: String, message: String },
    /// The limit of customers is reached (`limits.customers`).
    Full(usize),
    /// Another customer has the id.
    Taken,
    /// No customer has the id.
    Unknown,
    /// The customer is from the fixtures and was not created over the admin API.
    InFile,
}

impl fmt::Display for CustomerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CustomerError::Wrong((_, message)) => f.write_str(message),
            CustomerError::Dependent { other, message } => {
                write!(f, "{other} extends it and would become invalid: {message}")
            }
            CustomerError::Full(max) => write!(f, "there are already {max} customers, the maximum"),
            CustomerError::Taken => f.write_str("the customer_id is already in use"),
            CustomerError::Unknown => f.write_str("no customer has this id"),
            CustomerError::InFile => {
                f.write_str("the customer is from the fixtures and was not created over the admin API")
            }
        }
    }
}

/// A customer as sent by an API caller: the fixture model as JSON, and a time to live.
#[derive(Clone, Debug, Default)]
pub struct CustomerInput {
    pub spec: CustomerSpec,
    /// Time to live from now on; null: until removed. Absent means the same when a customer is created or replaced, and keeps the
    /// present expiry when one is changed.
    pub ttl: Option<Option<Duration>>,
    /// Whether the caller sets the quota, which then replaces an override by `PUT /customers/{customer_id}/quota`.
    pub states_quota: bool,
}

/// Keys that the API adds to a customer in answers; ignored in input, so that an answer can be sent back.
pub const READ_ONLY: [&str; 4] = ["path", "public_key_pem", "source", "expires"];

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct TtlField {
    #[schemars(with = "Option<Ttl>")]
    #[serde(deserialize_with = "present")]
    ttl: Option<Option<Ttl>>,
}

impl CustomerInput {
    /// Parses a caller's input.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(mut value: Value) -> Result<CustomerInput, Misread> {
        let mut ttl_member = Map::new();
        if let Some(members) = value.as_object_mut() {
            READ_ONLY.iter().for_each(|key| drop(members.shift_remove(*key)));
            ttl_member.extend(members.shift_remove_entry("ttl"));
        }
        let TtlField { ttl } = reading::read(Value::Object(ttl_member), Notation::Json)?;
        let spec: CustomerSpec = reading::read(value, Notation::Json)?;
        let states_quota = spec.quota.per_day.is_some();
        Ok(CustomerInput { spec, ttl: ttl.map(|ttl| ttl.map(|Ttl(ttl)| ttl)), states_quota })
    }

    /// Returns the time to live; `None`: until removed.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.ttl.flatten()
    }
}

/// A customer of the registry, with its origin.
#[derive(Clone, Debug)]
pub struct CustomerEntry {
    pub customer: Arc<Customer>,
    /// Specification with inheritance applied.
    pub spec: Arc<CustomerSpec>,
    /// Whether it was created over the admin API.
    pub is_from_api: bool,
    /// When it expires.
    pub expires: Option<Timestamp>,
}

type Table = BTreeMap<CustomerId, ApiCustomer>;

impl ApiCustomer {
    fn is_active(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn entry(&self) -> CustomerEntry {
        CustomerEntry {
            customer: Arc::clone(&self.customer),
            spec: Arc::clone(&self.resolved),
            is_from_api: true,
            expires: self.expires,
        }
    }
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
        if !exists && table.len() + not_overlaid() >= max {
            return Err(CustomerError::Full(max));
        }
        check_regexes(&table, id, &spec, fixtures.limits.regexes)?;
        let pending =
            PendingChange { table: &table, change: Some((id, Some(&spec))), fixtures: &fixtures, now };
        let Resolved { customer, spec: resolved, chain } =
            pending.resolve(id).map_err(CustomerError::Wrong)?;
        let before =
            table.get(id).map(|found| &found.customer).or_else(|| fixtures.customers.get(id.as_str()));
        let customer = Arc::new(with_known_rules(customer, before.map(Arc::as_ref), |rule, before| {
            Arc::new(Rule { created: before.created, ..Rule::clone(rule) })
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

/// A resolved customer, the specification it was resolved from, and the ids of its `extends` chain, the nearest first.
struct Resolved {
    customer: Customer,
    spec: Arc<CustomerSpec>,
    chain: Vec<CustomerId>,
}

type ResolvedById = (CustomerId, Resolved);

fn from_fixtures(fixtures: &Fixtures, id: &str) -> Option<CustomerEntry> {
    let (customer, spec) = (fixtures.customers.get(id)?, fixtures.resolved_spec(id)?);
    Some(CustomerEntry {
        customer: Arc::clone(customer),
        spec: Arc::clone(spec),
        is_from_api: false,
        expires: None,
    })
}

/// Checks that the regexes of the table's customers stay within their limit, with this specification of one of them.
fn check_regexes(
    table: &Table,
    id: &CustomerId,
    spec: &CustomerSpec,
    max: Size,
) -> Result<(), CustomerError> {
    let bytes = |spec: &CustomerSpec| spec.rules.iter().flatten().map(|rule| rule.when.regex_bytes()).sum();
    let own: usize = bytes(spec);
    let others = table.iter().filter(|(other, _)| *other != id).map(|(_, found)| bytes(&found.spec));
    if own > 0 && (own + others.sum::<usize>()) as u64 > max.0 {
        let message = format!(
            "the regexes of all customers would take more than {} bytes of memory (limits.regexes); use globs, or fewer",
            max.0
        );
        return Err(CustomerError::Wrong((vec!["rules".to_owned()], message)));
    }
    Ok(())
}

fn known_in(fixtures: &Fixtures, accounts: &Arc<KnownAccounts>) -> Vec<KnownCustomer> {
    fixtures.customers.values().map(|customer| accounts.hold(customer)).collect()
}

/// Replaces each rule that `before` has already, by fingerprint, with `merge(rule, rule before)`.
fn with_known_rules(
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
struct PendingChange<'a> {
    table: &'a Table,
    /// Customer to change and its new specification; `None` to remove it.
    change: Option<(&'a CustomerId, Option<&'a CustomerSpec>)>,
    fixtures: &'a Fixtures,
    now: Timestamp,
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
    fn resolve(&self, id: &CustomerId) -> Result<Resolved, FieldError> {
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
    fn renewed(&self, id: &CustomerId) -> Result<Resolved, FieldError> {
        let resolved = self.resolve(id)?;
        let before = self.table.get(id).map(|found| &*found.customer);
        let customer = with_known_rules(resolved.customer, before, |_, before| Arc::clone(before));
        Ok(Resolved { customer, ..resolved })
    }

    /// Resolves again the customers that extend `id`. One that is invalid even without the change stays unchanged: its base has
    /// expired or was removed from the files.
    fn dependents(&self, id: &CustomerId) -> Result<Vec<ResolvedById>, CustomerError> {
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
