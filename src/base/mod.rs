//! Small values that several layers use and that belong to none of them. Nothing here knows the endpoint.

pub mod duration;
pub mod hash;
pub mod json_schema;
pub mod network;
pub mod pattern;
pub mod random;
pub mod range;
pub mod size;
pub mod suggestion;
pub mod text;
pub mod time;
