//! Output of the `nik` commands: a table or lines for people, JSON lines for programs.

use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use crate::base::text::truncate;
use crate::domain::nik::{District, NikProblem, ParsedNik};

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A row with every part, and its problems below.
    Table,
    JsonMeaning,
    /// A line with validity and problems.
    Verdict,
    JsonVerdict,
    /// The number alone.
    Bare,
}

impl Format {
    pub fn parse(json: bool) -> Format {
        if json { Format::JsonMeaning } else { Format::Table }
    }

    pub fn validate(json: bool) -> Format {
        if json { Format::JsonVerdict } else { Format::Verdict }
    }
}

/// Stdout: line buffered on a terminal, block buffered elsewhere.
pub struct Output {
    format: Format,
    writer: Box<dyn Write>,
}

impl Output {
    pub fn start(format: Format) -> io::Result<Output> {
        let stdout = io::stdout();
        let writer: Box<dyn Write> = if stdout.is_terminal() {
            Box::new(stdout.lock())
        } else {
            Box::new(BufWriter::new(stdout.lock()))
        };
        let mut output = Output { format, writer };
        if format == Format::Table {
            output.row(["NIK", "valid", "birth date", "age", "sex", "serial", "region"])?;
        }
        Ok(output)
    }

    pub fn write(&mut self, nik: &str, reading: &Result<ParsedNik, NikProblem>) -> io::Result<()> {
        match self.format {
            Format::Table => self.table(nik, reading),
            Format::Verdict => self.verdict(nik, reading),
            Format::JsonMeaning => self.json(&NikMeaning::of(nik, reading)),
            Format::JsonVerdict => self.json(&NikVerdict::of(nik, reading)),
            Format::Bare => writeln!(self.writer, "{nik}"),
        }
    }

    pub fn end(mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn table(&mut self, nik: &str, reading: &Result<ParsedNik, NikProblem>) -> io::Result<()> {
        let meaning = NikMeaning::of(nik, reading);
        let dash = || "-".to_owned();
        self.row([
            &printable(nik),
            if meaning.valid { "yes" } else { "no" },
            &meaning.birth_date.unwrap_or_else(dash),
            &meaning.age.map_or_else(dash, |age| age.to_string()),
            meaning.sex.unwrap_or("-"),
            &meaning.serial.unwrap_or_else(dash),
            &district(reading).map_or_else(dash, region),
        ])?;
        for problem in problems(reading) {
            writeln!(self.writer, "{:16}  {problem}", "")?;
        }
        Ok(())
    }

    fn row(&mut self, cells: [&str; 7]) -> io::Result<()> {
        let [nik, valid, born, age, sex, serial, region] = cells;
        writeln!(self.writer, "{nik:16}  {valid:5}  {born:10}  {age:>3}  {sex:5}  {serial:6}  {region}")
    }

    fn verdict(&mut self, nik: &str, reading: &Result<ParsedNik, NikProblem>) -> io::Result<()> {
        let problems: Vec<_> = problems(reading).map(ToString::to_string).collect();
        if problems.is_empty() {
            return writeln!(self.writer, "valid    {nik}");
        }
        writeln!(self.writer, "invalid  {:16}  {}", printable(nik), problems.join("; "))
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.writer, value)?;
        self.writer.write_all(b"\n")
    }
}

/// Truncates and replaces control characters: an invalid NIK may be any text, including terminal escape sequences.
fn printable(text: &str) -> String {
    truncate(text, 40).chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

fn problems(reading: &Result<ParsedNik, NikProblem>) -> impl Iterator<Item = &NikProblem> {
    reading.iter().flat_map(ParsedNik::problems).chain(reading.as_ref().err())
}

fn district(reading: &Result<ParsedNik, NikProblem>) -> Option<&'static District> {
    reading.as_ref().ok()?.district.as_ref().ok().copied()
}

fn region(district: &District) -> String {
    match (district.legacy, district.successor()) {
        (None, _) => district.to_string(),
        (Some(legacy), None) => format!("{district} (until {})", legacy.last_seen),
        (Some(legacy), Some(now)) => {
            format!("{district} (until {}; now {} {now})", legacy.last_seen, now.code)
        }
    }
}

/// A verdict for programs.
#[derive(Serialize)]
struct NikVerdict<'a> {
    nik: &'a str,
    valid: bool,
    problems: Vec<NikProblemView>,
}

#[derive(Serialize)]
struct NikProblemView {
    name: &'static str,
    /// First and last digit, from 1.
    digits: [usize; 2],
    message: String,
}

impl NikVerdict<'_> {
    fn of<'a>(nik: &'a str, reading: &Result<ParsedNik, NikProblem>) -> NikVerdict<'a> {
        let problems: Vec<_> = problems(reading).map(NikProblemView::of).collect();
        NikVerdict { nik, valid: problems.is_empty(), problems }
    }
}

impl NikProblemView {
    fn of(problem: &NikProblem) -> NikProblemView {
        let digits = problem.digits();
        NikProblemView {
            name: problem.name(),
            digits: [*digits.start(), *digits.end()],
            message: problem.to_string(),
        }
    }
}

/// All parts of a NIK, for programs; null where a part is invalid.
#[derive(Serialize)]
struct NikMeaning<'a> {
    nik: &'a str,
    valid: bool,
    region: Option<RegionView>,
    birth_date: Option<String>,
    age: Option<u32>,
    sex: Option<&'static str>,
    serial: Option<String>,
    problems: Vec<NikProblemView>,
}

#[derive(Serialize)]
struct RegionView {
    code: String,
    province: &'static str,
    regency: &'static str,
    district: &'static str,
    legacy: Option<LegacyView>,
}

#[derive(Serialize)]
struct LegacyView {
    last_seen: u16,
    successor: Option<Box<RegionView>>,
}

impl NikMeaning<'_> {
    fn of<'a>(nik: &'a str, reading: &Result<ParsedNik, NikProblem>) -> NikMeaning<'a> {
        let NikVerdict { nik, valid, problems } = NikVerdict::of(nik, reading);
        let reading = reading.as_ref().ok();
        let birth = reading.and_then(|reading| reading.birth.as_ref().ok());
        NikMeaning {
            nik,
            valid,
            region: reading
                .and_then(|reading| reading.district.as_ref().ok())
                .map(|district| RegionView::of(district)),
            birth_date: birth.map(|birth| birth.date.to_string()),
            age: birth.map(|birth| birth.age),
            sex: reading.and_then(|reading| reading.sex.as_ref().ok()).map(|sex| sex.name()),
            serial: reading
                .and_then(|reading| reading.serial.as_ref().ok())
                .map(|serial| format!("{serial:04}")),
            problems,
        }
    }
}

impl RegionView {
    fn of(district: &District) -> RegionView {
        RegionView {
            code: format!("{:06}", district.code),
            province: district.province,
            regency: district.regency,
            district: district.name,
            legacy: district.legacy.map(|legacy| LegacyView {
                last_seen: legacy.last_seen,
                successor: district.successor().map(|now| Box::new(RegionView::of(now))),
            }),
        }
    }
}
