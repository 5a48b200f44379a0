//! What is remembered of photos: a photo seen before is not decoded again. Bounded; what was not asked for since the last round goes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::hash::Print;

/// Most photos that are remembered, some five kilobytes each.
const MOST: usize = 4096;

/// The prints of photos, by the SHA-256 of their files; `None` for a photo that has none.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Clock>);

#[derive(Debug, Default)]
struct Clock {
    known: HashMap<[u8; 32], Known>,
    /// The next to go first.
    order: VecDeque<[u8; 32]>,
}

#[derive(Debug)]
struct Known {
    print: Option<Arc<Print>>,
    /// Since the hand of the clock passed.
    asked_for: bool,
}

impl Seen {
    /// The print of a photo seen before, or what `look` gives, which is remembered. `look` runs without the lock.
    pub fn print(&self, sha256: &[u8; 32], look: impl FnOnce() -> Option<Print>) -> Option<Arc<Print>> {
        if let Some(known) = self.clock().known.get_mut(sha256) {
            known.asked_for = true;
            return known.print.clone();
        }
        let print = look().map(Arc::new);
        self.clock().remember(*sha256, print.clone(), MOST);
        print
    }

    fn clock(&self) -> std::sync::MutexGuard<'_, Clock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn remember(&mut self, sha256: [u8; 32], print: Option<Arc<Print>>, most: usize) {
        if self.known.insert(sha256, Known { print, asked_for: false }).is_none() {
            self.order.push_back(sha256);
        }
        while self.order.len() > most {
            self.forget_one();
        }
    }

    /// Ends: a photo that is passed over has been asked for, and has not any more.
    fn forget_one(&mut self) {
        while let Some(sha256) = self.order.pop_front() {
            match self.known.get_mut(&sha256) {
                Some(known) if known.asked_for => {
                    known.asked_for = false;
                    self.order.push_back(sha256);
                }
                _ => {
                    self.known.remove(&sha256);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::hash::SIDE;

    fn print(kind: u8) -> Option<Print> {
        Print::of(&std::array::from_fn(|at| ((at / SIDE) as u8 * 5) ^ kind))
    }

    #[test]
    fn a_photo_is_looked_at_once_even_when_it_has_no_print() {
        let seen = Seen::default();
        for (sha256, print) in [([1; 32], print(1)), ([2; 32], None)] {
            let first = seen.print(&sha256, || print.clone());
            let again = seen.print(&sha256, || unreachable!("it was seen"));
            assert_eq!(first.is_some(), print.is_some());
            assert_eq!(first.map(|print| Arc::as_ptr(&print)), again.map(|print| Arc::as_ptr(&print)));
        }
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_asked_for() {
        let mut clock = Clock::default();
        for number in 0..=255 {
            if let Some(first) = clock.known.get_mut(&[0; 32]) {
                first.asked_for = true;
            }
            clock.remember([number; 32], None, 10);
            assert!(clock.known.len() <= 10 && clock.order.len() == clock.known.len());
        }
        assert!(clock.known.contains_key(&[0; 32]) && clock.known.contains_key(&[255; 32]));
        assert!(!clock.known.contains_key(&[1; 32]));
    }
}
