//! Clocks: the simulator's clock is the system clock, advanced or frozen on request; each customer's clock follows it until it is
//! changed. Quotas, windows, expiry of rules and journal times use them.
//!
//! Setting an instant freezes the clock, over the API (`PUT /clock` with `now`) as on the command line (`--clock`). Advancing a
//! running clock keeps it running.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::store::{Store, StoreWrite, StoredState, set};
use crate::base::time::parse_instant;

/// Initial state of a clock; a reset returns to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockStart {
    /// Runs with the system clock.
    #[default]
    System,
    /// Frozen at an instant.
    At(Timestamp),
}

impl fmt::Display for ClockStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockStart::System => f.write_str("system"),
            ClockStart::At(instant) => instant.fmt(f),
        }
    }
}

impl std::str::FromStr for ClockStart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "system" {
            return Ok(ClockStart::System);
        }
        parse_instant(text).map(ClockStart::At).map_err(|error| format!("{error}, or \"system\""))
    }
}

/// Mode of a clock, relative to its reference clock: the system clock for the simulator's, the simulator's for a customer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// Follows the reference clock, ahead by this offset; frozen while the reference is.
    Following(SignedDuration),
    /// Runs with the system clock, ahead by this offset, whatever the reference clock does.
    Running(SignedDuration),
    /// Frozen at this instant.
    Frozen(Timestamp),
}

impl Default for ClockMode {
    fn default() -> ClockMode {
        ClockMode::Following(SignedDuration::ZERO)
    }
}

impl fmt::Display for ClockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClockMode::Following(ahead) => write!(f, "following {ahead}"),
            ClockMode::Running(ahead) => write!(f, "running {ahead}"),
            ClockMode::Frozen(instant) => write!(f, "frozen {instant}"),
        }
    }
}

impl std::str::FromStr for ClockMode {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mode, value) = text.split_once(' ').unwrap_or(("", text));
        Ok(match mode {
            "following" => ClockMode::Following(value.parse()?),
            "running" => ClockMode::Running(value.parse()?),
            _ => ClockMode::Frozen(value.parse()?),
        })
    }
}

/// Change of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMove {
    /// Advances; a frozen clock is then frozen at the later instant.
    Advance(std::time::Duration),
    /// Freezes at this instant.
    Set(Timestamp),
    /// Freezes at the present instant (true), or resumes from there (false).
    Freeze(bool),
    /// Returns to the initial state.
    Reset,
}

/// Reading of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// Present instant.
    pub now: Timestamp,
    /// Whether the clock is frozen.
    pub frozen: bool,
}

/// Subject and fields of the clock in a store.
pub const CLOCK: &str = "clock";
const START: &str = "start";
const MODE: &str = "mode";

/// The simulator's clock. Jakarta time is UTC+7 all year, since 1964.
#[derive(Debug)]
pub struct Clock {
    /// The initial state, and the mode.
    face: Mutex<(ClockStart, ClockMode)>,
    /// Where the mode is kept over a restart.
    store: Option<Arc<Store>>,
}

impl Clock {
    /// Creates a clock in its initial state.
    #[must_use]
    pub fn new(start: ClockStart) -> Clock {
        Clock { face: Mutex::new((start, ClockMode::of(start))), store: None }
    }

    /// Returns what a reset returns to.
    #[must_use]
    pub fn start(&self) -> ClockStart {
        self.face.lock().0
    }

