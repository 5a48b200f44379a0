//! Instants and calendar days in Jakarta time (UTC+7 all year, since 1964). The fixed offset makes time zone data unnecessary.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{self, TimeZone};

/// Returns Asia/Jakarta as a fixed offset: the tz database has no other offset for it since 1964.
#[must_use]
pub fn jakarta() -> TimeZone {
    TimeZone::fixed(tz::offset(7))
}

/// Returns the calendar day in Jakarta, by which quotas are counted (SPEC 3, "quota").
#[must_use]
pub fn jakarta_day(instant: Timestamp) -> Date {
    instant.to_zoned_datetime(jakarta()).date()
}

/// Formats an instant as RFC 3339 in Jakarta time, with a fraction only if it is not zero.
#[must_use]
pub fn rfc3339(instant: Timestamp) -> String {
    instant.to_zoned_datetime(jakarta()).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

/// Like [`rfc3339`], truncated to milliseconds: for journal and log.
#[must_use]
pub fn rfc3339_millis(instant: Timestamp) -> String {
    instant.to_zoned_datetime(jakarta()).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

/// Formats an instant as Spring Boot writes `timestamp`: in UTC, with milliseconds and a numeric offset.
#[must_use]
pub fn spring(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string()
}

/// Parses an instant.
///
/// # Errors
/// When the text is not RFC 3339 with an offset.
pub fn parse_instant(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an instant: write RFC 3339 with an offset, 2026-11-21T10:00:00+07:00")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        parse_instant(text).unwrap()
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
        assert_eq!(spring(at("2026-11-21T10:00:00.25+07:00")), "2026-11-21T03:00:00.250+00:00");
    }
}
