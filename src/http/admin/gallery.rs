//! `GET|POST|DELETE /gallery[/{nik}]`, `GET /gallery/{nik}/thumbnail`: lists, enrols and removes identities.
//!
//! NIKs are not masked here: the gallery holds fictitious people, and its operations address them by NIK.

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

use super::{ApiError, Removed, json, query};
use crate::base::hash::hex;
use crate::config::model::{NikText, SimilarSpec};
use crate::config::{Fixtures, PlantedScore};
use crate::domain::customer::Customer;
use crate::domain::evidence::PhotoFormat;
use crate::domain::matcher::enrolled::{EnrolError, MAX_PICTURES_EACH};
use crate::domain::matcher::{Enrolled, Enrolment, Gallery, Identity, Picture, Similar};
use crate::engine::Engine;
use crate::http::state::AppState;
use crate::protocol::encoding::{self, Base64Mode};
use crate::state::face_matcher::PictureError;

/// Max identities listed when the query has no limit.
const DEFAULT_LIMIT: usize = 1000;
/// Allowed values of `limit`.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=100_000;

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

/// Query of `/gallery` operations on identities.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GalleryQuery {
    /// Only identities that this customer can find; default: all identities. With `DELETE`: only identities enrolled for this customer.
    pub customer_id: Option<String>,
}

/// Query of `GET /gallery`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuery {
    /// Only identities that this customer can find; default: all identities.
    pub customer_id: Option<String>,
    /// Max number of identities: 1 to 100000; default 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<usize>,
}

/// Query of `GET /gallery/{nik}/thumbnail`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThumbnailQuery {
    /// Only identities that this customer can find; default: all identities.
    pub customer_id: Option<String>,
    /// Index of the picture, from 0; default 0.
    pub picture: Option<usize>,
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

/// Origin of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdentityOrigin {
    /// A fixture file; the admin API cannot change the identity.
    Fixture,
    /// `POST /gallery`.
    Api,
}

/// An identity of the gallery.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListedIdentity {
    /// NIK: 16 digits.
    pub nik: String,
    /// Name.
    pub name: String,
    /// The only customer that finds this identity; null for the shared gallery.
    pub customer_id: Option<String>,
    /// Origin of the identity.
    pub source: IdentityOrigin,
    /// Pictures of the identity.
    pub pictures: Vec<ListedPicture>,
    /// Twins and look-alikes.
    pub similar: Vec<SimilarSpec>,
    /// What is probably not meant, though the identity was enrolled; absent when there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A picture of an identity.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListedPicture {
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Width in pixels, as in the file.
    pub width: u32,
    /// Height in pixels, as in the file.
    pub height: u32,
    /// File format: `jpeg` or `png`.
    pub format: String,
    /// File size, in bytes.
    pub bytes: usize,
    /// Whether the face engine finds a face in it; absent without one, and while it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub face: Option<bool>,
}

/// Response of `GET /gallery`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Gallery")]
pub struct GalleryPage {
    /// Identities, in order of enrolment, at most `limit`.
    pub identities: Vec<ListedIdentity>,
    /// Number of identities, regardless of the limit.
    pub total: usize,
}

/// A gallery with its origin and its customer.
struct IdentitySource<'a> {
    gallery: &'a Gallery,
    origin: IdentityOrigin,
    customer_id: Option<&'a str>,
}

/// Lists all identities, or those that one customer can find.
pub async fn list(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = query::<ListQuery>(&req)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMITS.contains(&limit) {
        let message = format!("limit is {} to {}, not {limit}", LIMITS.start(), LIMITS.end());
        return Err(ApiError::invalid(message).path("limit"));
    }
    let (fixtures, customers) = fixtures_and_customers(&shared);
    let enrolled = shared.engine.matcher.enrolled();
    let sources = sources(&fixtures, &customers, &enrolled, query.customer_id.as_deref())?;
    let total = sources.iter().map(|source| source.gallery.identities().len()).sum();
    let all =
        sources.iter().flat_map(|source| source.gallery.identities().map(move |one| listed(source, one)));
    Ok(json(&GalleryPage { identities: all.take(limit).collect(), total }))
}

