//! `POST /gallery`: enrols an identity, from JSON or from a multipart form.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{IdentityOrigin, IdentitySource, ListedIdentity, listed};
use crate::config::model::{NikText, SimilarSpec};
use crate::domain::matcher::enrolled::{EnrolError, MAX_PICTURES_EACH};
use crate::domain::matcher::{Enrolment, Gallery, Picture, Similar};
use crate::engine::Engine;
use crate::http::admin::{self, ApiError, json};
use crate::http::state::AppState;
use crate::protocol::encoding::{self, Base64Mode};
use crate::state::face_matcher::PictureError;

/// Max length of a name, in characters.
const MAX_NAME: usize = 200;

/// JSON body of `POST /gallery`. In `multipart/form-data` the members are parts with the same names; each picture is a part
/// `picture` with the file's bytes, and `similar` is JSON text.
// No Debug, because it would print the pictures.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnrolRequest {
    /// NIK: 16 digits; generated when absent. The NIK of an enrolled identity adds to that identity.
    pub nik: Option<NikText>,
    /// Name, for people only; absent: unchanged.
    pub name: Option<String>,
    /// Enrols for this customer only; absent: for all customers with the shared gallery.
    pub customer_id: Option<String>,
    /// JPG or PNG files in base64, added to the existing pictures; a duplicate file changes nothing.
    pub pictures: Vec<String>,
    /// Twins and look-alikes, replacing the existing ones; absent: unchanged.
    pub similar: Option<Vec<SimilarSpec>>,
}

/// Returns the schema of an [`EnrolRequest`] as a multipart form.
pub fn form_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "The members of the JSON body, as parts.",
        "properties": {
            "nik": { "type": "string" },
            "name": { "type": "string" },
            "customer_id": { "type": "string" },
            "similar": { "type": "string", "contentMediaType": "application/json", "description": "As in the JSON." },
            "picture": {
                "type": "array",
                "items": { "type": "string", "contentMediaType": "application/octet-stream" },
                "description": "JPG or PNG files.",
            },
        },
        "additionalProperties": false,
    })
}

/// Enrols an identity, or adds to an enrolled one.
pub async fn enrol(
    shared: web::Data<AppState>,
    req: HttpRequest,
    mut payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = admin::body::read(&req, &mut payload).await?;
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (request, files) = match content_type.and_then(|value| multer::parse_boundary(value).ok()) {
        Some(boundary) => parse_multipart(body, boundary).await?,
        None => parse_json(&body)?,
    };
    let engine = &shared.engine;
    if let Some(id) = &request.customer_id {
        admin::customer(&shared, id)?;
    }
    if request.name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return Err(ApiError::invalid(format!("a name has at most {MAX_NAME} characters")).path("/name"));
    }
    if files.len() > MAX_PICTURES_EACH {
        return Err(enrol_error(EnrolError::TooManyPictures));
    }
    // On a blocking thread: decoding is slow, so is a face engine, and the admin listener has one thread.
    let pictures = {
        let engine = Arc::clone(engine);
        let _permit = admin::permit_to_ask_faces(&shared).await;
        admin::beside(move || read_pictures(&engine, files)).await??
    };
    let warnings = pictures.iter().enumerate().filter_map(no_face_warning).collect();
    let similar = request.similar.map(|all| {
        all.into_iter().map(|SimilarSpec { nik, score }| Similar { nik: nik.0, score: score.0 }).collect()
    });
    let customer_id = request.customer_id.clone();
    // Behind what takes long. It ends behind what is handed over here.
    let turn = engine.take_turn().await.map_err(ApiError::no_turn)?;
    if let Some(id) = &customer_id {
        admin::customer(&shared, id)?;
    }
    let enrolment = Enrolment {
        nik: request.nik.map(|NikText(nik)| nik),
        name: request.name,
        customer_id: request.customer_id,
        pictures,
        similar,
    };
    let identity = engine.enrol(enrolment).map_err(enrol_error)?;
    drop(turn);
    let source = IdentitySource {
        gallery: &Gallery::default(),
        origin: IdentityOrigin::Api,
        customer_id: customer_id.as_deref(),
    };
    Ok(json(&ListedIdentity { warnings, ..listed(&source, &identity) }))
}

/// Picture files, base64-decoded.
type UploadedFiles = Vec<Vec<u8>>;

