//! Threshold check: the threshold is within 1 to 20, both included (doc 4.6, "1 sd 20").

use super::{CheckInput, Finding};
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Threshold;

/// Valid thresholds (doc 4.6). Assumed: both ends and fractions are allowed.
pub const RANGE: std::ops::RangeInclusive<f64> = 1.0..=20.0;

pub fn check(input: &CheckInput) -> Finding {
    let text = input.body.threshold_text().unwrap_or_default();
    match input.body.threshold() {
        None => Finding::unknown(THIS, "there is no threshold to check"),
        Some(threshold) if RANGE.contains(&threshold) => {
            Finding::passed(THIS, format!("{text} is within 1 to 20"))
        }
        Some(_) => Finding::failed(
            THIS,
            Code::THRESHOLD,
            format!("threshold {text} is not within 1 to 20"),
            "send a number from 1 to 20, both included; fractions are allowed",
        ),
    }
}
