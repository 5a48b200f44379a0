//! Configuration: policy, customers and gallery, read from fixture files and resolved to customers.
//!
//! Users call it fixtures: `--fixtures`, `./fixtures`.

mod extends;
mod gallery;
mod load;
pub mod model;
mod problem;
mod resolve;
pub mod schema;
pub mod source;
mod values;

pub use load::{Fixtures, load, reload};
pub use model::{CustomerSpec, PeerSource, SimulatorSpec};
pub use problem::{FieldError, Problem};
pub use values::{CustomerId, PlantedScore};

#[cfg(test)]
mod tests;
