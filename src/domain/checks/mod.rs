//! The checks, one file each. Every check is assessed; which failed one is answered is `policy.precedence`, not the order of
//! the code.

mod account;
mod capacity;
mod decryption;
mod finding;
mod image;
mod ip;
mod parameters;
mod quota;
mod threshold;

pub use finding::{CheckInput, Finding, Status};

use super::policy::Check;

/// The checks' judgements, in the default order.
const ASSESSORS: [fn(&CheckInput) -> Finding; 8] = [
    parameters::check,
    decryption::check,
    account::check,
    quota::check,
    ip::check,
    threshold::check,
    image::check,
    capacity::check,
];

/// The finding of every check, in the default order.
#[must_use]
pub fn assess(case: &CheckInput) -> Vec<Finding> {
    ASSESSORS.iter().map(|check| check(case)).collect()
}

/// Judges the quota again, for a case whose quota has moved since.
pub fn reassess_quota(case: &CheckInput, findings: &mut [Finding]) {
    replace(findings, quota::check(case));
}

/// Judges the capacity, for a case in which nothing else failed.
pub fn reassess_capacity(case: &CheckInput, findings: &mut [Finding]) {
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
