//! `GET|POST|DELETE /gallery[/{nik}]`, `GET /gallery/{nik}/thumbnail`: who can be found, and enrolling more.
//!
//! NIKs stand here whole: the gallery holds made-up people, and who steers it has to name them.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ApiError, MAX_BODY, Removed, body_error, json, query};
use crate::base::hash::hex;
use crate::config::model::{NikText, SimilarSpec};
use crate::config::{Fixtures, PlantedScore};
use crate::domain::customer::Customer;
use crate::domain::evidence::PhotoFormat;
use crate::domain::limits::Limits;
use crate::domain::matcher::enrolled::{EnrolError, MAX_PICTURES_EACH};
use crate::domain::matcher::{Enrolled, Enrolment, Gallery, Identity, Picture, Similar};
use crate::http::body;
use crate::http::buffer_pool::Buffer;
use crate::http::state::AppState;
use crate::protocol::encoding::{self, Base64Mode};

/// Identities listed when the query names no limit, and at most.
const DEFAULT_LIMIT: usize = 1000;
const LIMITS: std::ops::RangeInclusive<usize> = 1..=100_000;

/// Longest name, in characters.
const MAX_NAME: usize = 200;

/// What `POST /gallery` takes as JSON. As `multipart/form-data` the members are parts of the same names, each picture a part
/// `picture` with the file's bytes, and `similar` JSON text.
// No Debug: it would print the pictures.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnrolRequest {
    /// Sixteen digits. Without one a NIK is made up. That of somebody who is enrolled adds to this identity.
    pub nik: Option<NikText>,
    /// For people only; without one it stays as it is.
    pub name: Option<String>,
    /// For this customer only; without one for every customer with the shared gallery.
    pub customer_id: Option<String>,
    /// JPG or PNG files in base64. They come to those that are there; the same file again changes nothing.
    pub pictures: Vec<String>,
    /// Twins and look-alikes, in place of those that are there; without this they stay.
    pub similar: Option<Vec<SimilarSpec>>,
}

/// What the queries of `/gallery` take.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GalleryQuery {
    /// Whom this customer can find; without one everybody. With `DELETE`: whom to take out, those enrolled for this customer.
    pub customer_id: Option<String>,
}

/// The query of `GET /gallery`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ListQuery {
    /// Whom this customer can find; without one everybody.
    pub customer_id: Option<String>,
    /// How many identities are listed: 1 to 100000, by default 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: Option<usize>,
}

/// The query of `GET /gallery/{nik}/thumbnail`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThumbnailQuery {
    /// Whom this customer can find; without one everybody.
    pub customer_id: Option<String>,
    /// Which picture, from 0; by default the first.
    pub picture: Option<usize>,
}

/// The schema of an [`EnrolRequest`] that is a form.
pub fn form_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "The same as the JSON, in parts.",
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

/// Where an identity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdentityOrigin {
    /// A fixture file; only editing it changes the identity.
    Fixture,
    /// `POST /gallery`.
    Api,
}

/// One who can be found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListedIdentity {
    /// Sixteen digits.
    pub nik: String,
    pub name: String,
    /// The customer who alone finds this identity; null for the shared gallery.
    pub customer_id: Option<String>,
    pub source: IdentityOrigin,
    pub pictures: Vec<ListedPicture>,
    pub similar: Vec<SimilarSpec>,
}

/// A picture of an identity.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListedPicture {
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// In pixels, as the file has it.
    pub width: u32,
    pub height: u32,
    /// `jpeg` or `png`.
    pub format: String,
    /// Size of the file.
    pub bytes: usize,
}

/// What `GET /gallery` answers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Gallery")]
pub struct GalleryPage {
    /// In the order in which they came, at most `limit`.
    pub identities: Vec<ListedIdentity>,
    /// How many there are without a limit.
    pub total: usize,
}

/// A gallery with where it comes from, and for whom.
struct IdentitySource<'a> {
    gallery: &'a Gallery,
    origin: IdentityOrigin,
    customer_id: Option<&'a str>,
}

