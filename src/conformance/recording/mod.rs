//! Recording what a client and an endpoint say to each other: shapes, not data.
//!
//! `proxy.rs` passes the bytes on and hands a copy to `recorder.rs`, whose thread reads messages from it (`message_reader.rs`), pairs them
//! (`stream_reader.rs`), masks them by `allow_list.rs` (`request_mask.rs`, `answer_mask.rs`) and writes lines of `exchange.rs`. What a line
//! has no place for cannot reach the disk.

pub mod allow_list;
pub mod alternatives;
pub mod answer_mask;
pub mod check;
pub mod comparison;
pub mod drift;
pub mod exchange;
mod json_text;
pub mod message_mask;
mod message_reader;
pub mod proxy;
pub mod recorder;
pub mod replay;
pub mod request;
pub mod request_mask;
mod stream_reader;
pub mod tokens;
mod value_shape;
