//! Evidence of a request: decrypted credentials and the validated photo.
//! This is the expensive part of a request. It runs once, before any check; `state::evidence_cache` caches valid results.

pub mod credential;
pub mod photo;

pub use credential::Credential;
pub use photo::{Photo, PhotoFormat};
