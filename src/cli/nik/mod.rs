//! `nik`: what NIKs mean, whether they are valid, and made-up ones. NIKs stream, so a million lines need no more memory than one.

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
    /// Say what NIKs mean; exit 1 when one is invalid
    Parse(ReadArgs),
    /// Say whether NIKs are valid and what is wrong with them; exit 1 when one is invalid
    Validate(ReadArgs),
    /// Make valid NIKs up, one a line
    Generate(GenerateArgs),
}

#[derive(Debug, Args)]
struct ReadArgs {
    /// NIKs; without one they are read from stdin, one a line
    #[arg(value_name = "NIK")]
    niks: Vec<String>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    terms: TermsArgs,
}

#[derive(Debug, Args)]
struct GenerateArgs {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u64,
    /// Code of a province, a regency or a district: 31, 3174 or 317405 [default: any]
    #[arg(long, value_name = "CODE")]
    region: Option<RegionPrefix>,
    /// [default: of people up to 80 years old]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = birth_date)]
    birth_date: Option<Date>,
    /// man or woman [default: any]
    #[arg(long)]
    sex: Option<Sex>,
    /// A low serial may be a living person's [default: 9000 to 9999]
    #[arg(long, value_name = "1-9999")]
    serial: Option<u16>,
    /// The same seed gives the same NIKs on the same day [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON object a line, as parse does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    terms: TermsArgs,
}

/// What birth dates are judged by.
#[derive(Debug, Args)]
struct TermsArgs {
    /// Ages are those of this day: system, or an instant in RFC 3339
    #[arg(long, value_name = "system|RFC3339", default_value = "system", env = "FRSIM_CLOCK")]
    clock: ClockStart,
    /// The age from which a birth date is valid, as the policy key nik_min_age
    #[arg(long, value_name = "YEARS", default_value_t = 17)]
    min_age: u32,
}

impl TermsArgs {
    fn terms(&self) -> NikContext {
        NikContext { today: time::jakarta_day(Clock::new(self.clock).now()), min_age: self.min_age }
    }
}

pub fn run(args: &NikArgs) -> Result<ExitCode, Failure> {
    let done = match &args.command {
        NikCommand::Parse(args) => judge(args, Format::parse(args.json)),
        NikCommand::Validate(args) => judge(args, Format::validate(args.json)),
        NikCommand::Generate(args) => generate(args)?,
    };
    match done {
        Ok(code) => Ok(code),
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Failure::bad_input(error.to_string())),
    }
}

fn judge(args: &ReadArgs, format: Format) -> io::Result<ExitCode> {
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
        .map_err(|refused| Failure::bad_input(refused.to_string()))?;
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(args.seed.unwrap_or_else(rand::random));
    let niks = (0..args.count).map(|_| generator.next(&mut chance));
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
    text.parse().map_err(|_| "a date is written 1990-08-17".to_owned())
}
