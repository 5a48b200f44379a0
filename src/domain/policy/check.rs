//! The checks, in the default precedence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

// The order is assumed, from a look-alike of the 1:1 sibling.
/// A check; the variants are in the default precedence.
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

    /// Returns the name in `policy.precedence` and in findings.
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
