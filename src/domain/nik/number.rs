//! The value type [`Nik`]: sixteen digits that are possible on any day.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use super::reading::{birth_digits, digits, number, read_digits, serial};
use super::{LENGTH, NikContext, NikProblem, ParsedNik, Sex, region};

/// A possible NIK: sixteen digits, no impossible region, a birth date that exists in some century, a serial other than 0000.
///
/// Prints as sixteen digits, with `{:#}` in groups: `317405 570890 9990`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nik(u64);

impl Nik {
    /// Composes a NIK from its parts.
    ///
    /// # Errors
    /// When the region is impossible, or the serial is not 1 to 9999.
    pub fn compose(district: u32, born: Date, sex: Sex, serial: u16) -> Result<Nik, NikProblem> {
        region::possible(district)?;
        if !(1..=9999).contains(&serial) {
            return Err(NikProblem::NoSerial);
        }
        Ok(Nik::of_parts(district, born, sex, serial))
    }

    /// Same as [`Nik::compose`], without validation: the parts must be possible.
    pub(super) fn of_parts(district: u32, born: Date, sex: Sex, serial: u16) -> Nik {
        let day = sex.day(born.day().unsigned_abs());
        let year = born.year().rem_euclid(100).unsigned_abs();
        let pairs = [u64::from(day), u64::from(born.month().unsigned_abs()), u64::from(year)];
        let head = pairs.into_iter().fold(u64::from(district), |number, pair| number * 100 + pair);
        Nik(head * 10_000 + u64::from(serial))
    }

    /// Parses and validates it in `context`.
    #[must_use]
    pub fn read(self, context: &NikContext) -> ParsedNik {
        read_digits(self.to_string().as_bytes(), context)
    }
}

impl FromStr for Nik {
    type Err = NikProblem;

    fn from_str(text: &str) -> Result<Nik, NikProblem> {
        let digits = digits(text)?;
        if digits.len() != LENGTH {
            return Err(NikProblem::Length { digits: digits.len() });
        }
        let (head, tail) = digits.split_at(8);
        region::possible(number(&head[..6]))?;
        birth_digits(digits)?.possible()?;
        serial(digits)?;
        Ok(Nik(u64::from(number(head)) * 100_000_000 + u64::from(number(tail))))
    }
}

impl fmt::Display for Nik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let (head, serial) = (self.0 / 10_000, self.0 % 10_000);
            return write!(f, "{:06} {:06} {serial:04}", head / 1_000_000, head % 1_000_000);
        }
        write!(f, "{:016}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::nik::RegionLevel;
    use jiff::civil::date;

    #[test]
    fn a_possible_nik_is_parsed_and_printed() {
        for text in [
            "3174051708909990",
            "9101015708909990",
            "3799991708900001",
            "3174052902009990",
            "9999997112999999",
        ] {
            let nik: Nik = text.parse().unwrap();
            assert_eq!(nik.to_string(), text);
        }
        assert_eq!(format!("{:#}", "3174055708909990".parse::<Nik>().unwrap()), "317405 570890 9990");
    }

    #[test]
    fn an_impossible_nik_is_rejected_with_the_reason() {
        for (text, expected) in [
            ("123", NikProblem::Length { digits: 3 }),
            ("31740517089099901", NikProblem::Length { digits: 17 }),
            ("317405170890999O", NikProblem::NotADigit { position: 16, found: 'O' }),
            ("0074051708909990", NikProblem::ImpossibleRegion { level: RegionLevel::Province, code: 0 }),
            ("3174054002909990", NikProblem::Day { value: 40 }),
            ("3174053113909990", NikProblem::Month { value: 13 }),
            ("3174052902019990", NikProblem::NoSuchDate { day: 29, month: 2, year: 2001 }),
            ("3174051708900000", NikProblem::NoSerial),
        ] {
            assert_eq!(text.parse::<Nik>(), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_nik_is_composed_of_its_parts() {
        let born = date(1990, 8, 7);
        let of = |sex, serial| Nik::compose(317_405, born, sex, serial).map(|nik| nik.to_string());
        assert_eq!(of(Sex::Man, 1), Ok("3174050708900001".to_owned()));
        assert_eq!(of(Sex::Woman, 9999), Ok("3174054708909999".to_owned()));
        assert_eq!(
            (of(Sex::Man, 0), of(Sex::Man, 10_000)),
            (Err(NikProblem::NoSerial), Err(NikProblem::NoSerial))
        );
        assert!(Nik::compose(0, born, Sex::Man, 1).is_err());
        assert!(Nik::compose(1_317_405, born, Sex::Man, 1).is_err());
        let context = NikContext { today: date(2026, 11, 21), min_age: 17 };
        let reading = Nik::compose(317_405, born, Sex::Woman, 9001).unwrap().read(&context);
        assert_eq!((reading.birth.unwrap().date, reading.sex), (born, Ok(Sex::Woman)));
    }
}
