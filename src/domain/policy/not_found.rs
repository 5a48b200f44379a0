//! The policy key `not_found`: a code, or a code with an error text.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::protocol::{Code, Outcome, Provenance};

/// The answer when no candidate reaches the threshold: `"6018"`, `"6019"` or `{ code, error }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    /// Any code.
    pub code: Code,
    /// The text, sent unchanged; `None`: the code's own.
    pub error: Option<String>,
}

/// The table form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotFoundTable {
    code: Code,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl NotFound {
    /// Codes that need no table.
    pub const CODES: &[Code] = &[Code::FOUND, Code::NOT_FOUND];

    /// The document's code with its own text.
    pub const FOUND: NotFound = NotFound { code: Code::FOUND, error: None };

    /// How certain it is that the endpoint has the code; assumed for one that is not in the table of outcomes.
    #[must_use]
    pub fn standing(&self) -> Provenance {
        Outcome::find(&self.code).map_or(Provenance::Assumed, |outcome| outcome.standing)
    }
}

impl Serialize for NotFound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let NotFound { code, error } = self.clone();
        if error.is_none() && Self::CODES.contains(&code) {
            return code.serialize(serializer);
        }
        NotFoundTable { code, error }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NotFound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NotFoundVisitor)
    }
}

struct NotFoundVisitor;

impl<'de> Visitor<'de> for NotFoundVisitor {
    type Value = NotFound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"6018\", \"6019\" or { code, error }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<NotFound, E> {
        match NotFound::CODES.iter().find(|code| code.as_str() == text) {
            Some(code) => Ok(NotFound { code: code.clone(), error: None }),
            None => Err(E::custom(format!(
                "not_found must be \"6018\" or \"6019\", or {{ code = \"...\", error = \"...\" }} for any other code, not {text:?}"
            ))),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<NotFound, M::Error> {
        let NotFoundTable { code, error } = NotFoundTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(NotFound { code, error })
    }
}
