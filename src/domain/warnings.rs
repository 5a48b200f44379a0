//! Warnings about a request: deviations that the simulator accepts but the real endpoint may reject, and missing headers that the
//! document requires.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::photo::PhotoInfo;
use super::evidence::{Credential, Evidence};
use super::matcher::Matched;
use crate::protocol::{Body, Field};

/// A deviation that was accepted, but that clients should not rely on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Warning {
    pub name: Cow<'static, str>,
    pub message: String,
}

/// Every warning and what it is about, in the order in which they are found.
pub const WARNINGS: [(&str, &str); 14] = [
    ("accept", "`Accept` is missing, or is not `application/json`"),
    ("content_type", "`Content-Type` is missing, or is not `application/json`"),
    (
        "x_forwarded_for",
        "`peer = \"x-forwarded-for\"`, but the header is missing or does not end with an address",
    ),
    (
        "raw_blank",
        "the path has a raw blank, as the document's own URL; strict servers refuse it, so send `%20`",
    ),
    ("bom", "the JSON starts with a byte order mark"),
    ("duplicate_key", "a key is there twice; the last value is used"),
    ("extra_key", "a key that is not in the document; it is ignored"),
    ("loosely_read", "a value was read only because of `policy.numbers = \"loose\"`"),
    ("line_breaks", "line breaks in base64 were accepted because of `policy.base64 = \"mime\"`"),
    ("photo_twice", "the file has its photo twice, one behind the other; only the first is read"),
    (
        "pixels",
        "the photo's pixels cannot be decoded, are damaged or have no contrast, so only the identical file is found, or only what is left of the photo is compared",
    ),
    ("faces", "the face engine found no face, or failed"),
    ("retry_without_backoff", "a retry less than a second after a failure"),
    ("repeated_transaction_id", "the `transactionId` was used before, by a request that did not fail"),
];

/// Max characters of a header value that are kept, for conditions and the journal.
pub const MAX_VALUE_CHARS: usize = 500;

/// Headers of a request. The document requires `Accept` and `Content-Type` (doc 3, "Request Header").
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// Names and values, as received.
    pub all: Vec<(String, String)>,
    /// X-Forwarded-For is configured as the source of the peer, but does not end with an address.
    pub no_forwarded_peer: bool,
    /// The request line has raw blanks in its target, as the document's own URL does (doc 2).
    pub raw_blank: bool,
}

impl Headers {
    fn get(&self, name: &'static str) -> Option<&str> {
        self.all_of(name).next()
    }

    /// Returns the values of every header with this name, in order.
    pub fn all_of(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let same = self.all.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str())
    }

    /// Returns the User-Agent header.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.get("user-agent")
    }
}

/// Required value of both headers (doc 3).
const JSON: &str = "application/json";

/// Returns all warnings about a request.
#[must_use]
pub fn of(
    headers: Option<&Headers>,
    body: &Body,
    of_evidence: Vec<Warning>,
    matched: &Matched,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(headers) = headers {
        warnings.extend(media_type_warning("accept", "Accept", headers.get("accept")));
        warnings.extend(media_type_warning("content_type", "Content-Type", headers.get("content-type")));
    }
    if headers.is_some_and(|headers| headers.no_forwarded_peer) {
        let message = "X-Forwarded-For is missing or does not end with an address, so the peer is unknown";
        warnings.push(warning("x_forwarded_for", message));
    }
    if headers.is_some_and(|headers| headers.raw_blank) {
        let message = "the request line has a raw blank in its path, as in the document's URL; strict servers refuse it, so send %20";
        warnings.push(warning("raw_blank", message));
    }
    if body.bom {
        warnings.push(warning("bom", "the JSON starts with a byte order mark (BOM)"));
    }
    for key in &body.duplicate_keys {
        warnings.push(warning("duplicate_key", format!("duplicate key {key:?}; the last value is used")));
    }
    for key in &body.extra_keys {
        warnings.push(warning("extra_key", format!("the key {key:?} is not in the document and is ignored")));
    }
    for (field, kind) in &body.loosely_read {
        let name = field.name();
        let read_as = match body.threshold().filter(|_| *field == Field::Threshold) {
            Some(number) => format!("a string that JSON would not write so and was read as {number}"),
            None => format!("{kind} and was read as text"),
        };
        warnings.push(warning("loosely_read", format!("{name} is {read_as} (policy numbers = \"loose\")")));
    }
    warnings.extend(of_evidence);
    warnings.extend(matched.pixel_fault.as_deref().map(|fault| warning("pixels", fault)));
    warnings.extend(matched.faces.warning().map(|message| warning("faces", message)));
    warnings
}

fn warning(name: &'static str, message: impl Into<String>) -> Warning {
    Warning { name: name.into(), message: message.into() }
}

fn media_type_warning(name: &'static str, header: &str, value: Option<&str>) -> Option<Warning> {
    let media_type = value.map(|value| value.split(';').next().unwrap_or_default().trim());
    match media_type {
        Some(media_type) if media_type.eq_ignore_ascii_case(JSON) => None,
        Some(other) => {
            let other = crate::base::text::quoted(other);
            Some(warning(name, format!("{header} is {other}; the document requires {JSON}")))
        }
        None => Some(warning(name, format!("{header} is missing; the document requires {JSON}"))),
    }
}

/// Returns the warnings about ciphertexts and photo: line breaks in their base64, and a photo that is in its file twice.
#[must_use]
pub fn of_evidence(evidence: &Evidence) -> Vec<Warning> {
    let Evidence { user_id, password, photo, .. } = evidence;
    let is_photo = |is: fn(&PhotoInfo) -> bool| photo.as_ref().is_some_and(|photo| is(photo));
    let has_line_breaks =
        |credential: &Credential| matches!(credential, Credential::Opened { line_breaks: true, .. });
    let fields = [
        ("user_id", has_line_breaks(user_id)),
        ("password", has_line_breaks(password)),
        ("image", is_photo(|photo| photo.line_breaks)),
    ];
    let accepted = fields.into_iter().filter(|(_, accepted)| *accepted).map(|(field, _)| {
        let message =
            format!("line breaks in the base64 of {field} were accepted (policy base64 = \"mime\")");
        warning("line_breaks", message)
    });
    let twice = is_photo(|photo| photo.is_twice).then(|| {
        warning(
            "photo_twice",
            "the image has the same photo twice, one behind the other; only the first is read",
        )
    });
    accepted.chain(twice).collect()
}