/// Everybody, or those whom one customer can find.
pub async fn list(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = query::<ListQuery>(&req)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMITS.contains(&limit) {
        let message = format!("limit is {} to {}, not {limit}", LIMITS.start(), LIMITS.end());
        return Err(ApiError::invalid(message).path("limit"));
    }
    let (fixtures, customers) = known(&shared);
    let enrolled = shared.engine.matcher.enrolled();
    let sources = sources((&fixtures, &customers), &enrolled, query.customer_id.as_deref())?;
    let total = sources.iter().map(|source| source.gallery.identities().len()).sum();
    let all =
        sources.iter().flat_map(|source| source.gallery.identities().map(move |one| listed(source, one)));
    Ok(json(&GalleryPage { identities: all.take(limit).collect(), total }))
}

/// One identity.
pub async fn one(
    shared: web::Data<AppState>,
    nik: web::Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = query::<GalleryQuery>(&req)?;
    let (fixtures, customers) = known(&shared);
    let enrolled = shared.engine.matcher.enrolled();
    let sources = sources((&fixtures, &customers), &enrolled, query.customer_id.as_deref())?;
    let (source, identity) = find(&sources, &nik).ok_or_else(|| unknown(&nik))?;
    Ok(json(&listed(source, identity)))
}

/// What one picture of an identity looks like: a small JPEG.
pub async fn thumbnail(
    shared: web::Data<AppState>,
    nik: web::Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = query::<ThumbnailQuery>(&req)?;
    let (fixtures, customers) = known(&shared);
    let enrolled = shared.engine.matcher.enrolled();
    let sources = sources((&fixtures, &customers), &enrolled, query.customer_id.as_deref())?;
    let (_, identity) = find(&sources, &nik).ok_or_else(|| unknown(&nik))?;
    let pictures = &identity.pictures;
    let picture = pictures.get(query.picture.unwrap_or_default()).ok_or_else(|| {
        ApiError::not_found(format!("{} has {} pictures, counted from 0", identity.nik, pictures.len()))
            .path("picture")
    })?;
    Ok(HttpResponse::Ok().content_type("image/jpeg").body(picture.thumbnail().to_vec()))
}

/// Enrols somebody, or adds to who is enrolled.
pub async fn enrol(
    shared: web::Data<AppState>,
    req: HttpRequest,
    mut payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(&req, &mut payload, MAX_BODY).await.map_err(body_error)?;
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (wanted, files) = match content_type.and_then(|value| multer::parse_boundary(value).ok()) {
        Some(boundary) => of_parts(body, boundary).await?,
        None => of_json(&body)?,
    };
    let engine = &shared.engine;
    let fixtures = engine.fixtures();
    if let Some(id) = &wanted.customer_id {
        super::customer(&shared, id)?;
    }
    if wanted.name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return Err(ApiError::invalid(format!("a name has at most {MAX_NAME} characters")).path("/name"));
    }
    if files.len() > MAX_PICTURES_EACH {
        return Err(refused(EnrolError::TooManyPictures));
    }
    let limits = fixtures.limits.clone();
    // Decoding takes long for one thread that serves everybody who asks.
    let pictures = web::block(move || decoded(files, &limits)).await.map_err(|_| ApiError::stopping())??;
    let similar = wanted.similar.map(|all| {
        all.into_iter().map(|SimilarSpec { nik, score }| Similar { nik: nik.0, score: score.0 }).collect()
    });
    let customer_id = wanted.customer_id.clone();
    let new = Enrolment {
        nik: wanted.nik.map(|NikText(nik)| nik),
        name: wanted.name,
        customer_id: wanted.customer_id,
        pictures,
        similar,
    };
    let identity = engine.enrol(new).map_err(refused)?;
    let source = IdentitySource {
        gallery: &Gallery::default(),
        origin: IdentityOrigin::Api,
        customer_id: customer_id.as_deref(),
    };
    Ok(json(&listed(&source, &identity)))
}

