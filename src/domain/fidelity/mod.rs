//! How far answers can be trusted: what each rests on (`rests_on.rs`), where its parts are known from (`basis.rs`), and the table of all
//! behaviour (`table.rs`).
//!
//! An answer keeps its [`Grounds`], a few values that are there anyway, and the rest is derived from them when somebody reads the entry. Only a
//! request with numbers or base64 that can be read in two ways is decided a second time at once, because its texts are not kept.

mod basis;
mod grounds;
mod record;
mod rests_on;
pub mod table;

pub use basis::{Basis, BasisPart};
pub use grounds::{
    AnsweredThrough, EchoedThreshold, FailedCheck, Grounds, OtherReading, QuotaDoubt, QuotaGrounds,
};
pub use record::{AnswerGrounds, GroundsRecord};
pub use rests_on::{Differs, RestsOn};
