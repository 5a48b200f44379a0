//! Identities enrolled over the admin API, for all customers or for one. They are stored apart from those of the fixtures, so a reload
//! does not change them. Their number is bounded.
//!
//! A NIK is rejected if a search for some customer would find it twice. Picture files are not kept, only what is compared and a
//! thumbnail.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::face::FaceEngineId;
use super::gallery::{Gallery, Identity, Similar};
use super::picture::Picture;
use super::population;

/// Max enrolled identities.
pub const MAX_IDENTITIES: usize = 100_000;
/// Max pictures of all enrolled identities, about 5 kB each.
pub const MAX_PICTURES: usize = 100_000;
/// Max pictures per identity.
pub const MAX_PICTURES_EACH: usize = 10;
/// Max planted look-alikes per identity.
pub const MAX_SIMILAR: usize = 20;

/// An identity to enrol, or an update of an enrolled one.
#[derive(Debug, Default)]
pub struct Enrolment {
    /// `None`: a NIK is generated.
    pub nik: Option<String>,
    /// `None`: unchanged, or empty for a new identity.
    pub name: Option<String>,
    /// `None`: for every customer that uses the shared gallery.
    pub customer_id: Option<String>,
    /// Added to the existing pictures; a file that is already there is ignored, unless a face engine was asked about it only now.
    pub pictures: Vec<Picture>,
    /// `None`: unchanged, or none for a new identity.
    pub similar: Option<Vec<Similar>>,
}

/// Why an identity cannot be enrolled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    #[error("{nik} is already in the gallery: {whose}")]
    Taken { nik: String, whose: String },
    #[error("an identity needs at least one picture")]
    NoPicture,
    #[error("an identity has at most {MAX_PICTURES_EACH} pictures")]
    TooManyPictures,
    #[error("an identity has at most {MAX_SIMILAR} planted look-alikes")]
    TooManySimilar,
    #[error("{0} cannot be similar to itself")]
    SimilarToItself(String),
    #[error(
        "the gallery is full: at most {MAX_IDENTITIES} identities and {MAX_PICTURES} pictures can be enrolled"
    )]
    Full,
}

/// All enrolled identities.
#[derive(Debug)]
pub struct Enrolled {
    shared: Gallery,
    /// Galleries by customer_id; an empty gallery is removed.
    own: BTreeMap<String, Gallery>,
    identities: usize,
    pictures: usize,
    rng: ChaCha8Rng,
}

