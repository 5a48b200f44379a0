//! Parses and validates a NIK. Validates each part by its own digits, independent of the other parts.

use jiff::civil::Date;

use super::birth::{Birth, BirthDigits, Sex, age};
use super::{District, LENGTH, MIN_DIGITS, NikProblem, region};

/// Parameters for validating a birth date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NikContext {
    /// The reference day: two-digit years and ages depend on it.
    pub today: Date,
    /// Min age for an identity card, in years.
    pub min_age: u32,
}

/// A parsed NIK: each part, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedNik {
    /// Whether there are exactly sixteen digits.
    pub length: Result<(), NikProblem>,
    /// Digits 1 to 6.
    pub district: Result<&'static District, NikProblem>,
    /// Digits 7 to 12.
    pub birth: Result<Birth, NikProblem>,
    /// Digit 7.
    pub sex: Result<Sex, NikProblem>,
    /// Digits 13 to 16.
    pub serial: Result<u16, NikProblem>,
}

impl ParsedNik {
    /// Whether all parts are valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.problems().next().is_none()
    }

    /// Returns all problems. Order: length, region, sex, birth date, serial.
    pub fn problems(&self) -> impl Iterator<Item = &NikProblem> {
        let ParsedNik { length, district, birth, sex, serial } = self;
        [
            length.as_ref().err(),
            district.as_ref().err(),
            sex.as_ref().err(),
            birth.as_ref().err(),
            serial.as_ref().err(),
        ]
        .into_iter()
        .flatten()
    }
}

/// Parses a NIK. Parses one of a wrong length as far as possible.
///
/// # Errors
/// When it cannot be parsed: a character is not a digit, or there are fewer than seven.
pub fn read(text: &str, context: &NikContext) -> Result<ParsedNik, NikProblem> {
    let digits = digits(text)?;
    let length = digits.len();
    if length < MIN_DIGITS {
        return Err(NikProblem::TooShort { digits: length });
    }
    Ok(read_digits(digits, context))
}

/// Parses at least seven digits.
pub(super) fn read_digits(digits: &[u8], context: &NikContext) -> ParsedNik {
    let length = digits.len();
    ParsedNik {
        length: if length == LENGTH { Ok(()) } else { Err(NikProblem::Length { digits: length }) },
        district: region::locate(number(&digits[..6])),
        birth: birth_digits(digits).and_then(|digits| birth(digits, context)),
        sex: Sex::of_digit(digits[6] - b'0'),
        serial: serial(digits),
    }
}

/// Returns the bytes of a text that consists of digits only, or the first character that is not one.
pub(super) fn digits(text: &str) -> Result<&[u8], NikProblem> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.as_bytes());
    }
    let other = text.chars().zip(1..).find(|(char, _)| !char.is_ascii_digit());
    Err(other.map_or(NikProblem::TooShort { digits: 0 }, |(found, position)| NikProblem::NotADigit {
        position,
        found,
    }))
}

/// Converts at most nine digits to a number.
pub(super) fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// Parses digits 7 to 12.
pub(super) fn birth_digits(digits: &[u8]) -> Result<BirthDigits, NikProblem> {
    let part = digits.get(6..12).ok_or(NikProblem::Missing { from: 7, to: 12, what: "birth date" })?;
    let pair = |at: usize| (part[at] - b'0') * 10 + part[at + 1] - b'0';
    Ok(BirthDigits { day: pair(0), month: pair(2), year: pair(4) })
}

/// Parses digits 13 to 16.
pub(super) fn serial(digits: &[u8]) -> Result<u16, NikProblem> {
    let part = digits.get(12..16).ok_or(NikProblem::Missing { from: 13, to: 16, what: "serial" })?;
    match number(part) {
        0 => Err(NikProblem::NoSerial),
        serial => Ok(serial as u16),
    }
}

