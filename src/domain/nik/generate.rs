//! Generates NIKs that are valid on the reference day, with serials that a living person is unlikely to have.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use rand::{Rng, RngExt};

use super::birth::{BirthDigits, age};
use super::region::{self, RegionPrefix};
use super::{District, Nik, NikContext, Sex};

/// Default range of serials, inclusive. A low serial may belong to a living person.
pub const SERIALS: (u16, u16) = (9000, 9999);

/// Default max age, in years.
const MAX_AGE: u32 = 80;

/// Criteria for generated NIKs; everything else is random.
#[derive(Clone, Copy, Debug, Default)]
pub struct NikCriteria {
    pub region: Option<RegionPrefix>,
    pub birth_date: Option<Date>,
    pub sex: Option<Sex>,
    /// 1 to 9999; `None`: random, 9000 to 9999.
    pub serial: Option<u16>,
}

/// Why no NIK meets the criteria.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    #[error("no district code starts with this prefix")]
    Region,
    #[error("a NIK has two digits for the year: on {today}, {born} would be parsed as {read}")]
    Century { born: Date, read: Date, today: Date },
    #[error(
        "a person born on {born} is {age} years old on {today}; the minimum age for an identity card is {min_age}"
    )]
    TooYoung { born: Date, age: u32, min_age: u32, today: Date },
    #[error("a NIK has two digits for the year: it cannot encode an age of {min_age}")]
    MinAge { min_age: u32 },
    #[error("the serial is not in the range 1 to 9999")]
    Serial,
}

/// Generator of NIKs that meet the same criteria.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Never empty.
    districts: Vec<&'static District>,
    first_birth: Date,
    /// Days from the first to the last possible birth date.
    birth_days: u32,
    sex: Option<Sex>,
    /// First and last, inclusive.
    serials: (u16, u16),
}

impl Generator {
    /// Creates a generator of NIKs that are valid in `context`.
    ///
    /// # Errors
    /// When no NIK meets the criteria.
    pub fn new(criteria: &NikCriteria, context: &NikContext) -> Result<Generator, GenerateError> {
        let (first_birth, last_birth) = match criteria.birth_date {
            Some(born) => exact_birth(born, context)?,
            None => birth_range(context)?,
        };
        Ok(Generator {
            districts: districts(criteria.region)?,
            first_birth,
            birth_days: (last_birth - first_birth).get_days().unsigned_abs(),
            sex: criteria.sex,
            serials: serials(criteria.serial)?,
        })
    }

    /// Generates the next NIK. The same state of `rng` returns the same NIK.
    pub fn next(&self, rng: &mut impl Rng) -> Nik {
        let district = self.districts[rng.random_range(0..self.districts.len() as u32) as usize];
        let days = rng.random_range(0..=self.birth_days);
        let born = self.first_birth.saturating_add(i64::from(days).days());
        let random_sex = if rng.random_range(0..2_u32) == 0 { Sex::Man } else { Sex::Woman };
        let serial = rng.random_range(self.serials.0..=self.serials.1);
        Nik::of_parts(district.code, born, self.sex.unwrap_or(random_sex), serial)
    }
}

/// Returns the current districts of a region, or its legacy ones if it has no current ones.
fn districts(region: Option<RegionPrefix>) -> Result<Vec<&'static District>, GenerateError> {
    let all = region.map_or_else(region::districts, RegionPrefix::districts);
    let current: Vec<_> = all.iter().filter(|district| district.legacy.is_none()).collect();
    let found = if current.is_empty() { all.iter().collect() } else { current };
    if found.is_empty() { Err(GenerateError::Region) } else { Ok(found) }
}

fn serials(serial: Option<u16>) -> Result<(u16, u16), GenerateError> {
    match serial {
        None => Ok(SERIALS),
        Some(serial @ 1..=9999) => Ok((serial, serial)),
        Some(_) => Err(GenerateError::Serial),
    }
}

/// Returns a range of one birth date, after checking that it is parsed back as the same date.
fn exact_birth(born: Date, context: &NikContext) -> Result<(Date, Date), GenerateError> {
    let NikContext { today, min_age } = *context;
    let year = (born.year().rem_euclid(100)) as u8;
    let digits = BirthDigits { day: born.day().unsigned_abs(), month: born.month().unsigned_abs(), year };
    // 29 February may not exist in the year that is parsed; then 28 February of that year is used for the comparison.
    let read = digits.date(today).or_else(|_| BirthDigits { day: 28, ..digits }.date(today)).unwrap_or(today);
    if read != born {
        return Err(GenerateError::Century { born, read, today });
    }
    let age = age(born, today);
    if age < min_age { Err(GenerateError::TooYoung { born, age, min_age, today }) } else { Ok((born, born)) }
}

