//! A customer as an API caller sends it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::duration::Ttl;
use crate::base::reading::{self, Misread};
use crate::base::wording::Notation;
use crate::config::CustomerSpec;
use crate::config::model::present;

/// A customer as sent by an API caller: the fixture model as JSON, and a time to live.
#[derive(Clone, Debug, Default)]
pub struct CustomerInput {
    pub spec: CustomerSpec,
    /// Time to live from now on; null: until removed. Absent means the same when a customer is created or replaced, and keeps the
    /// present expiry when one is changed.
    pub ttl: Option<Option<Duration>>,
    /// Whether the caller sets the quota, which then replaces an override by `PUT /customers/{customer_id}/quota`.
    pub states_quota: bool,
}

/// Keys that the API adds to a customer in answers; ignored in input, so that an answer can be sent back.
pub const READ_ONLY: [&str; 4] = ["path", "public_key_pem", "source", "expires"];

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct TtlField {
    #[schemars(with = "Option<Ttl>")]
    #[serde(deserialize_with = "present")]
    ttl: Option<Option<Ttl>>,
}

impl CustomerInput {
    /// Parses a caller's input.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(mut value: Value) -> Result<CustomerInput, Misread> {
        let mut ttl_member = Map::new();
        if let Some(members) = value.as_object_mut() {
            READ_ONLY.iter().for_each(|key| drop(members.shift_remove(*key)));
            ttl_member.extend(members.shift_remove_entry("ttl"));
        }
        let TtlField { ttl } = reading::read(Value::Object(ttl_member), Notation::Json)?;
        let spec: CustomerSpec = reading::read(value, Notation::Json)?;
        let states_quota = spec.quota.per_day.is_some();
        Ok(CustomerInput { spec, ttl: ttl.map(|ttl| ttl.map(|Ttl(ttl)| ttl)), states_quota })
    }

    /// Returns the time to live; `None`: until removed.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.ttl.flatten()
    }
}
