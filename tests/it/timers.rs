//! Timers for tests: virtual time that the test advances, and a recorder that does not wait.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::state::timer::Timer;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// Virtual time: stopped, and advanced only by the test.
pub struct VirtualTime {
    start: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    now: Duration,
    begun: u64,
    /// Sleepers by wake-up time, in the order in which they began.
    sleepers: BTreeMap<(Duration, u64), Sleeper>,
}

struct Sleeper {
    length: Duration,
    wake: oneshot::Sender<()>,
}

impl Default for VirtualTime {
    fn default() -> VirtualTime {
        VirtualTime { start: Instant::now(), state: Mutex::default(), changed: Condvar::new() }
    }
}

impl VirtualTime {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `count` tasks sleep.
    #[track_caller]
    pub fn wait_for_sleepers(&self, count: usize) {
        self.wait_until(&format!("{count} sleepers"), |state| state.sleepers.len() == count);
    }

    /// Waits until a task sleeps that asked for this length.
    #[track_caller]
    pub fn wait_for_sleep(&self, length: Duration) {
        let sleeps = |sleeper: &Sleeper| sleeper.length == length && !sleeper.wake.is_closed();
        self.wait_until(&format!("a sleep of {length:?}"), |state| state.sleepers.values().any(sleeps));
    }

    /// Waits for a sleep of this length, and advances the time to its end.
    #[track_caller]
    pub fn end_sleep(&self, length: Duration) {
        self.wait_for_sleep(length);
        self.advance(length);
    }

    /// The real timeout only keeps a failing test from hanging.
    #[track_caller]
    fn wait_until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let timeout = Duration::from_secs(60);
        let (state, result) = self
            .changed
            .wait_timeout_while(self.state(), timeout, |state| !condition(state))
            .unwrap_or_else(PoisonError::into_inner);
        let lengths: Vec<_> = state.sleepers.values().map(|sleeper| sleeper.length).collect();
        assert!(!result.timed_out(), "no {what} within a minute, but {lengths:?}");
    }

    /// Advances the time, and wakes the sleepers that are due.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.now += time;
        let later = (state.now + Duration::from_nanos(1), 0);
        let asleep = state.sleepers.split_off(&later);
        let due = std::mem::replace(&mut state.sleepers, asleep);
        drop(state);
        for sleeper in due.into_values() {
            // A dropped task needs no wake-up.
            let _ = sleeper.wake.send(());
        }
    }
}

impl Timer for VirtualTime {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.state();
        state.begun += 1;
        let key = (state.now + time, state.begun);
        state.sleepers.insert(key, Sleeper { length: time, wake });
        self.changed.notify_all();
        woken.map(drop).boxed()
    }

    fn now(&self) -> Instant {
        self.start + self.state().now
    }
}

/// Records sleeps, which end at once.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Duration>>);

impl Recorder {
    /// Returns the lengths of all sleeps, in order.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Timer for Recorder {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(time);
        std::future::ready(()).boxed()
    }
}
