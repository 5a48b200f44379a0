//! Enrolled identities as named fields, and back: what a store keeps of them. Of a picture it is what the gallery keeps: digest, size, a
//! small greyscale image and a thumbnail, about 5 kB; and the vector of a face, only where the settings of the face engine say so.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::store::{StoreSubject, StoreWrite, StoredState, set};
use crate::base::hash::{hex, unhex};
use crate::base::json;
use crate::domain::evidence::PhotoFormat;
use crate::domain::matcher::face::{FaceVector, PictureFace};
use crate::domain::matcher::{Enrolled, Identity, Picture, Similar};

/// Subject of the identities for all customers; one customer's have the id behind it and a colon.
const GALLERY: &str = "gallery";

/// Subject and field of the position of the generator of NIKs.
const MADE: &str = "made";
pub const NIKS: &str = "niks";

/// An identity as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredIdentity {
    /// In the order of enrolment.
    number: u32,
    name: String,
    pictures: Vec<StoredPicture>,
    /// NIKs and scores.
    similar: Vec<(String, f32)>,
}

/// A picture as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredPicture {
    sha256: String,
    format: PhotoFormat,
    dimensions: (u32, u32),
    bytes: usize,
    /// Grey values, in base64.
    small: String,
    /// A JPEG, in base64.
    thumbnail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    face: Option<StoredFace>,
}

/// What a face engine found in a picture, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredFace {
    engine: String,
    /// Numbers of four bytes, in base64; `None`: no face.
    vector: Option<String>,
}

impl StoredFace {
    fn of(PictureFace { engine, vector }: &PictureFace) -> StoredFace {
        let vector = vector.as_ref().map(|vector| BASE64.encode(vector.bytes()));
        StoredFace { engine: hex(engine), vector }
    }

    fn face(&self) -> Option<PictureFace> {
        let vector = match &self.vector {
            Some(text) => Some(FaceVector::of_bytes(&BASE64.decode(text).ok()?)?),
            None => None,
        };
        Some(PictureFace { engine: unhex(&self.engine)?, vector })
    }
}

/// Returns whose identities a subject has: a customer's, or all customers'; `None` for another subject.
#[must_use]
pub fn owner(subject: &str) -> Option<Option<&str>> {
    match subject.strip_prefix(GALLERY)? {
        "" => Some(None),
        rest => rest.strip_prefix(':').map(Some),
    }
}

fn subject(customer_id: Option<&str>) -> StoreSubject {
    customer_id.map_or_else(|| GALLERY.into(), |id| format!("{GALLERY}:{id}").into())
}

/// Returns the writes after an enrolment, or after a removal when the identity is no longer there.
pub fn changed(
    enrolled: &Enrolled,
    nik: &str,
    customer_id: Option<&str>,
    keeps_faces: bool,
) -> Vec<StoreWrite> {
    let subject = subject(customer_id);
    let found =
        enrolled.gallery(customer_id).and_then(|gallery| Some((gallery.number_of(nik)?, gallery.get(nik)?)));
    let identity = match found {
        Some((number, identity)) => set(&subject, nik, text(number, identity, keeps_faces)),
        None => StoreWrite::Remove { subject, field: nik.to_owned() },
    };
    vec![identity, position(enrolled)]
}

fn position(enrolled: &Enrolled) -> StoreWrite {
    set(&MADE.into(), NIKS, enrolled.generated().to_string())
}

/// Returns the writes after all identities were removed, or one customer's; `before` is what there was.
pub fn cleared(before: &Enrolled, customer_id: Option<&str>) -> Vec<StoreWrite> {
    match customer_id {
        Some(_) => vec![StoreWrite::Clear(subject(customer_id))],
        None => {
            let customers = before.customers().map(|(id, _)| subject(Some(id)));
            customers.chain([subject(None)]).map(StoreWrite::Clear).collect()
        }
    }
}

