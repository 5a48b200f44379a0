//! The endpoint's listener: connections, faults on the wire, the endpoint's own routes.

pub mod connection;
pub mod connection_limit;
pub mod endpoint;
pub mod exchange;
pub mod fault_executor;
pub mod headers;
pub mod listener;
pub mod nik;
pub mod proxy;
pub mod service;
pub mod tracked_body;
