//! Region codes and names: those of the current decree, and legacy ones that older NIKs carry.
//!
//! The data is embedded as its source has it (`data/`; described in `data/WILAYAH.md`): two CSV files, indexed once on first use. Names
//! are slices of it, spelled as in the source. It is not compressed: 160 kB in a binary of many megabytes are not worth an unpacker.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use super::{NikProblem, RegionLevel};

/// Licence of the region data. It requires the notice in every copy, so `nik --help` ends with it.
pub const LICENCE: &str = include_str!("data/LICENSE");

/// `code,name`: the decree of 2025.
const CURRENT: &str = include_str!("data/wilayah.csv");
/// `code,name,successor,last_seen`: codes of decrees since 2015 that are no longer in use.
const LEGACY: &str = include_str!("data/wilayah-legacy.csv");

/// A district (kecamatan; distrik in Papua), with its regency and province.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct District {
    /// Six digits: 317405.
    pub code: u32,
    pub name: &'static str,
    /// Regency (kabupaten) or city (kota).
    pub regency: &'static str,
    pub province: &'static str,
    /// Set when the current decree no longer has the code.
    pub legacy: Option<Legacy>,
}

/// A code that is no longer assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legacy {
    /// Year of the last decree that has the code.
    pub last_seen: u16,
    /// Current code of the same district; `None` if unknown.
    pub successor: Option<u32>,
}

impl District {
    /// Returns the district of a NIK, from its first six digits. Accepts a masked NIK.
    #[must_use]
    pub fn of_nik(nik: &str) -> Option<&'static District> {
        let code = nik.get(..6).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
        district(code.parse().ok()?)
    }

    /// Returns the current district, if this code is legacy and its successor is known.
    #[must_use]
    pub fn successor(&self) -> Option<&'static District> {
        district(self.legacy?.successor?)
    }
}

/// `Kebayoran Lama, Kota Administrasi Jakarta Selatan, Daerah Khusus Ibukota Jakarta`.
impl fmt::Display for District {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.name, self.regency, self.province)
    }
}

/// Index of all codes, sorted.
struct Index {
    /// Provinces (two digits) and regencies (four), current and legacy.
    upper: BTreeMap<u32, &'static str>,
    districts: Vec<District>,
    /// The districts' codes alone, for a binary search that stays in the CPU cache.
    codes: Vec<u32>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let rows: Vec<Row> = CURRENT.lines().chain(LEGACY.lines()).filter_map(Row::of).collect();
    let upper: BTreeMap<_, _> =
        rows.iter().filter(|row| row.code < 10_000).map(|row| (row.code, row.name)).collect();
    let mut districts: Vec<_> = rows.iter().filter_map(|row| row.district(&upper)).collect();
    districts.sort_by_key(|district| district.code);
    let codes = districts.iter().map(|district| district.code).collect();
    Index { upper, districts, codes }
});

/// A row of either CSV file.
struct Row {
    code: u32,
    name: &'static str,
    legacy: Option<Legacy>,
}

impl Row {
    /// Parses a line; `None` for the header.
    fn of(line: &'static str) -> Option<Row> {
        let mut cells = line.split(',');
        let (code, name) = (cells.next()?.parse().ok()?, cells.next()?);
        let legacy = cells.next().zip(cells.next()).and_then(|(successor, last_seen)| {
            Some(Legacy { last_seen: last_seen.parse().ok()?, successor: successor.parse().ok() })
        });
        Some(Row { code, name, legacy })
    }

    fn district(&self, upper: &BTreeMap<u32, &'static str>) -> Option<District> {
        Some(District {
            code: (self.code > 9_999).then_some(self.code)?,
            name: self.name,
            regency: upper.get(&(self.code / 100))?,
            province: upper.get(&(self.code / 10_000))?,
            legacy: self.legacy,
        })
    }
}

/// Returns the name of a province (two digits) or of a regency or city (four).
#[must_use]
pub fn name(code: u32) -> Option<&'static str> {
    INDEX.upper.get(&code).copied()
}

/// Returns the district with a six-digit code.
#[must_use]
pub fn district(code: u32) -> Option<&'static District> {
    let at = INDEX.codes.binary_search(&code).ok()?;
    INDEX.districts.get(at)
}

/// Returns all districts, sorted by code, including legacy ones.
#[must_use]
pub fn districts() -> &'static [District] {
    &INDEX.districts
}

/// Returns the district with this code, or why there is none: impossible on some level, or unknown.
///
/// # Errors
/// [`NikProblem::ImpossibleRegion`] or [`NikProblem::UnknownRegion`].
pub fn locate(code: u32) -> Result<&'static District, NikProblem> {
    district(code).ok_or_else(|| possible(code).err().unwrap_or_else(|| unknown(code)))
}

/// Checks whether a decree could assign this code. Island groups are numbered from 1, and provinces from 1 within a group;
/// regencies have 01 to 69 and cities 71 to 99; 00 is never used.
///
/// # Errors
/// [`NikProblem::ImpossibleRegion`].
pub fn possible(code: u32) -> Result<(), NikProblem> {
    let (province, regency, district) = (code / 10_000, code / 100 % 100, code % 100);
    let impossible = |level, code| Err(NikProblem::ImpossibleRegion { level, code });
    if !(11..=99).contains(&province) || province % 10 == 0 {
        return impossible(RegionLevel::Province, province);
    }
    if regency == 0 || regency == 70 {
        return impossible(RegionLevel::Regency, code / 100);
    }
    if district == 0 {
        return impossible(RegionLevel::District, code);
    }
    Ok(())
}

