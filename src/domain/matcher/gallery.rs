//! A gallery: identities with their pictures. A search compares the probe with all templates in one linear pass: 10,000 pictures take a
//! tenth of a millisecond, so building an index would take longer than it could ever save.
//!
//! A planted look-alike scores at most as much as the identity it belongs to. So it never scores above the person, and its
//! score falls with the person's.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use super::face::{FaceEngineId, FaceLook, FaceResult, FaceVector, ProbeFace};
use super::hash::{ProbeHash, Template};
use super::picture::{Picture, SmallPicture};
use super::score::{TOP, score};
use crate::protocol::{Candidate, ScoredBy};

/// A person in a gallery.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Sixteen digits.
    pub nik: String,
    /// For display only.
    pub name: String,
    pub pictures: Vec<Arc<Picture>>,
    pub similar: Vec<Similar>,
}

/// A planted twin or look-alike: a NIK that is found whenever the identity is found.
#[derive(Clone, Debug, PartialEq)]
pub struct Similar {
    /// May be in the gallery or not.
    pub nik: String,
    /// Max score; capped by the identity's own score, so it never rises when the identity's falls.
    pub score: f32,
}

/// The photo to search for.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    pub sha256: [u8; 32],
    pub pixels: ProbePixels,
    pub face: FaceLook,
}

/// What is compared of a photo's pixels.
#[derive(Clone, Debug, Default)]
pub struct ProbePixels {
    /// `None`: matches only the identical file.
    pub hash: Option<Arc<ProbeHash>>,
    /// Why they are not compared, or only in part: a sentence.
    pub fault: Option<Arc<str>>,
}

impl ProbePixels {
    /// Hashes a decoded photo.
    #[must_use]
    pub fn of(decoded: Result<SmallPicture, String>) -> ProbePixels {
        let only_the_file = |fault: String| ProbePixels {
            hash: None,
            fault: Some(format!("{fault}, so only the identical file matches").into()),
        };
        let SmallPicture { small, damage } = match decoded {
            Ok(decoded) => decoded,
            Err(reason) => return only_the_file(format!("the image's pixels cannot be decoded: {reason}")),
        };
        match (ProbeHash::of(&small), damage) {
            (None, None) => only_the_file("the image has no contrast, as one of a single colour".to_owned()),
            (None, Some(damage)) => only_the_file(format!("the image's pixels cannot be compared: {damage}")),
            (Some(hash), damage) => ProbePixels {
                hash: Some(Arc::new(hash)),
                fault: damage.map(|damage| format!("the image's pixels are damaged: {damage}").into()),
            },
        }
    }
}

/// A searchable set of identities.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// By number, in insertion order.
    identities: BTreeMap<u32, Identity>,
    by_nik: HashMap<String, u32>,
    by_file: HashMap<[u8; 32], Vec<u32>>,
    /// Templates of all pictures, for one pass over them; built on the first search.
    templates: OnceLock<Vec<(Template, u32)>>,
    next: u32,
}

impl FromIterator<Identity> for Gallery {
    fn from_iter<T: IntoIterator<Item = Identity>>(identities: T) -> Gallery {
        let mut gallery = Gallery::default();
        identities.into_iter().for_each(|identity| gallery.insert(identity));
        gallery
    }
}

impl Gallery {
    /// Returns the identities in insertion order.
    pub fn identities(&self) -> impl ExactSizeIterator<Item = &Identity> {
        self.identities.values()
    }

    /// Returns the identity with this NIK.
    #[must_use]
    pub fn get(&self, nik: &str) -> Option<&Identity> {
        self.identities.get(self.by_nik.get(nik)?)
    }

    /// Returns the number of an identity, in insertion order.
    #[must_use]
    pub fn number_of(&self, nik: &str) -> Option<u32> {
        self.by_nik.get(nik).copied()
    }

    /// Inserts an identity of an earlier run behind the others, with its number there.
    pub fn restore(&mut self, number: u32, identity: Identity) {
        self.next = self.next.max(number.saturating_sub(1));
        self.insert(identity);
    }

