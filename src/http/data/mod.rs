//! The endpoint's listener: a small HTTP/1.1 server that owns its wire, because the product is what happens there, to the byte. Nothing
//! else parses these bytes.
//!
//! `listener.rs` accepts and hands connections to worker threads; each is one task that reads and answers strictly one request after the
//! other. `connection.rs` moves bytes, `body.rs` those of bodies; `head_finder.rs`, `head.rs` and `chunks.rs` understand them.
//! `endpoint.rs` knows the routes, `exchange.rs` is one request from its admission to its journal entry, `refusal.rs` what HTTP itself
//! refuses. An answer is bytes to write, or the steps of a fault; `Connection::run` carries both out.

mod body;
pub(crate) mod chunks;
pub mod connection;
mod connection_limit;
mod cost;
pub mod endpoint;
mod exchange;
pub(crate) mod head;
pub(crate) mod head_finder;
pub mod listener;
mod nik;
mod proxy;
mod refusal;
pub mod socket;
