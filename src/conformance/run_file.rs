//! The file of a run: JSON Lines behind a header line, appended while the run goes on. A call's line is on disk before the call is made,
//! so after a crash it is known as made, and its answer as lost. It contains no credential, no address and no photo.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::KeptAnswer;
use super::call_spec::CallSpec;
use crate::base::{json, time};

/// Version of the cases. Runs of another one are read, too; provenance says which it was.
pub const SUITE: u32 = 1;

/// Version of the format.
const SCHEMA: u32 = 1;

/// First line: what was run, and against what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunHeader {
    /// Version of the format of runs.
    pub schema: u32,
    /// Program and version.
    pub tool: String,
    /// Version of the cases.
    pub suite: u32,
    /// Id of the run.
    pub run: String,
    /// RFC 3339.
    pub started: String,
    /// A name that the operator chose, or a keyed token of host and customer.
    pub target: String,
    /// A keyed token of the pinned address and the customer: a run goes on only against the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the day's quota was used up before.
    pub exhausted: bool,
}

impl RunHeader {
    /// A new header.
    #[must_use]
    pub fn new(target: String, exhausted: bool, now: Timestamp) -> RunHeader {
        RunHeader {
            schema: SCHEMA,
            tool: concat!("dukcapil-fr-sim ", env!("CARGO_PKG_VERSION")).to_owned(),
            suite: SUITE,
            run: format!("{RUN_PREFIX}{:012x}", rand::random::<u64>() >> 16),
            started: time::rfc3339_millis(now),
            target,
            endpoint: None,
            exhausted,
        }
    }

    /// The digits of the run's id: part of each transactionId.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.run.strip_prefix(RUN_PREFIX).unwrap_or_default()
    }

    fn checked(self) -> Result<RunHeader, String> {
        let digits = self.digits();
        if digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(self);
        }
        Err("line 1 has no id of a run: run- and 12 hexadecimal digits".to_owned())
    }
}

const RUN_PREFIX: &str = "run-";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RunLine {
    Run(RunHeader),
    Call {
        call: u32,
        case: String,
        at: String,
        transaction_id: String,
        sends: CallSpec,
    },
    Answer {
        call: u32,
        answer: KeptAnswer,
    },
    Lost {
        call: u32,
        why: String,
    },
    /// A case whose question an earlier call answers.
    Same {
        case: String,
        call: u32,
    },
    Skipped {
        case: String,
        why: String,
    },
    End {
        at: String,
        stopped: Option<String>,
    },
}

/// A call of a run, with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedCall {
    /// From 1.
    pub number: u32,
    /// The cases that it serves; at least one.
    pub cases: Vec<String>,
    pub at: String,
    pub transaction_id: String,
    pub sends: CallSpec,
    /// The answer, or why there is none.
    pub result: Result<KeptAnswer, String>,
}

/// A run, as far as it went.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRun {
    pub header: RunHeader,
    pub calls: Vec<RecordedCall>,
    /// Cases that were not asked, and why.
    pub skipped: Vec<(String, String)>,
    /// Why it stopped early: a surprise, or that it is not over yet; `None` where it is complete.
    pub stopped: Option<String>,
}

/// Of a call without an answer line.
const CRASHED: &str = "the run ended before its answer came";

impl RecordedRun {
    /// Reads the lines of a run. A last line that a crash cut off is ignored.
    ///
    /// # Errors
    /// Which line is not one of a run.
    pub fn read(text: &str) -> Result<RecordedRun, String> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().enumerate();
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str::<RunLine>(line)
                .map_err(|error| format!("line {} is not one of a conformance run: {error}", index + 1))
        };
        let header = match lines.next().map(parse).transpose()? {
            Some(RunLine::Run(header)) if header.schema == SCHEMA => header.checked()?,
            Some(RunLine::Run(header)) => {
                return Err(format!("its format is {}, this version reads {SCHEMA}", header.schema));
            }
            _ => return Err("it has no header line of a conformance run".to_owned()),
        };
        let stopped = Some("the run is not over".to_owned());
        let mut run = RecordedRun { header, calls: Vec::new(), skipped: Vec::new(), stopped };
        for line in lines {
            let number = line.0 + 1;
            let unknown = |call| format!("line {number} names a call {call} that is not in the run");
            match parse(line)? {
                RunLine::Run(_) => return Err(format!("line {number} is a second header")),
                RunLine::Call { call, case, at, transaction_id, sends } => run.calls.push(RecordedCall {
                    number: call,
                    cases: vec![case],
                    at,
                    transaction_id,
                    sends,
                    result: Err(CRASHED.to_owned()),
                }),
                RunLine::Answer { call, answer } => {
                    run.call_mut(call).ok_or_else(|| unknown(call))?.result = Ok(answer)
                }
                RunLine::Lost { call, why } => {
                    run.call_mut(call).ok_or_else(|| unknown(call))?.result = Err(why)
                }
                RunLine::Same { case, call } => run.call_mut(call).ok_or_else(|| unknown(call))?.serves(case),
                RunLine::Skipped { case, why } => run.skips(case, why),
                RunLine::End { stopped, .. } => run.stopped = stopped,
            }
        }
        Ok(run)
    }

    fn call_mut(&mut self, number: u32) -> Option<&mut RecordedCall> {
        self.calls.iter_mut().find(|call| call.number == number)
    }

    fn skips(&mut self, case: String, why: String) {
        if !self.skipped.iter().any(|(known, _)| *known == case) {
            self.skipped.push((case, why));
        }
    }
}

