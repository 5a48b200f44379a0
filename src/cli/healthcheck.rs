//! `healthcheck`: health check of a container. Calls `GET /ready` on the admin listener.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::Failure;
use super::client::{self, http_url};
use super::serve::AdminListen;
use crate::base::network::from_here;

#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// URL of the admin listener [default: from --admin-listen]
    #[arg(long, value_name = "URL", value_parser = http_url, env = "FRSIM_ADMIN")]
    admin: Option<String>,
    /// Same as for serve; in a container both read the same variable
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:9090", env = "FRSIM_ADMIN_LISTEN")]
    admin_listen: AdminListen,
    /// Timeout of the request
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub fn run(args: &HealthcheckArgs) -> Result<ExitCode, Failure> {
    let admin = match &args.admin {
        Some(url) => url.clone(),
        None => local_url(args.admin_listen)?,
    };
    let url = format!("{admin}/ready");
    let answer = client::get(&client::agent(args.timeout), &url, None);
    let answer = answer.map_err(|error| Failure::no(format!("{url}: {error}")))?;
    if answer.status == 200 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::no(format!("{url}: HTTP status {}", answer.status)))
}

/// Returns the URL of a listener on this machine.
fn local_url(listener: AdminListen) -> Result<String, Failure> {
    let AdminListen::At(address) = listener else {
        return Err(Failure::no(
            "the admin listener is off, so readiness is unknown; let it listen on loopback",
        ));
    };
    if address.port() == 0 {
        return Err(Failure::no("the admin listener has a random port (port 0); pass its URL with --admin"));
    }
    Ok(format!("http://{}", from_here(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_over_loopback() {
        for (listener, url) in [
            ("0.0.0.0:9090", Some("http://127.0.0.1:9090")),
            ("[::]:9091", Some("http://[::1]:9091")),
            ("127.0.0.1:9092", Some("http://127.0.0.1:9092")),
            ("192.0.2.7:9093", Some("http://192.0.2.7:9093")),
            ("0.0.0.0:0", None),
            ("off", None),
        ] {
            assert_eq!(local_url(listener.parse().unwrap()).ok().as_deref(), url, "{listener}");
        }
    }
}
