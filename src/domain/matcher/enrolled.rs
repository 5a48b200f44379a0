//! Who was enrolled over the admin API: for everybody, or for one customer. Survives a reload of the fixtures; bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use super::gallery::{Gallery, Identity, Similar};
use super::picture::Picture;
use super::population;

/// Most identities that can be enrolled.
pub const MAX_IDENTITIES: usize = 100_000;
/// Most pictures of all of them, some five kilobytes each.
pub const MAX_PICTURES: usize = 100_000;
/// Most pictures of one identity.
pub const MAX_PICTURES_EACH: usize = 10;
/// Most look-alikes planted beside one identity.
pub const MAX_SIMILAR: usize = 20;

/// Somebody to be enrolled, or what is new of somebody who is.
#[derive(Debug, Default)]
pub struct Enrolment {
    /// `None`: one is made up.
    pub nik: Option<String>,
    /// `None`: as it is, or empty.
    pub name: Option<String>,
    /// `None`: for every customer with the shared gallery.
    pub customer_id: Option<String>,
    /// Come to those that are there; a file that is there already changes nothing.
    pub pictures: Vec<Picture>,
    /// `None`: as they are, or none.
    pub similar: Option<Vec<Similar>>,
}

/// Why somebody is not enrolled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnrolError {
    #[error("{nik} is in the gallery already: {whose}")]
    Taken { nik: String, whose: String },
    #[error("without a picture nobody is found")]
    NoPicture,
    #[error("an identity has at most {MAX_PICTURES_EACH} pictures")]
    TooManyPictures,
    #[error("an identity has at most {MAX_SIMILAR} planted look-alikes")]
    TooManySimilar,
    #[error("{0} cannot be similar to itself")]
    SimilarToItself(String),
    #[error("at most {MAX_IDENTITIES} identities and {MAX_PICTURES} pictures are enrolled")]
    Full,
}

/// All who were enrolled.
#[derive(Debug)]
pub struct Enrolled {
    shared: Gallery,
    /// By customer_id; never empty ones.
    own: BTreeMap<String, Gallery>,
    identities: usize,
    pictures: usize,
    made_up: ChaCha8Rng,
}

impl Enrolled {
    /// Nobody. NIKs that have to be made up come from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Enrolled {
        Enrolled {
            shared: Gallery::default(),
            own: BTreeMap::new(),
            identities: 0,
            pictures: 0,
            made_up: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Those of one customer, or of everybody.
    #[must_use]
    pub fn gallery(&self, customer_id: Option<&str>) -> Option<&Gallery> {
        customer_id.map_or(Some(&self.shared), |id| self.own.get(id))
    }

    /// Those of each customer.
    pub fn customers(&self) -> impl Iterator<Item = (&str, &Gallery)> {
        self.own.iter().map(|(id, gallery)| (id.as_str(), gallery))
    }

    /// Enrols somebody, or adds to who is enrolled. `owner` tells whose fixture a NIK is that may not be taken.
    ///
    /// # Errors
    /// Why it cannot be done; nothing has changed then.
    pub fn enrol(
        &mut self,
        new: Enrolment,
        owner: impl Fn(&str) -> Option<String>,
    ) -> Result<Identity, EnrolError> {
        let scope = new.customer_id.clone();
        let nik = match &new.nik {
            Some(nik) => nik.clone(),
            None => self.make_up(&owner),
        };
        if let Some(whose) = owner(&nik).or_else(|| self.elsewhere(&nik, scope.as_deref())) {
            return Err(EnrolError::Taken { nik, whose });
        }
        let known = self.gallery(scope.as_deref()).and_then(|gallery| gallery.get(&nik));
        let before = known.map(|identity| identity.pictures.len());
        let identity = merged(known, nik, new)?;
        let identities = self.identities + usize::from(before.is_none());
        let pictures = self.pictures + identity.pictures.len() - before.unwrap_or_default();
        if identities > MAX_IDENTITIES || pictures > MAX_PICTURES {
            return Err(EnrolError::Full);
        }
        (self.identities, self.pictures) = (identities, pictures);
        match scope {
            Some(id) => self.own.entry(id).or_default().put(identity.clone()),
            None => self.shared.put(identity.clone()),
        }
        Ok(identity)
    }

    /// A NIK that nobody has. It is drawn, so that of several simulators with one seed each makes up the same.
    fn make_up(&mut self, owner: impl Fn(&str) -> Option<String>) -> String {
        loop {
            let nik = population::anybody(&mut self.made_up).map_or_else(String::new, |nik| nik.to_string());
            let galleries = self.own.values().chain([&self.shared]);
            if owner(&nik).is_none() && galleries.into_iter().all(|gallery| gallery.get(&nik).is_none()) {
                return nik;
            }
        }
    }

    /// Who has a NIK enrolled where it would be found along with one enrolled here.
    fn elsewhere(&self, nik: &str, scope: Option<&str>) -> Option<String> {
        match scope {
            Some(_) => self.shared.get(nik).map(|_| "enrolled for every customer".to_owned()),
            None => {
                let (customer_id, _) = self.own.iter().find(|(_, gallery)| gallery.get(nik).is_some())?;
                Some(format!("enrolled for {customer_id}"))
            }
        }
    }

    /// Takes somebody out.
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

    /// Takes out everybody, or those of one customer. Gives how many.
    pub fn reset(&mut self, customer_id: Option<&str>) -> usize {
        let gone = match customer_id {
            Some(id) => vec![self.own.remove(id).unwrap_or_default()],
            None => {
                let own = std::mem::take(&mut self.own).into_values();
                own.chain([std::mem::take(&mut self.shared)]).collect()
            }
        };
        let people = || gone.iter().flat_map(Gallery::identities);
        let count = people().count();
        self.identities -= count;
        self.pictures -= people().map(|identity| identity.pictures.len()).sum::<usize>();
        count
    }
}

/// What is known of somebody, with what is new.
fn merged(known: Option<&Identity>, nik: String, new: Enrolment) -> Result<Identity, EnrolError> {
    let mut identity = known.cloned().unwrap_or_else(|| Identity {
        nik,
        name: String::new(),
        pictures: Vec::new(),
        similar: Vec::new(),
    });
    for picture in new.pictures {
        if identity.pictures.iter().all(|known| known.sha256 != picture.sha256) {
            identity.pictures.push(Arc::new(picture));
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
