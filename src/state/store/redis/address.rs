//! Where a shared store is: `redis://HOST:PORT/NAME`, with a password where the text may hold one.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// Longest name of a store.
const MAX_NAME: usize = 64;

/// Address of a shared store. Neither `{}` nor `{:?}` shows its credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedAddress {
    pub host: String,
    pub port: u16,
    /// Several stores of one server differ by name.
    pub name: String,
    pub user: Option<String>,
    pub password: Option<String>,
}

/// What an address looks like.
const FORM: &str = "redis://HOST:PORT/NAME, such as redis://127.0.0.1:6379/team";

impl FromStr for SharedAddress {
    type Err = String;

    /// Reads an address. The error never holds the text: it may hold a password.
    fn from_str(text: &str) -> Result<SharedAddress, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("a shared store is {FORM}"))?;
        match scheme {
            "redis" | "valkey" => {}
            "rediss" | "valkeys" => {
                return Err("this build speaks no TLS to a store: use redis:// in a network that you trust, or through a tunnel such as stunnel on this machine".to_owned());
            }
            _ => return Err(format!("a shared store is {FORM}")),
        }
        let (credentials, place) =
            rest.rsplit_once('@').map_or((None, rest), |(credentials, place)| (Some(credentials), place));
        let (server, name) =
            place.split_once('/').ok_or_else(|| format!("the store needs a name behind the port: {FORM}"))?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
            return Err(format!(
                "the name of a store has 1 to {MAX_NAME} of the characters a-z A-Z 0-9 - _ . behind the port: {FORM}"
            ));
        }
        let (host, port) =
            server.rsplit_once(':').ok_or_else(|| format!("the store's port is missing: {FORM}"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| format!("the store's port is a number from 1 to 65535: {FORM}"))?;
        if host.is_empty() {
            return Err(format!("the store's host is missing: {FORM}"));
        }
        let (user, password) = match credentials {
            Some(text) => {
                let (user, password) = text.split_once(':').ok_or(
                    "the store's credentials are :PASSWORD@ or USER:PASSWORD@, with other characters percent-encoded",
                )?;
                (Some(decoded(user)?).filter(|user| !user.is_empty()), Some(decoded(password)?))
            }
            None => (None, None),
        };
        Ok(SharedAddress { host: host.to_owned(), port, name: name.to_owned(), user, password })
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| "the store's credentials are not text in UTF-8".to_owned())
}

impl fmt::Display for SharedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedAddress { host, port, name, .. } = self;
        if host.contains(':') {
            return write!(f, "redis://[{host}]:{port}/{name}");
        }
        write!(f, "redis://{host}:{port}/{name}")
    }
}

impl fmt::Debug for SharedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_without_its_credentials() {
        for (text, shown, user, password) in [
            ("redis://localhost:6379/team", "redis://localhost:6379/team", None, None),
            ("valkey://10.0.0.1:1/a-b_c.9", "redis://10.0.0.1:1/a-b_c.9", None, None),
            ("redis://[::1]:7/x", "redis://[::1]:7/x", None, None),
            ("redis://:s3cret@h:7/x", "redis://h:7/x", None, Some("s3cret")),
            ("redis://ani:a%40b@h:7/x", "redis://h:7/x", Some("ani"), Some("a@b")),
        ] {
            let address: SharedAddress = text.parse().unwrap();
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.to_owned(), shown.to_owned()));
            assert_eq!((address.user.as_deref(), address.password.as_deref()), (user, password), "{text}");
        }
    }

    #[test]
    fn a_wrong_address_is_explained_without_its_credentials() {
        for (text, part) in [
            ("rediss://:s3cret@h:7/x", "speaks no TLS"),
            ("redis:h", "a shared store is redis://HOST:PORT/NAME"),
            ("http://:s3cret@h:7/x", "a shared store is redis://HOST:PORT/NAME"),
            ("redis://:s3cret@h:7", "needs a name"),
            ("redis://:s3cret@h:7/", "the name of a store has"),
            ("redis://:s3cret@h:7/a b", "the name of a store has"),
            ("redis://:s3cret@h:7/{x}", "the name of a store has"),
            ("redis://:s3cret@h/x", "port is missing"),
            ("redis://:s3cret@h:0/x", "a number from 1 to 65535"),
            ("redis://:s3cret@:7/x", "host is missing"),
            ("redis://s3cret@h:7/x", "credentials are :PASSWORD@"),
            ("redis://:s3cret%FF@h:7/x", "not text in UTF-8"),
        ] {
            let error = text.parse::<SharedAddress>().unwrap_err();
            assert!(error.contains(part) && !error.contains("s3cret"), "{text}: {error}");
        }
    }
}
