//! Outcome table: every answer of the endpoint, with its code, text, shape and source.
//! No code, text or shape of an answer is defined anywhere else.

use std::borrow::Cow;
use std::fmt;

use AnsweredBy::{Frontend, Matcher};
use Provenance::{Doc, Observed};
use Shape::{Identification, Verification};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// How reliable a fact about the endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// Measured at a real endpoint, by `calibrate`.
    Measured,
    /// Printed in the document.
    Doc,
    /// Observed in public clients of this API or of its 1:1 sibling.
    Observed,
    /// Computed from the document's own numbers.
    Computed,
    /// Unknown to outsiders; the simulator has a default and a setting to change it.
    Assumed,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Provenance::Measured => "measured",
            Provenance::Doc => "doc",
            Provenance::Observed => "observed",
            Provenance::Computed => "computed",
            Provenance::Assumed => "assumed",
        })
    }
}

/// Which of the document's two body shapes an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Flat, `errorCode` a string (doc 4.1, 4.2, 4.4, 4.5, 4.7 and the second 4.1).
    Identification,
    /// `error` an object with a numeric `errorCode`, everything else strings (doc 4.3 and 4.6).
    Verification,
}

impl Shape {
    /// Returns the name, as in the policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Shape::Identification => "identification",
            Shape::Verification => "verification",
        }
    }
}

/// Which component answers. Decides the value of `faceThreshold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnsweredBy {
    /// Answered before the matcher: the document prints `"0"`.
    Frontend,
    /// Answered by the matcher: the threshold of the request.
    Matcher,
}

/// One row of the outcome table.
#[derive(Debug)]
pub struct Outcome {
    /// Four digits, as in `errorCode`.
    pub code: &'static str,
    /// The text, odd blanks included.
    pub message: &'static str,
    /// The document's shape for this code.
    pub shape: Shape,
    /// Front end or matcher.
    pub stage: AnsweredBy,
    /// Whether there is a `response` key: only 5004 has none (doc 4.5).
    pub has_response: bool,
    /// Provenance of the code.
    pub standing: Provenance,
    /// Where it is known from, and the provenance of the text where that differs.
    pub source: &'static str,
}

/// Every known outcome: the eight documented ones, then those observed in clients of the 1:1 sibling.
pub static OUTCOMES: [Outcome; 15] = [
    row("6018", "Sukses", Identification, Doc, "doc 4.1, found"),
    row("5002", "Kuota Hari Ini Habis, Silahkan Dicoba Esok Hari", Identification, Doc, "doc 4.2"),
    row("5001", " Akun tidak ditemukan ", Verification, Doc, "doc 4.3"),
    row("5003", "IP Tidak Sesuai", Identification, Doc, "doc 4.4"),
    Outcome {
        code: "5004",
        message: "Parameter tidak sesuai",
        shape: Identification,
        stage: Frontend,
        has_response: false,
        standing: Doc,
        source: "doc 4.5, tid null and no response",
    },
    row("5005", " Threshold tidak sesuai.", Verification, Doc, "doc 4.6"),
    row("5006", "Data gagal di decrypt", Identification, Doc, "doc 4.7"),
    row("6014", "Sistem Sedang Sibuk", Identification, Doc, "doc 4.1, error"),
    row("5000", "Sistem Sedang Sibuk", Identification, Observed, "1:1 clients; text assumed"),
    row("6006", "Format Data Tidak Sesuai", Identification, Observed, "1:1 clients; text assumed"),
    row("6012", "Sistem Sedang Sibuk", Identification, Observed, "1:1 clients; text assumed"),
    row("6015", "Foto tidak dapat diproses", Identification, Observed, "1:1 clients"),
    row("6019", "Foto Tidak Sesuai", Identification, Observed, "1:1 clients"),
    row("6020", "NIK Tidak ditemukan", Identification, Observed, "1:1 clients"),
    row("9002", "Password Salah", Identification, Observed, "1:1 clients; text assumed"),
];

const fn row(
    code: &'static str,
    message: &'static str,
    shape: Shape,
    standing: Provenance,
    source: &'static str,
) -> Outcome {
    // All codes of the matcher begin with 6 (doc 4).
    let stage = if code.as_bytes()[0] == b'6' { Matcher } else { Frontend };
    Outcome { code, message, shape, stage, has_response: true, standing, source }
}

