//! A simulator of the Dukcapil face recognition (FR) 1:N endpoint.
//!
//! # In a test suite
//!
//! ```
//! use dukcapil_fr_sim::Simulator;
//! use serde_json::json;
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let simulator = Simulator::builder()
//!     .customer("bank", json!({ "extends": "demo", "quota": { "per_day": 2 } }))
//!     .rule("bank", "busy once", json!({ "times": 1, "reply": { "code": "6014" } }))
//!     .clock("2026-11-21T10:00:00+07:00".parse()?)
//!     .seed(7)
//! #   .key_bits(1024)
//!     .start()
//!     .await?;
//!
//! // Your own client goes here, with simulator.url() and simulator.public_key_pem().
//! let request = simulator.request("bank")?.transaction_id("pay-1");
//! let send = async || reqwest::Client::new().post(request.url()).body(request.body()).send().await?.text().await;
//! assert!(send().await?.contains("6014"));
//! assert!(send().await?.contains("6018"));
//!
//! simulator.verify(json!({ "customer_id": "bank", "transaction_id": "pay-*" }), 2)?;
//! assert!(send().await?.contains("5002"), "both used up quota");
//! simulator.advance(std::time::Duration::from_secs(24 * 3600))?;
//! assert!(send().await?.contains("6018"), "a new day in Jakarta");
//! assert_eq!(simulator.received().len(), 4);
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test())?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! Any number of simulators run in one process, each on free ports. Dropping one stops it and closes its ports. There is no global
//! state. How it is built inside: `ARCHITECTURE.md`.

mod base;
mod cli;
mod config;
mod conformance;
mod domain;
mod engine;
mod http;
#[doc(hidden)]
pub mod internals;
mod keys;
mod protocol;
mod simulator;
mod state;
mod version;

pub use config::Problem;
pub use domain::nik;
pub use domain::policy::{PolicySpec, Preset};
pub use engine::Scope;
pub use http::client_request::Request;
pub use keys::KeyOrigin;
pub use simulator::setup::TestError;
pub use simulator::testing::VerificationFailed;
pub use simulator::{Builder, Simulator, StartError};
pub use state::clock::ClockStart;
pub use state::journal::{Entry, ExpectedCount, Match, MatchReport, NearMiss};
pub use state::observer::Observer;
