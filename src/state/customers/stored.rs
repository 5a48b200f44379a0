//! Customers of the admin API as a store keeps them: as written, and with what they inherited. The first is resolved anew at the start, so
//! a customer follows what it extends; the second is what it stays when that is no longer possible.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ApiCustomer, CustomerRegistry, PendingChange, Table};
use crate::base::hash::{digest, hex, unhex};
use crate::base::json;
use crate::config::{CustomerId, CustomerSpec, Fixtures};
use crate::domain::rules::{Fingerprint, Rule, RuleSpec};
use crate::state::known_accounts::KnownAccounts;
use crate::state::store::{Store, StoreWrite, StoredState, set};

/// Subject of the customers in a store; the fields are their ids.
pub const CUSTOMERS: &str = "customers";

/// Subject and field of the number of generated customers.
pub const MADE: &str = "made";
pub const GENERATED: &str = "customers";

/// A customer as it is stored. Its account and its key are in the clear.
#[derive(Serialize, Deserialize)]
struct StoredCustomer {
    spec: CustomerSpec,
    /// With everything that it inherited.
    resolved: CustomerSpec,
    expires: Option<String>,
    rules: Vec<StoredTimes>,
    /// The key generated for it.
    key: Option<String>,
}

impl StoredCustomer {
    /// Takes equal lists of rules from `lists`, by digest: each customer is stored with its own.
    fn share_rules(&mut self, lists: &mut HashMap<[u8; 16], Arc<Vec<RuleSpec>>>) {
        for rules in [&mut self.spec.rules, &mut self.resolved.rules].into_iter().flatten() {
            let known =
                lists.entry(digest(json::text(rules).as_bytes())).or_insert_with(|| Arc::clone(rules));
            *rules = Arc::clone(known);
        }
    }
}

/// A rule's fingerprint, when it was created over the admin API, and when it expires.
type StoredTimes = (String, Option<String>, Option<String>);

fn times(rule: &Rule) -> StoredTimes {
    let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
    (hex(&rule.fingerprint), text(rule.created), text(rule.expires))
}

