//! Who may call: the customers of the fixtures, and over them those that were put over the admin API. Those survive a reload.
//!
//! A customer that was put may extend any other; what it extends is looked for among those that were put, then in the files.
//! Customers in files extend those in files only.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::duration::Ttl;
use crate::config::model::present;
use crate::config::{CustomerId, CustomerSpec, FieldError, Fixtures};
use crate::domain::customer::Customer;
use crate::domain::rules::Rule;

/// The fixtures in force, and the customers put over them.
#[derive(Debug)]
pub struct CustomerRegistry {
    fixtures: ArcSwap<Fixtures>,
    put: RwLock<Table>,
    /// Whose turn it is to change something. Who has it reads, resolves - which may make a key, and takes long - and only then
    /// locks the table to write.
    write_lock: Mutex<()>,
}

/// What becomes of a customer: its words, and when it goes by itself.
pub type SpecAndExpiry = (CustomerSpec, Option<Timestamp>);

/// A customer put over the admin API.
#[derive(Debug)]
struct ApiCustomer {
    /// What was put, without what it inherits.
    spec: CustomerSpec,
    customer: Arc<Customer>,
    /// What it was resolved from: its own specification over those that it inherits.
    resolved: Arc<CustomerSpec>,
    /// When it goes by itself, on the simulator's clock.
    expires: Option<Timestamp>,
    /// Itself and all that it extends, the nearest first.
    chain: Vec<CustomerId>,
}

/// Why a customer is not put or not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerError {
    /// It is wrong: where, and what.
    Wrong(FieldError),
    /// Another customer extends it and would be wrong: which, and why.
    Dependent { other: String, message: String },
    /// There are as many as are kept.
    Full(usize),
    /// The id is another customer's.
    Taken,
    /// Nobody has the id.
    Unknown,
    /// It is in the fixtures, and was not put.
    InFile,
}

impl fmt::Display for CustomerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CustomerError::Wrong((_, message)) => f.write_str(message),
            CustomerError::Dependent { other, message } => {
                write!(f, "{other} extends it, and would be wrong: {message}")
            }
            CustomerError::Full(most) => write!(f, "there are {most} customers"),
            CustomerError::Taken => f.write_str("the customer_id is taken"),
            CustomerError::Unknown => f.write_str("no customer has this id"),
            CustomerError::InFile => {
                f.write_str("the customer is the fixtures', and nothing was put over it")
            }
        }
    }
}

/// A customer as a caller writes it: the fixture model as JSON, and how long it lives.
#[derive(Clone, Debug, Default)]
pub struct CustomerInput {
    pub spec: CustomerSpec,
    /// How long it lives from now on; null: until it is taken back. Absent is the same where a customer is put, and leaves its
    /// end where one is changed.
    pub ttl: Option<Option<Duration>>,
    /// Whether the caller says anything of the quota, which is then newer than what `PUT /customers/{customer_id}/quota` said.
    pub states_quota: bool,
}

/// The keys that a customer is shown with and that say how things are; putting them back changes nothing.
pub const READ_ONLY: [&str; 4] = ["path", "public_key_pem", "source", "expires"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct TtlField {
    #[serde(deserialize_with = "present")]
    ttl: Option<Option<Ttl>>,
}

impl CustomerInput {
    /// Reads what a caller writes.
    ///
    /// # Errors
    /// What is wrong, and where in it.
    pub fn read(mut value: Value) -> Result<CustomerInput, serde_path_to_error::Error<serde_json::Error>> {
        let mut life = Map::new();
        if let Some(members) = value.as_object_mut() {
            READ_ONLY.iter().for_each(|key| drop(members.shift_remove(*key)));
            life.extend(members.shift_remove_entry("ttl"));
        }
        let TtlField { ttl } = serde_path_to_error::deserialize(Value::Object(life))?;
        let spec: CustomerSpec = serde_path_to_error::deserialize(value)?;
        let states_quota = spec.quota.per_day.is_some();
        Ok(CustomerInput { spec, ttl: ttl.map(|ttl| ttl.map(|Ttl(ttl)| ttl)), states_quota })
    }

    /// How long it lives; `None` until it is taken back.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.ttl.flatten()
    }
}

/// A customer of the roster, for a listing.
#[derive(Clone, Debug)]
pub struct CustomerEntry {
    pub customer: Arc<Customer>,
    /// Its specification with everything inherited.
    pub spec: Arc<CustomerSpec>,
    /// Whether it was put over the admin API.
    pub is_put: bool,
    /// When it goes by itself.
    pub expires: Option<Timestamp>,
}

