//! Values of policy keys that are read from text with a rule of their own.

use serde::{Deserialize, Serialize};

use super::check::Check;
use crate::base::suggestion;
use crate::protocol::{Code, OUTCOMES};

/// A complete order of checks. Parsed from a list that may omit some: the omitted ones follow in the default order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Check>")]
pub struct Precedence(pub(super) Vec<Check>);

impl TryFrom<Vec<Check>> for Precedence {
    type Error = String;

    fn try_from(mut checks: Vec<Check>) -> Result<Self, String> {
        for (index, check) in checks.iter().enumerate() {
            if checks[..index].contains(check) {
                return Err(format!("duplicate check {} in precedence", check.name()));
            }
        }
        checks.extend(Check::ALL.into_iter().filter(|check| !checks.contains(check)).collect::<Vec<_>>());
        Ok(Precedence(checks))
    }
}

macro_rules! one_of_codes {
    ($name:ident, $key:literal, $($code:expr),*) => {
        #[doc = concat!("Code allowed for `", $key, "`.")]
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "Code")]
        pub struct $name(pub(super) Code);

        impl $name {
            /// All allowed codes.
            pub const CODES: &[Code] = &[$($code),*];
        }

        impl TryFrom<Code> for $name {
            type Error = String;

            fn try_from(code: Code) -> Result<Self, String> {
                if Self::CODES.contains(&code) {
                    return Ok($name(code));
                }
                let names: Vec<_> = Self::CODES.iter().map(|code| format!("\"{code}\"")).collect();
                Err(format!("{} must be {}, not \"{code}\"", $key, names.join(" or ")))
            }
        }
    };
}

one_of_codes!(BadImage, "bad_image", Code::PARAMETERS, Code::BAD_PHOTO);

/// A code whose shape the policy can set: any four digits. Codes of another form come from rules, which set their shape too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ShapedCode(pub(super) Code);

impl TryFrom<String> for ShapedCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Code::new(&text) {
            Ok(code) if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(ShapedCode(code)),
            _ => {
                let suggestion = suggestion::suffix(&text, OUTCOMES.iter().map(|outcome| outcome.code));
                let suggestion =
                    if suggestion.is_empty() { ", such as \"5001\"".to_owned() } else { suggestion };
                Err(format!("the keys of shape must be codes of four digits, not {text:?}{suggestion}"))
            }
        }
    }
}

/// Max number of candidates in an answer: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct MaxResults(pub(super) usize);

impl TryFrom<i64> for MaxResults {
    type Error = String;

    fn try_from(count: i64) -> Result<Self, String> {
        match usize::try_from(count) {
            Ok(count @ 1..=1000) => Ok(MaxResults(count)),
            _ => Err(format!("max_results must be 1 to 1000, not {count}")),
        }
    }
}
