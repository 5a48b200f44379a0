//! The matcher: searches galleries for a photo, and generates look-alikes among a large population.
//!
//! A photo matches by identical file, or by perceptual hash, which costs one decoding the first time. Whether a photo was seen before
//! changes no score. `docs/explanation/matching.md` describes the mapping from distances to scores, and the measurements.

pub mod enrolled;
pub mod face;
pub mod face_engine;
pub mod gallery;
pub mod hash;
mod picture;
pub mod population;
pub mod score;

pub use enrolled::{EnrolError, Enrolled, Enrolment};
pub use face::{FaceLook, FaceResult};
pub use gallery::{Gallery, Identity, Matched, Probe, ProbePixels, SearchResult, Similar};
pub use picture::{Picture, SmallPicture, decode_small};
pub use population::look_alikes;