fn birth(digits: BirthDigits, context: &NikContext) -> Result<Birth, NikProblem> {
    let date = digits.date(context.today)?;
    let (age, min_age) = (age(date, context.today), context.min_age);
    if age < min_age {
        return Err(NikProblem::TooYoung { born: date, age, min_age });
    }
    Ok(Birth { date, age })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::nik::RegionLevel;
    use jiff::civil::date;

    const CONTEXT: NikContext = NikContext { today: date(2026, 11, 21), min_age: 17 };

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let reading = read(text, &CONTEXT).unwrap();
        let problems: Vec<_> = reading.problems().map(ToString::to_string).collect();
        assert_eq!(problems, expected, "{text}");
        assert_eq!(reading.is_valid(), expected.is_empty());
    }

    #[test]
    fn test_vectors_on_which_careful_parsers_agree() {
        let birth = |text: &str| read(text, &CONTEXT).unwrap().birth.unwrap();
        let man = read("3174051708909990", &CONTEXT).unwrap();
        assert_eq!(man.sex, Ok(Sex::Man));
        assert_eq!(man.birth, Ok(Birth { date: date(1990, 8, 17), age: 36 }));
        assert_eq!(man.serial, Ok(9990));
        let district = man.district.unwrap();
        assert_eq!(
            (district.name, district.regency),
            ("Kebayoran Lama", "Kota Administrasi Jakarta Selatan")
        );
        let woman = read("3174055708909990", &CONTEXT).unwrap();
        assert_eq!((woman.sex, woman.birth), (Ok(Sex::Woman), man.birth));
        check("3174051708909990", &[]);
        check("3174055708909990", &[]);
        check("3174052902009990", &[]);
        assert_eq!(birth("3174052902009990").date, date(2000, 2, 29));
        check("3174052902019990", &["digits 7-12: there is no 2001-02-29"]);
        check("3174054002909990", &["digits 7-8: day 40 is neither 01-31 (a man) nor 41-71 (a woman)"]);
        check("3174053113909990", &["digits 9-10: there is no month 13"]);
        check("3174051708900000", &["digits 13-16: serials start with 0001"]);
        check("9101011708909990", &[]);
        assert!(read("9101011708909990", &CONTEXT).unwrap().district.unwrap().legacy.is_some());
        check(
            "1234567891234567",
            &[
                "digits 3-4: no decree since 2015 has the regency or city 1234; NIKs with an older code exist",
                "digits 7-8: day 78 is neither 01-31 (a man) nor 41-71 (a woman)",
            ],
        );
        assert_eq!(read("1234567891234567", &CONTEXT).unwrap().sex, Ok(Sex::Woman));
    }

    #[test]
    fn a_nik_of_wrong_length_is_parsed_as_far_as_possible() {
        check(
            "317405170890999",
            &["digits 1-16: expected 16 digits, got 15", "digits 13-16: the serial is incomplete"],
        );
        check("31740517089099901234", &["digits 1-20: expected 16 digits, got 20"]);
        check(
            "3174051",
            &[
                "digits 1-16: expected 16 digits, got 7",
                "digits 7-12: the birth date is incomplete",
                "digits 13-16: the serial is incomplete",
            ],
        );
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        check(
            "0000008013900000",
            &[
                "digits 1-2: a province number is two digits from 1 to 9, not 00",
                "digit 7: 8 is neither 0-3 (a man) nor 4-7 (a woman)",
                "digits 7-8: day 80 is neither 01-31 (a man) nor 41-71 (a woman)",
                "digits 13-16: serials start with 0001",
            ],
        );
        assert_eq!(
            read("3174991708909990", &CONTEXT).unwrap().district,
            Err(NikProblem::UnknownRegion { level: RegionLevel::District, code: 317_499 })
        );
    }

    #[test]
    fn a_person_below_the_min_age_is_invalid() {
        check("3174052111099990", &[]);
        check(
            "3174052211099990",
            &["digits 7-12: born 2009-11-22, age 16: the minimum age for an identity card is 17"],
        );
        let any_age = NikContext { min_age: 0, ..CONTEXT };
        assert_eq!(read("3174052211099990", &any_age).unwrap().birth.unwrap().age, 16);
        assert_eq!(read("3174052111269990", &any_age).unwrap().birth.unwrap().age, 0);
    }

    #[test]
    fn an_unparsable_text_reports_the_position() {
        for (text, expected) in [
            ("", NikProblem::TooShort { digits: 0 }),
            ("317405", NikProblem::TooShort { digits: 6 }),
            ("317405170890999x", NikProblem::NotADigit { position: 16, found: 'x' }),
            (" 3174051708909990", NikProblem::NotADigit { position: 1, found: ' ' }),
            ("31.74", NikProblem::NotADigit { position: 3, found: '.' }),
            ("３174051708909990", NikProblem::NotADigit { position: 1, found: '３' }),
            ("3174051708909990\n", NikProblem::NotADigit { position: 17, found: '\n' }),
            ("-3174051708909990", NikProblem::NotADigit { position: 1, found: '-' }),
            ("\u{664}174051708909990", NikProblem::NotADigit { position: 1, found: '\u{664}' }),
        ] {
            assert_eq!(read(text, &CONTEXT), Err(expected), "{text:?}");
        }
    }
}
