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
pub fn assess(input: &CheckInput) -> Vec<Finding> {
    CHECKS.iter().map(|check| check(input)).collect()
}

/// Evaluates one check.
#[must_use]
pub fn check(check: Check, input: &CheckInput) -> Finding {
    CHECKS[check as usize](input)
}

/// Replaces the findings of those checks that `newer` has.
#[must_use]
pub fn replaced(mut findings: Vec<Finding>, newer: Vec<Finding>) -> Vec<Finding> {
    for finding in newer {
        if let Some(older) = findings.iter_mut().find(|older| older.check == finding.check) {
            *older = finding;
        }
    }
    findings
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
