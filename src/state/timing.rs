//! How long the stages of an answer take: measured around them, told with the verdict.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A stage that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
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

impl Part {
    /// Every stage, in order.
    pub const ALL: [Part; 5] = [Part::Decode, Part::Decrypt, Part::Image, Part::Match, Part::Render];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Decode => "decode",
            Part::Decrypt => "decrypt",
            Part::Image => "image",
            Part::Match => "match",
            Part::Render => "render",
        }
    }
}

/// Measures the stages of one request.
#[derive(Debug, Default)]
pub struct Stopwatch([Cell<Option<Duration>>; Part::ALL.len()]);

impl Stopwatch {
    /// Does the work, and adds what it took.
    pub fn time<T>(&self, part: Part, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        let cell = &self.0[part as usize];
        cell.set(Some(cell.get().unwrap_or_default() + started.elapsed()));
        done
    }

    /// What was measured so far.
    #[must_use]
    pub fn read(&self) -> Times {
        Times(std::array::from_fn(|index| self.0[index].get()))
    }
}

/// What the stages of one request took; nothing for those it did not come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Times([Option<Duration>; Part::ALL.len()]);

impl Times {
    /// The stages that were done.
    pub fn iter(&self) -> impl Iterator<Item = (Part, Duration)> {
        Part::ALL.into_iter().zip(self.0).filter_map(|(part, time)| Some((part, time?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_done_is_told() {
        let stopwatch = Stopwatch::default();
        assert_eq!(stopwatch.time(Part::Match, || 7), 7);
        stopwatch.time(Part::Decode, || ());
        stopwatch.time(Part::Decode, || ());
        let parts: Vec<_> = stopwatch.read().iter().map(|(part, _)| part.name()).collect();
        assert_eq!(parts, ["decode", "match"]);
    }
}