    /// Returns a picture with this file.
    #[must_use]
    pub fn picture(&self, sha256: &[u8; 32]) -> Option<&Picture> {
        let number = self.by_file.get(sha256)?.first()?;
        self.identities
            .get(number)?
            .pictures
            .iter()
            .map(Arc::as_ref)
            .find(|picture| picture.sha256 == *sha256)
    }

    /// Inserts an identity, replacing the one with the same NIK.
    pub fn insert(&mut self, identity: Identity) {
        let number = match self.by_nik.get(&identity.nik) {
            Some(number) => {
                let number = *number;
                self.remove_pictures(number);
                number
            }
            None => {
                self.next += 1;
                self.by_nik.insert(identity.nik.clone(), self.next);
                self.next
            }
        };
        for picture in &identity.pictures {
            self.by_file.entry(picture.sha256).or_default().push(number);
        }
        if let Some(templates) = self.templates.get_mut() {
            templates.extend(templates_of(&identity, number));
        }
        self.identities.insert(number, identity);
    }

    /// Removes an identity.
    pub fn remove(&mut self, nik: &str) -> Option<Identity> {
        let number = self.by_nik.remove(nik)?;
        self.remove_pictures(number);
        self.identities.remove(&number)
    }

    fn remove_pictures(&mut self, number: u32) {
        self.templates.get_mut().into_iter().for_each(|all| all.retain(|(_, owner)| *owner != number));
        self.by_file.retain(|_, owners| {
            owners.retain(|owner| *owner != number);
            !owners.is_empty()
        });
    }

    fn templates(&self) -> &[(Template, u32)] {
        self.templates.get_or_init(|| {
            self.identities.iter().flat_map(|(number, identity)| templates_of(identity, *number)).collect()
        })
    }

    /// Adds all identities that score at least `threshold` to `found`, each with its best score, and their planted look-alikes.
    fn search(&self, probe: &Probe, threshold: f64, found: &mut SearchResult) {
        let by_picture = match probe.face {
            FaceLook::NotAsked => None,
            _ => Some(ScoredBy::Picture),
        };
        let mut scores: HashMap<u32, (f32, Option<ScoredBy>)> = HashMap::new();
        let mut record = |number: u32, score: f32, by: Option<ScoredBy>| {
            if score > 0.0 && f64::from(score) >= threshold {
                let best = scores.entry(number).or_default();
                if score > best.0 {
                    *best = (score, by);
                }
            }
        };
        let same_file = self.by_file.get(&probe.sha256).into_iter().flatten();
        same_file.for_each(|number| record(*number, TOP, by_picture));
        if let Some(hash) = &probe.pixels.hash {
            self.templates()
                .iter()
                .for_each(|(template, number)| record(*number, score(hash.distance(template)), by_picture));
        }
        if let FaceLook::Face(face) = &probe.face {
            found.faces = std::mem::take(&mut found.faces)
                .and(self.compare_faces(face, |number, score| record(number, score, Some(ScoredBy::Face))));
        }
        for (number, (score, by)) in scores {
            let Some(identity) = self.identities.get(&number) else { continue };
            found.record(&identity.nik, score, by);
            identity.similar.iter().for_each(|twin| found.record(&twin.nik, twin.score.min(score), by));
        }
    }

    /// Returns a vector that this engine made of one of the pictures, if there is one.
    #[must_use]
    pub fn vector_of(&self, engine: &FaceEngineId) -> Option<&FaceVector> {
        let mut pictures = self.identities().flat_map(|identity| &identity.pictures);
        pictures.find_map(|picture| picture.face(engine).flatten())
    }

