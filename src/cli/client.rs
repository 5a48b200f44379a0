//! HTTP client of the commands that call a server. Returns every status as a response, and every other end in plain words.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, Uri};

/// A response with any status.
#[derive(Debug)]
pub struct ClientResponse {
    pub status: u16,
    pub body: String,
}

/// Why there is no whole response.
#[derive(Debug)]
pub enum ClientError {
    /// No connection: nothing listens there.
    Unreachable,
    TimedOut,
    /// The exchange broke: HTTP status, if a whole head came, and what happened.
    Broken(Option<u16>, String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Unreachable => f.write_str("nothing answers"),
            ClientError::TimedOut => f.write_str("no whole answer in time"),
            ClientError::Broken(None, words) => write!(f, "{words} before an answer"),
            ClientError::Broken(Some(status), words) => {
                write!(f, "HTTP {status}, then {words} before the end of the answer")
            }
        }
    }
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

/// Says in words what happened, without the numbers of the operating system. `status` is that of the head that came.
fn explained(error: ureq::Error, status: Option<u16>) -> ClientError {
    match error {
        ureq::Error::Timeout(_) => ClientError::TimedOut,
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => ClientError::Unreachable,
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                ClientError::Unreachable
            }
            ErrorKind::TimedOut | ErrorKind::WouldBlock => ClientError::TimedOut,
            _ => ClientError::Broken(status, io_words(&error)),
        },
        ureq::Error::Protocol(error) => {
            ClientError::Broken(status, format!("bytes that are not HTTP came ({error})"))
        }
        ureq::Error::LargeResponseHeader(..) => {
            ClientError::Broken(status, "an endless head came".to_owned())
        }
        other => ClientError::Broken(status, format!("the exchange failed ({other})")),
    }
}

/// Says in words how a connection broke.
pub fn io_words(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "the connection was reset".to_owned()
        }
        ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        ErrorKind::Other => format!("the exchange failed ({error})"),
        kind => format!("the connection broke ({kind})"),
    }
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

    #[test]
    fn an_error_of_the_system_is_told_in_words() {
        for (kind, words) in [
            (ErrorKind::ConnectionReset, "the connection was reset"),
            (ErrorKind::BrokenPipe, "the connection was reset"),
            (ErrorKind::UnexpectedEof, "the connection was closed"),
            (ErrorKind::PermissionDenied, "the connection broke (permission denied)"),
        ] {
            assert_eq!(io_words(&kind.into()), words);
        }
        let reset = explained(io::Error::from_raw_os_error(104).into(), Some(200)).to_string();
        assert_eq!(reset, "HTTP 200, then the connection was reset before the end of the answer");
    }
}
