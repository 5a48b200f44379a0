//! The accounts of all customers that exist, shared by the requests that hide their values.

use std::borrow::Cow;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::domain::customer::{Account, Customer};
use crate::domain::secrets::SecretIndex;

/// The accounts of all customers that exist.
#[derive(Debug, Default)]
pub struct KnownAccounts(RwLock<SecretIndex>);

/// Keeps a customer's account known, until dropped.
#[derive(Debug)]
pub struct KnownCustomer {
    accounts: Arc<KnownAccounts>,
    customer: Arc<Customer>,
}

impl KnownAccounts {
    /// Makes a customer's account known.
    #[must_use]
    pub fn hold(self: &Arc<KnownAccounts>, customer: &Arc<Customer>) -> KnownCustomer {
        self.0.write().add(&customer.id, &customer.account);
        KnownCustomer { accounts: Arc::clone(self), customer: Arc::clone(customer) }
    }

    /// Returns whether a customer that exists has this account.
    #[must_use]
    pub fn contains(&self, account: &Account) -> bool {
        self.0.read().contains(account)
    }

    /// Hides the values of all accounts in a text; borrowed when it has none.
    #[must_use]
    pub fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.read().hidden(text)
    }
}

impl Drop for KnownCustomer {
    fn drop(&mut self) {
        self.accounts.0.write().remove(&self.customer.id, &self.customer.account);
    }
}
