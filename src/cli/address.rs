//! Why an address cannot be listened on, and what to do about it.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::client;
use crate::base::network::{from_here, loopback};

/// Timeout of the question who is there.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Says in words why an address cannot be listened on, and what to do. `flag` is the one that the address came from.
pub fn explain(address: SocketAddr, flag: &str, error: &Error) -> String {
    let ip = address.ip();
    match error.kind() {
        ErrorKind::AddrInUse => {
            let other = format!("or choose another port: {flag} {} takes a free one", SocketAddr::new(ip, 0));
            match occupant(address) {
                Some(who) => format!(
                    "{address} is in use: {who} answers there. Stop it (Ctrl-C in its terminal, or POST /shutdown on its admin listener), {other}"
                ),
                None => format!(
                    "{address} is in use by another program. Stop that (ss -ltnp sport = :{} shows which), {other}",
                    address.port()
                ),
            }
        }
        ErrorKind::AddrNotAvailable => {
            let length = if ip.is_ipv4() { 32 } else { 128 };
            format!(
                "this machine does not have the address {ip}. Add it (as root: ip addr add {ip}/{length} dev lo), run in a container network that \
                 has it, or listen on an address of this machine: {flag} {}",
                SocketAddr::new(loopback(address), address.port())
            )
        }
        ErrorKind::PermissionDenied if address.port() < 1024 => format!(
            "listening on {address} is not permitted: ports below 1024 need special rights. Choose another port: {flag} {}",
            SocketAddr::new(ip, address.port() + 8000)
        ),
        _ => format!("cannot listen on {address} ({flag}): {error}"),
    }
}

/// Asks who listens at an address. Returns a description when it is a dukcapil-fr-sim.
fn occupant(address: SocketAddr) -> Option<String> {
    let url = format!("http://{}/version", from_here(address));
    let answer = client::get(&client::agent(TIMEOUT), &url, None).ok()?;
    let answer: Value = serde_json::from_str(&answer.body).ok()?;
    if answer["name"] == env!("CARGO_PKG_NAME") {
        let version = answer["version"].as_str().unwrap_or_default();
        return Some(format!("the admin listener of another dukcapil-fr-sim ({version})"));
    }
    // The endpoint says that the path is one of the admin API, or names its own paths.
    let error = &answer["error"];
    let says = |name: &str, words: &str| error[name].as_str().is_some_and(|text| text.contains(words));
    let is_endpoint = says("message", "path of the admin API") || says("hint", "/api/nik");
    is_endpoint.then(|| "the endpoint of another dukcapil-fr-sim".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_comes_with_what_to_do() {
        let explained = |address: &str, kind: ErrorKind| {
            explain(address.parse().unwrap(), "--listen", &Error::from(kind))
        };
        let missing = explained("172.16.160.176:8080", ErrorKind::AddrNotAvailable);
        assert!(missing.contains("ip addr add 172.16.160.176/32 dev lo"), "{missing}");
        assert!(missing.contains("--listen 127.0.0.1:8080"), "{missing}");
        let low = explained("127.0.0.1:80", ErrorKind::PermissionDenied);
        assert!(low.contains("ports below 1024") && low.contains("--listen 127.0.0.1:8080"), "{low}");
        let other = explained("127.0.0.1:8080", ErrorKind::OutOfMemory);
        assert!(other.starts_with("cannot listen on 127.0.0.1:8080 (--listen): "), "{other}");
    }
}
