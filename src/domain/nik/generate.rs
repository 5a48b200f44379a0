//! Making NIKs up: valid on the day they are made, with serials that no living person is likely to have.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use rand::{Rng, RngExt};

use super::birth::{BirthDigits, age};
use super::region::{self, RegionPrefix};
use super::{District, Nik, NikContext, Sex};

/// Serials of made-up NIKs, unless others are asked for. A low one may be a living person's.
pub const SERIALS: (u16, u16) = (9000, 9999);

/// The age that nobody exceeds unless asked for.
const MAX_AGE: u32 = 80;

/// What is asked for; everything else is left to chance.
#[derive(Clone, Copy, Debug, Default)]
pub struct NikCriteria {
    pub region: Option<RegionPrefix>,
    pub birth_date: Option<Date>,
    pub sex: Option<Sex>,
    /// 1 to 9999; default: 9000 to 9999.
    pub serial: Option<u16>,
}

/// Why there is no such NIK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    #[error("no district has a code that begins so")]
    Region,
    #[error("a NIK has two digits for the year: on {today}, {born} would be read as {read}")]
    Century { born: Date, read: Date, today: Date },
    #[error(
        "who was born on {born} is {age} years old on {today}; identity cards are for those of {min_age} and more"
    )]
    TooYoung { born: Date, age: u32, min_age: u32, today: Date },
    #[error("with two digits for the year nobody is {min_age} years old")]
    MinAge { min_age: u32 },
    #[error("a serial is 1 to 9999")]
    Serial,
}

/// Makes NIKs of one kind.
#[derive(Clone, Debug)]
pub struct Generator {
    /// Never empty.
    districts: Vec<&'static District>,
    first_birth: Date,
    /// How many days after the first the last possible birth date is.
    birth_days: u32,
    sex: Option<Sex>,
    /// First and last.
    serials: (u16, u16),
}

impl Generator {
    /// A generator of NIKs that are valid by `terms`.
    ///
    /// # Errors
    /// When there are none of the kind.
    pub fn new(wanted: &NikCriteria, terms: &NikContext) -> Result<Generator, GenerateError> {
        let (first_birth, last_birth) = match wanted.birth_date {
            Some(born) => one_birth(born, terms)?,
            None => births(terms)?,
        };
        Ok(Generator {
            districts: districts(wanted.region)?,
            first_birth,
            birth_days: (last_birth - first_birth).get_days().unsigned_abs(),
            sex: wanted.sex,
            serials: serials(wanted.serial)?,
        })
    }

    /// The next one. The same chance gives the same NIK.
    pub fn next(&self, chance: &mut impl Rng) -> Nik {
        let district = self.districts[chance.random_range(0..self.districts.len() as u32) as usize];
        let days = chance.random_range(0..=self.birth_days);
        let born = self.first_birth.saturating_add(i64::from(days).days());
        let drawn = if chance.random_range(0..2_u32) == 0 { Sex::Man } else { Sex::Woman };
        let serial = chance.random_range(self.serials.0..=self.serials.1);
        Nik::of_parts(district.code, born, self.sex.unwrap_or(drawn), serial)
    }
}

/// Today's districts; legacy ones where there are no others.
fn districts(region: Option<RegionPrefix>) -> Result<Vec<&'static District>, GenerateError> {
    let all = region.map_or_else(region::districts, RegionPrefix::districts);
    let current: Vec<_> = all.iter().filter(|district| district.legacy.is_none()).collect();
    let found = if current.is_empty() { all.iter().collect() } else { current };
    if found.is_empty() { Err(GenerateError::Region) } else { Ok(found) }
}

fn serials(wanted: Option<u16>) -> Result<(u16, u16), GenerateError> {
    match wanted {
        None => Ok(SERIALS),
        Some(serial @ 1..=9999) => Ok((serial, serial)),
        Some(_) => Err(GenerateError::Serial),
    }
}

fn one_birth(born: Date, terms: &NikContext) -> Result<(Date, Date), GenerateError> {
    let NikContext { today, min_age } = *terms;
    let year = (born.year().rem_euclid(100)) as u8;
    let written = BirthDigits { day: born.day().unsigned_abs(), month: born.month().unsigned_abs(), year };
    // A 29 February may not exist in the year that is read; then that year's 28th tells enough.
    let read =
        written.date(today).or_else(|_| BirthDigits { day: 28, ..written }.date(today)).unwrap_or(today);
    if read != born {
        return Err(GenerateError::Century { born, read, today });
    }
    let age = age(born, today);
    if age < min_age { Err(GenerateError::TooYoung { born, age, min_age, today }) } else { Ok((born, born)) }
}