    /// Takes over start and mode of an earlier run.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn restore(&self, stored: &StoredState) -> Result<(), String> {
        [START, MODE].iter().try_for_each(|name| match stored.field(CLOCK, name) {
            Some(value) => self.apply(name, value),
            None => Ok(()),
        })
    }

    /// Sets a field to what a store has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn apply(&self, name: &str, value: &str) -> Result<(), String> {
        let damaged = || format!("the field {name} of the clock");
        let mut face = self.face.lock();
        match name {
            START => face.0 = value.parse().map_err(|_| damaged())?,
            MODE => face.1 = value.parse().map_err(|_| damaged())?,
            _ => return Err(damaged()),
        }
        Ok(())
    }

    /// Hands over changes to a store from now on.
    pub fn keep_in(&mut self, store: &Arc<Store>) {
        self.store = Some(Arc::clone(store));
    }

    /// Returns the writes that make the clock.
    #[must_use]
    pub fn whole(&self) -> Vec<StoreWrite> {
        let (start, mode) = *self.face.lock();
        vec![set(&CLOCK.into(), START, start.to_string()), set(&CLOCK.into(), MODE, mode.to_string())]
    }

    /// Returns the present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.read().now
    }

    /// Returns the present instant, and whether the clock is frozen.
    #[must_use]
    pub fn read(&self) -> ClockReading {
        self.face.lock().1.read(system())
    }

    /// Changes the clock and returns its reading.
    ///
    /// # Errors
    /// When the result is out of range (end of year 9999); the clock is then unchanged.
    pub fn change(&self, change: ClockMove) -> Result<ClockReading, String> {
        let mut face = self.face.lock();
        let (start, mode) = *face;
        let mode = mode.changed(change, system(), ClockMode::of(start))?;
        let write = || vec![set(&CLOCK.into(), MODE, mode.to_string())];
        if let Some(shared) = self.store.as_ref().and_then(|store| store.shared()) {
            // Replicas, this one too, change theirs once the change is in the history that they share.
            drop(face);
            let _ = shared.push_and_apply(write());
            return Ok(mode.read(system()));
        }
        face.1 = mode;
        if let Some(store) = &self.store {
            store.push(write());
        }
        Ok(mode.read(system()))
    }
}

/// Reads the system clock, truncated to milliseconds: the precision of journal and log.
fn system() -> ClockReading {
    let now = Timestamp::now();
    ClockReading { now: Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now), frozen: false }
}

impl ClockMode {
    fn of(start: ClockStart) -> ClockMode {
        match start {
            ClockStart::System => ClockMode::default(),
            ClockStart::At(instant) => ClockMode::Frozen(instant),
        }
    }

    /// Returns the reading of a clock in this mode while its reference clock reads `reference`.
    #[must_use]
    pub fn read(self, reference: ClockReading) -> ClockReading {
        let add = |now: Timestamp, by| now.checked_add(by).unwrap_or(Timestamp::MAX);
        match self {
            ClockMode::Following(ahead) => ClockReading { now: add(reference.now, ahead), ..reference },
            ClockMode::Running(ahead) => ClockReading { now: add(system().now, ahead), frozen: false },
            ClockMode::Frozen(now) => ClockReading { now, frozen: true },
        }
    }

    /// Returns the mode after a change. A reset returns to `start`.
    ///
    /// # Errors
    /// When the result is out of range (end of year 9999).
    pub fn changed(
        self,
        change: ClockMove,
        reference: ClockReading,
        start: ClockMode,
    ) -> Result<ClockMode, String> {
        let ClockReading { now, frozen } = self.read(reference);
        match change {
            ClockMove::Advance(by) => self.advanced(by, now),
            ClockMove::Set(now) => Ok(ClockMode::Frozen(now)),
            ClockMove::Freeze(true) => Ok(ClockMode::Frozen(now)),
            ClockMove::Freeze(false) if frozen => Ok(ClockMode::Running(now.duration_since(system().now))),
            ClockMove::Freeze(false) => Ok(self),
            ClockMove::Reset => Ok(start),
        }
    }