/// Takes out somebody who was enrolled.
pub async fn remove(
    shared: web::Data<AppState>,
    nik: web::Path<String>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let query = query::<GalleryQuery>(&req)?;
    let customer_id = query.customer_id.as_deref();
    let (fixtures, customers) = known(&shared);
    let mut enrolled = shared.engine.matcher.enrolled_mut();
    let sources_hold = |enrolled: &Enrolled| {
        sources((&fixtures, &customers), enrolled, customer_id)
            .map(|all| find(&all, &nik).map(|(source, _)| source.told()))
    };
    if customer_id.is_some() {
        sources_hold(&enrolled)?;
    }
    if enrolled.remove(&nik, customer_id).is_some() {
        return Ok(json(&Removed { removed: 1 }));
    }
    match sources_hold(&enrolled)? {
        Some(whose) => Err(ApiError::conflict("in_fixtures", format!("{} is {whose}", nik.as_str()))
            .hint("edit the fixture files, or name the customer_id for whom it was enrolled")),
        None => Err(unknown(&nik)),
    }
}

/// Takes out everybody who was enrolled, or was for one customer.
pub async fn remove_all(shared: web::Data<AppState>, req: HttpRequest) -> Result<HttpResponse, ApiError> {
    let query = query::<GalleryQuery>(&req)?;
    if let Some(id) = &query.customer_id {
        super::customer(&shared, id)?;
    }
    Ok(json(&Removed { removed: shared.engine.reset_gallery(query.customer_id.as_deref()) }))
}

impl IdentitySource<'_> {
    fn told(&self) -> String {
        match (self.origin, self.customer_id) {
            (IdentityOrigin::Fixture, None) => "of the fixtures".to_owned(),
            (IdentityOrigin::Fixture, Some(id)) => {
                format!("of the fixture customers/{id}.toml, or of one it extends")
            }
            (IdentityOrigin::Api, None) => "enrolled for every customer".to_owned(),
            (IdentityOrigin::Api, Some(id)) => format!("enrolled for {id}"),
        }
    }
}

/// The fixtures in force, and all customers.
fn known(shared: &AppState) -> (Arc<Fixtures>, Vec<Arc<Customer>>) {
    let engine = &shared.engine;
    (engine.fixtures(), engine.customers.customers(engine.clock.now()))
}

/// The galleries, those of the fixtures first.
fn sources<'a>(
    (fixtures, customers): (&'a Fixtures, &'a [Arc<Customer>]),
    enrolled: &'a Enrolled,
    customer_id: Option<&str>,
) -> Result<Vec<IdentitySource<'a>>, ApiError> {
    let fixture =
        |gallery, customer_id| IdentitySource { gallery, origin: IdentityOrigin::Fixture, customer_id };
    let api = |gallery, customer_id| IdentitySource { gallery, origin: IdentityOrigin::Api, customer_id };
    let common = || {
        [fixture(&fixtures.gallery, None)].into_iter().chain(enrolled.gallery(None).map(|all| api(all, None)))
    };
    let Some(id) = customer_id else {
        let own = customers.iter().map(|customer| fixture(&customer.gallery, Some(customer.id.as_str())));
        let of_api = enrolled.customers().map(|(id, gallery)| api(gallery, Some(id)));
        return Ok(common().chain(own).chain(of_api).collect());
    };
    let known = customers.iter().find(|customer| customer.id == id);
    let customer = known.ok_or_else(|| ApiError::unknown_customer(id))?;
    let own = [fixture(&customer.gallery, Some(customer.id.as_str()))].into_iter();
    let own = own.chain(enrolled.gallery(Some(id)).map(|gallery| api(gallery, Some(customer.id.as_str()))));
    let shared = customer.shared_gallery.then(common).into_iter().flatten();
    Ok(own.chain(shared).collect())
}

