//! NIKs, the numbers of Indonesian identity cards: parse, validate, generate, format. Pure: no clock, no chance, no file.
//!
//! ```text
//! 317405 570890 9990
//! |      |      serial, from 0001
//! |      birth date DDMMYY, a woman's day + 40
//! province, regency, district where it was first issued
//! ```
//!
//! There is no check digit, and a NIK is for life: it keeps the region codes of its day. What is known of that stands in
//! `docs/nik.md`.
//!
//! ```
//! use dukcapil_fr_sim::nik::{self, Sex, Terms};
//!
//! let terms = Terms { today: jiff::civil::date(2026, 11, 21), min_age: 17 };
//! let reading = nik::read("3174055708909990", &terms)?;
//! assert!(reading.is_valid());
//! assert_eq!(reading.district?.name, "Kebayoran Lama");
//! assert_eq!(reading.birth?.date, jiff::civil::date(1990, 8, 17));
//! assert_eq!(reading.sex?, Sex::Woman);
//!
//! let day_40 = nik::read("3174054002909990", &terms)?;
//! let problems: Vec<_> = day_40.problems().map(ToString::to_string).collect();
//! assert_eq!(problems, ["digits 7-8: day 40 is neither 01-31, a man's, nor 41-71, a woman's"]);
//! # Ok::<(), nik::Problem>(())
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

/// From how many digits on there is something to read: six of the region and the one of the sex.
const LEAST_DIGITS: usize = 7;

/// How many digits a NIK has.
pub const LENGTH: usize = 16;