/// Returns the first and last birth date of persons old enough for an identity card, whose century is resolved correctly.
fn birth_range(context: &NikContext) -> Result<(Date, Date), GenerateError> {
    let error = GenerateError::MinAge { min_age: context.min_age };
    let years_ago =
        |years: u32| Span::new().try_years(years).and_then(|span| context.today.checked_sub(span)).ok();
    let last = years_ago(context.min_age).ok_or_else(|| error.clone())?;
    let hundred_years = years_ago(100).and_then(|day| day.tomorrow().ok()).ok_or_else(|| error.clone())?;
    let default = years_ago(MAX_AGE).filter(|default| *default < last);
    let first = default.unwrap_or(hundred_years);
    if first <= last { Ok((first, last)) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::nik::read;
    use jiff::civil::date;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    const CONTEXT: NikContext = NikContext { today: date(2026, 11, 21), min_age: 17 };

    fn first(criteria: NikCriteria, context: NikContext, seed: u64) -> Result<Nik, GenerateError> {
        Ok(Generator::new(&criteria, &context)?.next(&mut Xoshiro256PlusPlus::seed_from_u64(seed)))
    }

    fn days() -> impl Strategy<Value = Date> {
        (1900_i16..2200, 1_i8..=12, 1_i8..=31).prop_filter_map("a date", |(y, m, d)| Date::new(y, m, d).ok())
    }

    proptest! {
        #[test]
        fn generated_niks_are_valid(today in days(), min_age in 0_u32..100, seed: u64) {
            let context = NikContext { today, min_age };
            let nik = first(NikCriteria::default(), context, seed).unwrap();
            let reading = read(&nik.to_string(), &context).unwrap();
            prop_assert!(reading.is_valid(), "{nik} on {today}: {reading:?}");
            prop_assert!((9000..=9999).contains(&reading.serial.unwrap()));
            prop_assert!(reading.district.unwrap().legacy.is_none());
            prop_assert_eq!(nik.to_string().parse(), Ok(nik));
        }

        #[test]
        fn criteria_are_met_or_rejected(
            today in days(), born in days(), woman: bool, serial in 1_u16..=9999, district in 0..region::districts().len(), seed: u64,
        ) {
            let district = &region::districts()[district];
            let sex = if woman { Sex::Woman } else { Sex::Man };
            let code = format!("{:06}", district.code).parse().ok();
            let criteria = NikCriteria { region: code, birth_date: Some(born), sex: Some(sex), serial: Some(serial) };
            let context = NikContext { today, min_age: 0 };
            match first(criteria, context, seed) {
                Ok(nik) => {
                    let reading = read(&nik.to_string(), &context).unwrap();
                    prop_assert_eq!(reading.district, Ok(district));
                    prop_assert_eq!(reading.birth.map(|birth| birth.date), Ok(born));
                    prop_assert_eq!((reading.sex, reading.serial), (Ok(sex), Ok(serial)));
                }
                Err(error) => {
                    let possible = born <= today && born > today.checked_sub(100.years()).unwrap();
                    prop_assert!(!possible, "{}", error);
                }
            }
        }
    }

    #[test]
    fn the_same_seed_generates_the_same_niks() {
        let of = |seed: u64| {
            let generator = Generator::new(&NikCriteria::default(), &CONTEXT).unwrap();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            [generator.next(&mut rng), generator.next(&mut rng)]
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert_ne!(of(7)[0], of(7)[1]);
    }

    #[test]
    fn criteria_are_met_for_every_seed() {
        let region = "3174".parse().ok();
        for seed in 0..200 {
            let nik =
                first(NikCriteria { region, ..NikCriteria::default() }, CONTEXT, seed).unwrap().to_string();
            assert!(nik.starts_with("3174"), "{nik}");
            let woman = NikCriteria { sex: Some(Sex::Woman), ..NikCriteria::default() };
            let reading = first(woman, CONTEXT, seed).unwrap().read(&CONTEXT);
            assert_eq!(reading.sex, Ok(Sex::Woman));
            assert!((17..=80).contains(&reading.birth.unwrap().age));
        }
    }

    #[test]
    fn legacy_districts_are_used_only_without_current_ones() {
        let legacy = |prefix: &str, seed| {
            let nik =
                first(NikCriteria { region: prefix.parse().ok(), ..NikCriteria::default() }, CONTEXT, seed)
                    .unwrap();
            nik.read(&CONTEXT).district.unwrap().legacy.is_some()
        };
        assert!((0..50).all(|seed| legacy("9101", seed)));
        assert!(!(0..50).any(|seed| legacy("91", seed)));
    }

    #[test]
    fn impossible_criteria_are_rejected_with_the_reason() {
        let born = |text: &str| NikCriteria { birth_date: text.parse().ok(), ..NikCriteria::default() };
        for (criteria, expected) in [
            (
                NikCriteria { region: "37".parse().ok(), ..NikCriteria::default() },
                "no district code starts with this prefix",
            ),
            (
                NikCriteria { serial: Some(0), ..NikCriteria::default() },
                "the serial is not in the range 1 to 9999",
            ),
            (
                NikCriteria { serial: Some(10_000), ..NikCriteria::default() },
                "the serial is not in the range 1 to 9999",
            ),
            (
                born("1926-11-21"),
                "a NIK has two digits for the year: on 2026-11-21, 1926-11-21 would be parsed as 2026-11-21",
            ),
            (
                born("2027-01-01"),
                "a NIK has two digits for the year: on 2026-11-21, 2027-01-01 would be parsed as 1927-01-01",
            ),
            (
                born("2010-01-01"),
                "a person born on 2010-01-01 is 16 years old on 2026-11-21; the minimum age for an identity card is 17",
            ),
        ] {
            assert_eq!(first(criteria, CONTEXT, 0).unwrap_err().to_string(), expected);
        }
        assert!(first(born("1926-11-22"), CONTEXT, 0).is_ok());
        for min_age in [100, 5000, u32::MAX] {
            let context = NikContext { min_age, ..CONTEXT };
            assert_eq!(first(NikCriteria::default(), context, 0), Err(GenerateError::MinAge { min_age }));
        }
    }
}