    /// Scores a face against every picture whose face is known.
    fn compare_faces(&self, face: &ProbeFace, mut record: impl FnMut(u32, f32)) -> FaceResult {
        let mut unknown = 0;
        for (number, identity) in &self.identities {
            for picture in &identity.pictures {
                let Some(known) = picture.face(&face.engine) else {
                    unknown += usize::from(!picture.is_shipped());
                    continue;
                };
                let Some(vector) = known else { continue };
                match face.vector.cosine(vector) {
                    Ok(cosine) => record(*number, face.strangers.score(cosine)),
                    Err(reason) => return FaceResult::Failed(format!("the face engine: {reason}").into()),
                }
            }
        }
        FaceResult::Compared { unknown }
    }
}

fn templates_of(identity: &Identity, number: u32) -> impl Iterator<Item = (Template, u32)> {
    identity.pictures.iter().filter_map(move |picture| Some((*picture.template()?, number)))
}

/// Search result: the best score of each NIK.
#[derive(Debug)]
pub struct SearchResult {
    scores: BTreeMap<String, (f32, Option<ScoredBy>)>,
    threshold: f64,
    /// Why the photo's pixels were not compared, or only in part.
    pixel_fault: Option<Arc<str>>,
    pub faces: FaceResult,
}

/// What a search contributes to an answer.
#[derive(Clone, Debug, Default)]
pub struct Matched {
    /// Who reaches the threshold, best first.
    pub candidates: Vec<Candidate>,
    /// Why the photo's pixels were not compared, or only in part.
    pub pixel_fault: Option<Arc<str>>,
    pub faces: FaceResult,
}

