//! How long the stages of an answer take: measured around them, told with the verdict.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A stage that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the body as JSON.
    Decode,
    /// Opening `user_id` and `password`.
    Decrypt,
    /// Decoding and recognising the photo.
    Image,
    /// Searching the gallery.
    Match,
    /// Writing the answer.
    Render,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 5] = [Stage::Decode, Stage::Decrypt, Stage::Image, Stage::Match, Stage::Render];

    /// Its name in metrics.
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
    /// Does the work, and adds what it took.
    pub fn time<T>(&self, part: Stage, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        let cell = &self.0[part as usize];
        cell.set(Some(cell.get().unwrap_or_default() + started.elapsed()));
        done
    }

    /// What was measured so far.
    #[must_use]
    pub fn read(&self) -> StageTimes {
        StageTimes(std::array::from_fn(|index| self.0[index].get()))
    }
}

/// What the stages of one request took; nothing for those it did not come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTimes([Option<Duration>; Stage::ALL.len()]);

impl StageTimes {
    /// The stages that were done.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, Duration)> {
        Stage::ALL.into_iter().zip(self.0).filter_map(|(part, time)| Some((part, time?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_done_is_told() {
        let stopwatch = StageTimer::default();
        assert_eq!(stopwatch.time(Stage::Match, || 7), 7);
        stopwatch.time(Stage::Decode, || ());
        stopwatch.time(Stage::Decode, || ());
        let parts: Vec<_> = stopwatch.read().iter().map(|(part, _)| part.name()).collect();
        assert_eq!(parts, ["decode", "match"]);
    }
}
