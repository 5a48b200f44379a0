//! The endpoint's protocol as values: decodes requests, renders answers.
//! Nothing here depends on a clock, a key, a customer or a socket.

pub mod body;
pub mod dress;
pub mod encoding;
mod field;
pub mod json_fault;
pub mod layout;
pub mod number;
pub mod outcome;
mod photo;
pub mod sample;

pub use body::{Body, Field, Value};
pub use layout::{Answer, Candidate, Layout, ScoredBy, ValueTypes};
pub use number::NumberMode;
pub use outcome::{AnsweredBy, Code, OUTCOMES, Outcome, Provenance, Shape};
