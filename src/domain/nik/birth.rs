//! Digits 7 to 12: birth date and sex.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::Serialize;

use super::NikProblem;

/// Offset added to a woman's day of birth.
const WOMAN_DAY_OFFSET: u8 = 40;

/// Sex, as encoded in a NIK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    Man,
    Woman,
}

/// A birth date, and the age on the reference day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    pub date: Date,
    /// Completed years on the reference day. For 29 February the birthday in non-leap years is 1 March.
    pub age: u32,
}

impl Sex {
    /// Returns the sex, from the first digit of the day alone, so that it is known even if the date is invalid.
    pub(super) fn of_digit(digit: u8) -> Result<Sex, NikProblem> {
        match digit {
            0..=3 => Ok(Sex::Man),
            4..=7 => Ok(Sex::Woman),
            value => Err(NikProblem::Sex { value }),
        }
    }

    /// Encodes the day of birth as in a NIK.
    pub(super) fn day(self, day: u8) -> u8 {
        match self {
            Sex::Man => day,
            Sex::Woman => day + WOMAN_DAY_OFFSET,
        }
    }

    /// Returns `man` or `woman`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sex::Man => "man",
            Sex::Woman => "woman",
        }
    }
}

impl fmt::Display for Sex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sex {
    type Err = String;

    fn from_str(text: &str) -> Result<Sex, String> {
        [Sex::Man, Sex::Woman]
            .into_iter()
            .find(|sex| sex.name() == text)
            .ok_or_else(|| "expected man or woman".to_owned())
    }
}

/// The digits DDMMYY, before the century is resolved.
#[derive(Clone, Copy, Debug)]
pub(super) struct BirthDigits {
    pub day: u8,
    pub month: u8,
    /// Two digits.
    pub year: u8,
}

impl BirthDigits {
    /// Resolves the century: a date that would be in the future of `today` is 100 years earlier.
    pub fn date(self, today: Date) -> Result<Date, NikProblem> {
        let (day, month) = (self.day()?, self.month()?);
        let year = today.year() - today.year().rem_euclid(100) + i16::from(self.year);
        let in_future =
            (year, month, day) > (today.year(), today.month().cast_unsigned(), today.day().cast_unsigned());
        date(day, month, if in_future { year - 100 } else { year })
    }

    /// Checks whether the date exists in any century. 2000 to 2099 suffices: it has the most leap years, including 2000 itself.
    pub fn possible(self) -> Result<(), NikProblem> {
        date(self.day()?, self.month()?, 2000 + i16::from(self.year)).map(drop)
    }

    fn day(self) -> Result<u8, NikProblem> {
        match self.day {
            day @ 1..=31 => Ok(day),
            day @ 41..=71 => Ok(day - WOMAN_DAY_OFFSET),
            value => Err(NikProblem::Day { value }),
        }
    }

    fn month(self) -> Result<u8, NikProblem> {
        (1..=12).contains(&self.month).then_some(self.month).ok_or(NikProblem::Month { value: self.month })
    }
}

fn date(day: u8, month: u8, year: i16) -> Result<Date, NikProblem> {
    Date::new(year, month.cast_signed(), day.cast_signed()).map_err(|_| NikProblem::NoSuchDate {
        day,
        month,
        year,
    })
}

/// Returns the completed years from `born` to `today`.
pub(super) fn age(born: Date, today: Date) -> u32 {
    let before_birthday = (today.month(), today.day()) < (born.month(), born.day());
    u32::try_from(today.year() - born.year() - i16::from(before_birthday)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, today: &str, expected: Result<&str, NikProblem>) {
        let part = |from: usize| value[from..from + 2].parse().unwrap();
        let date = BirthDigits { day: part(0), month: part(2), year: part(4) }.date(today.parse().unwrap());
        assert_eq!(date, expected.map(|date| date.parse().unwrap()), "{value} on {today}");
    }

    #[test]
    fn a_date_in_the_future_is_100_years_earlier() {
        check("211126", "2026-11-21", Ok("2026-11-21"));
        check("221126", "2026-11-21", Ok("1926-11-22"));
        check("011226", "2026-11-21", Ok("1926-12-01"));
        check("010127", "2026-11-21", Ok("1927-01-01"));
        check("311299", "1999-12-31", Ok("1999-12-31"));
        check("010100", "1999-12-31", Ok("1900-01-01"));
        check("010100", "2000-01-01", Ok("2000-01-01"));
    }

    #[test]
    fn days_01_to_03_are_valid_for_both_sexes() {
        for day in 1..=3 {
            for month in 1..=12 {
                let expected = format!("1990-{month:02}-{day:02}");
                check(&format!("{day:02}{month:02}90"), "2026-11-21", Ok(&expected));
                check(&format!("{:02}{month:02}90", day + 40), "2026-11-21", Ok(&expected));
            }
        }
    }

    #[test]
    fn february_29_exists_in_leap_years_only() {
        check("290200", "2026-11-21", Ok("2000-02-29"));
        check("690204", "2026-11-21", Ok("2004-02-29"));
        check("290228", "2026-11-21", Ok("1928-02-29"));
        check("290201", "2026-11-21", Err(NikProblem::NoSuchDate { day: 29, month: 2, year: 2001 }));
        check("290200", "1999-12-31", Err(NikProblem::NoSuchDate { day: 29, month: 2, year: 1900 }));
    }

    #[test]
    fn an_invalid_date_is_rejected_with_the_reason() {
        for value in [0, 32, 40, 72, 80, 99] {
            check(&format!("{value:02}0190"), "2026-11-21", Err(NikProblem::Day { value }));
        }
        for value in [0, 13, 99] {
            check(&format!("17{value:02}90"), "2026-11-21", Err(NikProblem::Month { value }));
        }
        check("310490", "2026-11-21", Err(NikProblem::NoSuchDate { day: 31, month: 4, year: 1990 }));
    }

    #[test]
    fn a_year_is_completed_on_the_birthday() {
        for (born, today, expected) in [
            ("1990-08-17", "2007-08-16", 16),
            ("1990-08-17", "2007-08-17", 17),
            ("2000-02-29", "2017-02-28", 16),
            ("2000-02-29", "2017-03-01", 17),
            ("2000-02-29", "2020-02-29", 20),
            ("2026-11-21", "2026-11-21", 0),
        ] {
            assert_eq!(age(born.parse().unwrap(), today.parse().unwrap()), expected, "{born} on {today}");
        }
    }
}
