//! Small utilities that several layers share. Nothing here depends on the endpoint.

pub mod client_error;
pub mod cpu_time;
pub mod duration;
pub mod from_text;
pub mod hash;
pub mod hash_functions;
pub mod json;
pub mod json_schema;
pub mod media_type;
pub mod network;
pub mod pattern;
pub mod random;
pub mod range;
pub mod reading;
pub mod size;
mod strict;
pub mod suggestion;
pub mod text;
pub mod time;
pub mod trace;
pub mod url;
pub mod wording;
