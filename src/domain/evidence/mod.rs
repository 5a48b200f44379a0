//! What a request shows once it is looked into: opened credentials and a recognised photo.
//! The costly part of a request, done once, before any check, and less costly for what was seen before.

pub mod credential;
pub mod photo;

pub use credential::Credential;
pub use photo::{Photo, PhotoFormat};
