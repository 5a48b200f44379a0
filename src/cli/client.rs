//! HTTP client of the commands that call a server. Returns every status as a response, not as an error.

use std::time::Duration;

use ureq::Agent;

/// A response with any status.
pub struct ClientResponse {
    pub status: u16,
    pub body: String,
}

/// Returns a client with a total timeout per request.
pub fn agent(timeout: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

/// Max bytes read of a response body: the endpoint's have a few hundred bytes, a journal a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

pub fn get(agent: &Agent, url: &str, token: Option<&str>) -> Result<ClientResponse, String> {
    let request = agent.get(url);
    let request = match token {
        Some(token) => request.header("Authorization", format!("Bearer {token}")),
        None => request,
    };
    read_response(request.call(), url)
}

/// Posts JSON with the headers that the document requires.
pub fn post_json(agent: &Agent, url: &str, body: &str) -> Result<ClientResponse, String> {
    let request =
        agent.post(url).header("Accept", "application/json").header("Content-Type", "application/json");
    read_response(request.send(body), url)
}

fn read_response(
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