impl SearchResult {
    /// Searches these galleries for identities that score at least `threshold`.
    pub fn search<'a>(
        galleries: impl IntoIterator<Item = &'a Gallery>,
        probe: &Probe,
        threshold: f64,
    ) -> SearchResult {
        let pixel_fault = probe.pixels.fault.clone();
        let faces = FaceResult::before_search(&probe.face);
        let mut found = SearchResult { scores: BTreeMap::new(), threshold, pixel_fault, faces };
        galleries.into_iter().for_each(|gallery| gallery.search(probe, threshold, &mut found));
        found
    }

    /// Records a score for a NIK. Ignores a score below the threshold; keeps the best one.
    pub fn record(&mut self, nik: &str, score: f32, by: Option<ScoredBy>) {
        if f64::from(score) < self.threshold {
            return;
        }
        match self.scores.get_mut(nik) {
            Some(best) if best.0 >= score => {}
            Some(best) => *best = (score, by),
            None => drop(self.scores.insert(nik.to_owned(), (score, by))),
        }
    }

    /// Returns at most `max_results` candidates, sorted by descending score, then by NIK.
    #[must_use]
    pub fn candidates(self, max_results: usize) -> Vec<Candidate> {
        self.matched(max_results).candidates
    }

    /// Returns at most `max_results` candidates, as [`SearchResult::candidates`], and what is to be said of the search.
    #[must_use]
    pub fn matched(self, max_results: usize) -> Matched {
        let candidate = |(nik, (score, by))| Candidate { nik, score, by };
        let mut candidates: Vec<_> = self.scores.into_iter().map(candidate).collect();
        // The sort is stable, and the map iterates in NIK order.
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
        candidates.truncate(max_results);
        Matched { candidates, pixel_fault: self.pixel_fault, faces: self.faces }
    }

    /// Returns all NIKs that were found.
    pub fn niks(self) -> Vec<String> {
        self.scores.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limits::Limits;
    use crate::domain::matcher::face::{NoFace, PictureFace, Strangers};
    use crate::domain::matcher::hash::{GreyImage, SIDE};

    const FILES: [&[u8]; 3] = [
        include_bytes!("../../../fixtures/gallery/siti.jpg"),
        include_bytes!("../../../fixtures/gallery/andi.png"),
        include_bytes!("../../../fixtures/gallery/mei.jpg"),
    ];
    const NIKS: [&str; 3] = ["1111111111119001", "2222222222229002", "3333333333339003"];

    fn picture(number: usize) -> Arc<Picture> {
        Arc::new(Picture::new(FILES[number].to_vec(), &Limits::NONE).unwrap())
    }

    fn identity(nik: &str, pictures: &[usize], similar: &[(&str, f32)]) -> Identity {
        Identity {
            nik: nik.to_owned(),
            name: "Contoh".to_owned(),
            pictures: pictures.iter().map(|number| picture(*number)).collect(),
            similar: similar
                .iter()
                .map(|(nik, score)| Similar { nik: (*nik).to_owned(), score: *score })
                .collect(),
        }
    }

    fn pixels(small: &GreyImage) -> ProbePixels {
        ProbePixels::of(Ok(SmallPicture { small: Box::new(*small), damage: None }))
    }

    /// The gallery's own picture as a probe; with another file when `altered`.
    fn probe(number: usize, altered: bool) -> Probe {
        let picture = picture(number);
        let sha256 = if altered { [0; 32] } else { picture.sha256 };
        Probe { sha256, pixels: pixels(picture.small()), ..Probe::default() }
    }

    fn search(gallery: &Gallery, probe: &Probe, threshold: f64, max_results: usize) -> Vec<(String, f32)> {
        let candidates = SearchResult::search([gallery], probe, threshold).candidates(max_results);
        candidates.into_iter().map(|found| (found.nik, found.score)).collect()
    }

    #[test]
    fn an_identical_file_matches_without_a_hash() {
        let gallery: Gallery =
            [identity(NIKS[0], &[0], &[]), identity(NIKS[1], &[1, 2], &[])].into_iter().collect();
        let file_alone = |number| Probe { pixels: ProbePixels::default(), ..probe(number, false) };
        for (number, nik) in [(0, NIKS[0]), (1, NIKS[1]), (2, NIKS[1])] {
            assert_eq!(search(&gallery, &file_alone(number), 20.0, 10), [(nik.to_owned(), TOP)]);
        }
        assert!(search(&gallery, &Probe::default(), 1.0, 10).is_empty());
    }

    #[test]
    fn several_pictures_are_one_candidate_with_the_best_score() {
        let gallery: Gallery = [identity(NIKS[0], &[0, 1, 2], &[])].into_iter().collect();
        for number in 0..3 {
            assert_eq!(search(&gallery, &probe(number, true), 1.0, 10), [(NIKS[0].to_owned(), TOP)]);
        }
    }

    #[test]
    fn the_threshold_is_inclusive_and_results_are_truncated_in_nik_order() {
        let gallery: Gallery = NIKS.into_iter().rev().map(|nik| identity(nik, &[0], &[])).collect();
        let niks = |threshold, max_results| -> Vec<_> {
            search(&gallery, &probe(0, false), threshold, max_results)
                .into_iter()
                .map(|(nik, _)| nik)
                .collect()
        };
        assert_eq!(niks(20.0, 10), NIKS);
        assert_eq!(niks(1.0, 2), NIKS[..2]);
        assert!(niks(20.000_001, 10).is_empty());
    }

    #[test]
    fn a_planted_twin_is_found_with_the_lower_of_both_scores() {
        let twins = [(NIKS[1], 6.5), (NIKS[2], 20.0)];
        let gallery: Gallery = [identity(NIKS[0], &[0], &twins)].into_iter().collect();
        let found = search(&gallery, &probe(0, false), 1.0, 10);
        assert_eq!(
            found,
            [(NIKS[0].to_owned(), 20.0), (NIKS[2].to_owned(), 20.0), (NIKS[1].to_owned(), 6.5)]
        );
        assert_eq!(search(&gallery, &probe(0, false), 7.0, 10), found[..2]);
        // A third of the picture is from another one, so the identity's own score is lower, and so are its twins'.
        let mut small = *picture(0).small();
        small[..SIDE * SIDE / 3].copy_from_slice(&picture(1).small()[..SIDE * SIDE / 3]);
        let changed = Probe { pixels: pixels(&small), ..Probe::default() };
        let found = search(&gallery, &changed, 0.0, 10);
        let [own, first, second] = NIKS.map(|nik| found.iter().find(|found| found.0 == nik).unwrap().1);
        assert!(own > 0.0 && own < 20.0, "{own}");
        assert_eq!((first, second), (own.min(6.5), own));
    }

    #[test]
    fn old_pictures_of_a_replaced_or_removed_identity_do_not_match() {
        let mut gallery: Gallery =
            [identity(NIKS[0], &[0], &[]), identity(NIKS[1], &[1], &[])].into_iter().collect();
        gallery.insert(identity(NIKS[0], &[2], &[]));
        assert!(search(&gallery, &probe(0, false), 5.0, 10).is_empty());
        assert_eq!(search(&gallery, &probe(2, true), 5.0, 10)[0].0, NIKS[0]);
        assert_eq!(gallery.remove(NIKS[1]).unwrap().pictures.len(), 1);
        assert!(gallery.remove(NIKS[1]).is_none() && gallery.get(NIKS[1]).is_none());
        assert!(search(&gallery, &probe(1, false), 5.0, 10).is_empty());
        assert_eq!(gallery.identities().len(), 1);
    }
    #[test]
    fn a_photo_whose_pixels_are_not_compared_says_why() {
        let decoded = |small, damage: Option<&str>| {
            Ok(SmallPicture { small: Box::new(small), damage: damage.map(str::to_owned) })
        };
        let contrast = *picture(0).small();
        for (decoded, has_hash, expected) in [
            (decoded(contrast, None), true, None),
            (decoded(contrast, Some("half")), true, Some("the image's pixels are damaged: half")),
            (
                decoded([7; SIDE * SIDE], Some("half")),
                false,
                Some("the image's pixels cannot be compared: half, so only the identical file matches"),
            ),
            (
                decoded([7; SIDE * SIDE], None),
                false,
                Some(
                    "the image has no contrast, as one of a single colour, so only the identical file matches",
                ),
            ),
            (
                Err("it is odd".to_owned()),
                false,
                Some("the image's pixels cannot be decoded: it is odd, so only the identical file matches"),
            ),
        ] {
            let pixels = ProbePixels::of(decoded);
            assert_eq!((pixels.hash.is_some(), pixels.fault.as_deref()), (has_hash, expected));
            let probe = Probe { pixels, ..Probe::default() };
            assert_eq!(SearchResult::search([], &probe, 1.0).matched(1).pixel_fault.as_deref(), expected);
        }
    }

    const ENGINE: FaceEngineId = [7; 16];

    /// A picture with this file and this face; `None`: the engine finds none.
    fn with_face(number: usize, engine: FaceEngineId, vector: Option<&[f64]>) -> Arc<Picture> {
        let picture = Picture::new(FILES[number].to_vec(), &Limits::NONE).unwrap();
        picture
            .set_face(PictureFace { engine, vector: vector.map(|values| FaceVector::new(values).unwrap()) });
        Arc::new(picture)
    }

    fn person(nik: &str, picture: Arc<Picture>) -> Identity {
        Identity { pictures: vec![picture], ..identity(nik, &[], &[]) }
    }

    /// A photo of nobody's picture, with this face.
    fn face_probe(values: &[f64]) -> Probe {
        let vector = FaceVector::new(values).unwrap();
        let strangers = Strangers { mean: 0.0, deviation: 0.1 };
        Probe { face: FaceLook::Face(ProbeFace { vector, engine: ENGINE, strangers }), ..Probe::default() }
    }

    #[test]
    fn the_better_of_picture_and_face_counts_and_says_which_it_was() {
        let gallery: Gallery = [
            person(NIKS[0], with_face(0, ENGINE, Some(&[1.0, 0.0]))),
            person(NIKS[1], with_face(1, ENGINE, Some(&[0.0, 1.0]))),
            person(NIKS[2], with_face(2, ENGINE, None)),
        ]
        .into_iter()
        .collect();
        let found = |probe: &Probe, threshold| {
            let Matched { candidates, faces, .. } =
                SearchResult::search([&gallery], probe, threshold).matched(10);
            assert_eq!(faces, FaceResult::Compared { unknown: 0 });
            candidates.into_iter().map(|one| (one.nik, one.score, one.by)).collect::<Vec<_>>()
        };
        let by = |nik: &str, score, by| (nik.to_owned(), score, Some(by));
        let same_face = face_probe(&[2.0, 0.0]);
        assert_eq!(found(&same_face, 1.0), [by(NIKS[0], TOP, ScoredBy::Face)]);
        let half = Strangers { mean: 0.0, deviation: 0.1 }.score(0.5);
        let alike = face_probe(&[0.5, 0.75_f64.sqrt()]);
        let scores = found(&alike, 0.0);
        assert_eq!((&*scores[0].0, &*scores[1].0, scores[1].2), (NIKS[1], NIKS[0], Some(ScoredBy::Face)));
        assert!((scores[1].1 - half).abs() < 1e-4, "{scores:?}");
        // The picture of one person with the face of another.
        let mixed = Probe { sha256: picture(2).sha256, ..same_face };
        assert_eq!(
            found(&mixed, 1.0),
            [by(NIKS[0], TOP, ScoredBy::Face), by(NIKS[2], TOP, ScoredBy::Picture)]
        );
        let same_picture = Probe { sha256: picture(0).sha256, ..face_probe(&[0.5, 0.75_f64.sqrt()]) };
        assert_eq!(found(&same_picture, 20.0)[0], by(NIKS[0], TOP, ScoredBy::Picture));
    }

    #[test]
    fn a_vector_of_another_engine_is_not_compared_and_one_of_another_length_is_an_error() {
        let faces = |pictures: [Arc<Picture>; 2]| {
            let [a, b] = pictures.map(|picture| person(NIKS[0], picture));
            let galleries: [Gallery; 2] = [[a].into_iter().collect(), [b].into_iter().collect()];
            SearchResult::search(&galleries, &face_probe(&[1.0, 0.0]), 1.0).matched(10)
        };
        let known = || with_face(0, ENGINE, Some(&[1.0, 0.0]));
        let foreign = || with_face(1, [8; 16], Some(&[1.0, 0.0]));
        let shipped = || Arc::new(Picture::shipped(FILES[2]).unwrap());
        assert_eq!(faces([known(), shipped()]).faces, FaceResult::Compared { unknown: 0 });
        let found = faces([foreign(), picture(1)]);
        assert_eq!((found.faces, found.candidates.len()), (FaceResult::Compared { unknown: 2 }, 0));
        for pictures in
            [[known(), with_face(1, ENGINE, Some(&[1.0]))], [with_face(1, ENGINE, Some(&[1.0])), known()]]
        {
            let FaceResult::Failed(reason) = faces(pictures).faces else { panic!("it fits") };
            assert!(reason.contains("vector of 2 numbers") && reason.contains("has 1"), "{reason}");
        }
    }

    #[test]
    fn what_the_engine_says_of_the_photo_is_said_of_the_search() {
        let failed: Arc<str> = "down".into();
        for (look, expected) in [
            (FaceLook::NotAsked, FaceResult::NotAsked),
            (FaceLook::NoFace(NoFace::Nobody), FaceResult::NoFace(NoFace::Nobody)),
            (FaceLook::Failed(Arc::clone(&failed)), FaceResult::Failed(failed)),
            (face_probe(&[1.0]).face, FaceResult::Compared { unknown: 0 }),
        ] {
            let asked = !matches!(look, FaceLook::NotAsked);
            let gallery: Gallery = [identity(NIKS[0], &[], &[])].into_iter().collect();
            let found =
                SearchResult::search([&gallery], &Probe { face: look.clone(), ..Probe::default() }, 1.0);
            assert_eq!(found.matched(10).faces, expected);
            let gallery: Gallery = [person(NIKS[0], with_face(0, ENGINE, None))].into_iter().collect();
            let by_file = Probe { face: look, ..probe(0, false) };
            let found = SearchResult::search([&gallery], &by_file, 1.0).candidates(10);
            assert_eq!(found[0].by, asked.then_some(ScoredBy::Picture));
        }
    }
}
