//! Requests with a mistake that clients make in the field: to see the endpoint's answer and its reason.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::client_request::{Fields, Request};
use crate::keys;
use crate::protocol::{Field, encoding};

/// A mistake of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Breakage {
    /// `transactionSource` is missing: 5004.
    MissingField,
    /// Typographic quotes instead of `"`, as in the document's sample request: 5004.
    TypographicQuotes,
    /// A comma behind the last member, as in the document's sample request: 5004.
    TrailingComma,
    /// Both credentials encrypted with OAEP instead of PKCS#1 v1.5: 5006.
    Oaep,
    /// Both credentials in plain text: 5006.
    Unencrypted,
    /// Both credentials in the URL-safe alphabet of base64: 5006.
    UrlSafeBase64,
    /// The second half of the photo's file is missing: 5004.
    TruncatedImage,
    /// `data:image/...;base64,` before the photo: 5004.
    DataUri,
    /// An `ip` that the customer may not call from: 5003.
    IpNotAllowed,
    /// A threshold of 21, beyond the maximum of 20: 5005.
    #[serde(rename = "threshold_21")]
    Threshold21,
}

/// An address of documentation (RFC 5737), which no real client has.
const FOREIGN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

impl Breakage {
    /// Returns the body of a valid request with this mistake. `fields` are its values; `allows`: whether the customer may call from an
    /// address.
    ///
    /// # Errors
    /// When a credential is longer than the key allows.
    pub fn body(
        self,
        request: Request,
        fields: Fields,
        allows: impl Fn(IpAddr) -> bool,
    ) -> Result<String, String> {
        let request = match self {
            Breakage::TypographicQuotes => return Ok(with_typographic_quotes(&request.body())),
            Breakage::TrailingComma => {
                let body = request.body();
                return Ok(format!("{},}}", body.strip_suffix('}').unwrap_or(&body)));
            }
            Breakage::MissingField => request.without(Field::TransactionSource.name()),
            Breakage::Oaep => {
                let encrypted = |plain: &str| {
                    keys::encrypt_with_oaep(request.key(), plain.as_bytes())
                        .map(|bytes| encoding::encode(&bytes))
                };
                let (user_id, password) = (encrypted(fields.user_id)?, encrypted(fields.password)?);
                with_credentials(request, user_id, password)
            }
            Breakage::Unencrypted => {
                with_credentials(request, fields.user_id.to_owned(), fields.password.to_owned())
            }
            Breakage::UrlSafeBase64 => {
                let url_safe = |text: String| text.replace('+', "-").replace('/', "_");
                let (user_id, password) =
                    (request.encrypted(fields.user_id)?, request.encrypted(fields.password)?);
                with_credentials(request, url_safe(user_id), url_safe(password))
            }
            Breakage::TruncatedImage => request.image(&fields.image[..fields.image.len() / 2]),
            Breakage::DataUri => {
                let kind = if fields.image.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
                let photo = encoding::encode(fields.image);
                request.set(Field::Image.name(), format!("data:image/{kind};base64,{photo}"))
            }
            // Where every address is allowed, only what is no address is rejected.
            Breakage::IpNotAllowed if allows(FOREIGN) => request.ip("256.0.0.1"),
            Breakage::IpNotAllowed => request.ip(&FOREIGN.to_string()),
            Breakage::Threshold21 => request.threshold("21"),
        };
        Ok(request.body())
    }
}

fn with_credentials(request: Request, user_id: String, password: String) -> Request {
    request.set(Field::UserId.name(), user_id).set(Field::Password.name(), password)
}

/// Replaces the quotes of JSON by typographic ones, an opening and a closing one in turn.
fn with_typographic_quotes(json: &str) -> String {
    let parts = json.split('"').enumerate();
    let quote = |index: usize| match index {
        0 => "",
        index if index % 2 == 1 => "“",
        _ => "”",
    };
    parts.flat_map(|(index, part)| [quote(index), part]).collect()
}