type Table = BTreeMap<CustomerId, ApiCustomer>;

impl ApiCustomer {
    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn listed(&self) -> CustomerEntry {
        CustomerEntry {
            customer: Arc::clone(&self.customer),
            spec: Arc::clone(&self.resolved),
            is_put: true,
            expires: self.expires,
        }
    }
}

impl CustomerRegistry {
    /// A roster of the fixtures' customers.
    #[must_use]
    pub fn new(fixtures: Fixtures) -> CustomerRegistry {
        CustomerRegistry {
            fixtures: ArcSwap::from_pointee(fixtures),
            put: RwLock::default(),
            write_lock: Mutex::default(),
        }
    }

    /// The fixtures in force.
    #[must_use]
    pub fn fixtures(&self) -> Arc<Fixtures> {
        self.fixtures.load_full()
    }

    /// The fixtures in force, for a short while.
    pub fn fixtures_guard(&self) -> Guard<Arc<Fixtures>> {
        self.fixtures.load()
    }

    /// The customer with this id, if there is one at `now`.
    #[must_use]
    pub fn customer(&self, id: &str, now: Timestamp) -> Option<Arc<Customer>> {
        let put = self.read();
        let put = put.get(id).filter(|put| put.is_alive(now));
        put.map(|put| Arc::clone(&put.customer)).or_else(|| self.fixtures_guard().customers.get(id).cloned())
    }

    /// All customers at `now`, in the order of their ids.
    #[must_use]
    pub fn customers(&self, now: Timestamp) -> Vec<Arc<Customer>> {
        self.all(now).into_iter().map(|listed| listed.customer).collect()
    }

