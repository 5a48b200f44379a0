//! HTTP layer: both listeners, sockets and request parsing. Contains no decision about an answer.

pub mod admin;
pub mod api_error;
mod body;
mod buffer_pool;
pub mod client_request;
#[allow(unsafe_code, reason = "only the kernel knows what a peer has acknowledged")]
pub mod data;
mod long_body;
pub mod slots;
pub mod state;
pub mod timeouts;
