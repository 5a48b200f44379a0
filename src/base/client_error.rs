//! Why an HTTP exchange of a client failed, in plain words.

use std::fmt;
use std::io::{self, ErrorKind};

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

/// Says in words what happened, without the numbers of the operating system. `status` is that of the head that came.
#[must_use]
pub fn explained(error: ureq::Error, status: Option<u16>) -> ClientError {
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
#[must_use]
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