    /// All customers at `now` with where they come from, in the order of their ids.
    #[must_use]
    pub fn all(&self, now: Timestamp) -> Vec<CustomerEntry> {
        let fixtures = self.fixtures_guard();
        let of_files =
            fixtures.customers.keys().filter_map(|id| Some((id.as_str(), from_fixtures(&fixtures, id)?)));
        let put = self.read();
        let of_api =
            put.iter().filter(|(_, put)| put.is_alive(now)).map(|(id, put)| (id.as_str(), put.listed()));
        of_files.chain(of_api).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// The customer with this id and where it comes from, if there is one at `now`.
    #[must_use]
    pub fn listed(&self, id: &str, now: Timestamp) -> Option<CustomerEntry> {
        let put = self.read().get(id).filter(|put| put.is_alive(now)).map(ApiCustomer::listed);
        put.or_else(|| from_fixtures(&self.fixtures_guard(), id))
    }

    /// What was written of a customer, without what it inherits; and when it goes by itself.
    fn written(&self, id: &str) -> Option<SpecAndExpiry> {
        let put = self.read().get(id).map(|put| (put.spec.clone(), put.expires));
        put.or_else(|| Some((self.fixtures_guard().spec(id)?.clone(), None)))
    }

    /// Puts other fixtures in force, and what was put over the old ones over them. Gives a line for each customer that can no
    /// longer be made of its words: it stays as it was.
    pub fn replace_fixtures(&self, fixtures: Fixtures, now: Timestamp) -> Vec<String> {
        let _lock = self.write_lock();
        let table = self.read();
        let draft = PendingChange { table: &table, change: None, fixtures: &fixtures, now };
        let (renewed, failed): (Vec<_>, Vec<_>) =
            table.keys().map(|id| (id.clone(), draft.renewed(id))).partition(|(_, result)| result.is_ok());
        let renewed = renewed.into_iter().filter_map(|(id, result)| Some((id, result.ok()?))).collect();
        drop(table);
        insert(&mut self.write(), renewed);
        self.fixtures.store(Arc::new(fixtures));
        let told = |(id, result): (CustomerId, Result<_, FieldError>)| {
            let (_, message) = result.err()?;
            Some(format!(
                "the customer {id} of the admin API stays as it was: with the new fixtures, {message}"
            ))
        };
        failed.into_iter().filter_map(told).collect()
    }

    /// Puts a customer that nobody has the id of.
    ///
    /// # Errors
    /// When its id is taken, when it is wrong, or when there are too many; nothing is changed then.
    pub fn add(
        &self,
        id: &CustomerId,
        entry: SpecAndExpiry,
        now: Timestamp,
    ) -> Result<CustomerEntry, CustomerError> {
        let _lock = self.write_lock();
        if self.customer(id.as_str(), now).is_some() {
            return Err(CustomerError::Taken);
        }
        self.insert(id, entry, now)
    }

    /// Puts a customer, in place of the one that has its id. `now` is on that one's clock: where rules that it had not begin.
    ///
    /// # Errors
    /// When it is wrong, when one that extends it would be, or when there are too many; nothing is changed then.
    pub fn put(
        &self,
        id: &CustomerId,
        entry: SpecAndExpiry,
        now: Timestamp,
    ) -> Result<CustomerEntry, CustomerError> {
        let _lock = self.write_lock();
        self.insert(id, entry, now)
    }

    /// Puts a customer made of what is written of the one with its id; nobody changes that one meanwhile. Customers whose time is
    /// over are to be swept out before.
    ///
    /// # Errors
    /// Those of `change`, and those of [`CustomerRegistry::put`]; [`CustomerError::Unknown`] when nobody has the id.
    pub fn change<E: From<CustomerError>>(
        &self,
        id: &CustomerId,
        now: Timestamp,
        change: impl FnOnce(SpecAndExpiry) -> Result<SpecAndExpiry, E>,
    ) -> Result<CustomerEntry, E> {
        let _lock = self.write_lock();
        let written = self.written(id.as_str()).ok_or(CustomerError::Unknown)?;
        Ok(self.insert(id, change(written)?, now)?)
    }

    fn insert(
        &self,
        id: &CustomerId,
        (spec, expires): SpecAndExpiry,
        now: Timestamp,
    ) -> Result<CustomerEntry, CustomerError> {
        let fixtures = self.fixtures();
        let table = self.read();
        let known = table.contains_key(id) || fixtures.customers.contains_key(id.as_str());
        let most = fixtures.limits.customers;
        if !known && table.len() + fixtures.customers.len() >= most {
            return Err(CustomerError::Full(most));
        }
        let draft =
            PendingChange { table: &table, change: Some((id, Some(&spec))), fixtures: &fixtures, now };
        let Resolved { customer, spec: resolved, chain } = draft.resolve(id).map_err(CustomerError::Wrong)?;
        let before = table.get(id).map(|put| &put.customer).or_else(|| fixtures.customers.get(id.as_str()));
        let customer = Arc::new(continued(customer, before.map(Arc::as_ref), |rule, before| {
            Arc::new(Rule { put: before.put, ..Rule::clone(rule) })
        }));
        let renewed = draft.dependents(id)?;
        drop(table);
        let mut table = self.write();
        let put = ApiCustomer { spec, customer, resolved, expires, chain };
        let listed = put.listed();
        table.insert(id.clone(), put);
        insert(&mut table, renewed);
        Ok(listed)
    }

    /// Takes back a customer that was put; one in the fixtures that has its id is in force again.
    ///
    /// # Errors
    /// When none was put, or one that extends it would be wrong without it.
    pub fn remove(&self, id: &CustomerId, now: Timestamp) -> Result<(), CustomerError> {
        let _lock = self.write_lock();
        let fixtures = self.fixtures();
        let table = self.read();
        if !table.contains_key(id) {
            let in_file = fixtures.customers.contains_key(id.as_str());
            return Err(if in_file { CustomerError::InFile } else { CustomerError::Unknown });
        }
        let renewed = PendingChange { table: &table, change: Some((id, None)), fixtures: &fixtures, now }
            .dependents(id)?;
        drop(table);
        let mut table = self.write();
        table.remove(id);
        insert(&mut table, renewed);
        Ok(())
    }

    /// Takes back every customer that was put, and gives their ids.
    pub fn clear(&self) -> Vec<CustomerId> {
        let _lock = self.write_lock();
        std::mem::take(&mut *self.write()).into_keys().collect()
    }

    /// Takes back the customers whose time is over, and gives their ids. What extends them stays as it is, and follows a
    /// customer that is put again under such an id.
    pub fn remove_expired(&self, now: Timestamp) -> Vec<CustomerId> {
        if self.read().values().all(|put| put.is_alive(now)) {
            return Vec::new();
        }
        let _lock = self.write_lock();
        self.write().extract_if(.., |_, put| !put.is_alive(now)).map(|(id, _)| id).collect()
    }

    fn write_lock(&self) -> MutexGuard<'_, ()> {
        self.write_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.put.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.put.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A customer resolved, with what it was resolved from and all that it extends, the nearest first.
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
        is_put: false,
        expires: None,
    })
}

