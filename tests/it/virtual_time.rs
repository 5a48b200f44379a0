//! A timer with virtual time, advanced by the test.

use std::collections::BTreeMap;
use std::time::Duration;

use dukcapil_fr_sim::internals::state::timer::Timer;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

/// Virtual time, stopped between the test's steps.
#[derive(Default)]
pub struct VirtualTime {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    now: Duration,
    begun: u64,
    /// Wake-up times and their sleepers, in order.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
}

impl VirtualTime {
    /// Waits until `count` tasks sleep. The real timeout only keeps a failing test from hanging.
    pub fn wait_for_sleepers(&self, count: usize) {
        let timeouts = Duration::from_secs(60);
        let waiting = |state: &mut State| state.sleepers.len() != count;
        let mut state = self.state.lock();
        let over = self.changed.wait_while_for(&mut state, waiting, timeouts);
        assert!(!over.timed_out(), "{} sleep, not {count}", state.sleepers.len());
    }

    /// Advances the time, and wakes the sleepers that are due.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state.lock();
        state.now += time;
        let later = (state.now + Duration::from_nanos(1), 0);
        let asleep = state.sleepers.split_off(&later);
        let due = std::mem::replace(&mut state.sleepers, asleep);
        drop(state);
        for sleeper in due.into_values() {
            // A dropped task needs no wake-up.
            let _ = sleeper.send(());
        }
    }
}

impl Timer for VirtualTime {
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let (wake, woken) = oneshot::channel();
        let mut state = self.state.lock();
        state.begun += 1;
        let key = (state.now + time, state.begun);
        state.sleepers.insert(key, wake);
        self.changed.notify_all();
        woken.map(drop).boxed()
    }
}
