//! The admin API of a running simulator, for the commands that ask it.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::client::{self, ClientError, ClientResponse, http_url};
use super::secret::Secret;
use crate::base::suggestion;

/// Where the admin API is.
#[derive(Debug, Args)]
pub struct AdminArgs {
    /// URL of the simulator's admin listener
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090", value_parser = http_url, env = "FRSIM_ADMIN")]
    admin: String,
    /// Bearer token of the admin API
    #[arg(long, value_name = "T", env = "FRSIM_ADMIN_TOKEN", hide_env_values = true)]
    admin_token: Option<Secret>,
}

/// Timeout of calls that answer at once. Short, because most commands also work without them.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Timeout of calls that compute or wait.
const LONG_TIMEOUT: Duration = Duration::from_secs(30);

impl AdminArgs {
    /// Returns the URL, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.admin
    }

    fn token(&self) -> Option<&str> {
        self.admin_token.as_ref().map(Secret::reveal).filter(|token| !token.is_empty())
    }

    pub fn get(&self, path: &str) -> Result<ClientResponse, ClientError> {
        client::get(&client::agent(TIMEOUT), &format!("{}{path}", self.admin), self.token())
    }

    /// Returns the JSON that a GET answers with 200.
    pub fn get_json(&self, path: &str) -> Option<Value> {
        let answer = self.get(path).ok().filter(|answer| answer.status == 200)?;
        serde_json::from_str(&answer.body).ok()
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<ClientResponse, ClientError> {
        let token = self.token().map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = token.iter().map(|token| ("Authorization", token.as_str())).collect();
        let url = format!("{}{path}", self.admin);
        client::post_json(&client::agent(LONG_TIMEOUT), &url, &headers, &body.to_string())
    }

    /// Begins a GET of an endless body.
    pub fn open(&self, path: &str) -> Result<ureq::http::Response<ureq::Body>, ClientError> {
        client::open(&client::streaming_agent(LONG_TIMEOUT), &format!("{}{path}", self.admin), self.token())
    }

    /// Says that a customer is unknown, and which one may be meant; `None` for a known customer, or without an answer.
    pub fn unknown_customer(&self, customer_id: &str) -> Option<String> {
        let listing = self.get_json("/customers")?;
        let names: Vec<_> =
            listing["customers"].as_array()?.iter().filter_map(|row| row["customer_id"].as_str()).collect();
        let is_known = names.contains(&customer_id);
        let suggestion = suggestion::suffix(customer_id, names);
        (!is_known).then(|| format!("there is no customer {customer_id:?}{suggestion}"))
    }
}

/// Says what an error of the admin API says; `None` when the response is not from a simulator.
pub fn refusal(answer: &ClientResponse) -> Option<String> {
    let error: Value = serde_json::from_str(&answer.body).ok()?;
    let error = error.get("error")?;
    let message = error.get("message")?.as_str()?;
    if answer.status == 401 {
        return Some(format!("{message}; give it with --admin-token or FRSIM_ADMIN_TOKEN"));
    }
    let hint = error.get("hint").and_then(Value::as_str).map_or(String::new(), |hint| format!("; {hint}"));
    Some(format!("{message}{hint}"))
}
