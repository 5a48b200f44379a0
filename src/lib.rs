//! A simulator of the Dukcapil face recognition (FR) 1:N endpoint.
//!
//! The way of a request, without a step back:
//!
//! ```text
//! bytes -> decode -> evidence -> checks -> precedence -> rules -> compose -> layout -> wire
//!          protocol::body        every     one           fixtures  values    bytes     http
//!                    opened and  finding   outcome
//!                    recognised
//! ```
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
//! Any number of simulators run in one process, each on free ports; a dropped one stops and closes them. There is no global state.
//!
//! # Inside
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`protocol`] | the document: outcomes, request body, answers and their layouts; pure values |
//! | [`evidence`] | what a request shows: opened credentials, a recognised photo |
//! | [`checks`] | one file a check; each gives a finding |
//! | [`policy`] | what the document leaves open, as one table |
//! | [`fixtures`] | customers, policy and gallery from files |
//! | [`roster`] | who may call: the fixtures' customers and those of the admin API |
//! | [`matcher`] | who a photo shows: galleries, perceptual hash, scores, look-alikes |
//! | [`capacity`] | how many requests the matcher takes: who is served, who waits, who is refused |
//! | [`rules`] | scenarios: conditions, counts, chance, replies, delays |
//! | [`faults`] | one file a fault; each plans what happens on the wire |
//! | [`nik`] | identity numbers: parse, validate, generate; their API |
//! | [`compose`] | from a code to an answer's values |
//! | [`engine`] | one request from bytes to verdict; quota, journal, clock |
//! | [`journal`] | what was asked, found and answered; how to find and count it |
//! | [`metrics`] | numbers for a monitoring system |
//! | [`http`] | both listeners |
//! | [`buffers`] | memory of long bodies |
//! | [`simulator`] | starting and stopping |
//! | [`cli`] | the command line |
//! | [`version`] | which build this is |

pub mod base;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod keys;
pub mod protocol;
pub mod simulator;
pub mod state;
pub mod version;

pub use engine::Scope;
pub use http::client_request::Request;
pub use simulator::setup::TestError;
pub use simulator::testing::VerificationFailed;
pub use simulator::{Builder, Simulator, StartError};
pub use state::journal::{Entry, ExpectedCount, Match};
