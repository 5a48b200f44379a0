//! HTTP layer: both listeners, sockets and request parsing. Contains no decision about an answer.

pub mod admin;
pub mod api_error;
pub mod client_request;
pub mod data;
pub mod state;
pub mod timeouts;
