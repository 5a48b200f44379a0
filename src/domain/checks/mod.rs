//! Checks (request validation), one file each. Every check is evaluated; `policy.precedence`, not the order of the code, determines
//! which failed check is answered.

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

/// All checks, in the default order.
const CHECKS: [fn(&CheckInput) -> Finding; 8] = [
    parameters::check,
    decryption::check,
    account::check,
    quota::check,
    ip::check,
    threshold::check,
    image::check,
    capacity::check,
];

/// Evaluates every check; returns the findings in the default order.
#[must_use]
pub fn assess(case: &CheckInput) -> Vec<Finding> {
    CHECKS.iter().map(|check| check(case)).collect()
}

/// Re-evaluates the quota check, after the quota has changed.
pub fn reassess_quota(case: &CheckInput, findings: &mut [Finding]) {
    replace(findings, quota::check(case));
}

/// Re-evaluates the capacity check, for a request in which no other check failed.
pub fn reassess_capacity(case: &CheckInput, findings: &mut [Finding]) {
    replace(findings, capacity::check(case));
}

fn replace(findings: &mut [Finding], by: Finding) {
    if let Some(finding) = findings.iter_mut().find(|finding| finding.check == by.check) {
        *finding = by;
    }
}

/// Returns the failed finding that is answered; `None` when no check failed.
#[must_use]
pub fn first_failed<'a>(findings: &'a [Finding], precedence: &[Check]) -> Option<&'a Finding> {
    precedence
        .iter()
        .filter_map(|check| findings.iter().find(|finding| finding.check == *check))
        .find(|finding| finding.status == Status::Failed)
}

#[cfg(test)]
mod tests;
