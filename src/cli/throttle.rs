//! Throttle of request lines on a terminal: above a rate that people can read, a summary a second.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Max lines in a second.
const MAX_LINES: u64 = 50;

const WINDOW: Duration = Duration::from_secs(1);

/// Number of requests by outcome.
pub type OutcomeCounts = BTreeMap<String, u64>;

/// Decides which requests have a line of their own.
#[derive(Debug, Default)]
pub struct Throttle {
    window: Option<Instant>,
    /// Requests of this window.
    count: u64,
    /// Whether the window before had more than the max.
    is_busy: bool,
    hidden: OutcomeCounts,
}

impl Throttle {
    /// Counts a request. Returns the summary of the window before, if it is over and hid any, and whether this request has its own line.
    pub fn admit(&mut self, at: Instant, outcome: &str) -> (Option<String>, bool) {
        let summary = self.roll(at);
        self.window.get_or_insert(at);
        self.count += 1;
        let is_shown = !self.is_busy && self.count <= MAX_LINES;
        if !is_shown {
            *self.hidden.entry(outcome.to_owned()).or_default() += 1;
        }
        (summary, is_shown)
    }

    /// Ends the window when it is over. Returns the summary of what it hid.
    pub fn roll(&mut self, at: Instant) -> Option<String> {
        let is_over = self.window.is_some_and(|start| at.saturating_duration_since(start) >= WINDOW);
        if !is_over {
            return None;
        }
        self.window = None;
        self.is_busy = std::mem::take(&mut self.count) > MAX_LINES;
        self.flush()
    }

    /// Returns the summary of what is hidden so far.
    pub fn flush(&mut self) -> Option<String> {
        let hidden = std::mem::take(&mut self.hidden);
        (!hidden.is_empty()).then(|| {
            let total: u64 = hidden.values().sum();
            format!("... {total} more in this second: {}", listed(&hidden))
        })
    }

    /// Returns when the window ends, if it hides anything.
    pub fn deadline(&self) -> Option<Instant> {
        self.window.filter(|_| !self.hidden.is_empty()).map(|start| start + WINDOW)
    }
}

/// Receives the next item, waiting until `deadline` at most; without one, for as long as it takes.
///
/// # Errors
/// When the time is over, or nothing comes any more.
pub fn receive_until<T>(items: &Receiver<T>, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
    match deadline {
        Some(deadline) => items.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        None => items.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// Lists counts, the greatest first.
pub fn listed(counts: &OutcomeCounts) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    counts.iter().map(|(outcome, count)| format!("{outcome} \u{d7}{count}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_rate_there_is_a_summary_a_second() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut throttle = Throttle::default();
        for request in 0..50 {
            assert_eq!(throttle.admit(at(request), "6018"), (None, true));
        }
        assert_eq!(throttle.deadline(), None, "nothing is hidden");
        for request in 50..60 {
            assert_eq!(throttle.admit(at(request), if request < 53 { "RST" } else { "6018" }), (None, false));
        }
        assert_eq!(throttle.deadline(), Some(at(1000)));
        assert_eq!(throttle.roll(at(999)), None);
        let first = Some("... 10 more in this second: 6018 ×7, RST ×3".to_owned());
        assert_eq!(throttle.roll(at(1000)), first);
        // After a busy second the next has no lines: they would flicker between the summaries.
        assert_eq!(throttle.admit(at(1100), "6018"), (None, false));
        let second = Some("... 1 more in this second: 6018 ×1".to_owned());
        assert_eq!(throttle.admit(at(2100), "6018"), (second, true), "a calm second ends it");
    }

    #[test]
    fn what_is_hidden_at_the_end_is_told() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        (0..51).for_each(|_| drop(throttle.admit(now, "FIN")));
        assert_eq!(throttle.flush().unwrap(), "... 1 more in this second: FIN ×1");
        assert_eq!(throttle.flush(), None);
    }
}