    fn advanced(self, by: std::time::Duration, now: Timestamp) -> Result<ClockMode, String> {
        let out_of_range = || "the clock cannot go beyond the year 9999".to_owned();
        let by = SignedDuration::try_from(by).map_err(|_| out_of_range())?;
        let later = now.checked_add(by).map_err(|_| out_of_range())?;
        let add_offset = |ahead: SignedDuration| ahead.checked_add(by).ok_or_else(out_of_range);
        Ok(match self {
            ClockMode::Following(ahead) => ClockMode::Following(add_offset(ahead)?),
            ClockMode::Running(ahead) => ClockMode::Running(add_offset(ahead)?),
            ClockMode::Frozen(_) => ClockMode::Frozen(later),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(text: &str) -> Timestamp {
        parse_instant(text).unwrap()
    }

    #[test]
    fn a_clock_started_at_an_instant_is_frozen_until_advanced_or_resumed() {
        let clock = Clock::new("2026-11-21T10:00:00+07:00".parse().unwrap());
        assert_eq!(clock.read(), ClockReading { now: at("2026-11-21T03:00:00Z"), frozen: true });
        let later = clock.change(ClockMove::Advance(Duration::from_secs(25 * 3600))).unwrap();
        assert_eq!(later, ClockReading { now: at("2026-11-22T11:00:00+07:00"), frozen: true });
        assert!(!clock.change(ClockMove::Freeze(false)).unwrap().frozen);
        assert!(clock.now() >= later.now);
        let start = ClockReading { now: at("2026-11-21T03:00:00Z"), frozen: true };
        assert_eq!(clock.change(ClockMove::Reset).unwrap(), start);
    }

    #[test]
    fn a_running_clock_keeps_running_when_advanced() {
        let clock = Clock::new(ClockStart::System);
        let before = clock.now();
        let reading = clock.change(ClockMove::Advance(Duration::from_secs(3600))).unwrap();
        assert!(!reading.frozen && reading.now >= before + Duration::from_secs(3600));
        assert!(clock.change(ClockMove::Freeze(true)).unwrap().frozen);
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn a_change_out_of_range_is_rejected() {
        let clock = Clock::new(ClockStart::At(Timestamp::MAX));
        assert!(clock.change(ClockMove::Advance(Duration::from_secs(1))).is_err());
        assert!(clock.change(ClockMove::Advance(Duration::MAX)).is_err());
        assert_eq!(clock.now(), Timestamp::MAX);
        assert!(crate::base::time::rfc3339(clock.now()).starts_with("9999-12-31"));
    }

    #[test]
    fn modes_and_starts_are_read_as_they_are_written() {
        let odd = SignedDuration::new(-86_399, -987_654_321);
        let instant = Timestamp::new(1_763_694_000, 123_456_789).unwrap();
        for mode in [
            ClockMode::default(),
            ClockMode::Following(SignedDuration::MAX),
            ClockMode::Running(odd),
            ClockMode::Frozen(instant),
            ClockMode::Frozen(Timestamp::MAX),
        ] {
            assert_eq!(mode.to_string().parse::<ClockMode>().unwrap(), mode, "{mode}");
        }
        for start in [ClockStart::System, ClockStart::At(instant)] {
            assert_eq!(start.to_string().parse(), Ok(start));
        }
        for wrong in ["", "running", "frozen yesterday", "following 1"] {
            assert!(wrong.parse::<ClockMode>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_customers_clock_follows_until_it_is_frozen_and_again_after_a_reset() {
        let (noon, one) = (at("2026-11-21T12:00:00+07:00"), at("2026-11-21T13:00:00+07:00"));
        let reference = |now| ClockReading { now, frozen: true };
        let changed = |mode: ClockMode, change| {
            mode.changed(change, reference(noon), ClockMode::default()).expect("in the range")
        };
        let hour_ahead = changed(ClockMode::default(), ClockMove::Advance(Duration::from_secs(3600)));
        assert_eq!(hour_ahead.read(reference(noon)), reference(one));
        let frozen_clock = changed(hour_ahead, ClockMove::Freeze(true));
        assert_eq!(frozen_clock.read(reference(at("2026-12-01T00:00:00Z"))), reference(one));
        assert!(!changed(frozen_clock, ClockMove::Freeze(false)).read(reference(noon)).frozen);
        assert_eq!(changed(frozen_clock, ClockMove::Reset).read(reference(noon)), reference(noon));
    }
}
