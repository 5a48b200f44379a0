//! Reads what commands are given of an endpoint: recordings, and files of conformance runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Failure;
use crate::conformance::recording::exchange::Recording;
use crate::conformance::run_file::RecordedRun;

/// A file of answers.
pub enum AnswerFile {
    Run(RecordedRun),
    Recording(Recording),
}

/// How the header of a recording begins, and that of a run.
const RECORDING: &str = "{\"recording\"";
const RUN: &str = "{\"run\"";

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| failed(path, &error.to_string()))
}

fn failed(path: &Path, why: &str) -> Failure {
    Failure::bad_input(format!("{}: {why}", path.display()))
}

/// Reads a run.
pub fn read_run(path: &Path) -> Result<RecordedRun, Failure> {
    run_of(path, &read(path)?)
}

fn run_of(path: &Path, text: &str) -> Result<RecordedRun, Failure> {
    RecordedRun::read(text).map_err(|why| failed(path, &why.to_string()))
}

/// Reads a run or a recording.
pub fn read_either(path: &Path) -> Result<AnswerFile, Failure> {
    let text = read(path)?;
    if text.trim_start().starts_with(RECORDING) {
        return recording_of(path, &text).map(AnswerFile::Recording);
    }
    if !text.trim_start().starts_with(RUN) {
        return Err(failed(path, "it has no header line of a recording or of a conformance run"));
    }
    run_of(path, &text).map(AnswerFile::Run)
}

/// Reads recordings, which must be of one endpoint.
pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Recording>, Failure> {
    let recordings =
        paths.iter().map(|path| recording_of(path, &read(path)?)).collect::<Result<Vec<_>, _>>()?;
    of_one_endpoint(recordings.iter().map(|one| one.header.target.as_str()))?;
    each_once(&recordings)?;
    Ok(recordings)
}

fn recording_of(path: &Path, text: &str) -> Result<Recording, Failure> {
    Recording::read(text).map_err(|why| failed(path, &why))
}

/// Checks that no recording is given twice: its exchanges would count twice.
pub fn each_once(recordings: &[Recording]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    match recordings.iter().map(|one| one.header.recording.as_str()).find(|id| !seen.insert(*id)) {
        Some(id) => Err(Failure::bad_input(format!("the recording {id} is given twice"))),
        None => Ok(()),
    }
}

/// Checks that answers of two endpoints are not mixed.
pub fn of_one_endpoint<'a>(mut targets: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let Some(first) = targets.next() else { return Ok(()) };
    match targets.find(|other| *other != first) {
        Some(other) => {
            Err(Failure::bad_input(format!("the files are of two endpoints, {first} and {other}")))
        }
        None => Ok(()),
    }
}
