//! The simulator's clock: the system's, moved or stopped on request; and customers' own, which follow it until they are changed.
//! Quotas, windows, ends of rules and journal times follow them.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::base::time::parse_instant;

/// How a clock starts, and what a reset returns it to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockStart {
    /// Runs with the system's clock.
    #[default]
    System,
    /// Stands still at an instant.
    At(Timestamp),
}

impl std::str::FromStr for ClockStart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "system" {
            return Ok(ClockStart::System);
        }
        parse_instant(text).map(ClockStart::At).map_err(|error| format!("{error}, or the word system"))
    }
}

/// Where a clock stands, seen from the clock that it follows: the simulator's follows the system's, a customer's the simulator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// As far ahead of the clock that it follows; stands still when that one does.
    Following(SignedDuration),
    /// As far ahead of the system's clock, whatever the clock that it follows does.
    Running(SignedDuration),
    /// Stands still.
    Frozen(Timestamp),
}

impl Default for ClockMode {
    fn default() -> ClockMode {
        ClockMode::Following(SignedDuration::ZERO)
    }
}

/// What can be done to a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMove {
    /// Forward; one that stands still stands at the later instant then.
    Advance(std::time::Duration),
    /// To an instant, where it stands still.
    Set(Timestamp),
    /// Stops it where it is, or lets it go on from there.
    Freeze(bool),
    /// Back to how it started.
    Reset,
}

/// What a clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The instant.
    pub now: Timestamp,
    /// Whether it stands still.
    pub frozen: bool,
}

/// The simulator's clock. Jakarta time is UTC+7 all year, since 1964.
#[derive(Debug)]
pub struct Clock {
    start: ClockStart,
    mode: Mutex<ClockMode>,
}

impl Clock {
    /// A clock at its start.
    #[must_use]
    pub fn new(start: ClockStart) -> Clock {
        Clock { start, mode: Mutex::new(ClockMode::of(start)) }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.read().now
    }

    /// The present instant, and whether the clock stands still.
    #[must_use]
    pub fn read(&self) -> ClockReading {
        self.lock().read(system())
    }

    /// Changes the clock, and shows it.
    ///
    /// # Errors
    /// When that leaves the range of instants (until the end of year 9999); the clock is unchanged then.
    pub fn change(&self, change: ClockMove) -> Result<ClockReading, String> {
        let mut mode = self.lock();
        *mode = mode.changed(change, system(), ClockMode::of(self.start))?;
        Ok(mode.read(system()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ClockMode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The system's clock, in milliseconds: that is what journal and log print; nothing finer means anything here.
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

    /// What a clock in this mode shows while the one that it follows shows `lead`.
    #[must_use]
    pub fn read(self, lead: ClockReading) -> ClockReading {
        let ahead_of = |now: Timestamp, by| now.checked_add(by).unwrap_or(Timestamp::MAX);
        match self {
            ClockMode::Following(ahead) => ClockReading { now: ahead_of(lead.now, ahead), ..lead },
            ClockMode::Running(ahead) => ClockReading { now: ahead_of(system().now, ahead), frozen: false },
            ClockMode::Frozen(now) => ClockReading { now, frozen: true },
        }
    }

    /// The mode after a change. `start` is what a reset returns to.
    ///
    /// # Errors
    /// When that leaves the range of instants.
    pub fn changed(
        self,
        change: ClockMove,
        lead: ClockReading,
        start: ClockMode,
    ) -> Result<ClockMode, String> {
        let ClockReading { now, frozen } = self.read(lead);
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
        let too_far = || "the clock cannot go beyond the year 9999".to_owned();
        let by = SignedDuration::try_from(by).map_err(|_| too_far())?;
        let later = now.checked_add(by).map_err(|_| too_far())?;
        let farther = |ahead: SignedDuration| ahead.checked_add(by).ok_or_else(too_far);
        Ok(match self {
            ClockMode::Following(ahead) => ClockMode::Following(farther(ahead)?),
            ClockMode::Running(ahead) => ClockMode::Running(farther(ahead)?),
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
    fn a_clock_given_an_instant_stands_still_until_advanced_or_let_go() {
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
    fn the_clock_refuses_to_leave_its_range() {
        let clock = Clock::new(ClockStart::At(Timestamp::MAX));
        assert!(clock.change(ClockMove::Advance(Duration::from_secs(1))).is_err());
        assert!(clock.change(ClockMove::Advance(Duration::MAX)).is_err());
        assert_eq!(clock.now(), Timestamp::MAX);
        assert!(crate::base::time::rfc3339(clock.now()).starts_with("9999-12-31"));
    }

    #[test]
    fn a_customers_clock_follows_until_it_is_stopped_and_again_after_a_reset() {
        let (noon, one) = (at("2026-11-21T12:00:00+07:00"), at("2026-11-21T13:00:00+07:00"));
        let lead = |now| ClockReading { now, frozen: true };
        let changed = |mode: ClockMode, change| {
            mode.changed(change, lead(noon), ClockMode::default()).expect("in the range")
        };
        let hour_ahead = changed(ClockMode::default(), ClockMove::Advance(Duration::from_secs(3600)));
        assert_eq!(hour_ahead.read(lead(noon)), lead(one));
        let stopped = changed(hour_ahead, ClockMove::Freeze(true));
        assert_eq!(stopped.read(lead(at("2026-12-01T00:00:00Z"))), lead(one));
        assert!(!changed(stopped, ClockMove::Freeze(false)).read(lead(noon)).frozen);
        assert_eq!(changed(stopped, ClockMove::Reset).read(lead(noon)), lead(noon));
    }
}
