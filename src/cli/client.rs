//! What the commands that talk to a server share: an HTTP client that hands over every status.

use std::time::Duration;

use ureq::Agent;

/// An answer, whatever its status.
pub struct ClientResponse {
    pub status: u16,
    pub body: String,
}

/// A client that gives up after `timeout`.
pub fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

/// Largest answer that is read: the endpoint's have a few hundred bytes, a journal a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

pub fn get(agent: &Agent, url: &str, token: Option<&str>) -> Result<ClientResponse, String> {
    let request = agent.get(url);
    let request = match token {
        Some(token) => request.header("Authorization", format!("Bearer {token}")),
        None => request,
    };
    taken(request.call(), url)
}

/// Posts JSON with the headers that the document asks for.
pub fn post_json(agent: &Agent, url: &str, body: &str) -> Result<ClientResponse, String> {
    let request =
        agent.post(url).header("Accept", "application/json").header("Content-Type", "application/json");
    taken(request.send(body), url)
}

fn taken(
    result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    url: &str,
) -> Result<ClientResponse, String> {
    let mut response = result.map_err(|error| format!("{url}: {error}"))?;
    let bytes = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec();
    let bytes = bytes.map_err(|error| format!("{url}: {error}"))?;
    Ok(ClientResponse {
        status: response.status().as_u16(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
