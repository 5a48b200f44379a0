//! A store that several replicas share, on Valkey or Redis 7: they act as one simulator.
//!
//! There is one history, and each replica has the books in memory. A step is decided on a copy of them, in Rust as ever, and what it changed
//! is appended to the history under the condition that its subject is still at the version it was decided on (`append.lua`); who was
//! overtaken decides again. Every replica, the author too, follows the history and applies each record (`follower.rs`), so all have the same
//! books. Before a request goes on, its replica is as far as every change that was answered before the request came (`arrive.lua`).
//!
//! Changes over the admin API are rare, so they take turns: their records carry the token of the turn, and one that comes late is refused.
//!
//! While the server cannot be reached nothing is decided: [`StoreDown`]. No replica ever counts alone.

mod address;
mod connection;
mod follower;
mod founder;
mod history;
mod record;
mod scripts;
mod setup;
mod shared_store;
mod turn;

pub use address::SharedAddress;
pub use connection::StoreTrouble;
pub use follower::HistoryReader;
pub use history::{SharedHistory, open};
pub use record::{HistoryRecord, HistoryStep, StepBasis};
pub use setup::ReplicaSetup;
pub use shared_store::{Appended, Arrival, SharedStore, StoreDown};
pub use turn::{NoTurn, Turn};
