//! Validation errors of NIKs: which digits are wrong, and why.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::{LENGTH, MIN_DIGITS};

/// One validation error. Prints as `digits 9-10: there is no month 13`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NikProblem {
    /// A character other than 0 to 9. Digits of other scripts are rejected too.
    NotADigit { position: usize, found: char },
    /// Too few digits to parse.
    TooShort { digits: usize },
    /// Not sixteen digits.
    Length { digits: usize },
    /// A part is incomplete.
    Missing { from: usize, to: usize, what: &'static str },
    /// A region code that no decree can assign.
    ImpossibleRegion { level: RegionLevel, code: u32 },
    /// A region code that is in no decree since 2015. An older decree may have it.
    UnknownRegion { level: RegionLevel, code: u32 },
    /// A day outside 01-31 (a man) and 41-71 (a woman).
    Day { value: u8 },
    /// A month that does not exist.
    Month { value: u8 },
    /// A day that its month does not have.
    NoSuchDate { day: u8, month: u8, year: i16 },
    /// A valid date, of a person below the min age for an identity card.
    TooYoung { born: Date, age: u32, min_age: u32 },
    /// A seventh digit above 7, which neither sex has.
    Sex { value: u8 },
    /// Serial 0000: they start with 0001.
    NoSerial,
}

/// Level of a region code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionLevel {
    Province,
    /// Regency (kabupaten) or city (kota).
    Regency,
    /// Kecamatan; distrik in Papua.
    District,
}

impl RegionLevel {
    /// Returns the length of the code down to this level.
    fn digits(self) -> usize {
        match self {
            RegionLevel::Province => 2,
            RegionLevel::Regency => 4,
            RegionLevel::District => 6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            RegionLevel::Province => "province",
            RegionLevel::Regency => "regency or city",
            RegionLevel::District => "district",
        }
    }

    /// Returns the numbers that are possible on this level, according to the codes of all decrees.
    fn range(self) -> &'static str {
        match self {
            RegionLevel::Province => "two digits from 1 to 9",
            RegionLevel::Regency => "01-69 (a regency) or 71-99 (a city)",
            RegionLevel::District => "01-99",
        }
    }
}

impl NikProblem {
    /// Returns the positions of the digits that are wrong, counted from 1.
    #[must_use]
    pub fn digits(&self) -> RangeInclusive<usize> {
        match *self {
            NikProblem::NotADigit { position, .. } => position..=position,
            NikProblem::TooShort { digits } | NikProblem::Length { digits } => 1..=digits.max(LENGTH),
            NikProblem::Missing { from, to, .. } => from..=to,
            NikProblem::ImpossibleRegion { level, .. } | NikProblem::UnknownRegion { level, .. } => {
                level.digits() - 1..=level.digits()
            }
            NikProblem::Day { .. } => 7..=8,
            NikProblem::Month { .. } => 9..=10,
            NikProblem::NoSuchDate { .. } | NikProblem::TooYoung { .. } => 7..=12,
            NikProblem::Sex { .. } => 7..=7,
            NikProblem::NoSerial => 13..=16,
        }
    }

    /// Returns the machine-readable name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            NikProblem::NotADigit { .. } => "not_a_digit",
            NikProblem::TooShort { .. } => "too_short",
            NikProblem::Length { .. } => "length",
            NikProblem::Missing { .. } => "missing",
            NikProblem::ImpossibleRegion { .. } => "impossible_region",
            NikProblem::UnknownRegion { .. } => "unknown_region",
            NikProblem::Day { .. } => "day",
            NikProblem::Month { .. } => "month",
            NikProblem::NoSuchDate { .. } => "no_such_date",
            NikProblem::TooYoung { .. } => "too_young",
            NikProblem::Sex { .. } => "sex",
            NikProblem::NoSerial => "no_serial",
        }
    }
}

impl fmt::Display for NikProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        if digits.start() == digits.end() {
            write!(f, "digit {}: ", digits.start())?;
        } else {
            write!(f, "digits {}-{}: ", digits.start(), digits.end())?;
        }
        match self {
            NikProblem::NotADigit { found, .. } => write!(f, "{found:?} is not a digit 0-9"),
            NikProblem::TooShort { digits } => {
                write!(f, "expected {LENGTH} digits, got {digits}; parsing needs at least {MIN_DIGITS}")
            }
            NikProblem::Length { digits } => write!(f, "expected {LENGTH} digits, got {digits}"),
            NikProblem::Missing { what, .. } => write!(f, "the {what} is incomplete"),
            NikProblem::ImpossibleRegion { level, code } => {
                let number = if *level == RegionLevel::Province { *code } else { code % 100 };
                write!(f, "a {} number is {}, not {number:02}", level.name(), level.range())
            }
            NikProblem::UnknownRegion { level, code } => write!(
                f,
                "no decree since 2015 has the {} {code}; NIKs with an older code exist",
                level.name()
            ),
            NikProblem::Day { value } => {
                write!(f, "day {value:02} is neither 01-31 (a man) nor 41-71 (a woman)")
            }
            NikProblem::Month { value } => write!(f, "there is no month {value:02}"),
            NikProblem::NoSuchDate { day, month, year } => {
                write!(f, "there is no {year:04}-{month:02}-{day:02}")
            }
            NikProblem::TooYoung { born, age, min_age } => {
                write!(f, "born {born}, age {age}: the minimum age for an identity card is {min_age}")
            }
            NikProblem::Sex { value } => write!(f, "{value} is neither 0-3 (a man) nor 4-7 (a woman)"),
            NikProblem::NoSerial => f.write_str("serials start with 0001"),
        }
    }
}

impl std::error::Error for NikProblem {}
