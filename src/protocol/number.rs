//! Numbers: formatted as the endpoint prints them, like Java's `double`, and read from text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which values are read as numbers, and which as texts (policy key `numbers`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumberMode {
    /// A number is written as JSON writes it, and never stands for a text.
    #[default]
    Strict,
    /// As a server in Java or PHP reads them, see [`read`]; a number or a boolean stands for a text.
    Loose,
}

/// Formats a double like Java's `Double.toString`: shortest digits that read back the same, always with a fraction
/// (`7` is `7.0`), scientific below 10^-3 and from 10^7 on.
///
/// Source: doc 4.1 prints `"faceThreshold": "7.0"` and scores of 14 to 16 digits; FIELD-NOTES, "Response", computed: they
/// are float32 values widened to double.
#[must_use]
pub fn java_double(value: f64) -> String {
    let magnitude = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => scientific,
    }
}

/// Formats a score: the matcher's f32 widened to f64 (FIELD-NOTES, "Response", computed).
#[must_use]
pub fn score(value: f32) -> String {
    java_double(f64::from(value))
}

/// Returns whether a text follows JSON's number grammar, exponent included: no blank, no `+5`, no `nan`, no `5,0`.
#[must_use]
pub fn is_json_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

/// Returns the number in a text: infinite when it exceeds a double, `None` when it is not a number.
///
/// The loose form is what both Java (`Double.parseDouble`, which Spring uses) and PHP (`is_numeric`) read: white space around it, a `+`,
/// leading zeros, and a dot without digits before or after it. Not what only one of them reads: `5f`, `NaN`, `0x5`.
#[must_use]
pub fn read(text: &str, mode: NumberMode) -> Option<f64> {
    let number = match mode {
        NumberMode::Strict => Some(text).filter(|text| is_json_number(text)),
        NumberMode::Loose => {
            let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C']);
            let is_plain =
                |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
            Some(trimmed).filter(|text| text.bytes().all(is_plain))
        }
    };
    number?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(java_double(value), expected);
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        check(7.0, "7.0");
        check(7.25, "7.25");
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(0.001, "0.001");
        check(0.0001, "1.0E-4");
        check(0.000_125, "1.25E-4");
        check(9_999_999.0, "9999999.0");
        check(1e7, "1.0E7");
        check(1.5e300, "1.5E300");
        check(f64::INFINITY, "Infinity");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn the_six_scores_of_the_document_are_float32_values() {
        for printed in [
            "9.88261890411377",
            "7.5195722579956055",
            "7.235145568847656",
            "7.183926105499268",
            "7.1270341873168945",
            "7.081562519073486",
        ] {
            let as_f32: f32 = printed.parse().unwrap();
            assert_eq!(score(as_f32), printed);
        }
        assert_eq!(score(9.0), "9.0");
    }

    #[test]
    fn a_loose_number_is_what_both_java_and_php_read() {
        for (text, number) in [
            (" 5", 5.0),
            ("5 ", 5.0),
            ("\t5\r\n", 5.0),
            ("+5", 5.0),
            ("05", 5.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("+007.250", 7.25),
            ("5e0", 5.0),
            ("-5", -5.0),
            ("1e999", f64::INFINITY),
        ] {
            assert_eq!(read(text, NumberMode::Loose), Some(number), "{text:?}");
        }
        for text in [" 5", "+5", "05", "5.", ".5"] {
            assert_eq!(read(text, NumberMode::Strict), None, "{text:?}");
        }
        for neither in [
            "", " ", "5,0", "5 0", "+ 5", "++5", "5f", "5d", "0x5", "0x1p3", "NaN", "nan", "Infinity", "inf",
            "five", ".", "+", "e5", "5e", "1_0", "٥", "５", "\u{a0}5", "5\0",
        ] {
            assert_eq!(read(neither, NumberMode::Loose), None, "{neither:?}");
        }
    }

    #[test]
    fn a_numeric_string_follows_the_grammar_of_json() {
        for good in ["5", "5.0", "-1", "0", "0.5", "1e1", "1E+1", "2.5e-3", "1e999"] {
            assert!(is_json_number(good), "{good}");
        }
        for bad in [
            "", " 5", "5 ", "+5", "nan", "5,0", "05", ".5", "5.", "1e", "0x5", "Infinity", "true", "5\n", "٥",
        ] {
            assert!(!is_json_number(bad), "{bad:?}");
        }
    }
}