/// Returns the topmost level on which no region has the code.
fn unknown(code: u32) -> NikProblem {
    if name(code / 10_000).is_none() {
        return NikProblem::UnknownRegion { level: RegionLevel::Province, code: code / 10_000 };
    }
    if name(code / 100).is_none() {
        return NikProblem::UnknownRegion { level: RegionLevel::Regency, code: code / 100 };
    }
    NikProblem::UnknownRegion { level: RegionLevel::District, code }
}

/// Prefix of a region code: a province, a regency, or one district.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionPrefix {
    first: u32,
    last: u32,
}

impl FromStr for RegionPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<RegionPrefix, String> {
        let error = || {
            format!("{text:?} is not a region code: expected 2, 4 or 6 digits, such as 31, 3174 or 317405")
        };
        if !matches!(text.len(), 2 | 4 | 6) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(error());
        }
        let codes = 100_u32.pow((6 - text.len() as u32) / 2);
        let code: u32 = text.parse().map_err(|_| error())?;
        Ok(RegionPrefix { first: code * codes, last: code * codes + codes - 1 })
    }
}

impl RegionPrefix {
    /// Returns the districts with this prefix, sorted by code, including legacy ones.
    #[must_use]
    pub fn districts(self) -> &'static [District] {
        let all = districts();
        let from = all.partition_point(|district| district.code < self.first);
        let to = all.partition_point(|district| district.code <= self.last);
        &all[from..to]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_data_resolves() {
        let (mut current, mut legacy) = (0, 0);
        for (text, count) in [(CURRENT, &mut current), (LEGACY, &mut legacy)] {
            for line in text.lines().skip(1) {
                let cells: Vec<_> = line.split(',').collect();
                let code: u32 = cells[0].parse().unwrap();
                let found =
                    if code < 10_000 { name(code) } else { district(code).map(|district| district.name) };
                assert_eq!(found, Some(cells[1]), "{line}");
                assert!(code < 10_000 || possible(code).is_ok(), "{line}");
                *count += 1;
            }
        }
        assert_eq!((current, legacy), (7_837, 620));
        assert_eq!(districts().len(), 7_285 + 594);
        assert_eq!(districts().iter().filter(|district| district.legacy.is_some()).count(), 594);
    }

    #[test]
    fn a_legacy_district_names_its_successor() {
        let merauke = district(910_101).unwrap();
        assert_eq!(merauke.to_string(), "Merauke, KAB. MERAUKE, Papua");
        assert_eq!(merauke.legacy, Some(Legacy { last_seen: 2022, successor: Some(930_101) }));
        assert_eq!(merauke.successor().unwrap().to_string(), "Merauke, Kabupaten Merauke, Papua Selatan");
        let holuon = district(911_336).unwrap();
        assert_eq!((holuon.legacy.unwrap().successor, holuon.successor()), (None, None));
        for district in districts().iter().filter(|district| district.legacy.is_some()) {
            let known = district.legacy.unwrap().successor.is_some();
            assert_eq!(district.successor().is_some(), known, "{district}");
            assert!(district.successor().is_none_or(|successor| successor.legacy.is_none()), "{district}");
        }
    }

    #[test]
    fn unknown_and_impossible_regions_are_different_problems() {
        use NikProblem::{ImpossibleRegion, UnknownRegion};
        use RegionLevel::{District, Province, Regency};
        for (code, expected) in [
            (0, ImpossibleRegion { level: Province, code: 0 }),
            (10_101, ImpossibleRegion { level: Province, code: 1 }),
            (200_101, ImpossibleRegion { level: Province, code: 20 }),
            (310_001, ImpossibleRegion { level: Regency, code: 3100 }),
            (317_001, ImpossibleRegion { level: Regency, code: 3170 }),
            (317_400, ImpossibleRegion { level: District, code: 317_400 }),
            (370_100, ImpossibleRegion { level: District, code: 370_100 }),
            (370_101, UnknownRegion { level: Province, code: 37 }),
            (123_456, UnknownRegion { level: Regency, code: 1234 }),
            (317_499, UnknownRegion { level: District, code: 317_499 }),
            (999_999, UnknownRegion { level: Province, code: 99 }),
        ] {
            assert_eq!(locate(code).unwrap_err(), expected, "{code:06}");
        }
    }

    #[test]
    fn a_niks_district_is_found_masked_or_not() {
        for nik in ["3174055708909001", "317405XXXXXXXXXX", "317405"] {
            assert_eq!(District::of_nik(nik).unwrap().code, 317_405, "{nik}");
        }
        for nik in ["", "31740", "+17405", "31740X", "317４05", "1234567891234567"] {
            assert_eq!(District::of_nik(nik), None, "{nik}");
        }
    }

    #[test]
    fn a_prefix_covers_all_districts_that_start_with_it() {
        let codes = |text: &str| {
            let districts = text.parse::<RegionPrefix>().unwrap().districts();
            (
                districts.len(),
                districts.first().map(|first| first.code),
                districts.last().map(|last| last.code),
            )
        };
        assert_eq!(codes("317405"), (1, Some(317_405), Some(317_405)));
        assert_eq!(codes("3174"), (10, Some(317_401), Some(317_410)));
        assert_eq!(codes("37"), (0, None, None));
        assert_eq!(codes("31").0, 44);
        for wrong in ["", "3", "317", "31740", "3174051", "31.74", "+1", "３１"] {
            assert!(wrong.parse::<RegionPrefix>().is_err(), "{wrong}");
        }
    }
}
