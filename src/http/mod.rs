//! HTTP layer: both listeners, sockets and request parsing. Contains no decision about an answer.

pub mod admin;
pub mod api_error;
mod body;
mod buffer_pool;
pub mod client_request;
pub mod data;
mod long_body;
pub mod state;
pub mod timeouts;
