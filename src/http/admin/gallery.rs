//! `GET|POST|DELETE /gallery[/{nik}]`, `GET /gallery/{nik}/thumbnail`: lists, enrols and removes identities.
//!
//! NIKs are not masked here: the gallery holds fictitious people, and its operations address them by NIK.

mod enrol;

pub use enrol::{EnrolRequest, enrol, form_schema};

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiError, Removed, json, query};
use crate::base::hash::hex;
use crate::config::model::{NikText, SimilarSpec};
use crate::config::{Fixtures, PlantedScore};
use crate::domain::customer::Customer;
use crate::domain::evidence::PhotoFormat;
use crate::domain::matcher::{Enrolled, Gallery, Identity, Picture, Similar};
use crate::http::state::AppState;

/// Max identities listed when the query has no limit.
const DEFAULT_LIMIT: usize = 1000;
/// Allowed values of `limit`.
const LIMITS: std::ops::RangeInclusive<usize> = 1..=100_000;

/// Query of `/gallery` operations on identities.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GalleryQuery {
    /// `GET`: only identities that this customer can find; default: all identities. `DELETE`: only identities enrolled for this customer;
    /// default: with a NIK, the identity enrolled for all customers, else all enrolled identities.
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
    if customer_id.is_some() {
        sources(&fixtures, &customers, &matcher.enrolled(), customer_id)?;
    }
    if matcher.remove(&nik, customer_id) {
        return Ok(json(&Removed { removed: 1 }));
    }
    let enrolled = matcher.enrolled();
    let mut sources = sources(&fixtures, &customers, &enrolled, customer_id)?;
    // One that was enrolled can be removed, so it is named before one of the fixtures.
    sources.sort_by_key(|source| source.origin == IdentityOrigin::Fixture);
    Err(find(&sources, &nik).map_or_else(|| unknown_nik(&nik), |(source, _)| source.not_removed(&nik)))
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

    /// Returns the error for an identity that this source has, and that was not removed.
    fn not_removed(&self, nik: &str) -> ApiError {
        let (code, hint) = match (self.origin, self.customer_id) {
            (IdentityOrigin::Fixture, _) => ("in_fixtures", "edit the fixture files".to_owned()),
            (IdentityOrigin::Api, None) => ("other_scope", "send no customer_id".to_owned()),
            (IdentityOrigin::Api, Some(id)) => ("other_scope", format!("send customer_id={id}")),
        };
        ApiError::conflict(code, format!("{nik} is {}", self.description())).hint(hint)
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

/// Returns the error for a NIK that is not in the gallery.
fn unknown_nik(nik: &str) -> ApiError {
    let shown = crate::base::text::quoted(nik);
    ApiError::not_found(format!("no identity in the gallery has the NIK {shown}"))
        .hint("GET /gallery lists them")
}