impl CustomerRegistry {
    /// Hands over changes to a store from now on.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        self.store = Some(Arc::clone(store));
    }

    /// Returns the writes that make all customers of the admin API, and the number of generated ones.
    #[must_use]
    pub fn whole(&self) -> Vec<StoreWrite> {
        let generated = set(&MADE.into(), GENERATED, self.generated.lock().to_string());
        let table = self.api_customers.read();
        let customers = table.iter().map(|(id, customer)| self.write(id, Some(customer)));
        customers.chain([generated]).collect()
    }

    /// Returns the number of the next generated customer, from 0. It determines the customer's id and account.
    pub fn next_generated(&self) -> u64 {
        let mut generated = self.generated.lock();
        let number = *generated;
        *generated += 1;
        // Under the lock: the stored number never goes back.
        if let Some(store) = &self.store {
            store.push(vec![set(&MADE.into(), GENERATED, generated.to_string())]);
        }
        number
    }

    /// Hands over that there are no customers, not even those that were left out at the start; to be called under the table's lock.
    pub(super) fn push_cleared(&self) {
        if let Some(store) = &self.store {
            store.push(vec![StoreWrite::Clear(CUSTOMERS.into())]);
        }
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
        let stored = StoredCustomer {
            spec: spec.clone(),
            resolved: CustomerSpec::clone(resolved),
            expires: expires.map(|expires| expires.to_string()),
            rules: customer.rules.iter().map(|rule| times(rule)).collect(),
            key: self.fixtures_guard().keys.generated_pem(id.as_str()),
        };
        set(&subject, id.as_str(), json::text(&stored))
    }

    /// Takes over the customers of an earlier run. Returns a message for each that is not what it would be now.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn restore(&self, stored: &StoredState, now: Timestamp) -> Result<Vec<String>, String> {
        let _lock = self.write_lock.lock();
        *self.generated.lock() = stored.number(MADE, GENERATED)?;
        let fixtures = self.fixtures();
        let (mut table, mut messages, mut lists) = (Table::new(), Vec::new(), HashMap::new());
        for (name, text) in stored.fields.get(CUSTOMERS).into_iter().flatten() {
            let damaged = |what: String| format!("the customer {name}: {what}");
            let id: CustomerId = name.parse().map_err(damaged)?;
            let mut stored: StoredCustomer =
                serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
            stored.share_rules(&mut lists);
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
        *self.api_customers.write() = table;
        Ok(messages)
    }

    /// Applies what another replica changed: ids and texts of customers, `None` for one that was removed. Returns the ids that exist now.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn apply(&self, changes: &[(&str, Option<&str>)], now: Timestamp) -> Result<Vec<CustomerId>, String> {
        let _lock = self.write_lock.lock();
        let fixtures = self.fixtures();
        let mut changed = Vec::new();
        for (name, text) in changes {
            let damaged = |what: String| format!("the customer {name}: {what}");
            let id: CustomerId = name.parse().map_err(damaged)?;
            fixtures.keys.forget(id.as_str());
            let customer = match text {
                Some(text) => {
                    let stored = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
                    // One that cannot be with these fixtures is left out, as at a start.
                    as_it_was(&id, stored, &fixtures, &self.accounts, now).map_err(damaged)?.ok()
                }
                None => None,
            };
            let mut table = self.api_customers.write();
            match customer {
                Some(customer) => {
                    table.insert(id.clone(), customer);
                    changed.push(id);
                }
                None => drop(table.remove(&id)),
            }
        }
        let table = self.api_customers.read();
        let pending = PendingChange { table: &table, change: None, fixtures: &fixtures, now };
        let renewed = changed.iter().filter_map(|id| Some((id.clone(), pending.renewed(id).ok()?))).collect();
        drop(table);
        self.renew(&mut self.api_customers.write(), renewed);
        Ok(changed)
    }

    /// Removes all customers of the admin API, as another replica did. Returns their ids.
    pub fn apply_cleared(&self) -> Vec<CustomerId> {
        let _lock = self.write_lock.lock();
        std::mem::take(&mut *self.api_customers.write()).into_keys().collect()
    }

    /// Sets the number of the next generated customer, as another replica did.
    pub fn apply_generated(&self, number: u64) {
        *self.generated.lock() = number;
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
    let times = |(fingerprint, created, expires): StoredTimes| {
        let fingerprint: Fingerprint = unhex(&fingerprint).ok_or("a rule's fingerprint")?;
        Ok::<_, String>((fingerprint, (created.map(instant).transpose()?, expires.map(instant).transpose()?)))
    };
    let times = rules.into_iter().map(times).collect::<Result<HashMap<_, _>, _>>()?;
    let mut customer = match fixtures.resolve(id, &resolved, now) {
        Ok(customer) => customer,
        Err(errors) => {
            let messages = errors.into_iter().map(|(_, message)| message).collect::<Vec<_>>();
            return Ok(Err(messages.join("; ")));
        }
    };
    for rule in &mut customer.rules {
        if let Some((created, expires)) = times.get(&rule.fingerprint) {
            *rule = Arc::new(rule.with_times(*created, *expires));
        }
    }
    let chain = vec![id.clone()];
    let customer = Arc::new(customer);
    let known = accounts.hold(&customer);
    Ok(Ok(ApiCustomer { spec, customer, known, resolved: Arc::new(resolved), expires, chain }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{StartPolicy, load};
    use crate::keys::{KeyRing, PrivateKey};
    use crate::state::customers::{CustomerEntry, CustomerError, SpecAndExpiry};

    /// A registry over these fixtures and a store, which takes over what is stored.
    fn start(fixtures: &Path, stored: &StoredState) -> (CustomerRegistry, Arc<Store>, Vec<String>) {
        let key = PrivateKey::generate("the server's key", 1024).unwrap();
        let fixtures = load(Some(fixtures), KeyRing::new(key, None), &StartPolicy::default()).unwrap();
        let (mut registry, store) = (CustomerRegistry::new(fixtures), Store::for_tests());
        let messages = registry.restore(stored, at(5000)).unwrap();
        registry.keep_in(&store);
        (registry, store, messages)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn fixtures(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("customers")).unwrap();
        files.iter().for_each(|(name, text)| {
            std::fs::write(directory.path().join("customers").join(name), text).unwrap();
        });
        directory
    }

    const BASE: &str =
        "extends = 'demo'\n[[rules]]\nname = 'of the file'\ntimes = 1\nreply = { code = '6014' }";

    #[test]
    fn rules_keep_their_window_and_their_end_over_a_restart() {
        let directory = fixtures(&[("base.toml", BASE)]);
        let (registry, store, _) = start(directory.path(), &StoredState::default());
        let times = |registry: &CustomerRegistry| {
            let customer = registry.customer("base", at(200)).unwrap();
            let times = |rule: &Arc<Rule>| (rule.name.clone(), rule.created, rule.expires);
            customer.rules.iter().map(times).collect::<Vec<_>>()
        };
        let with_own = |SpecAndExpiry { mut spec, expires }: SpecAndExpiry| {
            let own = serde_json::json!({ "name": "own", "ttl": "60s", "times": 1, "delay": "1s" });
            let rules = Arc::make_mut(spec.rules.get_or_insert_default());
            rules.retain(|rule| rule.name.as_deref() != Some("own"));
            rules.push(serde_json::from_value(own).unwrap());
            Ok::<_, CustomerError>(SpecAndExpiry { spec, expires })
        };
        let id = "base".parse().unwrap();
        registry.change(&id, at(100), with_own).unwrap();
        // The same again: the window continues, the end is another.
        registry.change(&id, at(130), with_own).unwrap();
        let wanted =
            [("of the file".to_owned(), None, None), ("own".to_owned(), Some(at(100)), Some(at(190)))];
        assert_eq!(times(&registry), wanted);
        let mut stored = StoredState::default();
        stored.apply(store.take());
        let (again, _, messages) = start(directory.path(), &stored);
        assert_eq!((times(&again), messages), (wanted.to_vec(), Vec::new()));
    }

    #[test]
    fn customers_share_the_rules_that_they_inherit_also_after_a_change_a_reload_and_a_restart() {
        let directory = fixtures(&[("base.toml", BASE)]);
        let (registry, store, _) = start(directory.path(), &StoredState::default());
        let put = |id: &str, base: &str, rules: &[&str]| {
            let rule = |pattern: &&str| serde_json::json!({ "when": { "ip": pattern }, "delay": "1ms" });
            let mut spec = serde_json::json!({ "extends": base });
            if !rules.is_empty() {
                spec["rules"] = rules.iter().map(rule).collect();
            }
            let spec = serde_json::from_value(spec).unwrap();
            registry.put(&id.parse().unwrap(), SpecAndExpiry { spec, expires: None }, at(100)).unwrap();
        };
        put("own", "demo", &["/^1/", "/^2/"]);
        [("a", "own"), ("b", "own"), ("c", "base"), ("d", "c")]
            .iter()
            .for_each(|(id, base)| put(id, base, &[]));
        let assert_shared = |registry: &CustomerRegistry, after: &str| {
            for (id, base, count) in [("a", "own", 2), ("b", "own", 2), ("c", "base", 1), ("d", "base", 1)] {
                let [heir, base] = [id, base].map(|id| registry.listed(id, at(200)).unwrap());
                let list = |entry: &CustomerEntry| Arc::as_ptr(entry.spec.rules.as_ref().unwrap());
                assert_eq!(list(&heir), list(&base), "{id} after {after}");
                assert_eq!(heir.customer.rules.len(), count, "{id} after {after}");
                for (one, other) in heir.customer.rules.iter().zip(&base.customer.rules) {
                    assert!(std::ptr::eq(&raw const one.spec, &raw const other.spec), "{id} after {after}");
                }
            }
        };
        assert_shared(&registry, "their creation");
        put("own", "demo", &["/^1/", "/^3/"]);
        assert_shared(&registry, "a change of the base");
        let key = PrivateKey::generate("the server's key", 1024).unwrap();
        let again = load(Some(directory.path()), KeyRing::new(key, None), &StartPolicy::default()).unwrap();
        assert_eq!(registry.replace_fixtures(again, at(150)), [""; 0]);
        assert_shared(&registry, "a reload");
        let mut stored = StoredState::default();
        stored.apply(store.take());
        assert_shared(&start(directory.path(), &stored).0, "a restart");
        // Without their base, they stay as they were, and share it all the same.
        stored.fields.get_mut(CUSTOMERS).unwrap().remove("own");
        let (registry, _, messages) = start(directory.path(), &stored);
        assert_eq!(messages.len(), 2, "{messages:?}");
        let [a, b] = ["a", "b"].map(|id| registry.customer(id, at(200)).unwrap());
        assert!(std::ptr::eq(&raw const a.rules[1].spec, &raw const b.rules[1].spec));
    }

    #[test]
    fn a_customer_that_was_left_out_does_not_come_back_after_a_reset() {
        let files = [("page.html", "<p>")];
        let directory = fixtures(&files);
        let (registry, store, _) = start(directory.path(), &StoredState::default());
        let spec = serde_json::json!({
            "extends": "demo",
            "rules": [{ "name": "page", "times": 1, "reply": { "status": 200, "body_file": "page.html" } }]
        });
        let spec = serde_json::from_value(spec).unwrap();
        registry.put(&"bank".parse().unwrap(), SpecAndExpiry { spec, expires: None }, at(100)).unwrap();
        let mut stored = StoredState::default();
        stored.apply(store.take());
        std::fs::remove_file(directory.path().join("customers/page.html")).unwrap();
        let (without, store, messages) = start(directory.path(), &stored);
        assert!(messages.len() == 1 && messages[0].contains("bank is left out"), "{messages:?}");
        let directory = fixtures(&files);
        let is_there =
            |stored: &StoredState| start(directory.path(), stored).0.customer("bank", at(200)).is_some();
        assert!(is_there(&stored), "the file is there again");
        without.clear();
        stored.apply(store.take());
        assert!(!is_there(&stored));
    }

    #[test]
    fn the_stored_number_of_generated_customers_never_goes_back() {
        let directory = fixtures(&[]);
        let (registry, store, _) = start(directory.path(), &StoredState::default());
        let together = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    together.wait();
                    (0..5000).for_each(|_| assert!(registry.next_generated() < 20_000));
                });
            }
        });
        let number = |write| match write {
            StoreWrite::Set { value, .. } => value.parse::<u64>().unwrap(),
            other => panic!("{other:?}"),
        };
        let writes = store.take();
        assert!(writes.into_iter().map(number).eq(1..=20_000), "in the order in which they were given");
        let mut stored = StoredState::default();
        stored.apply(registry.whole());
        assert_eq!(start(directory.path(), &stored).0.next_generated(), 20_000);
    }
}
