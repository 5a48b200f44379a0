//! The threshold lies within 1 to 20, both allowed (doc 4.6, "1 sd 20").

use super::{CheckInput, Finding};
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Threshold;

/// Doc 4.6; that both ends and fractions are allowed is assumed.
pub const RANGE: std::ops::RangeInclusive<f64> = 1.0..=20.0;

pub fn check(case: &CheckInput) -> Finding {
    let seen = case.body.threshold_text().unwrap_or_default();
    match case.body.threshold() {
        None => Finding::unknown(THIS, "there is no threshold to judge"),
        Some(threshold) if RANGE.contains(&threshold) => {
            Finding::passed(THIS, format!("{seen} is within 1 to 20"))
        }
        Some(_) => Finding::failed(
            THIS,
            Code::THRESHOLD,
            format!("threshold {seen} is not within 1 to 20"),
            "send a number from 1 to 20, both allowed, fractions too",
        ),
    }
}
