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
//! | [`simulator`] | starting and stopping |
//! | [`cli`] | the command line |

pub mod capacity;
pub mod checks;
pub mod cli;
pub mod clock;
pub mod compose;
pub mod engine;
pub mod evidence;
pub mod faults;
pub mod fixtures;
pub mod http;
pub mod journal;
pub mod keys;
pub mod ledger;
pub mod matcher;
pub mod metrics;
pub mod nik;
pub mod observer;
pub mod policy;
pub mod protocol;
pub mod recent;
mod reloading;
mod remembered;
pub mod roster;
pub mod rules;
pub mod simulator;
pub mod timer;
pub mod timing;
pub mod warnings;
mod watching;

pub use simulator::{Builder, Simulator, StartError};
