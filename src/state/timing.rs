//! Timing of the processing stages of a request; the result is part of the verdict.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Processing stage of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Decoding the JSON body.
    Decode,
    /// Decrypting `user_id` and `password`.
    Decrypt,
    /// Decoding and checking the photo.
    Image,
    /// Searching the gallery.
    Match,
    /// Rendering the answer.
    Render,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 5] = [Stage::Decode, Stage::Decrypt, Stage::Image, Stage::Match, Stage::Render];

    /// Returns the label value in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Decrypt => "decrypt",
            Stage::Image => "image",
            Stage::Match => "match",
            Stage::Render => "render",
        }
    }
}

/// Measures the stages of one request.
#[derive(Debug, Default)]
pub struct StageTimer([Cell<Option<Duration>>; Stage::ALL.len()]);

impl StageTimer {
    /// Runs `work` and adds its duration to the stage.
    pub fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        let cell = &self.0[stage as usize];
        cell.set(Some(cell.get().unwrap_or_default() + started.elapsed()));
        result
    }

    /// Returns the durations measured so far.
    #[must_use]
    pub fn read(&self) -> StageTimes {
        StageTimes(std::array::from_fn(|index| self.0[index].get()))
    }
}

/// Duration of each stage of one request; `None` for stages that did not run.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes([Option<Duration>; Stage::ALL.len()]);

impl StageTimes {
    /// Iterates over the stages that ran.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        Stage::ALL.into_iter().zip(self.0).filter_map(|(stage, time)| Some((stage, time?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stages_that_ran_are_reported() {
        let timer = StageTimer::default();
        assert_eq!(timer.time(Stage::Match, || 7), 7);
        timer.time(Stage::Decode, || ());
        timer.time(Stage::Decode, || ());
        let stages: Vec<_> = timer.read().iter().map(|(stage, _)| stage.name()).collect();
        assert_eq!(stages, ["decode", "match"]);
    }
}
