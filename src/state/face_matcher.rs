//! The matcher as requests share it: the enrolled people, and a cache of photos that were looked at.

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::domain::evidence::Photo;
use crate::domain::matcher::hash::ProbeHash;
use crate::domain::matcher::{Enrolled, Gallery, Probe, SearchResult, decode_small};
use crate::state::print_cache::PrintCache;

/// Where a customer's photos are looked for.
#[derive(Clone, Copy, Debug)]
pub struct SearchScope<'a> {
    pub customer_id: &'a str,
    /// The customer's own, from the fixtures.
    pub own: &'a Gallery,
    /// That of all customers; `None` for a customer without it.
    pub shared: Option<&'a Gallery>,
    /// Whether content counts, or the file alone.
    pub perceptual: bool,
}

/// What searches share: who was enrolled over the admin API, and photos seen before.
#[derive(Debug)]
pub struct FaceMatcher {
    seen: PrintCache,
    /// Held while a large photo is decoded: one at a time.
    large_photo: Mutex<()>,
    enrolled: RwLock<Enrolled>,
}

impl FaceMatcher {
    /// A matcher that has seen nothing. `seed` is that of NIKs to be made up.
    #[must_use]
    pub fn new(seed: u64) -> FaceMatcher {
        FaceMatcher {
            seen: PrintCache::default(),
            large_photo: Mutex::default(),
            enrolled: RwLock::new(Enrolled::new(seed)),
        }
    }

    /// Who was enrolled over the admin API.
    pub fn enrolled(&self) -> RwLockReadGuard<'_, Enrolled> {
        self.enrolled.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, to be changed.
    pub fn enrolled_mut(&self) -> RwLockWriteGuard<'_, Enrolled> {
        self.enrolled.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody in `scope` whose score in this photo is `least` or more.
    #[must_use]
    pub fn find(&self, scope: &SearchScope, photo: &Photo, least: f64) -> SearchResult {
        let probe = self.probe(scope, photo);
        let enrolled = self.enrolled();
        SearchResult::search(galleries(scope, &enrolled), &probe, least)
    }

    /// Decodes a photo only when its content can matter and was never seen, here or in a gallery.
    fn probe(&self, scope: &SearchScope, photo: &Photo) -> Probe {
        let Some(sha256) = photo.sha256 else { return Probe::default() };
        let known = {
            let enrolled = self.enrolled();
            let mut galleries = galleries(scope, &enrolled);
            if !scope.perceptual || galleries.clone().all(|gallery| gallery.identities().len() == 0) {
                return Probe { sha256, print: None };
            }
            galleries.find_map(|gallery| gallery.picture(&sha256)).map(|picture| *picture.small())
        };
        let small = || {
            known.or_else(|| {
                decode_small(&photo.file(), || {
                    self.large_photo.lock().unwrap_or_else(PoisonError::into_inner)
                })
            })
        };
        Probe { sha256, print: self.seen.print(&sha256, || ProbeHash::of(&small()?)) }
    }
}

fn galleries<'a>(
    scope: &SearchScope<'a>,
    enrolled: &'a Enrolled,
) -> impl Iterator<Item = &'a Gallery> + Clone + use<'a> {
    let shared = scope.shared.into_iter().chain(scope.shared.and_then(|_| enrolled.gallery(None)));
    [scope.own].into_iter().chain(enrolled.gallery(Some(scope.customer_id))).chain(shared)
}
