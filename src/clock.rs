//! The simulator's clock: the system's, moved or stopped on request. Quotas and journal times follow it.

use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::{self, TimeZone};
use jiff::{SignedDuration, Timestamp};

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

/// Where the clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The system's time plus an offset.
    Running(SignedDuration),
    Frozen(Timestamp),
}

/// A clock that can be stopped, set and advanced. Jakarta time is UTC+7 all year, since 1964.
#[derive(Debug)]
pub struct Clock {
    start: ClockStart,
    mode: Mutex<Mode>,
}

/// What the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The instant.
    pub now: Timestamp,
    /// Whether it stands still.
    pub frozen: bool,
}

impl Clock {
    /// A clock at its start.
    #[must_use]
    pub fn new(start: ClockStart) -> Clock {
        Clock { start, mode: Mutex::new(Mode::of(start)) }
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.read().now
    }

    /// The present instant, and whether the clock stands still.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.lock().read()
    }

    /// Moves the clock forward; a stopped one stands still at the later instant.
    ///
    /// # Errors
    /// When that leaves the range of instants (until the end of year 9999).
    pub fn advance(&self, by: std::time::Duration) -> Result<Reading, String> {
        let too_far = |_| "the clock cannot go beyond the year 9999".to_owned();
        let by = SignedDuration::try_from(by)
            .map_err(|_| "the clock cannot go beyond the year 9999".to_owned())?;
        let mut mode = self.lock();
        let later = mode.read().now.checked_add(by).map_err(too_far)?;
        *mode = match *mode {
            Mode::Running(_) => Mode::Running(later.duration_since(Timestamp::now())),
            Mode::Frozen(_) => Mode::Frozen(later),
        };
        Ok(mode.read())
    }

    /// Stops the clock at an instant.
    pub fn set(&self, now: Timestamp) -> Reading {
        self.replace(Mode::Frozen(now))
    }

    /// Stops the clock where it is, or lets it go on from there.
    pub fn freeze(&self, frozen: bool) -> Reading {
        let mut mode = self.lock();
        let now = mode.read().now;
        *mode = if frozen { Mode::Frozen(now) } else { Mode::Running(now.duration_since(Timestamp::now())) };
        mode.read()
    }

    /// Back to how the simulator started.
    pub fn reset(&self) -> Reading {
        self.replace(Mode::of(self.start))
    }

    fn replace(&self, mode: Mode) -> Reading {
        *self.lock() = mode;
        mode.read()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mode {
    fn of(start: ClockStart) -> Mode {
        match start {
            ClockStart::System => Mode::Running(SignedDuration::ZERO),
            ClockStart::At(instant) => Mode::Frozen(instant),
        }
    }

    fn read(self) -> Reading {
        match self {
            Mode::Running(offset) => {
                let now = Timestamp::now().checked_add(offset).unwrap_or(Timestamp::MAX);
                // Milliseconds are what journal and log print; nothing finer means anything here.
                let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
                Reading { now, frozen: false }
            }
            Mode::Frozen(now) => Reading { now, frozen: true },
        }
    }
}

/// Asia/Jakarta. A fixed offset, because the tz database has no other for it since 1964.
#[must_use]
pub fn jakarta() -> TimeZone {
    TimeZone::fixed(tz::offset(7))
}

/// The calendar day in Jakarta, by which quotas are counted (SPEC 3, "quota").
#[must_use]
pub fn jakarta_day(instant: Timestamp) -> Date {
    instant.to_zoned(jakarta()).date()
}

/// RFC 3339 in Jakarta time, with a fraction only where there is one.
#[must_use]
pub fn rfc3339(instant: Timestamp) -> String {
    instant.to_zoned(jakarta()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

/// Like [`rfc3339`], cut to milliseconds: for journal and log.
#[must_use]
pub fn rfc3339_millis(instant: Timestamp) -> String {
    instant.to_zoned(jakarta()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// Reads an instant.
///
/// # Errors
/// When the text is not RFC 3339 with an offset.
pub fn parse_instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no instant: write RFC 3339 with an offset, 2026-11-21T10:00:00+07:00")
    })
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
        assert_eq!(clock.read(), Reading { now: at("2026-11-21T03:00:00Z"), frozen: true });
        let later = clock.advance(Duration::from_secs(25 * 3600)).unwrap();
        assert_eq!(later, Reading { now: at("2026-11-22T11:00:00+07:00"), frozen: true });
        assert!(!clock.freeze(false).frozen);
        assert!(clock.now() >= later.now);
        assert_eq!(clock.reset(), Reading { now: at("2026-11-21T03:00:00Z"), frozen: true });
    }

    #[test]
    fn a_running_clock_keeps_running_when_advanced() {
        let clock = Clock::new(ClockStart::System);
        let before = clock.now();
        let reading = clock.advance(Duration::from_secs(3600)).unwrap();
        assert!(!reading.frozen && reading.now >= before + Duration::from_secs(3600));
        assert!(clock.freeze(true).frozen);
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn the_clock_refuses_to_leave_its_range() {
        let clock = Clock::new(ClockStart::At(Timestamp::MAX));
        assert!(clock.advance(Duration::from_secs(1)).is_err());
        assert!(clock.advance(Duration::MAX).is_err());
        assert_eq!(clock.now(), Timestamp::MAX);
        assert!(rfc3339(clock.now()).starts_with("9999-12-31"));
    }

    #[test]
    fn days_end_at_midnight_in_jakarta() {
        assert_eq!(jakarta_day(at("2026-11-21T16:59:59Z")), jiff::civil::date(2026, 11, 21));
        assert_eq!(jakarta_day(at("2026-11-21T17:00:00Z")), jiff::civil::date(2026, 11, 22));
    }

    #[test]
    fn instants_print_in_jakarta_time() {
        assert_eq!(rfc3339(at("2026-11-21T03:00:00Z")), "2026-11-21T10:00:00+07:00");
        assert_eq!(rfc3339(at("2026-11-21T03:00:00.25Z")), "2026-11-21T10:00:00.25+07:00");
        assert_eq!(rfc3339_millis(at("2026-11-21T03:00:00Z")), "2026-11-21T10:00:00.000+07:00");
    }
}