/// Returns one identity.
pub async fn one(
    shared: web::Data<AppState>,
    nik: web::Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = query::<GalleryQuery>(&req)?;
    let (fixtures, customers) = fixtures_and_customers(&shared);
    let enrolled = shared.engine.matcher.enrolled();
    let sources = sources(&fixtures, &customers, &enrolled, query.customer_id.as_deref())?;
    let (source, identity) = find(&sources, &nik).ok_or_else(|| unknown_nik(&nik))?;
    Ok(json(&listed(source, identity)))
}

/// Returns a thumbnail of one picture of an identity: a small JPEG.
pub async fn thumbnail(
    shared: web::Data<AppState>,
    nik: web::Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = query::<ThumbnailQuery>(&req)?;
    let (fixtures, customers) = fixtures_and_customers(&shared);
    let enrolled = shared.engine.matcher.enrolled();
    let sources = sources(&fixtures, &customers, &enrolled, query.customer_id.as_deref())?;
    let (_, identity) = find(&sources, &nik).ok_or_else(|| unknown_nik(&nik))?;
    let pictures = &identity.pictures;
    let picture = pictures.get(query.picture.unwrap_or_default()).ok_or_else(|| {
        ApiError::not_found(format!("{} has {} pictures, counted from 0", identity.nik, pictures.len()))
            .path("picture")
    })?;
    Ok(HttpResponse::Ok().content_type("image/jpeg").body(picture.thumbnail().to_vec()))
}

/// Returns a file that shows an identity, as a client would send it.
///
/// # Errors
/// 404 when the gallery has no such identity.
pub fn photo_of(shared: &AppState, nik: &str) -> Result<Vec<u8>, ApiError> {
    let (fixtures, customers) = fixtures_and_customers(shared);
    let enrolled = shared.engine.matcher.enrolled();
    let (_, identity) =
        find(&sources(&fixtures, &customers, &enrolled, None)?, nik).ok_or_else(|| unknown_nik(nik))?;
    identity.pictures.first().map(|picture| picture.to_send().to_vec()).ok_or_else(|| unknown_nik(nik))
}

