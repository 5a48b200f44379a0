//! Configuration: reads policy, customers and gallery from the fixture files and resolves them.
//!
//! The users' word for it is fixtures: `--fixtures`, `./fixtures`.

mod built_in;
mod built_rules;
mod document;
mod extends;
mod faces;
pub mod gallery;
mod ignored;
mod load;
pub mod model;
mod preset;
mod problem;
mod resolve;
pub mod schema;
pub mod source;
mod values;

pub use ignored::ignored;
pub use load::{Fixtures, digest, load, policy_layers, reload};
pub use model::{CustomerSpec, PeerSource, SimulatorSpec};
pub use preset::{MeasuredFile, StartPolicy};
pub use problem::{FieldError, Problem};
pub use values::{CustomerId, PlantedScore};

#[cfg(test)]
mod tests;