/// Parses a JSON body.
fn parse_json(body: &[u8]) -> Result<(EnrolRequest, UploadedFiles), ApiError> {
    let mut request: EnrolRequest = ApiError::parse(body)?;
    let pictures = std::mem::take(&mut request.pictures);
    let files = pictures.iter().enumerate().map(|(index, text)| {
        // MIME mode: base64 tools insert line breaks.
        encoding::decode(text, Base64Mode::Mime).map(|decoded| decoded.bytes).map_err(|fault| {
            ApiError::invalid(fault.to_string()).path(format!("/pictures/{index}")).hint(fault.hint())
        })
    });
    let files = files.collect::<Result<_, _>>()?;
    Ok((request, files))
}

/// Parses a multipart body.
async fn parse_multipart(body: Bytes, boundary: String) -> Result<(EnrolRequest, UploadedFiles), ApiError> {
    let multipart_error =
        |error: multer::Error| ApiError::invalid(format!("the multipart body cannot be read: {error}"));
    let body = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut parts = Multipart::new(body, boundary);
    let (mut request, mut files) = (EnrolRequest::default(), UploadedFiles::new());
    while let Some(part) = parts.next_field().await.map_err(multipart_error)? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(multipart_error)?;
        match name.as_str() {
            "picture" => files.push(bytes.to_vec()),
            "nik" => {
                request.nik = Some(
                    NikText::try_from(part_text(&bytes, "nik")?)
                        .map_err(|message| part_error("nik", message))?,
                )
            }
            "name" => request.name = Some(part_text(&bytes, "name")?),
            "customer_id" => request.customer_id = Some(part_text(&bytes, "customer_id")?),
            "similar" => request.similar = Some(part_json(&bytes, "similar")?),
            other => {
                let shown = crate::base::text::quoted(other);
                return Err(ApiError::invalid(format!("unknown part {shown}"))
                    .hint("use the parts nik, name, customer_id, similar, and one picture per file"));
            }
        }
    }
    Ok((request, files))
}

/// Returns an error that points to a part.
fn part_error(part: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid(message).path(part)
}

/// Returns the text of a part.
fn part_text(bytes: &[u8], part: &str) -> Result<String, ApiError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| part_error(part, format!("the part {part} is not UTF-8")))
}

/// Parses a part as JSON.
fn part_json<T: DeserializeOwned + JsonSchema>(bytes: &[u8], part: &str) -> Result<T, ApiError> {
    ApiError::parse_any(bytes).map_err(|error| part_error(part, error.to_string()))
}

/// Decodes the pictures, and asks the face engine about them.
fn read_pictures(engine: &Engine, files: UploadedFiles) -> Result<Vec<Picture>, ApiError> {
    let mut pictures = Vec::new();
    for (index, file) in files.into_iter().enumerate() {
        let picture = engine.picture(file, &pictures).map_err(|error| match error {
            PictureError::Invalid(message) => {
                ApiError::invalid(format!("the picture {message}")).path(format!("/pictures/{index}"))
            }
            PictureError::FaceEngine(message) => {
                ApiError::unmet(StatusCode::SERVICE_UNAVAILABLE, "face_engine", message)
                    .path(format!("/pictures/{index}"))
                    .hint("nothing was enrolled: try again when the engine of [matcher.faces] answers")
            }
        })?;
        pictures.push(picture);
    }
    Ok(pictures)
}

/// Returns the warning about a picture in which the face engine finds no face.
fn no_face_warning((index, picture): (usize, &Picture)) -> Option<String> {
    picture.any_face().filter(|face| face.vector.is_none())?;
    Some(format!("picture {index} has no face for the face engine, so it matches by content only"))
}

/// Converts an enrolment error.
fn enrol_error(error: EnrolError) -> ApiError {
    let message = error.to_string();
    match error {
        EnrolError::Taken { .. } => ApiError::conflict("taken", message)
            .path("/nik")
            .hint("use another NIK, or none to have one generated; to add to an enrolled identity, send the same customer_id (or none) as at its enrolment"),
        EnrolError::Full => ApiError::conflict("full", message).hint("DELETE /gallery removes the enrolled identities"),
        EnrolError::NoPicture | EnrolError::TooManyPictures => ApiError::invalid(message).path("/pictures"),
        EnrolError::TooManySimilar | EnrolError::SimilarToItself(_) => ApiError::invalid(message).path("/similar"),
    }
}