/// Enrols an identity, or adds to an enrolled one.
pub async fn enrol(
    shared: web::Data<AppState>,
    req: HttpRequest,
    mut payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = super::body::read(&req, &mut payload).await?;
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (request, files) = match content_type.and_then(|value| multer::parse_boundary(value).ok()) {
        Some(boundary) => parse_multipart(body, boundary).await?,
        None => parse_json(&body)?,
    };
    let engine = &shared.engine;
    if let Some(id) = &request.customer_id {
        super::customer(&shared, id)?;
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
        let _permit = super::permit_to_ask_faces(&shared).await;
        super::beside(move || read_pictures(&engine, files)).await??
    };
    let warnings = pictures.iter().enumerate().filter_map(no_face_warning).collect();
    let similar = request.similar.map(|all| {
        all.into_iter().map(|SimilarSpec { nik, score }| Similar { nik: nik.0, score: score.0 }).collect()
    });
    let customer_id = request.customer_id.clone();
    // Behind what takes long. It ends behind what is handed over here.
    let turn = engine.take_turn().await.map_err(ApiError::no_turn)?;
    if let Some(id) = &customer_id {
        super::customer(&shared, id)?;
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

/// Removes an enrolled identity.
pub async fn remove(
    shared: web::Data<AppState>,
    nik: web::Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = query::<GalleryQuery>(&req)?;
    let customer_id = query.customer_id.as_deref();
    let (fixtures, customers) = fixtures_and_customers(&shared);
    let matcher = &shared.engine.matcher;
    let find_source = || {
        sources(&fixtures, &customers, &matcher.enrolled(), customer_id)
            .map(|all| find(&all, &nik).map(|(source, _)| source.description()))
    };
    if customer_id.is_some() {
        find_source()?;
    }
    if matcher.remove(&nik, customer_id) {
        return Ok(json(&Removed { removed: 1 }));
    }
    match find_source()? {
        Some(source) => Err(ApiError::conflict("in_fixtures", format!("{} is {source}", nik.as_str()))
            .hint("edit the fixture files, or send the customer_id that it was enrolled for")),
        None => Err(unknown_nik(&nik)),
    }
}

/// Removes all enrolled identities, or those of one customer.
pub async fn remove_all(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = query::<GalleryQuery>(&req)?;
    if let Some(id) = &query.customer_id {
        super::customer(&shared, id)?;
    }
    Ok(json(&Removed { removed: shared.engine.reset_gallery(query.customer_id.as_deref()) }))
}

impl IdentitySource<'_> {
    /// Describes the source in an error message: "in the fixtures".
    fn description(&self) -> String {
        match (self.origin, self.customer_id) {
            (IdentityOrigin::Fixture, None) => "in the fixtures".to_owned(),
            (IdentityOrigin::Fixture, Some(id)) => {
                format!("in the fixture customers/{id}.toml, or in one it extends")
            }
            (IdentityOrigin::Api, None) => "enrolled for all customers".to_owned(),
            (IdentityOrigin::Api, Some(id)) => format!("enrolled for {id}"),
        }
    }
}

/// Returns the active fixtures and all customers.
fn fixtures_and_customers(shared: &AppState) -> (Arc<Fixtures>, Vec<Arc<Customer>>) {
    let engine = &shared.engine;
    (engine.fixtures(), engine.customers.customers(engine.clock.now()))
}

/// Returns the galleries of one customer, or all galleries; in each scope those of the fixtures first.
///
/// # Errors
/// 404 when the customer is unknown.
fn sources<'a>(
    fixtures: &'a Fixtures,
    customers: &'a [Arc<Customer>],
    enrolled: &'a Enrolled,
    customer_id: Option<&str>,
) -> Result<Vec<IdentitySource<'a>>, ApiError> {
    let fixture =
        |gallery, customer_id| IdentitySource { gallery, origin: IdentityOrigin::Fixture, customer_id };
    let api = |gallery, customer_id| IdentitySource { gallery, origin: IdentityOrigin::Api, customer_id };
    let shared_galleries = || {
        [fixture(&fixtures.gallery, None)].into_iter().chain(enrolled.gallery(None).map(|all| api(all, None)))
    };
    let Some(id) = customer_id else {
        let own = customers.iter().map(|customer| fixture(&customer.gallery, Some(customer.id.as_str())));
        let of_api = enrolled.customers().map(|(id, gallery)| api(gallery, Some(id)));
        return Ok(shared_galleries().chain(own).chain(of_api).collect());
    };
    let customer = customers.iter().find(|customer| customer.id == id);
    let customer = customer.ok_or_else(|| {
        ApiError::unknown_customer(id, customers.iter().map(|customer| customer.id.as_str()))
            .path("customer_id")
    })?;
    let own = [fixture(&customer.gallery, Some(customer.id.as_str()))].into_iter();
    let own = own.chain(enrolled.gallery(Some(id)).map(|gallery| api(gallery, Some(customer.id.as_str()))));
    let shared = customer.shared_gallery.then(shared_galleries).into_iter().flatten();
    Ok(own.chain(shared).collect())
}

/// Finds the identity with this NIK, in the first gallery that has it.
fn find<'s, 'a>(
    sources: &'s [IdentitySource<'a>],
    nik: &str,
) -> Option<(&'s IdentitySource<'a>, &'a Identity)> {
    sources.iter().find_map(|source| Some((source, source.gallery.get(nik)?)))
}

/// Returns the API form of an identity.
fn listed(source: &IdentitySource, identity: &Identity) -> ListedIdentity {
    let picture = |picture: &Picture| ListedPicture {
        sha256: hex(&picture.sha256),
        width: picture.dimensions.0,
        height: picture.dimensions.1,
        format: match picture.format {
            PhotoFormat::Jpeg => "jpeg".to_owned(),
            PhotoFormat::Png => "png".to_owned(),
        },
        bytes: picture.bytes,
        face: picture.any_face().map(|face| face.vector.is_some()),
    };
    let similar = |similar: &Similar| SimilarSpec {
        nik: NikText(similar.nik.clone()),
        score: PlantedScore(similar.score),
    };
    ListedIdentity {
        nik: identity.nik.clone(),
        name: identity.name.clone(),
        customer_id: source.customer_id.map(str::to_owned),
        source: source.origin,
        pictures: identity.pictures.iter().map(|one| picture(one)).collect(),
        similar: identity.similar.iter().map(similar).collect(),
        warnings: Vec::new(),
    }
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

/// Returns the error for a NIK that is not in the gallery.
fn unknown_nik(nik: &str) -> ApiError {
    let shown = crate::base::text::quoted(nik);
    ApiError::not_found(format!("no identity in the gallery has the NIK {shown}"))
        .hint("GET /gallery lists them")
}
