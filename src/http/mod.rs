//! HTTP layer: both listeners, sockets and request parsing. Contains no decision about an answer.

pub mod admin;
pub mod admin_tokens;
pub mod api_error;
pub mod breakage;
pub mod caller;
pub mod client_request;
#[allow(unsafe_code, reason = "only the kernel knows what a peer has acknowledged")]
pub mod data;
pub mod state;
pub mod timeouts;
