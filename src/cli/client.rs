//! HTTP client of the commands that call a server. Returns every status as a response, and every other end in plain words.

use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, Uri};

use crate::base::client_error::explained;
pub use crate::base::client_error::{ClientError, io_words};

/// A response with any status.
#[derive(Debug)]
pub struct ClientResponse {
    pub status: u16,
    pub body: String,
}

/// Says that nothing listens at a URL.
pub fn nothing_answers(url: &str) -> String {
    format!("nothing answers at {url}; is the simulator running?")
}

/// Parses the URL of a server, for a flag. Returns it without the slash at its end.
///
/// # Errors
/// What is wrong, and an example.
pub fn http_url(text: &str) -> Result<String, String> {
    let uri: Uri = text.parse().map_err(|_| "expected a URL such as http://127.0.0.1:9090".to_owned())?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http"), Some(_)) => Ok(text.trim_end_matches('/').to_owned()),
        (Some("https"), _) => Err("https is not supported: the simulator speaks plain http".to_owned()),
        _ => Err("expected a URL with http:// and a host, such as http://127.0.0.1:9090".to_owned()),
    }
}

/// Returns a client with a total timeout per request.
pub fn agent(timeout: Duration) -> Agent {
    configured(|config| config.timeout_global(Some(timeout)))
}

/// Returns a client for an endless response, with a timeout until its head.
pub fn streaming_agent(timeout: Duration) -> Agent {
    configured(|config| config.timeout_connect(Some(timeout)).timeout_recv_response(Some(timeout)))
}

type AgentConfig = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

fn configured(change: impl FnOnce(AgentConfig) -> AgentConfig) -> Agent {
    change(Agent::config_builder().http_status_as_error(false).proxy(None)).build().into()
}

/// Max bytes read of a response body: the endpoint's have a few hundred bytes, a journal a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

/// Begins a GET: returns the response with its body unread.
pub fn open(agent: &Agent, url: &str, token: Option<&str>) -> Result<Response<ureq::Body>, ClientError> {
    let request = agent.get(url);
    let request = match token {
        Some(token) => request.header("Authorization", format!("Bearer {token}")),
        None => request,
    };
    request.call().map_err(|error| explained(error, None))
}

pub fn get(agent: &Agent, url: &str, token: Option<&str>) -> Result<ClientResponse, ClientError> {
    whole(open(agent, url, token)?)
}

/// Posts JSON with the headers that the document requires, and more.
pub fn post_json(
    agent: &Agent,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<ClientResponse, ClientError> {
    let request =
        agent.post(url).header("Accept", "application/json").header("Content-Type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    whole(request.send(body).map_err(|error| explained(error, None))?)
}

/// Reads the body.
pub fn whole(mut response: Response<ureq::Body>) -> Result<ClientResponse, ClientError> {
    let status = response.status().as_u16();
    let bytes = response.body_mut().with_config().limit(MAX_BYTES).read_to_vec();
    let bytes = bytes.map_err(|error| explained(error, Some(status)))?;
    Ok(ClientResponse { status, body: String::from_utf8_lossy(&bytes).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for (text, result) in [
            ("http://127.0.0.1:9090", Ok("http://127.0.0.1:9090")),
            ("http://127.0.0.1:9090/", Ok("http://127.0.0.1:9090")),
            ("http://[::1]:8080/a/b", Ok("http://[::1]:8080/a/b")),
            ("HTTP://localhost", Ok("HTTP://localhost")),
            ("https://localhost:9090", Err("plain http")),
            ("127.0.0.1:9090", Err("such as http://127.0.0.1:9090")),
            ("localhost:9090", Err("such as http://127.0.0.1:9090")),
            ("/admin", Err("http:// and a host")),
            ("", Err("such as http://127.0.0.1:9090")),
        ] {
            match (http_url(text), result) {
                (Ok(url), Ok(expected)) => assert_eq!(url, expected),
                (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
                (other, _) => panic!("{text}: {other:?}"),
            }
        }
    }
}
