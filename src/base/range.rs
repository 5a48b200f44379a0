//! Number ranges in conditions: `"10..20"` (both ends inclusive), `"10.."`, `"..5"`, `">=10"`, `">10"`, `"<=5"`, `"<5"`, or a number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A range of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberRange {
    text: String,
    /// Lower bound, and whether it is inclusive.
    from: Option<(f64, bool)>,
    /// Upper bound, and whether it is inclusive.
    to: Option<(f64, bool)>,
}

impl NumberRange {
    /// Returns whether `value` is in the range.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        let above = self.from.is_none_or(|(from, inclusive)| value > from || (inclusive && value == from));
        let below = self.to.is_none_or(|(to, inclusive)| value < to || (inclusive && value == to));
        above && below
    }

    /// Parses a range, each bound with `number`; `None` when the text does not have the form of a range.
    pub fn read(text: &str, number: &dyn Fn(&str) -> Option<f64>) -> Option<NumberRange> {
        let (from, to) = parse_bounds(text.trim(), number)?;
        Some(NumberRange { text: text.to_owned(), from, to })
    }

    /// Returns the range, or an error with the reason `why` when it is empty.
    pub fn checked(self, why: &str) -> Result<NumberRange, String> {
        match (self.from, self.to) {
            (Some((from, _)), Some((to, _))) if from > to => Err(format!("{:?} is empty: {why}", self.text)),
            _ => Ok(self),
        }
    }

    /// Returns the first whole number in the range that is `min` or more, if there is one.
    #[must_use]
    pub fn first_whole(&self, min: f64) -> Option<f64> {
        let start = self.from.map_or(min, |(from, inclusive)| {
            let whole = from.ceil();
            if whole == from && !inclusive { whole + 1.0 } else { whole }
        });
        Some(start.max(min)).filter(|start| self.contains(*start))
    }
}

impl FromStr for NumberRange {
    type Err = String;

    fn from_str(text: &str) -> Result<NumberRange, String> {
        let number = |part: &str| part.parse::<f64>().ok().filter(|value| value.is_finite());
        let range = NumberRange::read(text, &number).ok_or_else(|| {
            format!(
                "{text:?} is not a range: write \"10..20\", \"10..\", \"..5\", \">=10\", \"<5\" or a number"
            )
        })?;
        range.checked("the first number is above the second")
    }
}

/// A bound of a range, and whether it is inclusive; `None` when the range is open at this end.
type Bound = Option<(f64, bool)>;

fn parse_bounds(text: &str, number: &dyn Fn(&str) -> Option<f64>) -> Option<(Bound, Bound)> {
    let bound = |part: &str, inclusive| number(part.trim()).map(|value| Some((value, inclusive)));
    let bound_or_open = |part: &str| if part.trim().is_empty() { Some(None) } else { bound(part, true) };
    if let Some((from, to)) = text.split_once("..") {
        let bounds = (bound_or_open(from)?, bound_or_open(to)?);
        return (bounds != (None, None)).then_some(bounds);
    }
    for (sign, is_lower, inclusive) in
        [(">=", true, true), (">", true, false), ("<=", false, true), ("<", false, false)]
    {
        if let Some(rest) = text.strip_prefix(sign) {
            let bound = bound(rest, inclusive)?;
            return Some(if is_lower { (bound, None) } else { (None, bound) });
        }
    }
    let value = bound(text, true)?;
    Some((value, value))
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for NumberRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RangeVisitor;
        impl de::Visitor<'_> for RangeVisitor {
            type Value = NumberRange;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a range such as \"10..20\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<NumberRange, E> {
                value.to_string().parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<NumberRange, E> {
                value.to_string().parse().map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<NumberRange, E> {
                value.to_string().parse().map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<NumberRange, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(RangeVisitor)
    }
}

impl Serialize for NumberRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, inside: &[f64], outside: &[f64]) {
        let range: NumberRange = text.parse().unwrap();
        assert!(inside.iter().all(|value| range.contains(*value)), "{text}");
        assert!(!outside.iter().any(|value| range.contains(*value)), "{text}");
    }

    #[test]
    fn every_form() {
        check("10..20", &[10.0, 15.0, 20.0], &[9.99, 20.01]);
        check("10..", &[10.0, 1e9], &[9.0]);
        check("..5", &[5.0, -1.0], &[5.1]);
        check(">=10", &[10.0], &[9.9]);
        check(">10", &[10.1], &[10.0]);
        check("<=5", &[5.0], &[5.1]);
        check("<5", &[4.9], &[5.0]);
        check(" 7 ", &[7.0], &[6.9, 7.1]);
        check("7.25", &[7.25], &[7.0]);
    }

    #[test]
    fn invalid_and_empty_ranges_are_rejected() {
        for text in ["", "..", "x", "20..10", "1..x", ">", "=5", "nan", "inf"] {
            assert!(text.parse::<NumberRange>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_whole_number_in_the_range() {
        let first = |text: &str| text.parse::<NumberRange>().unwrap().first_whole(1.0);
        assert_eq!(
            (first(">3"), first("..5"), first("2.5.."), first("<1"), first("0")),
            (Some(4.0), Some(1.0), Some(3.0), None, None)
        );
    }
}
