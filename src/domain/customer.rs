//! Customer, resolved: everything inherited and all defaults filled in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::base::network::AllowedNetwork;
use crate::domain::capacity::Capacity;
use crate::domain::matcher::Gallery;
use crate::domain::policy::Policy;
use crate::domain::rules::Rule;
use crate::keys::PrivateKey;

/// A resolved customer: everything inherited and all defaults filled in.
#[derive(Debug)]
pub struct Customer {
    pub id: String,
    pub methode: Vec<String>,
    pub account: Account,
    /// Allow list; `None`: any address.
    pub allow: Option<Vec<AllowedNetwork>>,
    /// Whether the TCP peer must be in the allow list too.
    pub access_peer: bool,
    /// Daily quota; `None`: unlimited.
    pub per_day: Option<u64>,
    /// Capacity of the customer's own matcher; `None`: it uses the shared matcher, which may be unlimited.
    pub capacity: Option<Capacity>,
    /// Shared with the journal's entries, which outlive a change of the customer.
    pub policy: Arc<Policy>,
    pub key: Arc<PrivateKey>,
    pub rules: Vec<Arc<Rule>>,
    /// Identities that only this customer finds.
    pub gallery: Gallery,
    /// Whether the customer also finds identities of the shared gallery.
    pub shared_gallery: bool,
    /// Number of generated strangers in the searched population; 0: none.
    pub population: u64,
    /// Id of the customer that it extends.
    pub extends: Option<String>,
}

/// Credentials of a customer.
#[derive(Clone)]
pub struct Account {
    pub user_id: String,
    pub password: String,
}

// A derived Debug would print the password.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account(..)")
    }
}

impl Customer {
    /// Whether the allow list contains `address`; without an allow list any address is allowed.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.as_ref().is_none_or(|nets| nets.iter().any(|AllowedNetwork(net)| net.contains(&address)))
    }

    /// Returns an address that the customer may call from: loopback, or the first of its allow list.
    #[must_use]
    pub fn allowed_address(&self) -> IpAddr {
        let loopback = Ipv4Addr::LOCALHOST.into();
        let first = self.allow.iter().flatten().map(|AllowedNetwork(net)| net.addr()).next();
        first.filter(|_| !self.allows(loopback)).unwrap_or(loopback)
    }
}
