//! Face matcher shared by all requests: the enrolled identities, and a cache of perceptual hashes.
//!
//! A photo is decoded only if it must be, because that is the most expensive step of a search. The file of a gallery picture needs no
//! decoding: the gallery keeps its small greyscale image (2 kB). Hashes of other photos are cached by SHA-256 (4096, second chance).
//! What remains is decoded in little memory. With `matcher.perceptual = false` no photo is decoded.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};

use super::enrolled_fields;
use super::store::{Store, StoreWrite, StoredState};
use crate::domain::evidence::Photo;
use crate::domain::matcher::{
    EnrolError, Enrolled, Enrolment, Gallery, Identity, Probe, ProbePixels, SearchResult, SmallPicture,
    decode_small,
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
    seed: u64,
    hashes: PrintCache,
    enrolled: RwLock<Enrolled>,
    /// Where enrolled identities are kept over a restart; steps are pushed under their lock.
    store: Option<Arc<Store>>,
}

impl FaceMatcher {
    /// Returns a matcher with an empty cache and nothing enrolled. `seed` seeds generated NIKs.
    #[must_use]
    pub fn new(seed: u64) -> FaceMatcher {
        FaceMatcher {
            seed,
            hashes: PrintCache::default(),
            enrolled: RwLock::new(Enrolled::new(seed)),
            store: None,
        }
    }

    /// Enrols what a store has.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn restore(&self, stored: &StoredState) -> Result<(), String> {
        let mut enrolled = Enrolled::new(self.seed);
        enrolled_fields::restore(&mut enrolled, stored)?;
        *self.enrolled.write() = enrolled;
        Ok(())
    }

    /// Applies what another replica changed of one NIK: its identity as text, or that it was removed.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn apply(&self, customer_id: Option<&str>, change: (&str, Option<&str>)) -> Result<(), String> {
        enrolled_fields::apply(&mut self.enrolled.write(), customer_id, change)
    }

    /// Removes identities as another replica did: those for all customers, or one customer's.
    pub fn apply_cleared(&self, customer_id: Option<&str>) {
        self.enrolled.write().clear(customer_id);
    }

    /// Sets the position of the generator of NIKs, as another replica did.
    pub fn apply_position(&self, position: u128) {
        self.enrolled.write().continue_at(position);
    }

    /// Hands over changes to a store from now on.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        self.store = Some(Arc::clone(store));
    }

    /// Returns the writes that make everything enrolled.
    #[must_use]
    pub fn whole(&self) -> Vec<StoreWrite> {
        enrolled_fields::whole(&self.enrolled())
    }

    /// Locks the identities enrolled over the admin API, for reading.
    pub fn enrolled(&self) -> RwLockReadGuard<'_, Enrolled> {
        self.enrolled.read()
    }

    /// Enrols an identity, see [`Enrolled::enrol`].
    ///
    /// # Errors
    /// Those of [`Enrolled::enrol`].
    pub fn enrol(
        &self,
        new: Enrolment,
        owner: impl Fn(&str) -> Option<String>,
    ) -> Result<Identity, EnrolError> {
        let customer_id = new.customer_id.clone();
        let mut enrolled = self.enrolled.write();
        let identity = enrolled.enrol(new, owner)?;
        self.push(|| enrolled_fields::changed(&enrolled, &identity.nik, customer_id.as_deref()));
        Ok(identity)
    }

    /// Removes an enrolled identity. Returns whether there was one.
    pub fn remove(&self, nik: &str, customer_id: Option<&str>) -> bool {
        let mut enrolled = self.enrolled.write();
        let is_removed = enrolled.remove(nik, customer_id).is_some();
        if is_removed {
            self.push(|| enrolled_fields::changed(&enrolled, nik, customer_id));
        }
        is_removed
    }

    /// Removes all enrolled identities, or those of one customer. Returns how many.
    pub fn reset(&self, customer_id: Option<&str>) -> usize {
        let mut enrolled = self.enrolled.write();
        self.push(|| enrolled_fields::cleared(&enrolled, customer_id));
        enrolled.reset(customer_id)
    }

    fn push(&self, writes: impl FnOnce() -> Vec<StoreWrite>) {
        if let Some(store) = &self.store {
            store.push(writes());
        }
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