impl Enrolled {
    /// Returns an empty registry. `seed` seeds the generated NIKs.
    #[must_use]
    pub fn new(seed: u64) -> Enrolled {
        Enrolled {
            shared: Gallery::default(),
            own: BTreeMap::new(),
            identities: 0,
            pictures: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Returns the gallery of one customer, or the one for all customers.
    #[must_use]
    pub fn gallery(&self, customer_id: Option<&str>) -> Option<&Gallery> {
        customer_id.map_or(Some(&self.shared), |id| self.own.get(id))
    }

    /// Returns each customer's gallery with its customer_id.
    pub fn customers(&self) -> impl Iterator<Item = (&str, &Gallery)> {
        self.own.iter().map(|(id, gallery)| (id.as_str(), gallery))
    }

    /// Returns all galleries.
    pub fn galleries(&self) -> impl Iterator<Item = &Gallery> {
        self.own.values().chain([&self.shared])
    }

    /// Enrols an identity, or updates an enrolled one. `owner` returns which fixture already has a NIK; such a NIK is rejected.
    ///
    /// # Errors
    /// When the NIK is taken, the result is invalid, or the gallery is full. Nothing changes then.
    pub fn enrol(
        &mut self,
        new: Enrolment,
        owner: impl Fn(&str) -> Option<String>,
    ) -> Result<Identity, EnrolError> {
        let scope = new.customer_id.clone();
        let nik = match &new.nik {
            Some(nik) => nik.clone(),
            None => self.generate_nik(&owner),
        };
        if let Some(whose) = owner(&nik).or_else(|| self.conflict(&nik, scope.as_deref())) {
            return Err(EnrolError::Taken { nik, whose });
        }
        let existing = self.gallery(scope.as_deref()).and_then(|gallery| gallery.get(&nik));
        let before = existing.map(|identity| identity.pictures.len());
        let identity = merge(existing, nik, new)?;
        let identities = self.identities + usize::from(before.is_none());
        let pictures = self.pictures + identity.pictures.len() - before.unwrap_or_default();
        if identities > MAX_IDENTITIES || pictures > MAX_PICTURES {
            return Err(EnrolError::Full);
        }
        (self.identities, self.pictures) = (identities, pictures);
        match scope {
            Some(id) => self.own.entry(id).or_default().insert(identity.clone()),
            None => self.shared.insert(identity.clone()),
        }
        Ok(identity)
    }

    /// Returns a NIK that is not in use. Drawn from the seeded generator, so simulators with the same seed generate the same NIKs.
    fn generate_nik(&mut self, owner: impl Fn(&str) -> Option<String>) -> String {
        loop {
            let nik = population::random_nik(&mut self.rng).map_or_else(String::new, |nik| nik.to_string());
            let galleries = self.own.values().chain([&self.shared]);
            if owner(&nik).is_none() && galleries.into_iter().all(|gallery| gallery.get(&nik).is_none()) {
                return nik;
            }
        }
    }

    /// Returns where else the NIK is enrolled, if a search in `scope` would find both identities.
    fn conflict(&self, nik: &str, scope: Option<&str>) -> Option<String> {
        match scope {
            Some(_) => self.shared.get(nik).map(|_| "enrolled for every customer".to_owned()),
            None => {
                let (customer_id, _) = self.own.iter().find(|(_, gallery)| gallery.get(nik).is_some())?;
                Some(format!("enrolled for {customer_id}"))
            }
        }
    }

    /// Enrols an identity of an earlier run behind the others, with its number there.
    pub fn restore(&mut self, customer_id: Option<&str>, number: u32, identity: Identity) {
        self.identities += 1;
        self.pictures += identity.pictures.len();
        let gallery = match customer_id {
            Some(id) => self.own.entry(id.to_owned()).or_default(),
            None => &mut self.shared,
        };
        gallery.restore(number, identity);
    }

    /// Returns how many enrolled pictures this face engine was not asked about.
    #[must_use]
    pub fn pictures_unknown_to(&self, engine: &FaceEngineId) -> usize {
        let identities = self.galleries().flat_map(Gallery::identities);
        let pictures = identities.flat_map(|identity| &identity.pictures);
        pictures.filter(|picture| picture.face(engine).is_none()).count()
    }

    /// Enrols an identity as another replica did, in the place of the one with its NIK if there is one.
    pub fn replace(&mut self, customer_id: Option<&str>, number: u32, identity: Identity) {
        if let Some(known) = self.gallery(customer_id).and_then(|gallery| gallery.get(&identity.nik)) {
            let pictures = known.pictures.len();
            self.identities -= 1;
            self.pictures -= pictures;
        }
        self.restore(customer_id, number, identity);
    }

    /// Returns how far the generator of NIKs is.
    #[must_use]
    pub fn generated(&self) -> u128 {
        self.rng.get_word_pos()
    }

    /// Lets the generator of NIKs continue where it was in an earlier run.
    pub fn continue_at(&mut self, position: u128) {
        self.rng.set_word_pos(position);
    }

    /// Removes an identity.
    pub fn remove(&mut self, nik: &str, customer_id: Option<&str>) -> Option<Identity> {
        let removed = match customer_id {
            Some(id) => {
                let gallery = self.own.get_mut(id)?;
                let removed = gallery.remove(nik);
                if gallery.identities().len() == 0 {
                    self.own.remove(id);
                }
                removed
            }
            None => self.shared.remove(nik),
        }?;
        self.identities -= 1;
        self.pictures -= removed.pictures.len();
        Some(removed)
    }

    /// Removes the identities for all customers, or those of one; those of others stay.
    pub fn clear(&mut self, customer_id: Option<&str>) {
        let gone = match customer_id {
            Some(id) => self.own.remove(id).unwrap_or_default(),
            None => std::mem::take(&mut self.shared),
        };
        self.identities -= gone.identities().len();
        self.pictures -= gone.identities().map(|identity| identity.pictures.len()).sum::<usize>();
    }

    /// Removes all identities, or those of one customer. Returns how many.
    pub fn reset(&mut self, customer_id: Option<&str>) -> usize {
        let removed = match customer_id {
            Some(id) => vec![self.own.remove(id).unwrap_or_default()],
            None => {
                let own = std::mem::take(&mut self.own).into_values();
                own.chain([std::mem::take(&mut self.shared)]).collect()
            }
        };
        let identities = || removed.iter().flat_map(Gallery::identities);
        let count = identities().count();
        self.identities -= count;
        self.pictures -= identities().map(|identity| identity.pictures.len()).sum::<usize>();
        count
    }
}

/// Merges an update into the existing identity, if any.
fn merge(existing: Option<&Identity>, nik: String, new: Enrolment) -> Result<Identity, EnrolError> {
    let mut identity = existing.cloned().unwrap_or_else(|| Identity {
        nik,
        name: String::new(),
        pictures: Vec::new(),
        similar: Vec::new(),
    });
    for picture in new.pictures {
        match identity.pictures.iter_mut().find(|existing| existing.sha256 == picture.sha256) {
            Some(existing) if picture.any_face().is_some() => *existing = Arc::new(picture),
            Some(_) => {}
            None => identity.pictures.push(Arc::new(picture)),
        }
    }
    identity.name = new.name.unwrap_or(identity.name);
    identity.similar = new.similar.unwrap_or(identity.similar);
    if identity.pictures.is_empty() {
        return Err(EnrolError::NoPicture);
    }
    if identity.pictures.len() > MAX_PICTURES_EACH {
        return Err(EnrolError::TooManyPictures);
    }
    if identity.similar.len() > MAX_SIMILAR {
        return Err(EnrolError::TooManySimilar);
    }
    if identity.similar.iter().any(|similar| similar.nik == identity.nik) {
        return Err(EnrolError::SimilarToItself(identity.nik));
    }
    Ok(identity)
}
