//! Input and result of a check.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::capacity::Availability;
use crate::domain::customer::Customer;
use crate::domain::evidence::{Evidence, Photo};
use crate::domain::policy::{Check, Policy};
use crate::domain::quota::QuotaView;
use crate::protocol::{Body, Code};

/// Input of the checks: everything a check may use. No clock, no file, no lock.
#[derive(Clone, Copy, Debug)]
pub struct CheckInput<'a> {
    pub body: &'a Body<'a>,
    pub customer_id: &'a str,
    pub methode: &'a str,
    /// `None` when the customer_id is unknown.
    pub customer: Option<&'a Customer>,
    /// Policy of the customer, or the global one.
    pub policy: &'a Policy,
    /// TCP peer, or the client address that a configured proxy reports.
    pub peer: Option<IpAddr>,
    pub evidence: &'a Evidence<'a>,
    /// Today's quota, at this moment.
    pub quota: QuotaView,
    /// Availability of the matcher; `None` when it was not requested, because another check failed.
    pub availability: Option<Availability>,
}

impl<'a> CheckInput<'a> {
    /// The photo; `None` when `image` is missing or not a string.
    #[must_use]
    pub fn photo(&self) -> Option<&'a Photo<'a>> {
        self.evidence.photo.as_ref()
    }
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Passed,
    Failed,
    /// The check could not be evaluated, so it has not failed.
    Unknown,
}

/// Finding of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub check: Check,
    pub status: Status,
    /// Code of the answer that this failure leads to.
    pub code: Option<Code>,
    /// Reason, in plain text for people.
    pub reason: Cow<'static, str>,
    /// What to do about it, when the check failed.
    pub hint: Option<Cow<'static, str>>,
    /// Policy key, or row of the table of fixed behaviour, that decides the code, where one does.
    #[serde(skip)]
    pub decided_by: Option<&'static str>,
}

impl Finding {
    pub(super) fn passed(check: Check, reason: impl Into<Cow<'static, str>>) -> Finding {
        Finding {
            check,
            status: Status::Passed,
            code: None,
            reason: reason.into(),
            hint: None,
            decided_by: None,
        }
    }

    pub(super) fn unknown(check: Check, reason: impl Into<Cow<'static, str>>) -> Finding {
        Finding {
            check,
            status: Status::Unknown,
            code: None,
            reason: reason.into(),
            hint: None,
            decided_by: None,
        }
    }

    pub(super) fn failed(
        check: Check,
        code: Code,
        reason: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Finding {
        let hint = Some(hint.into());
        Finding {
            check,
            status: Status::Failed,
            code: Some(code),
            reason: reason.into(),
            hint,
            decided_by: None,
        }
    }

    /// Names the policy key that decides the code.
    pub(super) fn decided_by(self, key: &'static str) -> Finding {
        Finding { decided_by: Some(key), ..self }
    }
}
