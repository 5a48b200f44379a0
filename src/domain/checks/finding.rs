//! What a check looks at, and what it finds.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::capacity::Availability;
use crate::domain::customer::Customer;
use crate::domain::evidence::{Credential, Photo};
use crate::domain::policy::{Check, Policy};
use crate::domain::quota::QuotaView;
use crate::protocol::{Body, Code};

/// Everything a check may look at. No clock, no file, no lock.
#[derive(Debug)]
pub struct CheckInput<'a> {
    pub body: &'a Body<'a>,
    pub customer_id: &'a str,
    pub methode: &'a str,
    /// `None` when nobody has the customer_id.
    pub customer: Option<&'a Customer>,
    /// The customer's policy, or the global one.
    pub policy: &'a Policy,
    /// The TCP peer, or whom a configured proxy says it stands for.
    pub peer: Option<IpAddr>,
    pub user_id: Credential,
    pub password: Credential,
    /// `None` when `image` is missing or no string.
    pub photo: Option<Photo<'a>>,
    /// Today's quota, as it stands now.
    pub quota: QuotaView,
    /// What there is of the matcher's capacity; `None` where nobody asked, because something else failed.
    pub room: Option<Availability>,
    /// The customer whose account the opened user_id is, when it is not this one's.
    pub owner_of_user_id: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Passed,
    Failed,
    /// It could not be judged, and so has not failed.
    Unknown,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    pub check: Check,
    pub status: Status,
    /// The answer this failure asks for.
    pub code: Option<Code>,
    /// Why, for a person.
    pub reason: Cow<'static, str>,
    /// What to do, when something failed.
    pub hint: Option<Cow<'static, str>>,
}

impl Finding {
    pub(super) fn passed(check: Check, reason: impl Into<Cow<'static, str>>) -> Finding {
        Finding { check, status: Status::Passed, code: None, reason: reason.into(), hint: None }
    }

    pub(super) fn unknown(check: Check, reason: impl Into<Cow<'static, str>>) -> Finding {
        Finding { check, status: Status::Unknown, code: None, reason: reason.into(), hint: None }
    }

    pub(super) fn failed(
        check: Check,
        code: Code,
        reason: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Finding {
        let hint = Some(hint.into());
        Finding { check, status: Status::Failed, code: Some(code), reason: reason.into(), hint }
    }
}
