//! What can be wrong with a NIK: which digits, and why.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::{LEAST_DIGITS, LENGTH};

/// One thing that is wrong. Prints as `digits 9-10: there is no month 13`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NikProblem {
    /// A character that is not one of 0 to 9. Other scripts' digits are none.
    NotADigit { position: usize, found: char },
    /// So few digits that nothing can be read.
    TooShort { digits: usize },
    /// Not sixteen digits.
    Length { digits: usize },
    /// The digits of a part are not all there.
    Missing { from: usize, to: usize, what: &'static str },
    /// A region code that no decree can give out.
    ImpossibleRegion { level: RegionLevel, code: u32 },
    /// A region code that is in no decree since 2015. It may be older.
    UnknownRegion { level: RegionLevel, code: u32 },
    /// A day that is neither a man's nor a woman's.
    Day { written: u8 },
    /// A month that does not exist.
    Month { written: u8 },
    /// A day that its month does not have.
    NoSuchDate { day: u8, month: u8, year: i16 },
    /// A real date, of somebody too young for an identity card.
    TooYoung { born: Date, age: u32, min_age: u32 },
    /// A seventh digit of neither sex.
    Sex { written: u8 },
    /// Serial 0000: they start with 0001.
    NoSerial,
}

/// Which part of a region code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionLevel {
    Province,
    /// Regency (kabupaten) or city (kota).
    Regency,
    /// Kecamatan; distrik in Papua.
    District,
}

impl RegionLevel {
    /// How many digits the code has down to this level.
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

    /// What a number on this level can be, as the codes of all decrees are.
    fn range(self) -> &'static str {
        match self {
            RegionLevel::Province => "two digits from 1 to 9",
            RegionLevel::Regency => "01-69, a regency, or 71-99, a city",
            RegionLevel::District => "01-99",
        }
    }
}

impl NikProblem {
    /// The digits concerned, counted from 1.
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

    /// A name for programs.
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
            NikProblem::NotADigit { found, .. } => write!(f, "{found:?} is none of 0 to 9"),
            NikProblem::TooShort { digits } => {
                write!(
                    f,
                    "these are {digits}; from {LEAST_DIGITS} on there is something to read, a NIK has sixteen"
                )
            }
            NikProblem::Length { digits } => write!(f, "these are {digits}, a NIK has sixteen digits"),
            NikProblem::Missing { what, .. } => write!(f, "the {what} is not all there"),
            NikProblem::ImpossibleRegion { level, code } => {
                let number = if *level == RegionLevel::Province { *code } else { code % 100 };
                write!(f, "a {} number is {}, not {number:02}", level.name(), level.range())
            }
            NikProblem::UnknownRegion { level, code } => write!(
                f,
                "no decree since 2015 has the {} {code}; NIKs with an older code exist",
                level.name()
            ),
            NikProblem::Day { written } => {
                write!(f, "day {written:02} is neither 01-31, a man's, nor 41-71, a woman's")
            }
            NikProblem::Month { written } => write!(f, "there is no month {written:02}"),
            NikProblem::NoSuchDate { day, month, year } => {
                write!(f, "there is no {year:04}-{month:02}-{day:02}")
            }
            NikProblem::TooYoung { born, age, min_age } => {
                write!(
                    f,
                    "born {born}, so {age} years old: identity cards are for those of {min_age} and more"
                )
            }
            NikProblem::Sex { written } => write!(f, "{written} is neither 0-3, a man, nor 4-7, a woman"),
            NikProblem::NoSerial => f.write_str("serials start with 0001"),
        }
    }
}

impl std::error::Error for NikProblem {}
