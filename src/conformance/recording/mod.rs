//! Recording what a client and an endpoint say to each other: shapes, not data.

pub mod allow_list;
pub mod answer_mask;
pub mod exchange;
mod json_text;
mod message_mask;
