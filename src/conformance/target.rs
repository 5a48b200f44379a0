//! Where calls may go: the class of the address, and what the operator must say before a call leaves the machine.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// The endpoint that is called: its name is resolved once, and the address pinned.
#[derive(Clone, Debug)]
pub struct Target {
    /// HOST:PORT, as `--confirm` must repeat it.
    pub authority: String,
    pub address: SocketAddr,
    /// Prefix of the path, percent-encoded.
    pub prefix: String,
}

/// Prefix of the document, where the URL has none.
const PREFIX: &str = "/api/face-recognition";

/// Class of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Loopback,
    /// RFC 1918, RFC 6598 (CGNAT), link-local, unique local IPv6.
    Private,
    Public,
}

/// What the operator said about a run off loopback.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permission<'a> {
    pub budget: Option<u32>,
    pub confirm: Option<&'a str>,
    pub allow_public: bool,
}

impl Target {
    /// Reads a URL and resolves its host, with `resolve` or the system.
    ///
    /// # Errors
    /// What is wrong with the URL, or that the host is not known.
    pub fn resolve(
        url: &str,
        resolve: impl Fn(&str) -> std::io::Result<Vec<SocketAddr>>,
    ) -> Result<Target, String> {
        let example = "such as http://127.0.0.1:8080";
        let rest = match url.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => {
                return Err("https is not supported: the endpoint speaks plain http".to_owned());
            }
            _ => return Err(format!("expected a URL with http://, {example}")),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.is_empty() || authority.contains('@') || rest.contains(['?', '#', ' ']) {
            return Err(format!("expected a URL with a host and no user, query or blank, {example}"));
        }
        // The colons within the brackets of an IPv6 address are not those of a port.
        let behind_address = &authority[authority.rfind(']').unwrap_or_default()..];
        let authority = match behind_address.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => authority.to_owned(),
            Some((_, port)) => return Err(format!("{port:?} is not a port: it is a number from 1 to 65535")),
            None => format!("{authority}:80"),
        };
        let found = resolve(&authority).map_err(|error| format!("{authority}: {error}"))?;
        let address = found.first().copied().ok_or_else(|| format!("{authority} has no address"))?;
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { PREFIX } else { path };
        Ok(Target { authority, address, prefix: prefix.to_owned() })
    }

    /// The class of the pinned address.
    #[must_use]
    pub fn reach(&self) -> Reach {
        reach(self.address.ip())
    }

    /// Says why a run is refused; `None` when it may begin.
    #[must_use]
    pub fn refusal(&self, permission: Permission) -> Option<String> {
        let Target { authority, .. } = self;
        let reach = self.reach();
        if reach == Reach::Loopback {
            return None;
        }
        if reach == Reach::Public && !permission.allow_public {
            return Some(format!(
                "{authority} ({}) is a public address: the endpoint stands in a closed network. If it is meant: --allow-public",
                self.address.ip()
            ));
        }
        if permission.budget.is_none() {
            return Some(format!(
                "{authority} is not this machine: say how many calls may be made, --budget N"
            ));
        }
        match permission.confirm {
            Some(confirmed) if confirmed == authority => None,
            Some(confirmed) => Some(format!("--confirm {confirmed} is not the target, {authority}")),
            None => Some(format!("nothing was sent; if {authority} is meant: --confirm {authority}")),
        }
    }

    /// The shortest pause between two calls: any on loopback, else at least a second.
    ///
    /// # Errors
    /// The pace is too short for this target.
    pub fn check_pace(&self, pace: Duration) -> Result<(), String> {
        if self.reach() != Reach::Loopback && pace < Duration::from_secs(1) {
            return Err("--pace must be at least 1s off loopback".to_owned());
        }
        Ok(())
    }
}

/// Resolves with the system's resolver.
///
/// # Errors
/// The host is not known.
pub fn by_system(authority: &str) -> std::io::Result<Vec<SocketAddr>> {
    Ok(authority.to_socket_addrs()?.collect())
}

