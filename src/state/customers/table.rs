//! The customers of the admin API, as the registry holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{CustomerId, CustomerSpec};
use crate::domain::customer::Customer;
use crate::state::known_accounts::KnownCustomer;

/// A customer created over the admin API.
#[derive(Debug)]
pub(super) struct ApiCustomer {
    /// Specification as written, without inheritance.
    pub(super) spec: CustomerSpec,
    pub(super) customer: Arc<Customer>,
    pub(super) known: KnownCustomer,
    /// Specification with inheritance applied; `customer` was resolved from it.
    pub(super) resolved: Arc<CustomerSpec>,
    /// Expiry, on the simulator's clock.
    pub(super) expires: Option<Timestamp>,
    /// Ids of the customer and of everything it extends, the nearest first.
    pub(super) chain: Vec<CustomerId>,
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

pub(super) type Table = BTreeMap<CustomerId, ApiCustomer>;

impl ApiCustomer {
    pub(super) fn is_active(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    pub(super) fn entry(&self) -> CustomerEntry {
        CustomerEntry {
            customer: Arc::clone(&self.customer),
            spec: Arc::clone(&self.resolved),
            is_from_api: true,
            expires: self.expires,
        }
    }
}
