//! Face matcher shared by all requests: the enrolled identities, and a cache of perceptual hashes.
//!
//! A photo is decoded only if it must be, because that is the most expensive step of a search. The file of a gallery picture needs no
//! decoding: the gallery keeps its small greyscale image (2 kB). Hashes of other photos are cached by SHA-256 (4096, second chance).
//! What remains is decoded in little memory. With `matcher.perceptual = false` no photo is decoded.
//!
//! With a face engine a search has two steps: [`FaceMatcher::look`] asks the engine, which takes long, and holds no lock meanwhile;
//! [`FaceMatcher::find`] compares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::{RwLock, RwLockReadGuard};

use super::enrolled_fields;
use super::face_engine::{FaceEngine, FacePhoto, is_drawing};
use super::store::{Store, StoreWrite, StoredState};
use crate::config::gallery::Pictures;
use crate::domain::evidence::Photo;
use crate::domain::limits::Limits;
use crate::domain::matcher::face::{FaceEngineId, FaceVector, ProbeFace};
use crate::domain::matcher::face_engine::FaceSettings;
use crate::domain::matcher::{
    EnrolError, Enrolled, Enrolment, FaceLook, Gallery, Identity, Picture, Probe, ProbePixels, SearchResult,
    SmallPicture, decode_small,
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

/// Why a picture cannot be enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureError {
    /// The reason, behind "the picture".
    Invalid(String),
    /// A sentence about the face engine.
    FaceEngine(String),
}

/// Shared state of searches: identities enrolled over the admin API, and cached probe hashes.
#[derive(Debug)]
pub struct FaceMatcher {
    /// Client of the face engine, if the fixtures have one.
    pub faces: FaceEngine,
    seed: u64,
    hashes: PrintCache,
    enrolled: RwLock<Enrolled>,
    /// Where enrolled identities are kept over a restart; steps are pushed under their lock.
    store: Option<Arc<Store>>,
    /// Whether the store had vectors of faces when it was restored.
    has_stored_faces: AtomicBool,
}

impl FaceMatcher {
    /// Returns a matcher with an empty cache and nothing enrolled. `seed` seeds generated NIKs.
    #[must_use]
    pub fn new(seed: u64) -> FaceMatcher {
        FaceMatcher {
            faces: FaceEngine::default(),
            seed,
            hashes: PrintCache::default(),
            enrolled: RwLock::new(Enrolled::new(seed)),
            store: None,
            has_stored_faces: AtomicBool::new(false),
        }
    }

