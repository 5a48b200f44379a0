//! The galleries of the fixtures: `gallery/gallery.toml`, and what customers have of their own; with the pictures beside them.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::model::{GallerySpec, IdentitySpec, NikText, PictureName};
use super::problem::{FieldError, Problem, wrong};
use super::source::{File, Files, parse};
use crate::base::suggestion;
use crate::domain::limits::Limits;
use crate::domain::matcher::{Gallery, Identity, Picture, Similar};

/// Problems of one gallery that are told; when a folder is missing, all of it is wrong.
const MAX_TOLD: usize = 20;

/// Every file in `gallery/` by its name: the picture, or why it is none.
#[derive(Debug, Default)]
pub struct Pictures(BTreeMap<String, Result<Arc<Picture>, String>>);

impl Pictures {
    /// Decodes what is in `gallery/`, on all cores. What is in `before` already is taken from there.
    #[must_use]
    pub fn open(files: &Files, before: Option<&Pictures>) -> Pictures {
        let known: HashMap<_, _> =
            before.into_iter().flat_map(Pictures::all).map(|picture| (picture.sha256, picture)).collect();
        let names = files.iter().filter_map(|(path, file)| Some((path.strip_prefix("gallery/")?, file)));
        let names: Vec<_> = names.filter(|(name, _)| !name.ends_with(".toml")).collect();
        let open = |(name, file): &(&str, &File)| ((*name).to_owned(), opened(file, &known));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = names.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let shares: Vec<_> = names
                .chunks(share)
                .map(|share| scope.spawn(move || share.iter().map(open).collect::<Vec<_>>()))
                .collect();
            // A share whose thread ended early has no pictures; whoever names one is told that there is none.
            Pictures(shares.into_iter().filter_map(|share| share.join().ok()).flatten().collect())
        })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Picture>> {
        self.0.values().flatten()
    }

    /// The picture with this name.
    ///
    /// # Errors
    /// When there is none, or it is no picture; the message proposes the one that was meant.
    pub fn named(&self, name: &str) -> Result<Arc<Picture>, String> {
        match self.0.get(name) {
            Some(Ok(picture)) => Ok(Arc::clone(picture)),
            Some(Err(message)) => Err(format!("the picture {name:?} {message}")),
            None => {
                let proposal = suggestion::suffix(name, self.0.keys().map(String::as_str));
                Err(format!("there is no picture {name:?} beside gallery.toml{proposal}"))
            }
        }
    }
}

fn opened(file: &File, known: &HashMap<[u8; 32], &Arc<Picture>>) -> Result<Arc<Picture>, String> {
    let sha256: [u8; 32] = Sha256::digest(&file.bytes).into();
    if let Some(picture) = known.get(&sha256) {
        return Ok(Arc::clone(picture));
    }
    match &file.bytes {
        Cow::Borrowed(shipped) => Picture::shipped(shipped),
        Cow::Owned(bytes) => Picture::new(bytes.clone(), &Limits::NONE),
    }
    .map(Arc::new)
}

/// Reads `gallery/gallery.toml`.
pub(super) fn shared(files: &Files, pictures: &Pictures, problems: &mut Vec<Problem>) -> Gallery {
    let Some(file) = files.get("gallery/gallery.toml") else { return Gallery::default() };
    let Some((text, spec)) = parse::<GallerySpec>(file, problems) else { return Gallery::default() };
    let (gallery, wrong) = gallery(&spec.identities, pictures, &["identities"]);
    let place = |(path, message): FieldError| Problem::at(&file.shown, text, &path, message);
    problems.extend(wrong.into_iter().take(MAX_TOLD).map(place));
    gallery
}

/// A customer's own gallery. Where it has the shared one too, nobody is in both.
pub(super) fn own(
    specs: &[IdentitySpec],
    pictures: &Pictures,
    shared: Option<&Gallery>,
) -> Result<Gallery, FieldError> {
    let here = ["gallery", "identities"];
    let (gallery, problems) = gallery(specs, pictures, &here);
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    for (index, NikText(nik)) in specs.iter().map(|spec| &spec.nik).enumerate() {
        if shared.is_some_and(|shared| shared.get(nik).is_some()) {
            let message =
                format!("the NIK {nik} is in the shared gallery too; take another, or shared = false");
            return Err(wrong(&[here[0], here[1], &index.to_string(), "nik"], message));
        }
    }
    Ok(gallery)
}

/// A gallery, and what is wrong with it. `here` is the path of its identities in their file.
fn gallery(specs: &[IdentitySpec], pictures: &Pictures, here: &[&str]) -> (Gallery, Vec<FieldError>) {
    let mut problems = Vec::new();
    let mut known = HashSet::new();
    let identities: Vec<_> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| {
            let mut told = |path: &[&str], message: String| {
                problems.push(wrong(&[here, &[&index.to_string()], path].concat(), message));
            };
            if !known.insert(&spec.nik) {
                told(&["nik"], format!("the NIK {} stands twice", spec.nik.0));
            }
            identity(spec, pictures, &mut told)
        })
        .collect();
    (identities.into_iter().collect(), problems)
}

fn identity(spec: &IdentitySpec, pictures: &Pictures, told: &mut impl FnMut(&[&str], String)) -> Identity {
    let mut found = Vec::new();
    for (index, PictureName(name)) in spec.pictures.iter().enumerate() {
        match pictures.named(name) {
            Ok(picture) => found.push(picture),
            Err(message) => told(&["pictures", &index.to_string()], message),
        }
    }
    for (index, similar) in spec.similar.iter().enumerate() {
        if similar.nik == spec.nik {
            told(&["similar", &index.to_string()], format!("{} cannot be similar to itself", spec.nik.0));
        }
    }
    let similar =
        spec.similar.iter().map(|similar| Similar { nik: similar.nik.0.clone(), score: similar.score.0 });
    Identity { nik: spec.nik.0.clone(), name: spec.name.clone(), pictures: found, similar: similar.collect() }
}