/// Returns the writes that make everything enrolled.
pub fn whole(enrolled: &Enrolled, keeps_faces: bool) -> Vec<StoreWrite> {
    let own = enrolled.customers().map(|(id, gallery)| (Some(id), gallery));
    let all = own.chain(enrolled.gallery(None).map(|gallery| (None, gallery)));
    let writes = all.flat_map(|(customer_id, gallery)| {
        let subject = subject(customer_id);
        let numbered = gallery.identities().filter_map(|one| Some((gallery.number_of(&one.nik)?, one)));
        let set_one =
            |(number, one): (u32, &Identity)| set(&subject, &*one.nik, text(number, one, keeps_faces));
        numbered.map(set_one).collect::<Vec<_>>()
    });
    writes.chain([position(enrolled)]).collect()
}

/// Enrols what a store has; vectors of faces only with `keeps_faces`. Returns whether it has such vectors.
///
/// # Errors
/// What cannot be read.
pub fn restore(enrolled: &mut Enrolled, stored: &StoredState, keeps_faces: bool) -> Result<bool, String> {
    let mut has_faces = false;
    for (name, fields) in &stored.fields {
        let Some(customer_id) = owner(name) else { continue };
        let read = |(nik, text): (&String, &String)| {
            identity(nik, text, keeps_faces)
                .ok_or_else(|| format!("the identity {nik} of the subject {name}"))
        };
        let mut identities = fields.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        identities.sort_by_key(|restored| restored.number);
        for RestoredIdentity { number, identity, has_face } in identities {
            has_faces |= has_face;
            enrolled.restore(customer_id, number, identity);
        }
    }
    if let Some(position) = stored.field(MADE, NIKS) {
        let position = position.parse().map_err(|_| format!("the field {NIKS} of the subject {MADE}"))?;
        enrolled.continue_at(position);
    }
    Ok(has_faces)
}

/// Applies what another replica changed of one NIK: its identity as text, or that it was removed.
///
/// # Errors
/// What cannot be read.
pub fn apply(
    enrolled: &mut Enrolled,
    customer_id: Option<&str>,
    (nik, text): (&str, Option<&str>),
    keeps_faces: bool,
) -> Result<(), String> {
    let Some(text) = text else {
        enrolled.remove(nik, customer_id);
        return Ok(());
    };
    let restored = identity(nik, text, keeps_faces).ok_or_else(|| format!("the identity {nik}"))?;
    enrolled.replace(customer_id, restored.number, restored.identity);
    Ok(())
}

fn text(number: u32, identity: &Identity, keeps_faces: bool) -> String {
    let picture = |picture: &Arc<Picture>| StoredPicture {
        sha256: hex(&picture.sha256),
        format: picture.format,
        dimensions: picture.dimensions,
        bytes: picture.bytes,
        small: BASE64.encode(picture.small()),
        thumbnail: BASE64.encode(picture.thumbnail()),
        face: picture.any_face().filter(|_| keeps_faces).map(StoredFace::of),
    };
    json::text(&StoredIdentity {
        number,
        name: identity.name.clone(),
        pictures: identity.pictures.iter().map(picture).collect(),
        similar: identity.similar.iter().map(|similar| (similar.nik.clone(), similar.score)).collect(),
    })
}

/// An identity of a store.
struct RestoredIdentity {
    number: u32,
    identity: Identity,
    /// Whether the store has the vector of a face for it.
    has_face: bool,
}

fn identity(nik: &str, text: &str, keeps_faces: bool) -> Option<RestoredIdentity> {
    let StoredIdentity { number, name, pictures, similar } = serde_json::from_str(text).ok()?;
    let has_face = pictures.iter().any(|picture| picture.face.is_some());
    let picture = |stored: StoredPicture| {
        let StoredPicture { sha256, format, dimensions, bytes, small, thumbnail, face } = stored;
        let small = BASE64.decode(small).ok()?.try_into().ok()?;
        let thumbnail = BASE64.decode(thumbnail).ok()?;
        let picture =
            Picture::restored(unhex(&sha256)?, format, dimensions, bytes, Box::new(small), thumbnail);
        if let Some(face) = face.filter(|_| keeps_faces) {
            picture.set_face(face.face()?);
        }
        Some(Arc::new(picture))
    };
    let pictures = pictures.into_iter().map(picture).collect::<Option<Vec<_>>>()?;
    let similar = similar.into_iter().map(|(nik, score)| Similar { nik, score }).collect();
    let identity = Identity { nik: nik.to_owned(), name, pictures, similar };
    Some(RestoredIdentity { number, identity, has_face })
}
