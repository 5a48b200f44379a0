//! A customer with everything inherited and filled in.

use std::net::IpAddr;
use std::sync::Arc;

use crate::base::network::AllowedNetwork;
use crate::domain::capacity::Capacity;
use crate::domain::matcher::Gallery;
use crate::domain::policy::Policy;
use crate::domain::rules::Rule;
use crate::keys::PrivateKey;

/// A customer with everything inherited and filled in.
#[derive(Debug)]
pub struct Customer {
    pub id: String,
    pub methode: Vec<String>,
    pub account: Account,
    /// `None`: any address.
    pub allow: Option<Vec<AllowedNetwork>>,
    /// Whether the TCP peer must be allowed too.
    pub access_peer: bool,
    /// `None`: no limit.
    pub per_day: Option<u64>,
    /// `None`: the matcher that all share, if its capacity is limited.
    pub capacity: Option<Capacity>,
    pub policy: Policy,
    pub key: Arc<PrivateKey>,
    pub rules: Vec<Arc<Rule>>,
    /// Who is found for this customer only.
    pub gallery: Gallery,
    /// Whether those of the shared gallery are found too.
    pub shared_gallery: bool,
    /// Among how many strangers a photo is searched; 0 for none.
    pub population: u64,
    /// The customer that it extends.
    pub extends: Option<String>,
}

/// What a customer proves itself with.
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
    /// Whether `address` is in the allow list.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.as_ref().is_none_or(|nets| nets.iter().any(|AllowedNetwork(net)| net.contains(&address)))
    }
}