    /// Enrols what a store has; vectors of faces only with `keeps_faces`.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn restore(&self, stored: &StoredState, keeps_faces: bool) -> Result<(), String> {
        let mut enrolled = Enrolled::new(self.seed);
        let has_faces = enrolled_fields::restore(&mut enrolled, stored, keeps_faces)?;
        self.has_stored_faces.store(has_faces, Ordering::Relaxed);
        *self.enrolled.write() = enrolled;
        self.faces.forget();
        Ok(())
    }

    /// Applies what another replica changed of one NIK: its identity as text, or that it was removed.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn apply(
        &self,
        customer_id: Option<&str>,
        change: (&str, Option<&str>),
        keeps_faces: bool,
    ) -> Result<(), String> {
        if change.1.is_none() {
            self.faces.forget();
        }
        enrolled_fields::apply(&mut self.enrolled.write(), customer_id, change, keeps_faces)
    }

    /// Removes identities as another replica did: those for all customers, or one customer's.
    pub fn apply_cleared(&self, customer_id: Option<&str>) {
        self.enrolled.write().clear(customer_id);
        self.faces.forget();
    }

    /// Sets the position of the generator of NIKs, as another replica did.
    pub fn apply_position(&self, position: u128) {
        self.enrolled.write().continue_at(position);
    }

    /// Hands over changes to a store from now on.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        self.store = Some(Arc::clone(store));
    }

    /// Returns the writes that make everything enrolled; vectors of faces only with `keeps_faces`.
    #[must_use]
    pub fn whole(&self, keeps_faces: bool) -> Vec<StoreWrite> {
        enrolled_fields::whole(&self.enrolled(), keeps_faces)
    }

    /// Removes the vectors of faces that the store had when it was restored.
    pub fn remove_stored_faces(&self) {
        if self.has_stored_faces.swap(false, Ordering::Relaxed) {
            self.keep_faces(false);
        }
    }

    /// Hands everything enrolled over again, after it was decided anew whether vectors of faces are kept.
    pub fn keep_faces(&self, keeps_faces: bool) {
        let enrolled = self.enrolled.write();
        self.push(|| enrolled_fields::whole(&enrolled, keeps_faces));
    }

    /// Locks the identities enrolled over the admin API, for reading.
    pub fn enrolled(&self) -> RwLockReadGuard<'_, Enrolled> {
        self.enrolled.read()
    }

    /// Enrols an identity, see [`Enrolled::enrol`]. A store keeps vectors of faces only with `keeps_faces`.
    ///
    /// # Errors
    /// Those of [`Enrolled::enrol`].
    pub fn enrol(
        &self,
        new: Enrolment,
        owner: impl Fn(&str) -> Option<String>,
        keeps_faces: bool,
    ) -> Result<Identity, EnrolError> {
        let customer_id = new.customer_id.clone();
        let mut enrolled = self.enrolled.write();
        let identity = enrolled.enrol(new, owner)?;
        self.push(|| enrolled_fields::changed(&enrolled, &identity.nik, customer_id.as_deref(), keeps_faces));
        Ok(identity)
    }

    /// Removes an enrolled identity. Returns whether there was one.
    pub fn remove(&self, nik: &str, customer_id: Option<&str>) -> bool {
        let mut enrolled = self.enrolled.write();
        let is_removed = enrolled.remove(nik, customer_id).is_some();
        if is_removed {
            self.faces.forget();
            self.push(|| enrolled_fields::changed(&enrolled, nik, customer_id, false));
        }
        is_removed
    }

    /// Removes all enrolled identities, or those of one customer. Returns how many.
    pub fn reset(&self, customer_id: Option<&str>) -> usize {
        let mut enrolled = self.enrolled.write();
        self.push(|| enrolled_fields::cleared(&enrolled, customer_id));
        let count = enrolled.reset(customer_id);
        if count > 0 {
            self.faces.forget();
        }
        count
    }

    fn push(&self, writes: impl FnOnce() -> Vec<StoreWrite>) {
        if let Some(store) = &self.store {
            store.push(writes());
        }
    }

    /// Asks the face engine about a photo, and about the pictures of the fixtures in `scope` that it was not asked about yet, as long as
    /// the time for one photo lasts. What was learned so far is known the next time.
    #[must_use]
    pub fn look(&self, scope: &SearchScope, photo: &Photo, settings: &FaceSettings) -> FaceLook {
        let (Some(sha256), Some(format)) = (photo.sha256, photo.format) else { return FaceLook::NotAsked };
        if is_drawing(&sha256) {
            return FaceLook::NotAsked;
        }
        let deadline = Instant::now() + settings.timeout;
        let engine = settings.engine();
        let known = vector_of(galleries(scope, &self.enrolled()), &engine);
        let photo = FacePhoto { sha256, format, file: &photo.file() };
        let looked = self.faces.vector(settings, photo, known.as_ref(), deadline).and_then(|vector| {
            let Some(vector) = vector else { return Ok(FaceLook::NoFace(settings.no_face.clone())) };
            self.learn_until(scope, settings, &vector, deadline)?;
            Ok(FaceLook::Face(ProbeFace { vector, engine, strangers: settings.strangers }))
        });
        looked.unwrap_or_else(|reason| FaceLook::Failed(reason.into()))
    }

    /// Asks the face engine about the pictures of the fixtures in `scope`, until `deadline` and for one picture more at most.
    fn learn_until(
        &self,
        scope: &SearchScope,
        settings: &FaceSettings,
        known: &FaceVector,
        deadline: Instant,
    ) -> Result<(), String> {
        let identities = [scope.own].into_iter().chain(scope.shared).flat_map(Gallery::identities);
        let pictures: Vec<_> = identities.flat_map(|identity| &identity.pictures).collect();
        if pictures.iter().all(|picture| picture.file_without_face().is_none()) {
            return Ok(());
        }
        let is_late = || still_learning(pictures.iter().copied());
        let _turn = self.faces.turn_to_learn_until(deadline).ok_or_else(is_late)?;
        for picture in &pictures {
            let Some(file) = picture.file_without_face() else { continue };
            if Instant::now() >= deadline {
                return Err(is_late());
            }
            self.faces.learn(settings, picture, file, Some(known))?;
        }
        Ok(())
    }

    /// Reads a picture to enrol beside others, and asks the face engine about it, if there is one. `fixtures`: pictures of the fixtures.
    ///
    /// # Errors
    /// When it is not a picture, or the engine has no answer that can be used.
    pub fn picture(
        &self,
        file: Vec<u8>,
        limits: &Limits,
        settings: Option<&FaceSettings>,
        fixtures: &Pictures,
        beside: &[Picture],
    ) -> Result<Picture, PictureError> {
        let Some(settings) = settings else {
            return Picture::new(file, limits).map_err(PictureError::Invalid);
        };
        let picture = Picture::new(file.clone(), limits).map_err(PictureError::Invalid)?;
        let engine = settings.engine();
        let known = beside.iter().find_map(|picture| picture.face(&engine).flatten().cloned());
        let known = known.or_else(|| self.known_vector(fixtures, &engine));
        self.faces.learn(settings, &picture, &file, known.as_ref()).map_err(PictureError::FaceEngine)?;
        Ok(picture)
    }

    /// Returns a vector that this engine made of a picture of the fixtures, or of one that was enrolled.
    #[must_use]
    pub fn known_vector(&self, fixtures: &Pictures, engine: &FaceEngineId) -> Option<FaceVector> {
        let of_fixtures = fixtures.all().find_map(|picture| picture.face(engine).flatten());
        of_fixtures.cloned().or_else(|| vector_of(self.enrolled().galleries(), engine))
    }

    /// Returns all identities in `scope` that match this photo, or the face in it, with a score of at least `threshold`.
    #[must_use]
    pub fn find(&self, scope: &SearchScope, photo: &Photo, threshold: f64, face: &FaceLook) -> SearchResult {
        let probe = Probe { face: face.clone(), ..self.probe(scope, photo) };
        let enrolled = self.enrolled();
        let found = SearchResult::search(galleries(scope, &enrolled), &probe, threshold);
        if matches!(face, FaceLook::Face(_)) && found.faces.has_failed() {
            self.faces.fails();
        }
        found
    }

    /// Builds the probe. Decodes the photo only when its hash can matter and is neither cached nor in a gallery.
    fn probe(&self, scope: &SearchScope, photo: &Photo) -> Probe {
        let Some(sha256) = photo.sha256 else { return Probe::default() };
        let known = {
            let enrolled = self.enrolled();
            let mut galleries = galleries(scope, &enrolled);
            if !scope.perceptual || galleries.clone().all(|gallery| gallery.identities().len() == 0) {
                return Probe { sha256, ..Probe::default() };
            }
            galleries.find_map(|gallery| gallery.picture(&sha256)).map(|picture| *picture.small())
        };
        let decode = || match (known, photo.format) {
            (Some(small), _) => Ok(SmallPicture { small: Box::new(small), damage: None }),
            (None, Some(format)) => decode_small(&photo.file(), format),
            (None, None) => Err("it is of an unknown format".to_owned()),
        };
        let pixels = self.hashes.get_or_compute(&sha256, || ProbePixels::of(decode()));
        Probe { sha256, pixels, ..Probe::default() }
    }
}

