//! `count` in the bodies of verify and wait: a number, or an object with bounds.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::ApiError;
use crate::state::journal::ExpectedCount;

/// Number of entries that a caller expects.
#[derive(Clone, Copy, Debug)]
pub enum CountField {
    /// Verify: exactly so many; wait: at least so many.
    Number(u64),
    Bounds(ExpectedCount),
}

const HINT: &str =
    r#"count is a number, {"exactly":2}, {"at_least":1}, {"at_most":3}, or at_least and at_most together"#;

impl CountField {
    /// Returns the bounds; `of_number` has those of a plain number.
    ///
    /// # Errors
    /// 400 when the bounds contradict each other, or there are none.
    pub fn bounds(
        self,
        of_number: impl Fn(u64) -> ExpectedCount,
    ) -> Result<(ExpectedCount, RangeOfCounts), ApiError> {
        let expected = match self {
            CountField::Number(count) => of_number(count),
            CountField::Bounds(expected) => expected,
        };
        let range =
            expected.counts().map_err(|message| ApiError::invalid(message).path("/count").hint(HINT))?;
        Ok((expected, range))
    }
}

/// The counts that are as expected.
pub type RangeOfCounts = std::ops::RangeInclusive<u64>;

impl<'de> Deserialize<'de> for CountField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CountField, D::Error> {
        struct NumberOrBounds;

        impl<'de> Visitor<'de> for NumberOrBounds {
            type Value = CountField;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(r#"a whole number such as 2, or an object such as {"at_least":1}"#)
            }

            fn visit_u64<E>(self, count: u64) -> Result<CountField, E> {
                Ok(CountField::Number(count))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CountField, A::Error> {
                ExpectedCount::deserialize(MapAccessDeserializer::new(map)).map(CountField::Bounds)
            }
        }

        deserializer.deserialize_any(NumberOrBounds)
    }
}

impl JsonSchema for CountField {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or an object with bounds.",
            "anyOf": [{ "type": "integer", "minimum": 0 }, generator.subschema_for::<ExpectedCount>()],
        })
    }
}
