//! Face matcher shared by all requests: the enrolled identities, and a cache of perceptual hashes.
//!
//! A photo is decoded only if it must be, because that is the most expensive step of a search. The file of a gallery picture needs no
//! decoding: the gallery keeps its small greyscale image (2 kB). Hashes of other photos are cached by SHA-256 (4096, second chance).
//! What remains is decoded in little memory. With `matcher.perceptual = false` no photo is decoded.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::domain::evidence::Photo;
use crate::domain::matcher::{
    Enrolled, Gallery, Probe, ProbePixels, SearchResult, SmallPicture, decode_small,
};
use crate::state::print_cache::PrintCache;

/// Galleries that a customer's photos are searched in.
#[derive(Clone, Copy, Debug)]
pub struct SearchScope<'a> {
    pub customer_id: &'a str,
    /// The customer's own gallery, from the fixtures.
    pub own: &'a Gallery,
    /// The shared gallery of the fixtures; `None` for a customer that does not use it.
    pub shared: Option<&'a Gallery>,
    /// Whether to match by perceptual hash too; otherwise only by identical file.
    pub perceptual: bool,
}

/// Shared state of searches: identities enrolled over the admin API, and cached probe hashes.
#[derive(Debug)]
pub struct FaceMatcher {
    hashes: PrintCache,
    enrolled: RwLock<Enrolled>,
}

impl FaceMatcher {
    /// Returns a matcher with an empty cache and nothing enrolled. `seed` seeds generated NIKs.
    #[must_use]
    pub fn new(seed: u64) -> FaceMatcher {
        FaceMatcher { hashes: PrintCache::default(), enrolled: RwLock::new(Enrolled::new(seed)) }
    }

    /// Locks the identities enrolled over the admin API, for reading.
    pub fn enrolled(&self) -> RwLockReadGuard<'_, Enrolled> {
        self.enrolled.read()
    }

    /// Locks the identities enrolled over the admin API, for writing.
    pub fn enrolled_mut(&self) -> RwLockWriteGuard<'_, Enrolled> {
        self.enrolled.write()
    }

    /// Returns all identities in `scope` that match this photo with a score of at least `threshold`.
    #[must_use]
    pub fn find(&self, scope: &SearchScope, photo: &Photo, threshold: f64) -> SearchResult {
        let probe = self.probe(scope, photo);
        let enrolled = self.enrolled();
        SearchResult::search(galleries(scope, &enrolled), &probe, threshold)
    }

    /// Builds the probe. Decodes the photo only when its hash can matter and is neither cached nor in a gallery.
    fn probe(&self, scope: &SearchScope, photo: &Photo) -> Probe {
        let Some(sha256) = photo.sha256 else { return Probe::default() };
        let known = {
            let enrolled = self.enrolled();
            let mut galleries = galleries(scope, &enrolled);
            if !scope.perceptual || galleries.clone().all(|gallery| gallery.identities().len() == 0) {
                return Probe { sha256, pixels: ProbePixels::default() };
            }
            galleries.find_map(|gallery| gallery.picture(&sha256)).map(|picture| *picture.small())
        };
        let decode = || match (known, photo.format) {
            (Some(small), _) => Ok(SmallPicture { small: Box::new(small), damage: None }),
            (None, Some(format)) => decode_small(&photo.file(), format),
            (None, None) => Err("it is of an unknown format".to_owned()),
        };
        Probe { sha256, pixels: self.hashes.get_or_compute(&sha256, || ProbePixels::of(decode())) }
    }
}

fn galleries<'a>(
    scope: &SearchScope<'a>,
    enrolled: &'a Enrolled,
) -> impl Iterator<Item = &'a Gallery> + Clone + use<'a> {
    let shared = scope.shared.into_iter().chain(scope.shared.and_then(|_| enrolled.gallery(None)));
    [scope.own].into_iter().chain(enrolled.gallery(Some(scope.customer_id))).chain(shared)
}