/// The class of an address.
#[must_use]
pub fn reach(ip: IpAddr) -> Reach {
    match ip.to_canonical() {
        ip if ip.is_loopback() => Reach::Loopback,
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            if ip.is_private() || ip.is_link_local() || is_shared { Reach::Private } else { Reach::Public }
        }
        IpAddr::V6(ip) if ip.is_unique_local() || ip.is_unicast_link_local() => Reach::Private,
        IpAddr::V6(_) => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(authority: &str) -> Target {
        Target::resolve(&format!("http://{authority}"), by_system).unwrap()
    }

    #[test]
    fn addresses_have_a_class() {
        for (ip, expected) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.9.9.9", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("10.1.2.3", Reach::Private),
            ("172.16.160.176", Reach::Private),
            ("172.32.0.1", Reach::Public),
            ("192.168.0.1", Reach::Private),
            ("169.254.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("100.128.0.1", Reach::Public),
            ("fd00::1", Reach::Private),
            ("fe80::1", Reach::Private),
            ("8.8.8.8", Reach::Public),
            ("0.0.0.0", Reach::Public),
            ("2001:db8::1", Reach::Public),
            ("::ffff:8.8.8.8", Reach::Public),
        ] {
            assert_eq!(reach(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn a_call_leaves_the_machine_only_with_a_budget_and_the_targets_own_name() {
        let permission = |budget, confirm, allow_public| Permission { budget, confirm, allow_public };
        for (authority, permission, refusal) in [
            ("127.0.0.1:8080", Permission::default(), None),
            ("10.1.2.3:8080", Permission::default(), Some("--budget N")),
            ("10.1.2.3:8080", permission(None, Some("10.1.2.3:8080"), false), Some("--budget N")),
            ("10.1.2.3:8080", permission(Some(5), None, false), Some("--confirm 10.1.2.3:8080")),
            ("10.1.2.3:8080", permission(Some(5), Some("10.1.2.3"), false), Some("is not the target")),
            ("10.1.2.3:8080", permission(Some(5), Some("10.1.2.3:8080"), false), None),
            ("10.1.2.3", permission(Some(5), Some("10.1.2.3:80"), false), None),
            ("8.8.8.8:80", permission(Some(5), Some("8.8.8.8:80"), false), Some("--allow-public")),
            ("8.8.8.8:80", permission(None, Some("8.8.8.8:80"), true), Some("--budget N")),
            ("8.8.8.8:80", permission(Some(5), None, true), Some("--confirm 8.8.8.8:80")),
            ("8.8.8.8:80", permission(Some(5), Some("8.8.8.8:80"), true), None),
        ] {
            let found = target(authority).refusal(permission);
            match refusal {
                None => assert_eq!(found, None, "{authority}"),
                Some(part) => {
                    assert!(found.as_ref().is_some_and(|text| text.contains(part)), "{authority}: {found:?}")
                }
            }
        }
    }

    #[test]
    fn a_pace_below_a_second_is_for_loopback_only() {
        let half = Duration::from_millis(500);
        assert_eq!(target("127.0.0.1:1").check_pace(half), Ok(()));
        assert!(target("10.0.0.1:1").check_pace(half).is_err());
        assert_eq!(target("10.0.0.1:1").check_pace(2 * half), Ok(()));
    }

    #[test]
    fn a_host_is_resolved_once_and_its_address_pinned() {
        let asked = std::cell::Cell::new(0);
        let target = Target::resolve("http://fr.example:8080/api/x/", |authority| {
            assert_eq!(authority, "fr.example:8080");
            asked.set(asked.get() + 1);
            // The next answer would be another one.
            Ok(vec![SocketAddr::from(([10, 0, 0, asked.get()], 8080))])
        })
        .unwrap();
        assert!(target.refusal(Permission::default()).is_some());
        assert_eq!((asked.get(), target.address.to_string().as_str()), (1, "10.0.0.1:8080"));
        assert_eq!(target.prefix, "/api/x");
    }

    #[test]
    fn a_url_is_plain_http_with_a_host() {
        for url in [
            "https://a",
            "a:80",
            "http://",
            "http://u@a",
            "http://a/b?c",
            "ftp://a",
            "",
            "http://a:99999",
            "http://a:0",
            "http://a:8080?b",
            "http://[::1]:x",
        ] {
            assert!(
                Target::resolve(url, |_| Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1))])).is_err(),
                "{url}"
            );
        }
    }
}
