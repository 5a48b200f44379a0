//! `nik`: parses, validates and generates NIKs. Input and output are streamed, so a million lines need no more memory than one.

mod input;
mod output;
mod progress;

use std::io;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::Failure;
use crate::base::time;
use crate::domain::nik::region::{LICENCE, RegionPrefix};
use crate::domain::nik::{Generator, NikContext, NikCriteria, Sex, read};
use crate::state::clock::{Clock, ClockStart};
use output::{Format, Output};
use progress::Progress;

#[derive(Debug, Args)]
#[command(after_long_help = LICENCE)]
pub struct NikArgs {
    #[command(subcommand)]
    command: NikCommand,
}

#[derive(Debug, Subcommand)]
enum NikCommand {
    /// Print the parts of NIKs; exit 1 if one is invalid
    Parse(ReadArgs),
    /// Check NIKs and print what is wrong with them; exit 1 if one is invalid
    Validate(ReadArgs),
    /// Generate valid NIKs, one per line
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
struct ReadArgs {
    /// NIKs [default: read from stdin, one per line]
    #[arg(value_name = "NIK")]
    niks: Vec<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    terms: TermsArgs,
}

#[derive(Debug, Args)]
struct GenerateArgs {
    /// Number of NIKs
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,
    /// Code of a province, regency or district, such as 31, 3174 or 317405 [default: any]
    #[arg(long, value_name = "CODE")]
    region: Option<RegionPrefix>,
    /// Birth date [default: of people up to 80 years old]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = birth_date)]
    birth_date: Option<Date>,
    /// Sex: man or woman [default: any]
    #[arg(long)]
    sex: Option<Sex>,
    /// Serial number; a low one may belong to a living person [default: 9000 to 9999]
    #[arg(long, value_name = "1-9999")]
    serial: Option<u16>,
    /// Random seed; the same seed generates the same NIKs on the same day [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON object per line, as parse does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    terms: TermsArgs,
}

/// Context for validating birth dates.
#[derive(Debug, Args)]
struct TermsArgs {
    /// Day for which ages are computed: system, or an RFC 3339 time
    #[arg(long, value_name = "system|RFC3339", default_value = "system", env = "FRSIM_CLOCK")]
    clock: ClockStart,
    /// Minimum age of a valid birth date, like the policy key nik_min_age
    #[arg(long, value_name = "YEARS", default_value_t = 17)]
    min_age: u32,
}

impl TermsArgs {
    fn terms(&self) -> NikContext {
        NikContext { today: time::jakarta_day(Clock::new(self.clock).now()), min_age: self.min_age }
    }
}

pub fn run(args: &NikArgs) -> Result<ExitCode, Failure> {
    let result = match &args.command {
        NikCommand::Parse(args) => check(args, Format::parse(args.json)),
        NikCommand::Validate(args) => check(args, Format::validate(args.json)),
        NikCommand::Generate(args) => generate(args)?,
    };
    match result {
        Ok(code) => Ok(code),
        // The reader of a pipe closed it, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::bad_input(error.to_string())),
    }
}

fn check(args: &ReadArgs, format: Format) -> io::Result<ExitCode> {
    let terms = args.terms.terms();
    let mut output = Output::start(format)?;
    let (mut count, mut invalid) = (0_u64, 0_u64);
    input::each(&args.niks, |nik| {
        let reading = read(nik, &terms);
        count += 1;
        invalid += u64::from(!reading.as_ref().is_ok_and(crate::domain::nik::ParsedNik::is_valid));
        output.write(nik, &reading)
    })?;
    output.end()?;
    if count > 1 {
        crate::cli::terminal::eprint_line(format_args!("{count} NIKs, {invalid} invalid"));
    }
    Ok(if invalid == 0 { ExitCode::SUCCESS } else { ExitCode::from(Failure::NO) })
}

fn generate(args: &GenerateArgs) -> Result<io::Result<ExitCode>, Failure> {
    let GenerateArgs { region, birth_date, sex, serial, .. } = *args;
    let terms = args.terms.terms();
    let generator = Generator::new(&NikCriteria { region, birth_date, sex, serial }, &terms)
        .map_err(|error| Failure::bad_input(error.to_string()))?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(args.seed.unwrap_or_else(rand::random));
    let niks = (0..args.count).map(|_| generator.next(&mut rng));
    Ok(write(niks, args, &terms).map(|()| ExitCode::SUCCESS))
}

fn write(
    niks: impl Iterator<Item = crate::domain::nik::Nik>,
    args: &GenerateArgs,
    terms: &NikContext,
) -> io::Result<()> {
    let mut output = Output::start(if args.json { Format::JsonMeaning } else { Format::Bare })?;
    let progress = Progress::of(Some(args.count));
    for nik in niks {
        output.write(&nik.to_string(), &Ok(nik.read(terms)))?;
        progress.advance(1);
    }
    output.end()
}

fn birth_date(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| "write a date as YYYY-MM-DD, such as 1990-08-17".to_owned())
}