impl Outcome {
    /// Returns the row of `code`, if the code is known.
    #[must_use]
    pub fn find(code: &Code) -> Option<&'static Outcome> {
        OUTCOMES.iter().find(|outcome| outcome.code == code.as_str())
    }

    /// Returns how certain the text is.
    #[must_use]
    pub fn text_standing(&self) -> Provenance {
        if self.source.ends_with("text assumed") { Provenance::Assumed } else { self.standing }
    }

    /// Returns the documented outcomes, in the table's order.
    pub fn documented() -> impl Iterator<Item = &'static Outcome> {
        OUTCOMES.iter().filter(|outcome| outcome.standing == Doc)
    }
}

/// An `errorCode`: one of the table, or a custom one from a fixture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Code(Cow<'static, str>);

macro_rules! codes {
    ($($name:ident = $digits:literal),* $(,)?) => {
        impl Code {
            $(#[doc = concat!("The code ", $digits, " of [`OUTCOMES`].")]
            pub const $name: Code = Code(Cow::Borrowed($digits));)*
        }
    };
}

codes! {
    FOUND = "6018", NOT_FOUND = "6019", BUSY = "6014", ACCOUNT = "5001", QUOTA = "5002", IP = "5003",
    PARAMETERS = "5004", THRESHOLD = "5005", DECRYPTION = "5006", BAD_PHOTO = "6015",
}

impl Code {
    /// Max length of a custom code, in characters.
    pub const MAX_LENGTH: usize = 32;

    /// Creates a code from text.
    ///
    /// # Errors
    /// When the text is empty, longer than [`Code::MAX_LENGTH`] or contains anything but ASCII letters, digits, `-` and `_`.
    pub fn new(text: &str) -> Result<Code, String> {
        let is_valid_length = (1..=Self::MAX_LENGTH).contains(&text.len());
        if is_valid_length && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Ok(Code(Cow::Owned(text.to_owned())));
        }
        Err(format!("a code is 1 to {} letters, digits, - or _, such as \"6014\"", Self::MAX_LENGTH))
    }

    /// Returns the code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text of the answer; empty for a custom code.
    #[must_use]
    pub fn message(&self) -> &'static str {
        Outcome::find(self).map_or("", |outcome| outcome.message)
    }

    /// Returns the documented shape; identification for a custom code.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Outcome::find(self).map_or(Identification, |outcome| outcome.shape)
    }

    /// Returns which component answers; a custom code 6xxx counts as the matcher's.
    #[must_use]
    pub fn stage(&self) -> AnsweredBy {
        match Outcome::find(self) {
            Some(outcome) => outcome.stage,
            None if self.0.starts_with('6') => Matcher,
            None => Frontend,
        }
    }

    /// Returns whether the code means that the system is busy, so that a retry may succeed.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        Outcome::find(self).is_some_and(|outcome| outcome.message == Code::BUSY.message())
    }

    /// Returns whether the identification shape of this code has the key `response`.
    #[must_use]
    pub fn has_response(&self) -> bool {
        Outcome::find(self).is_none_or(|outcome| outcome.has_response)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Code::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_eight_answers_and_two_of_them_in_the_verification_shape() {
        let documented: Vec<_> = Outcome::documented().collect();
        assert_eq!(documented.len(), 8);
        let verification: Vec<_> = documented
            .iter()
            .filter(|outcome| outcome.shape == Verification)
            .map(|outcome| outcome.code)
            .collect();
        assert_eq!(verification, ["5001", "5005"]);
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = OUTCOMES.iter().map(|outcome| outcome.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), OUTCOMES.len());
    }

    #[test]
    fn only_5004_has_no_response() {
        let without: Vec<_> = OUTCOMES.iter().filter(|o| !o.has_response).map(|o| o.code).collect();
        assert_eq!(without, ["5004"]);
        assert!(Code::new("7777").unwrap().has_response());
    }

    #[test]
    fn the_first_digit_of_a_custom_code_decides_its_stage() {
        assert_eq!(Code::new("6999").unwrap().stage(), Matcher);
        assert_eq!(Code::new("5999").unwrap().stage(), AnsweredBy::Frontend);
        assert_eq!(Code::new("9999").unwrap().stage(), AnsweredBy::Frontend);
    }

    #[test]
    fn a_code_is_short_and_plain() {
        for text in ["", "60 18", "\"", "a/b", &"1".repeat(33)] {
            assert!(Code::new(text).is_err(), "{text:?}");
        }
    }
}
