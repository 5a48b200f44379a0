//! The checks, one file each. Every check is assessed; which failed one is answered is `policy.precedence`, not the order of
//! the code.

mod account;
mod capacity;
mod decryption;
mod image;
mod ip;
mod parameters;
mod quota;
mod threshold;

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capacity::Room;
use crate::evidence::{Credential, Photo};
use crate::fixtures::Customer;
use crate::policy::Policy;
use crate::protocol::{Body, Code};

/// A check, in the default order of answering (SPEC 3; assumed, after a look-alike of the 1:1 sibling).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    Parameters,
    Decryption,
    Account,
    Quota,
    Ip,
    Threshold,
    Image,
    Capacity,
}

impl Check {
    /// Every check, in the default order.
    pub const ALL: [Check; 8] = [
        Check::Parameters,
        Check::Decryption,
        Check::Account,
        Check::Quota,
        Check::Ip,
        Check::Threshold,
        Check::Image,
        Check::Capacity,
    ];

    /// The check's name in `policy.precedence` and in findings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Check::Parameters => "parameters",
            Check::Decryption => "decryption",
            Check::Account => "account",
            Check::Quota => "quota",
            Check::Ip => "ip",
            Check::Threshold => "threshold",
            Check::Image => "image",
            Check::Capacity => "capacity",
        }
    }
}

/// The checks' judgements, in the default order.
const ASSESSORS: [fn(&Case) -> Finding; 8] = [
    parameters::check,
    decryption::check,
    account::check,
    quota::check,
    ip::check,
    threshold::check,
    image::check,
    capacity::check,
];

/// Everything a check may look at. No clock, no file, no lock.
#[derive(Debug)]
pub struct Case<'a> {
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
    pub room: Option<Room>,
    /// The customer whose account the opened user_id is, when it is not this one's.
    pub owner_of_user_id: Option<String>,
}

/// A customer's quota of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaView {
    /// `None`: no limit.
    pub per_day: Option<u64>,
    /// Charged so far today.
    pub used: u64,
}

impl QuotaView {
    /// What is left of today; `None` without a limit.
    #[must_use]
    pub fn left(self) -> Option<u64> {
        self.per_day.map(|limit| limit.saturating_sub(self.used))
    }
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
    fn passed(check: Check, reason: impl Into<Cow<'static, str>>) -> Finding {
        Finding { check, status: Status::Passed, code: None, reason: reason.into(), hint: None }
    }

    fn unknown(check: Check, reason: impl Into<Cow<'static, str>>) -> Finding {
        Finding { check, status: Status::Unknown, code: None, reason: reason.into(), hint: None }
    }

    fn failed(
        check: Check,
        code: Code,
        reason: impl Into<Cow<'static, str>>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Finding {
        let hint = Some(hint.into());
        Finding { check, status: Status::Failed, code: Some(code), reason: reason.into(), hint }
    }
}

/// The finding of every check, in the default order.
#[must_use]
pub fn assess(case: &Case) -> Vec<Finding> {
    ASSESSORS.iter().map(|check| check(case)).collect()
}

/// Judges the quota again, for a case whose quota has moved since.
pub fn reassess_quota(case: &Case, findings: &mut [Finding]) {
    replace(findings, quota::check(case));
}

/// Judges the capacity, for a case in which nothing else failed.
pub fn reassess_capacity(case: &Case, findings: &mut [Finding]) {
    replace(findings, capacity::check(case));
}

fn replace(findings: &mut [Finding], by: Finding) {
    if let Some(finding) = findings.iter_mut().find(|finding| finding.check == by.check) {
        *finding = by;
    }
}

/// The failed finding that is answered; `None` when nothing failed.
#[must_use]
pub fn first_failed<'a>(findings: &'a [Finding], precedence: &[Check]) -> Option<&'a Finding> {
    precedence
        .iter()
        .filter_map(|check| findings.iter().find(|finding| finding.check == *check))
        .find(|finding| finding.status == Status::Failed)
}

#[cfg(test)]
mod tests;