fn vector_of<'a>(
    mut galleries: impl Iterator<Item = &'a Gallery>,
    engine: &FaceEngineId,
) -> Option<FaceVector> {
    galleries.find_map(|gallery| gallery.vector_of(engine)).cloned()
}

/// Says how many of the pictures that a face engine is to be asked about it has answered.
#[must_use]
pub fn still_learning<'a>(pictures: impl Iterator<Item = &'a Arc<Picture>>) -> String {
    let (mut known, mut all) = (0, 0);
    for picture in pictures.filter(|picture| picture.is_to_learn()) {
        all += 1;
        known += usize::from(picture.file_without_face().is_none());
    }
    format!(
        "the gallery is still being learned: the face engine has answered for {known} of its {all} pictures"
    )
}

fn galleries<'a>(
    scope: &SearchScope<'a>,
    enrolled: &'a Enrolled,
) -> impl Iterator<Item = &'a Gallery> + Clone + use<'a> {
    let shared = scope.shared.into_iter().chain(scope.shared.and_then(|_| enrolled.gallery(None)));
    [scope.own].into_iter().chain(enrolled.gallery(Some(scope.customer_id))).chain(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matcher::face::{NoFace, Strangers};
    use crate::state::face_engine::FaceEngineStatus;

    #[test]
    fn a_photo_before_the_gallery_is_learned_is_told_so_and_the_engine_is_not_blamed() {
        let matcher = FaceMatcher::new(0);
        let settings = FaceSettings {
            url: "http://127.0.0.1:1/".to_owned(),
            body: None,
            vectors: "*".parse().unwrap(),
            timeout: std::time::Duration::ZERO,
            strangers: Strangers { mean: 0.0, deviation: 0.1 },
            no_face: NoFace::Nobody,
            no_face_when: None,
            headers: Vec::new(),
            keep: false,
        };
        let file = include_bytes!("../../fixtures/gallery/siti.jpg");
        let picture = Picture::new(file.to_vec(), &Limits::NONE).unwrap().with_file(file);
        let pictures = vec![Arc::new(picture)];
        let nik = "3273010101909777".to_owned();
        let one = Identity { nik, name: "X".to_owned(), pictures, similar: Vec::new() };
        let own: Gallery = [one].into_iter().collect();
        let scope = SearchScope { customer_id: "x", own: &own, shared: None, perceptual: true };
        let vector = FaceVector::new(&[1.0, 0.0]).unwrap();
        let learn = || matcher.learn_until(&scope, &settings, &vector, Instant::now());
        let another_learns = matcher.faces.turn_to_learn();
        let why = learn().unwrap_err();
        assert!(why.contains("still being learned") && why.contains("for 0 of its 1 pictures"), "{why}");
        drop(another_learns);
        assert_eq!(learn().unwrap_err(), why, "no time is left for a picture");
        let (status, failures) = (matcher.faces.status(), matcher.faces.counts().failures);
        assert_eq!((status, failures), (FaceEngineStatus::Unknown, 0));
    }
}
