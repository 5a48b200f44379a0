//! Reading a NIK: every part judged by its own digits, whatever is wrong with the others.

use jiff::civil::Date;

use super::birth::{self, Birth, BirthDigits, Sex};
use super::{District, LEAST_DIGITS, LENGTH, NikProblem, region};

/// What a birth date is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NikContext {
    /// The day on which it is read: two-digit years and ages depend on it.
    pub today: Date,
    /// The age from which on people have an identity card, in years.
    pub min_age: u32,
}

/// What a NIK says.
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
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.problems().next().is_none()
    }

    /// What is wrong, by its digits.
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

/// Reads a NIK, also one of a wrong length, as far as it goes.
///
/// # Errors
/// When nothing can be read: a character is no digit, or there are fewer than seven.
pub fn read(text: &str, terms: &NikContext) -> Result<ParsedNik, NikProblem> {
    let digits = digits(text)?;
    let length = digits.len();
    if length < LEAST_DIGITS {
        return Err(NikProblem::TooShort { digits: length });
    }
    Ok(read_digits(digits, terms))
}

/// Reads at least seven digits.
pub(super) fn read_digits(digits: &[u8], terms: &NikContext) -> ParsedNik {
    let length = digits.len();
    ParsedNik {
        length: if length == LENGTH { Ok(()) } else { Err(NikProblem::Length { digits: length }) },
        district: region::locate(number(&digits[..6])),
        birth: written(digits).and_then(|written| born(written, terms)),
        sex: Sex::of_digit(digits[6] - b'0'),
        serial: serial(digits),
    }
}

/// The bytes of a text that has nothing but digits.
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

/// At most nine digits as a number.
pub(super) fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// Digits 7 to 12.
pub(super) fn written(digits: &[u8]) -> Result<BirthDigits, NikProblem> {
    let part = digits.get(6..12).ok_or(NikProblem::Missing { from: 7, to: 12, what: "birth date" })?;
    let pair = |at: usize| (part[at] - b'0') * 10 + part[at + 1] - b'0';
    Ok(BirthDigits { day: pair(0), month: pair(2), year: pair(4) })
}

/// Digits 13 to 16.
pub(super) fn serial(digits: &[u8]) -> Result<u16, NikProblem> {
    let part = digits.get(12..16).ok_or(NikProblem::Missing { from: 13, to: 16, what: "serial" })?;
    match number(part) {
        0 => Err(NikProblem::NoSerial),
        serial => Ok(serial as u16),
    }
}

fn born(written: BirthDigits, terms: &NikContext) -> Result<Birth, NikProblem> {
    let date = written.date(terms.today)?;
    let (age, min_age) = (birth::age(date, terms.today), terms.min_age);
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

    const TERMS: NikContext = NikContext { today: date(2026, 11, 21), min_age: 17 };

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let reading = read(text, &TERMS).unwrap();
        let problems: Vec<_> = reading.problems().map(ToString::to_string).collect();
        assert_eq!(problems, expected, "{text}");
        assert_eq!(reading.is_valid(), expected.is_empty());
    }

    #[test]
    fn the_vectors_that_careful_parsers_agree_on() {
        let birth = |text: &str| read(text, &TERMS).unwrap().birth.unwrap();
        let man = read("3174051708909990", &TERMS).unwrap();
        assert_eq!(man.sex, Ok(Sex::Man));
        assert_eq!(man.birth, Ok(Birth { date: date(1990, 8, 17), age: 36 }));
        assert_eq!(man.serial, Ok(9990));
        let district = man.district.unwrap();
        assert_eq!(
            (district.name, district.regency),
            ("Kebayoran Lama", "Kota Administrasi Jakarta Selatan")
        );
        let woman = read("3174055708909990", &TERMS).unwrap();
        assert_eq!((woman.sex, woman.birth), (Ok(Sex::Woman), man.birth));
        check("3174051708909990", &[]);
        check("3174055708909990", &[]);
        check("3174052902009990", &[]);
        assert_eq!(birth("3174052902009990").date, date(2000, 2, 29));
        check("3174052902019990", &["digits 7-12: there is no 2001-02-29"]);
        check("3174054002909990", &["digits 7-8: day 40 is neither 01-31, a man's, nor 41-71, a woman's"]);
        check("3174053113909990", &["digits 9-10: there is no month 13"]);
        check("3174051708900000", &["digits 13-16: serials start with 0001"]);
        check("9101011708909990", &[]);
        assert!(read("9101011708909990", &TERMS).unwrap().district.unwrap().legacy.is_some());
        check(
            "1234567891234567",
            &[
                "digits 3-4: no decree since 2015 has the regency or city 1234; NIKs with an older code exist",
                "digits 7-8: day 78 is neither 01-31, a man's, nor 41-71, a woman's",
            ],
        );
        assert_eq!(read("1234567891234567", &TERMS).unwrap().sex, Ok(Sex::Woman));
    }

    #[test]
    fn a_wrong_length_is_read_as_far_as_it_goes() {
        check(
            "317405170890999",
            &[
                "digits 1-16: these are 15, a NIK has sixteen digits",
                "digits 13-16: the serial is not all there",
            ],
        );
        check("31740517089099901234", &["digits 1-20: these are 20, a NIK has sixteen digits"]);
        check(
            "3174051",
            &[
                "digits 1-16: these are 7, a NIK has sixteen digits",
                "digits 7-12: the birth date is not all there",
                "digits 13-16: the serial is not all there",
            ],
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        check(
            "0000008013900000",
            &[
                "digits 1-2: a province number is two digits from 1 to 9, not 00",
                "digit 7: 8 is neither 0-3, a man, nor 4-7, a woman",
                "digits 7-8: day 80 is neither 01-31, a man's, nor 41-71, a woman's",
                "digits 13-16: serials start with 0001",
            ],
        );
        assert_eq!(
            read("3174991708909990", &TERMS).unwrap().district,
            Err(NikProblem::UnknownRegion { level: RegionLevel::District, code: 317_499 })
        );
    }

    #[test]
    fn somebody_too_young_has_no_identity_card() {
        check("3174052111099990", &[]);
        check(
            "3174052211099990",
            &["digits 7-12: born 2009-11-22, so 16 years old: identity cards are for those of 17 and more"],
        );
        let anybody = NikContext { min_age: 0, ..TERMS };
        assert_eq!(read("3174052211099990", &anybody).unwrap().birth.unwrap().age, 16);
        assert_eq!(read("3174052111269990", &anybody).unwrap().birth.unwrap().age, 0);
    }

    #[test]
    fn what_cannot_be_read_says_where() {
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
            assert_eq!(read(text, &TERMS), Err(expected), "{text:?}");
        }
    }
}