fn insert(table: &mut Table, renewed: Vec<ResolvedById>) {
    for (id, Resolved { customer, spec, chain }) in renewed {
        if let Some(put) = table.get_mut(&id) {
            (put.customer, put.resolved, put.chain) = (Arc::new(customer), spec, chain);
        }
    }
}

/// The rules that `before` had already go on: `joined` gives what becomes of such a one.
fn continued(
    mut customer: Customer,
    before: Option<&Customer>,
    joined: impl Fn(&Arc<Rule>, &Arc<Rule>) -> Arc<Rule>,
) -> Customer {
    let known = |rule: &Arc<Rule>| {
        before?.rules.iter().find(|before| before.fingerprint == rule.fingerprint).cloned()
    };
    for rule in &mut customer.rules {
        if let Some(before) = known(rule) {
            *rule = joined(rule, &before);
        }
    }
    customer
}

/// The customers as they would be after a change, nothing of which is in force.
#[derive(Clone, Copy)]
struct PendingChange<'a> {
    table: &'a Table,
    /// Whose words change, and to what; to nothing when it goes.
    change: Option<(&'a CustomerId, Option<&'a CustomerSpec>)>,
    fixtures: &'a Fixtures,
    now: Timestamp,
}

/// Where a link of a chain of `extends` stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Api,
    File,
}

impl<'a> PendingChange<'a> {
    fn put_spec(&self, id: &CustomerId) -> Option<&'a CustomerSpec> {
        match self.change {
            Some((changed, spec)) if changed == id => spec,
            _ => self.table.get(id).map(|put| &put.spec),
        }
    }

    fn spec(&self, (layer, id): (Layer, &CustomerId)) -> Option<&'a CustomerSpec> {
        match layer {
            Layer::Api => self.put_spec(id),
            Layer::File => self.fixtures.spec(id.as_str()),
        }
    }

    /// The customer made of its words and of those that it extends, the farthest first.
    fn resolve(&self, id: &CustomerId) -> Result<Resolved, FieldError> {
        let mut chain: Vec<(Layer, CustomerId)> = vec![(Layer::Api, id.clone())];
        let mut specs: Vec<&CustomerSpec> = self.put_spec(id).into_iter().collect();
        while let Some(base) = specs.last().and_then(|spec| spec.extends.as_ref()) {
            let link = self.base(base, &chain)?;
            specs.extend(self.spec((link, base)));
            chain.push((link, base.clone()));
        }
        let whole = specs.iter().rev().fold(CustomerSpec::default(), |whole, spec| whole.overlaid(spec));
        let customer = self.fixtures.resolve(id, &whole, self.now)?;
        let chain = chain.into_iter().map(|(_, id)| id).collect();
        Ok(Resolved { customer, spec: Arc::new(whole), chain })
    }

    /// Where the next link stands: among those put, unless that one is in the chain already or the chain is in the files.
    fn base(&self, base: &CustomerId, chain: &[(Layer, CustomerId)]) -> Result<Layer, FieldError> {
        let in_files = chain.iter().any(|(layer, _)| *layer == Layer::File);
        let is_new = |layer: Layer| !chain.iter().any(|(at, id)| *at == layer && id == base);
        if !in_files && is_new(Layer::Api) && self.put_spec(base).is_some() {
            return Ok(Layer::Api);
        }
        let wrong = |message: String| Err((vec!["extends".to_owned()], message));
        match self.fixtures.spec(base.as_str()) {
            Some(_) if is_new(Layer::File) => Ok(Layer::File),
            None if is_new(Layer::Api) => wrong(format!("there is no customer {base} to extend")),
            _ => wrong(format!("extends goes in a circle: {base} extends itself in the end")),
        }
    }

    /// A customer of the table resolved anew; its rules go on as they are.
    fn renewed(&self, id: &CustomerId) -> Result<Resolved, FieldError> {
        let resolved = self.resolve(id)?;
        let before = self.table.get(id).map(|put| &*put.customer);
        let customer = continued(resolved.customer, before, |_, before| Arc::clone(before));
        Ok(Resolved { customer, ..resolved })
    }

    /// The customers that extend `id`, resolved anew. One that is wrong without the change as well stays as it was: what it
    /// extends has expired, or is gone from the files.
    fn dependents(&self, id: &CustomerId) -> Result<Vec<ResolvedById>, CustomerError> {
        let extends = |(other, put): &(&CustomerId, &ApiCustomer)| *other != id && put.chain.contains(id);
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