impl RecordedCall {
    fn serves(&mut self, case: String) {
        if !self.cases.contains(&case) {
            self.cases.push(case);
        }
    }
}

/// A run that is being written.
#[derive(Debug)]
pub struct RunFile {
    file: Option<File>,
    pub run: RecordedRun,
}

impl RunFile {
    /// Begins a run, in a new file or in memory only.
    ///
    /// # Errors
    /// The file exists, or cannot be written.
    pub fn create(path: Option<&Path>, header: RunHeader) -> io::Result<RunFile> {
        let create = |path| OpenOptions::new().append(true).create_new(true).open(path);
        let stopped = Some("the run is not over".to_owned());
        let run = RecordedRun { header: header.clone(), calls: Vec::new(), skipped: Vec::new(), stopped };
        let mut file = RunFile { file: path.map(create).transpose()?, run };
        file.write(&RunLine::Run(header))?;
        Ok(file)
    }

    /// Goes on with a run in a file, of which only the id and the time differ from `expected`.
    ///
    /// # Errors
    /// It cannot be read or written, or is not a run of this target.
    pub fn resume(path: &Path, expected: &RunHeader) -> io::Result<RunFile> {
        let text = std::fs::read_to_string(path)?;
        let run = RecordedRun::read(&text).map_err(io::Error::other)?;
        let target = &expected.target;
        if (&run.header.target, run.header.exhausted) != (target, expected.exhausted) {
            return Err(io::Error::other(format!(
                "it is a run against {}{}, not against {target}",
                run.header.target,
                if run.header.exhausted { " in the exhausted state" } else { "" }
            )));
        }
        if run.header.endpoint != expected.endpoint {
            return Err(io::Error::other("it is a run against another address or for another customer"));
        }
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(text.rfind('\n').map_or(0, |end| end as u64 + 1))?;
        Ok(RunFile { file: Some(file), run })
    }

    /// Writes that a call is about to be made. Returns its number.
    ///
    /// # Errors
    /// It could not be written: the call must not be made.
    pub fn begin(
        &mut self,
        case: &str,
        sends: &CallSpec,
        transaction_id: &str,
        now: Timestamp,
    ) -> io::Result<u32> {
        let number = self.next_number();
        let at = time::rfc3339_millis(now);
        self.write(&RunLine::Call {
            call: number,
            case: case.to_owned(),
            at: at.clone(),
            transaction_id: transaction_id.to_owned(),
            sends: sends.clone(),
        })?;
        self.run.calls.push(RecordedCall {
            number,
            cases: vec![case.to_owned()],
            at,
            transaction_id: transaction_id.to_owned(),
            sends: sends.clone(),
            result: Err(CRASHED.to_owned()),
        });
        Ok(number)
    }

    /// Number of the next call, from 1.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.run.calls.len() as u32 + 1
    }

    /// Writes how a call ended.
    ///
    /// # Errors
    /// It could not be written.
    pub fn finish(&mut self, call: u32, result: Result<KeptAnswer, String>) -> io::Result<()> {
        self.write(&match result.clone() {
            Ok(answer) => RunLine::Answer { call, answer },
            Err(why) => RunLine::Lost { call, why },
        })?;
        if let Some(known) = self.run.call_mut(call) {
            known.result = result;
        }
        Ok(())
    }

    /// Writes that an earlier call answers a case as well.
    ///
    /// # Errors
    /// It could not be written.
    pub fn same(&mut self, case: &str, call: u32) -> io::Result<()> {
        let Some(known) = self.run.call_mut(call).filter(|known| !known.cases.iter().any(|one| one == case))
        else {
            return Ok(());
        };
        known.serves(case.to_owned());
        self.write(&RunLine::Same { case: case.to_owned(), call })
    }

    /// Writes that a case was not asked.
    ///
    /// # Errors
    /// It could not be written.
    pub fn skip(&mut self, case: &str, why: &str) -> io::Result<()> {
        self.run.skips(case.to_owned(), why.to_owned());
        self.write(&RunLine::Skipped { case: case.to_owned(), why: why.to_owned() })
    }

    /// Writes the end.
    ///
    /// # Errors
    /// It could not be written.
    pub fn end(&mut self, stopped: Option<String>, now: Timestamp) -> io::Result<()> {
        self.run.stopped.clone_from(&stopped);
        self.write(&RunLine::End { at: time::rfc3339_millis(now), stopped })
    }

    fn write(&mut self, line: &RunLine) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all((json::text(line) + "\n").as_bytes())?;
        file.sync_data()
    }
}
