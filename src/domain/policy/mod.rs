//! Policy: configurable behaviour of the endpoint that the document leaves open or that a test wants to change.
//! One table ([`KEYS`]) lists each key with its default, its values and how certain the default is (standing).
//!
//! `spec.rs` is what is written, here is what holds; `layers.rs` has the order in which the one becomes the other.

mod check;
mod keys;
mod layers;
mod measured;
mod not_found;
mod preset;
mod spec;
mod table;
mod values;

pub use check::Check;
pub use keys::{FIXED, FixedBehaviour, KEYS, PolicyKey};
pub use layers::{PolicyLayers, PolicySource};
pub use measured::{Measurement, Undetermined};
pub use not_found::NotFound;
pub use preset::Preset;
pub use spec::PolicySpec;
pub use table::table;
pub use values::{BadImage, MaxResults, Precedence, ShapedCode};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::http_answer::HeadStyle;
use crate::protocol::encoding::Base64Mode;
use crate::protocol::{Code, Layout, NumberMode, Provenance, Shape, ValueTypes};

/// Value of `transactionId` in the verification shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionIdPolicy {
    /// The request's.
    #[default]
    Echo,
    /// The document's literal, `nxGen NBAP TestTool`.
    Literal,
}

/// Which answers consume quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuotaCounts {
    /// Every answer from the matcher: 6018, 6019, 6014.
    #[default]
    Matched,
    /// 6018 with a candidate.
    Identified,
    /// Every request that passes the account check.
    Authenticated,
    /// Every answer.
    All,
}

/// What a body that is not a JSON object gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MalformedJson {
    /// The code 5004, from the check of the parameters.
    #[default]
    #[serde(rename = "5004")]
    Parameters,
    /// Status 400, before any check.
    #[serde(rename = "400")]
    BadRequest,
}

/// What a Content-Type gets that is missing or not JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ContentTypePolicy {
    /// A warning.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// Status 415, before any check.
    #[serde(rename = "415")]
    UnsupportedMediaType,
}

/// What an Accept gets that excludes JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AcceptPolicy {
    /// A warning.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// Status 406, before any check.
    #[serde(rename = "406")]
    NotAcceptable,
}

/// Policy resolved for one customer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Policy {
    pub precedence: Vec<Check>,
    pub layout: Layout,
    pub shape: BTreeMap<Code, Shape>,
    pub transaction_id: TransactionIdPolicy,
    pub uid: String,
    pub quota_limiter: String,
    pub face_threshold: String,
    pub numbers: NumberMode,
    pub malformed_json: MalformedJson,
    pub content_type: ContentTypePolicy,
    pub accept: AcceptPolicy,
    pub head: HeadStyle,
    pub types: ValueTypes,
    pub trim_messages: bool,
    pub not_found: NotFound,
    pub quota_counts: QuotaCounts,
    pub unknown_customer: Code,
    pub wrong_methode: Code,
    pub bad_image: Code,
    pub base64: Base64Mode,
    pub max_results: usize,
    pub nik_min_age: u32,
    /// Keys whose value was measured, and that nothing else sets.
    #[serde(skip)]
    pub measured: Vec<&'static str>,
}

/// Literal `transactionId` of the document (doc 4.3).
pub const SAMPLE_TRANSACTION_ID: &str = "nxGen NBAP TestTool";

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            precedence: Check::ALL.to_vec(),
            layout: Layout::Documented,
            shape: BTreeMap::new(),
            transaction_id: TransactionIdPolicy::Echo,
            uid: "7301010xxxxxxxxx".to_owned(),
            quota_limiter: "left".to_owned(),
            face_threshold: "echo".to_owned(),
            numbers: NumberMode::Strict,
            malformed_json: MalformedJson::Parameters,
            content_type: ContentTypePolicy::Any,
            accept: AcceptPolicy::Any,
            head: HeadStyle::Plain,
            types: ValueTypes::Documented,
            trim_messages: false,
            not_found: NotFound::FOUND,
            quota_counts: QuotaCounts::Matched,
            unknown_customer: Code::ACCOUNT,
            wrong_methode: Code::PARAMETERS,
            bad_image: Code::PARAMETERS,
            base64: Base64Mode::Strict,
            max_results: 10,
            nik_min_age: 17,
            measured: Vec::new(),
        }
    }
}

impl Policy {
    /// Returns the shape of an answer: the policy's, else the document's.
    #[must_use]
    pub fn shape_of(&self, code: &Code) -> Shape {
        self.shape.get(code).copied().unwrap_or_else(|| code.shape())
    }

    /// Returns how certain the value of a key of [`KEYS`] is: `otherwise`, unless it was measured.
    #[must_use]
    pub fn standing(&self, key: &str, otherwise: Provenance) -> Provenance {
        if self.measured.contains(&key) { Provenance::Measured } else { otherwise }
    }

    /// Whether nobody knows if the endpoint has this value of a key: it is not in the document, and nobody has measured or observed it.
    #[must_use]
    pub fn is_assumed(&self, key: &str) -> bool {
        let known = KEYS.iter().find(|known| known.name == key);
        known.is_some_and(|known| self.standing(key, known.standing) == Provenance::Assumed)
    }
}

#[cfg(test)]
mod tests;
