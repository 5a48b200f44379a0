//! Galleries of the fixtures: the shared one (`gallery/gallery.toml`), the customers' own, and the picture files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::document::parse;
use super::model::{GallerySpec, IdentitySpec, NikText, PictureName};
use super::problem::{FieldError, Problem, field_error};
use super::source::{File, Files};
use crate::base::suggestion;
use crate::domain::limits::Limits;
use crate::domain::matcher::{Gallery, Identity, Picture, Similar};

/// Max. reported errors per gallery: a missing directory makes every entry wrong.
const MAX_REPORTED: usize = 20;

/// All files in `gallery/` by name: the decoded picture, or why it cannot be decoded.
#[derive(Debug, Default)]
pub struct Pictures(BTreeMap<String, Result<Arc<Picture>, String>>);

impl Pictures {
    /// Decodes the pictures in `gallery/` on all cores. Reuses those that `before` has already. With `keeps_files`, the files of a user's
    /// own are kept, because a face engine is asked about them.
    #[must_use]
    pub fn open(files: &Files, before: Option<&Pictures>, keeps_files: bool) -> Pictures {
        let cached: HashMap<_, _> =
            before.into_iter().flat_map(Pictures::all).map(|picture| (picture.sha256, picture)).collect();
        let names = files.iter().filter_map(|(path, file)| Some((path.strip_prefix("gallery/")?, file)));
        let names: Vec<_> = names.filter(|(name, _)| !name.ends_with(".toml")).collect();
        let open = |(name, file): &(&str, &File)| ((*name).to_owned(), decode(file, &cached, keeps_files));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = names.len().div_ceil(cores).max(1);
        std::thread::scope(|scope| {
            let shares: Vec<_> = names
                .chunks(share)
                .map(|share| scope.spawn(move || share.iter().map(open).collect::<Vec<_>>()))
                .collect();
            // If a thread panics, its share of the pictures is missing: a reference to one of them is an error.
            Pictures(shares.into_iter().filter_map(|share| share.join().ok()).flatten().collect())
        })
    }

    /// Returns the pictures.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Picture>> {
        self.0.values().flatten()
    }

    /// Returns the pictures whose files were kept, because a face engine was not asked about them yet, with their names.
    pub fn without_face(&self) -> impl Iterator<Item = (&str, &Arc<Picture>)> {
        let decoded =
            self.0.iter().filter_map(|(name, picture)| Some((name.as_str(), picture.as_ref().ok()?)));
        decoded.filter(|(_, picture)| picture.file_without_face().is_some())
    }

    /// Returns the picture with this name.
    ///
    /// # Errors
    /// When it does not exist (the message suggests a similar name) or cannot be decoded.
    pub fn named(&self, name: &str) -> Result<Arc<Picture>, String> {
        match self.0.get(name) {
            Some(Ok(picture)) => Ok(Arc::clone(picture)),
            Some(Err(message)) => Err(format!("the picture {name:?} {message}")),
            None => {
                let suggestion = suggestion::suffix(name, self.0.keys().map(String::as_str));
                Err(format!("there is no picture {name:?} beside gallery.toml{suggestion}"))
            }
        }
    }
}

fn decode(
    file: &File,
    cached: &HashMap<[u8; 32], &Arc<Picture>>,
    keeps_files: bool,
) -> Result<Arc<Picture>, String> {
    let sha256: [u8; 32] = Sha256::digest(&file.bytes).into();
    if let Some(picture) = cached.get(&sha256) {
        return Ok(Arc::clone(picture));
    }
    match &file.bytes {
        Cow::Borrowed(shipped) => Picture::shipped(shipped),
        Cow::Owned(bytes) if keeps_files => {
            Picture::new(bytes.clone(), &Limits::NONE).map(|picture| picture.with_file(bytes))
        }
        Cow::Owned(bytes) => Picture::new(bytes.clone(), &Limits::NONE),
    }
    .map(Arc::new)
}

/// Reads the shared gallery, `gallery/gallery.toml`. Adds errors to `problems`.
pub(super) fn shared(files: &Files, pictures: &Pictures, problems: &mut Vec<Problem>) -> Gallery {
    let Some(file) = files.get("gallery/gallery.toml") else { return Gallery::default() };
    let Some(document) = parse::<GallerySpec>(file, problems) else { return Gallery::default() };
    let (gallery, errors) = gallery(&document.content.identities, pictures, &["identities"]);
    let errors = errors.into_iter().filter(|(path, _)| !document.is_wrong(path));
    let located = |(path, message): FieldError| Problem::at(&file.shown, document.text, &path, message);
    problems.extend(errors.take(MAX_REPORTED).map(located));
    gallery
}

/// Builds a customer's own gallery. If the customer also has the shared gallery, a NIK must not be in both.
pub(super) fn own(
    specs: &[IdentitySpec],
    pictures: &Pictures,
    shared: Option<&Gallery>,
) -> Result<Gallery, Vec<FieldError>> {
    let here = ["gallery", "identities"];
    let (gallery, mut problems) = gallery(specs, pictures, &here);
    for (index, NikText(nik)) in specs.iter().map(|spec| &spec.nik).enumerate() {
        if shared.is_some_and(|shared| shared.get(nik).is_some()) {
            let message =
                format!("the NIK {nik} is in the shared gallery too; use another NIK, or set shared = false");
            problems.push(field_error(&[here[0], here[1], &index.to_string(), "nik"], message));
        }
    }
    problems.truncate(MAX_REPORTED);
    if problems.is_empty() { Ok(gallery) } else { Err(problems) }
}

/// Builds a gallery and collects its errors. `here` is the key path of the identities in their file.
fn gallery(specs: &[IdentitySpec], pictures: &Pictures, here: &[&str]) -> (Gallery, Vec<FieldError>) {
    let mut problems = Vec::new();
    let mut niks = HashSet::new();
    let identities: Vec<_> = specs
        .iter()
        .enumerate()
        .map(|(index, spec)| {
            let mut report = |path: &[&str], message: String| {
                problems.push(field_error(&[here, &[&index.to_string()], path].concat(), message));
            };
            if !niks.insert(&spec.nik) {
                report(&["nik"], format!("duplicate NIK {}", spec.nik.0));
            }
            identity(spec, pictures, &mut report)
        })
        .collect();
    (identities.into_iter().collect(), problems)
}

fn identity(spec: &IdentitySpec, pictures: &Pictures, report: &mut impl FnMut(&[&str], String)) -> Identity {
    let mut found = Vec::new();
    for (index, PictureName(name)) in spec.pictures.iter().enumerate() {
        match pictures.named(name) {
            Ok(picture) => found.push(picture),
            Err(message) => report(&["pictures", &index.to_string()], message),
        }
    }
    for (index, similar) in spec.similar.iter().enumerate() {
        if similar.nik == spec.nik {
            report(&["similar", &index.to_string()], format!("{} cannot be similar to itself", spec.nik.0));
        }
    }
    let similar =
        spec.similar.iter().map(|similar| Similar { nik: similar.nik.0.clone(), score: similar.score.0 });
    Identity { nik: spec.nik.0.clone(), name: spec.name.clone(), pictures: found, similar: similar.collect() }
}
