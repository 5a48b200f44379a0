//! IP addresses: networks of allow lists, and how this machine reaches itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::from_text::{deserialize_from_text, serialize_as_text};

/// An IP address or CIDR network that may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedNetwork(pub IpNet);

deserialize_from_text!(AllowedNetwork);
serialize_as_text!(AllowedNetwork);

impl std::str::FromStr for AllowedNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<IpAddr>()
            .map(IpNet::from)
            .or_else(|_| text.parse::<IpNet>().map(|net| net.trunc()))
            .map(AllowedNetwork)
            .map_err(|_| {
                format!(
                    "{text:?} is neither an address nor a network, such as \"10.0.0.7\" or \"10.0.0.0/8\""
                )
            })
    }
}

impl fmt::Display for AllowedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

/// Returns the loopback address of the same family.
#[must_use]
pub fn loopback(like: SocketAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() }
}

/// Returns the address by which this machine reaches its own listener: of one on all addresses, loopback.
#[must_use]
pub fn from_here(listener: SocketAddr) -> SocketAddr {
    let ip = if listener.ip().is_unspecified() { loopback(listener) } else { listener.ip() };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::1", "::1"),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(text.parse::<AllowedNetwork>().unwrap().to_string(), shown);
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "010.0.0.1", "localhost"] {
            assert!(text.parse::<AllowedNetwork>().is_err(), "{text}");
        }
    }
}
