//! The matcher: who in the gallery a photo shows, and which strangers look like that.
//!
//! A photo is found by its file, or by its content, which costs one decoding the first time it is seen. How distances become scores,
//! and what was measured, stands in `docs/matching.md`.

pub mod enrolled;
pub mod gallery;
pub mod hash;
mod picture;
pub mod population;
pub mod score;

pub use enrolled::{EnrolError, Enrolled, Enrolment};
pub use gallery::{Gallery, Identity, Probe, SearchResult, Similar};
pub use picture::{Picture, decode_small};
pub use population::look_alikes;
