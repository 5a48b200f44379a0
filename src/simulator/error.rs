//! Why a simulator does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::setup::TestError;
use crate::config::Problem;
use crate::http::admin_tokens::TokenFileError;
use crate::keys::KeyError;
use crate::state::store::StoreError;

/// Largest value of [`Builder::max_body`](crate::Builder::max_body): 1 GiB.
pub const MAX_BODY: usize = 1 << 30;

/// Error of starting a simulator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Address { address: SocketAddr, source: io::Error },
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A key cannot be generated.
    #[error("{0}")]
    NoKey(String),
    /// The fixtures are invalid.
    #[error("invalid fixtures: {}", Problem::list(.0))]
    Fixtures(Vec<Problem>),
    /// The admin listener is reachable from other machines and has no token.
    #[error(
        "an admin listener beyond loopback ({0}) needs --admin-token or --admin-token-file: anyone who can reach it could control the simulator"
    )]
    OpenAdmin(SocketAddr),
    /// The admin token is invalid: no client could send it in a header. Holds the position of the character, from 1. The token itself is
    /// never shown.
    #[error(
        "the admin token (--admin-token, FRSIM_ADMIN_TOKEN) {}: use visible ASCII characters without spaces",
        .0.map_or("is empty".to_owned(), |at| format!("cannot be sent in a header: character {at} is not allowed"))
    )]
    Token(Option<usize>),
    /// The file of named admin tokens is invalid: where, and why. Never holds a token.
    #[error("{}{}: {}", path.display(), error.line.map_or(String::new(), |line| format!(":{line}")), error.message)]
    TokenFile { path: PathBuf, error: TokenFileError },
    /// The maximum body is too large: a few clients could use up the memory.
    #[error(
        "the maximum body (--max-body, FRSIM_MAX_BODY) is {0} bytes: at most {MAX_BODY} bytes (1GiB) are allowed"
    )]
    MaxBody(usize),
    /// A customer or a rule of the builder is invalid.
    #[error("{what}: {refused}")]
    Setup { what: String, refused: TestError },
    /// A file named on the command line cannot be used.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The store cannot be used: in use, foreign, damaged, or of a simulator with another seed or key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address of a shared store is wrong.
    #[error("{0}")]
    StoreAddress(String),
    /// The server of a shared store cannot be reached.
    #[error(transparent)]
    StoreUnreachable(StoreError),
    /// The operating system refuses a thread or a watch.
    #[error("the operating system refused: {0}")]
    System(#[from] io::Error),
}
