//! `healthcheck`: for a container's health check.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Failure, client};

#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// The admin listener
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090", env = "FRSIM_ADMIN")]
    admin: String,
    /// Give up after
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

pub fn run(args: &HealthcheckArgs) -> Result<ExitCode, Failure> {
    let url = format!("{}/ready", args.admin.trim_end_matches('/'));
    let answer = client::get(&client::agent(args.timeout), &url, None).map_err(Failure::no)?;
    if answer.status == 200 {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::no(format!("{url}: HTTP status {}", answer.status)))
}
