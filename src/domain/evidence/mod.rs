//! Evidence of a request: decrypted credentials and the validated photo.
//! This is the expensive part of a request. It runs once, before any check; `state::evidence_cache` caches valid results.

pub mod credential;
pub mod file_kind;
pub mod likeness;
pub mod photo;

pub use credential::Credential;
pub use photo::Photo;

pub use super::pixels::PhotoFormat;

/// The evidence of one request.
#[derive(Debug)]
pub struct Evidence<'a> {
    pub user_id: Credential,
    pub password: Credential,
    /// `None` when `image` is missing or not a string.
    pub photo: Option<Photo<'a>>,
    /// Id of the customer that the decrypted user_id belongs to, when it is another one.
    pub owner_of_user_id: Option<String>,
}
