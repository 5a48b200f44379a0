//! Asks an endpoint how it behaves, safely, and finds the policy under which the simulator would have given the same answers.
//!
//! `cases.rs` has the questions as data, `call_spec.rs` what a call sends, `runner.rs` asks within the safety rules of `target.rs` and
//! `ledger.rs`, `run_file.rs` keeps what came. `model.rs` is the simulator as the model of an endpoint, without a socket; `calibrate.rs`
//! searches the policies. There is no second description of the endpoint: what a call is answered is asked of the engine. `recording/` keeps
//! what others say to an endpoint, without their data.

pub mod answer;
pub mod calibrate;
pub mod call_spec;
pub mod cases;
pub mod comparable;
pub mod difference;
mod key_space;
pub mod ledger;
pub mod model;
pub mod observation;
pub mod order;
mod order_space;
pub mod pictures;
mod quota_days;
mod quota_space;
mod quota_steps;
pub mod raw_client;
pub mod recording;
pub mod report;
pub mod run_file;
pub mod runner;
pub mod target;
