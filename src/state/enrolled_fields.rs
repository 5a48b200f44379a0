//! Enrolled identities as named fields, and back: what a store keeps of them. Of a picture it is what the gallery keeps: digest, size, a
//! small greyscale image and a thumbnail, about 5 kB.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::store::{StoreSubject, StoreWrite, StoredState, set};
use crate::base::hash::{hex, unhex};
use crate::base::json;
use crate::domain::evidence::PhotoFormat;
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
pub fn changed(enrolled: &Enrolled, nik: &str, customer_id: Option<&str>) -> Vec<StoreWrite> {
    let subject = subject(customer_id);
    let found =
        enrolled.gallery(customer_id).and_then(|gallery| Some((gallery.number_of(nik)?, gallery.get(nik)?)));
    let identity = match found {
        Some((number, identity)) => set(&subject, nik, text(number, identity)),
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
pub fn whole(enrolled: &Enrolled) -> Vec<StoreWrite> {
    let own = enrolled.customers().map(|(id, gallery)| (Some(id), gallery));
    let all = own.chain(enrolled.gallery(None).map(|gallery| (None, gallery)));
    let writes = all.flat_map(|(customer_id, gallery)| {
        let subject = subject(customer_id);
        let numbered = gallery.identities().filter_map(|one| Some((gallery.number_of(&one.nik)?, one)));
        numbered.map(|(number, one)| set(&subject, &*one.nik, text(number, one))).collect::<Vec<_>>()
    });
    writes.chain([position(enrolled)]).collect()
}

/// Enrols what a store has.
///
/// # Errors
/// What cannot be read.
pub fn restore(enrolled: &mut Enrolled, stored: &StoredState) -> Result<(), String> {
    for (name, fields) in &stored.fields {
        let Some(customer_id) = owner(name) else { continue };
        let read = |(nik, text): (&String, &String)| {
            identity(nik, text).ok_or_else(|| format!("the identity {nik} of the subject {name}"))
        };
        let mut identities = fields.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        identities.sort_by_key(|(number, _)| *number);
        for (number, identity) in identities {
            enrolled.restore(customer_id, number, identity);
        }
    }
    if let Some(position) = stored.field(MADE, NIKS) {
        let position = position.parse().map_err(|_| format!("the field {NIKS} of the subject {MADE}"))?;
        enrolled.continue_at(position);
    }
    Ok(())
}

/// Applies what another replica changed of one NIK: its identity as text, or that it was removed.
///
/// # Errors
/// What cannot be read.
pub fn apply(
    enrolled: &mut Enrolled,
    customer_id: Option<&str>,
    (nik, text): (&str, Option<&str>),
) -> Result<(), String> {
    let Some(text) = text else {
        enrolled.remove(nik, customer_id);
        return Ok(());
    };
    let (number, identity) = identity(nik, text).ok_or_else(|| format!("the identity {nik}"))?;
    enrolled.replace(customer_id, number, identity);
    Ok(())
}

fn text(number: u32, identity: &Identity) -> String {
    let picture = |picture: &Arc<Picture>| StoredPicture {
        sha256: hex(&picture.sha256),
        format: picture.format,
        dimensions: picture.dimensions,
        bytes: picture.bytes,
        small: BASE64.encode(picture.small()),
        thumbnail: BASE64.encode(picture.thumbnail()),
    };
    json::text(&StoredIdentity {
        number,
        name: identity.name.clone(),
        pictures: identity.pictures.iter().map(picture).collect(),
        similar: identity.similar.iter().map(|similar| (similar.nik.clone(), similar.score)).collect(),
    })
}

fn identity(nik: &str, text: &str) -> Option<(u32, Identity)> {
    let StoredIdentity { number, name, pictures, similar } = serde_json::from_str(text).ok()?;
    let picture = |stored: StoredPicture| {
        let StoredPicture { sha256, format, dimensions, bytes, small, thumbnail } = stored;
        let small = BASE64.decode(small).ok()?.try_into().ok()?;
        let thumbnail = BASE64.decode(thumbnail).ok()?;
        Some(Arc::new(Picture::restored(
            unhex(&sha256)?,
            format,
            dimensions,
            bytes,
            Box::new(small),
            thumbnail,
        )))
    };
    let pictures = pictures.into_iter().map(picture).collect::<Option<Vec<_>>>()?;
    let similar = similar.into_iter().map(|(nik, score)| Similar { nik, score }).collect();
    Some((number, Identity { nik: nik.to_owned(), name, pictures, similar }))
}