fn find<'s, 'a>(
    sources: &'s [IdentitySource<'a>],
    nik: &str,
) -> Option<(&'s IdentitySource<'a>, &'a Identity)> {
    sources.iter().find_map(|source| Some((source, source.gallery.get(nik)?)))
}

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
    }
}

/// The files, without the base64 that they came in.
type UploadedFiles = Vec<Vec<u8>>;

fn of_json(body: &[u8]) -> Result<(EnrolRequest, UploadedFiles), ApiError> {
    let mut wanted: EnrolRequest = ApiError::parse(body)?;
    let pictures = std::mem::take(&mut wanted.pictures);
    let files = pictures.iter().enumerate().map(|(index, text)| {
        // Tools that write base64 break its lines.
        encoding::decode(text, Base64Mode::Mime).map(|decoded| decoded.bytes).map_err(|fault| {
            ApiError::invalid(fault.to_string()).path(format!("/pictures/{index}")).hint(fault.hint())
        })
    });
    let files = files.collect::<Result<_, _>>()?;
    Ok((wanted, files))
}

async fn of_parts(body: Buffer, boundary: String) -> Result<(EnrolRequest, UploadedFiles), ApiError> {
    let told =
        |error: multer::Error| ApiError::invalid(format!("the multipart body cannot be read: {error}"));
    let body = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_owner(body))]);
    let mut parts = Multipart::new(body, boundary);
    let (mut wanted, mut files) = (EnrolRequest::default(), UploadedFiles::new());
    while let Some(part) = parts.next_field().await.map_err(told)? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(told)?;
        match name.as_str() {
            "picture" => files.push(bytes.to_vec()),
            "nik" => {
                wanted.nik =
                    Some(NikText::try_from(text(&bytes, "nik")?).map_err(|message| wrong("nik", message))?)
            }
            "name" => wanted.name = Some(text(&bytes, "name")?),
            "customer_id" => wanted.customer_id = Some(text(&bytes, "customer_id")?),
            "similar" => wanted.similar = Some(parsed(&bytes, "similar")?),
            other => {
                let shown = crate::base::text::quoted(other);
                return Err(ApiError::invalid(format!("there is no part {shown}"))
                    .hint("parts are nik, name, customer_id, similar, and picture for each file"));
            }
        }
    }
    Ok((wanted, files))
}

fn wrong(part: &str, message: impl Into<String>) -> ApiError {
    ApiError::invalid(message).path(part)
}

fn text(bytes: &[u8], part: &str) -> Result<String, ApiError> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| wrong(part, format!("the part {part} is not UTF-8")))
}

fn parsed<T: DeserializeOwned>(bytes: &[u8], part: &str) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| wrong(part, error.to_string()))
}

fn decoded(files: UploadedFiles, limits: &Limits) -> Result<Vec<Picture>, ApiError> {
    let picture = |(index, file)| {
        Picture::new(file, limits).map_err(|message| {
            ApiError::invalid(format!("the picture {message}")).path(format!("/pictures/{index}"))
        })
    };
    files.into_iter().enumerate().map(picture).collect()
}

fn refused(why: EnrolError) -> ApiError {
    let message = why.to_string();
    match why {
        EnrolError::Taken { .. } => ApiError::conflict("taken", message)
            .path("/nik")
            .hint("take another NIK, or none: then one is made up; to add to an identity that was enrolled, name the same customer_id, or none, as then"),
        EnrolError::Full => ApiError::conflict("full", message).hint("DELETE /gallery takes out who was enrolled"),
        EnrolError::NoPicture | EnrolError::TooManyPictures => ApiError::invalid(message).path("/pictures"),
        EnrolError::TooManySimilar | EnrolError::SimilarToItself(_) => ApiError::invalid(message).path("/similar"),
    }
}

fn unknown(nik: &str) -> ApiError {
    let shown = crate::base::text::quoted(nik);
    ApiError::not_found(format!("nobody in the gallery has the NIK {shown}")).hint("GET /gallery lists them")
}