/// First and last birth date of those who have an identity card and are read in the right century.
fn births(terms: &NikContext) -> Result<(Date, Date), GenerateError> {
    let refused = GenerateError::MinAge { min_age: terms.min_age };
    let years_ago =
        |years: u32| Span::new().try_years(years).and_then(|span| terms.today.checked_sub(span)).ok();
    let last = years_ago(terms.min_age).ok_or_else(|| refused.clone())?;
    let hundred_years = years_ago(100).and_then(|day| day.tomorrow().ok()).ok_or_else(|| refused.clone())?;
    let usual = years_ago(MAX_AGE).filter(|usual| *usual < last);
    let first = usual.unwrap_or(hundred_years);
    if first <= last { Ok((first, last)) } else { Err(refused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::nik::read;
    use jiff::civil::date;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    const TERMS: NikContext = NikContext { today: date(2026, 11, 21), min_age: 17 };

    fn first(wanted: NikCriteria, terms: NikContext, seed: u64) -> Result<Nik, GenerateError> {
        Ok(Generator::new(&wanted, &terms)?.next(&mut Xoshiro256PlusPlus::seed_from_u64(seed)))
    }

    fn days() -> impl Strategy<Value = Date> {
        (1900_i16..2200, 1_i8..=12, 1_i8..=31).prop_filter_map("a date", |(y, m, d)| Date::new(y, m, d).ok())
    }

    proptest! {
        #[test]
        fn what_is_generated_is_valid(today in days(), min_age in 0_u32..100, seed: u64) {
            let terms = NikContext { today, min_age };
            let nik = first(NikCriteria::default(), terms, seed).unwrap();
            let reading = read(&nik.to_string(), &terms).unwrap();
            prop_assert!(reading.is_valid(), "{nik} on {today}: {reading:?}");
            prop_assert!((9000..=9999).contains(&reading.serial.unwrap()));
            prop_assert!(reading.district.unwrap().legacy.is_none());
            prop_assert_eq!(nik.to_string().parse(), Ok(nik));
        }

        #[test]
        fn what_is_asked_for_is_in_it_or_is_refused(
            today in days(), born in days(), woman: bool, serial in 1_u16..=9999, district in 0..region::districts().len(), seed: u64,
        ) {
            let district = &region::districts()[district];
            let sex = if woman { Sex::Woman } else { Sex::Man };
            let code = format!("{:06}", district.code).parse().ok();
            let wanted = NikCriteria { region: code, birth_date: Some(born), sex: Some(sex), serial: Some(serial) };
            let terms = NikContext { today, min_age: 0 };
            match first(wanted, terms, seed) {
                Ok(nik) => {
                    let reading = read(&nik.to_string(), &terms).unwrap();
                    prop_assert_eq!(reading.district, Ok(district));
                    prop_assert_eq!(reading.birth.map(|birth| birth.date), Ok(born));
                    prop_assert_eq!((reading.sex, reading.serial), (Ok(sex), Ok(serial)));
                }
                Err(refused) => {
                    let in_reach = born <= today && born > today.checked_sub(100.years()).unwrap();
                    prop_assert!(!in_reach, "{}", refused);
                }
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_niks() {
        let of = |seed: u64| {
            let generator = Generator::new(&NikCriteria::default(), &TERMS).unwrap();
            let mut chance = Xoshiro256PlusPlus::seed_from_u64(seed);
            [generator.next(&mut chance), generator.next(&mut chance)]
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        assert_ne!(of(7)[0], of(7)[1]);
    }

    #[test]
    fn what_is_asked_for_stays_the_same_whatever_chance_gives() {
        let region = "3174".parse().ok();
        for seed in 0..200 {
            let nik =
                first(NikCriteria { region, ..NikCriteria::default() }, TERMS, seed).unwrap().to_string();
            assert!(nik.starts_with("3174"), "{nik}");
            let woman = NikCriteria { sex: Some(Sex::Woman), ..NikCriteria::default() };
            let reading = first(woman, TERMS, seed).unwrap().read(&TERMS);
            assert_eq!(reading.sex, Ok(Sex::Woman));
            assert!((17..=80).contains(&reading.birth.unwrap().age));
        }
    }

    #[test]
    fn a_legacy_regency_gives_legacy_niks_and_a_province_of_both_kinds_none() {
        let legacy = |prefix: &str, seed| {
            let nik =
                first(NikCriteria { region: prefix.parse().ok(), ..NikCriteria::default() }, TERMS, seed)
                    .unwrap();
            nik.read(&TERMS).district.unwrap().legacy.is_some()
        };
        assert!((0..50).all(|seed| legacy("9101", seed)));
        assert!(!(0..50).any(|seed| legacy("91", seed)));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        let born = |text: &str| NikCriteria { birth_date: text.parse().ok(), ..NikCriteria::default() };
        for (wanted, expected) in [
            (
                NikCriteria { region: "37".parse().ok(), ..NikCriteria::default() },
                "no district has a code that begins so",
            ),
            (NikCriteria { serial: Some(0), ..NikCriteria::default() }, "a serial is 1 to 9999"),
            (NikCriteria { serial: Some(10_000), ..NikCriteria::default() }, "a serial is 1 to 9999"),
            (
                born("1926-11-21"),
                "a NIK has two digits for the year: on 2026-11-21, 1926-11-21 would be read as 2026-11-21",
            ),
            (
                born("2027-01-01"),
                "a NIK has two digits for the year: on 2026-11-21, 2027-01-01 would be read as 1927-01-01",
            ),
            (
                born("2010-01-01"),
                "who was born on 2010-01-01 is 16 years old on 2026-11-21; identity cards are for those of 17 and more",
            ),
        ] {
            assert_eq!(first(wanted, TERMS, 0).unwrap_err().to_string(), expected);
        }
        assert!(first(born("1926-11-22"), TERMS, 0).is_ok());
        for min_age in [100, 5000, u32::MAX] {
            let terms = NikContext { min_age, ..TERMS };
            assert_eq!(first(NikCriteria::default(), terms, 0), Err(GenerateError::MinAge { min_age }));
        }
    }
}
