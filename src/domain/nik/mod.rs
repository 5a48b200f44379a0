//! NIKs, the numbers of Indonesian identity cards: parse, validate, generate, format. Pure: no clock, global random state or file.
//!
//! ```text
//! 317405 570890 9990
//! |      |      serial, from 0001
//! |      birth date DDMMYY; for a woman, day + 40
//! province, regency, district of first issue
//! ```
//!
//! There is no check digit. A NIK is for life: it keeps the region codes that were valid when it was issued. Details: `docs/reference/nik.md`.
//!
//! ```
//! use dukcapil_fr_sim::nik::{self, NikContext, Sex};
//!
//! let context = NikContext { today: jiff::civil::date(2026, 11, 21), min_age: 17 };
//! let reading = nik::read("3174055708909990", &context)?;
//! assert!(reading.is_valid());
//! assert_eq!(reading.district?.name, "Kebayoran Lama");
//! assert_eq!(reading.birth?.date, jiff::civil::date(1990, 8, 17));
//! assert_eq!(reading.sex?, Sex::Woman);
//!
//! let day_40 = nik::read("3174054002909990", &context)?;
//! let problems: Vec<_> = day_40.problems().map(ToString::to_string).collect();
//! assert_eq!(problems, ["digits 7-8: day 40 is neither 01-31 (a man) nor 41-71 (a woman)"]);
//! # Ok::<(), nik::NikProblem>(())
//! ```

pub mod api;
mod birth;
mod generate;
pub mod mask;
mod number;
mod problem;
mod reading;
pub mod region;

pub use birth::{Birth, Sex};
pub use generate::{GenerateError, Generator, NikCriteria};
pub use number::Nik;
pub use problem::{NikProblem, RegionLevel};
pub use reading::{NikContext, ParsedNik, read};
pub use region::District;

/// Min digits that can be parsed: six of the region and one of the sex.
const MIN_DIGITS: usize = 7;

/// Number of digits of a NIK.
pub const LENGTH: usize = 16;
