//! A bounded memory of what can be computed again, so that forgetting it changes no answer. What was not asked for since the last
//! round goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values by their keys.
#[derive(Debug)]
pub struct Remembered<K, V>(Mutex<Round<K, V>>);

#[derive(Debug)]
struct Round<K, V> {
    known: HashMap<K, Known<V>>,
    /// The next to go first.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct Known<V> {
    value: V,
    /// Since its turn to go came last.
    asked_for: bool,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Remembered<K, V> {
        Remembered(Mutex::new(Round { known: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Remembered<K, V> {
    /// What is known of `key`.
    #[must_use]
    pub fn recall(&self, key: &K) -> Option<V> {
        self.lock().recall(key)
    }

    /// Remembers a value, and forgets others until there are at most `most`.
    pub fn remember(&self, key: K, value: V, most: usize) {
        self.lock().remember(key, value, most);
    }

    /// Forgets everything, and gives the memory back.
    pub fn clear(&self) {
        *self.lock() = Round { known: HashMap::new(), order: VecDeque::new() };
    }

    /// How much is remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().known.len()
    }

    fn lock(&self) -> MutexGuard<'_, Round<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Round<K, V> {
    fn recall(&mut self, key: &K) -> Option<V> {
        let known = self.known.get_mut(key)?;
        known.asked_for = true;
        Some(known.value.clone())
    }

    fn remember(&mut self, key: K, value: V, most: usize) {
        if most == 0 {
            return;
        }
        if self.known.insert(key, Known { value, asked_for: false }).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > most {
            self.forget_one();
        }
    }

    /// Ends: what is passed over has been asked for, and has not any more.
    fn forget_one(&mut self) {
        while let Some(key) = self.order.pop_front() {
            match self.known.get_mut(&key) {
                Some(known) if known.asked_for => {
                    known.asked_for = false;
                    self.order.push_back(key);
                }
                _ => {
                    self.known.remove(&key);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_is_bounded_and_keeps_what_is_asked_for() {
        let memory = Remembered::default();
        for number in 0..=255u8 {
            let _ = memory.recall(&0);
            memory.remember(number, number, 10);
            assert!(memory.count() <= 10 && memory.count() == memory.lock().order.len());
        }
        assert_eq!([memory.recall(&0), memory.recall(&255), memory.recall(&1)], [Some(0), Some(255), None]);
        memory.clear();
        assert_eq!((memory.count(), memory.recall(&0)), (0, None));
    }

    #[test]
    fn at_most_none_is_none() {
        let memory = Remembered::default();
        memory.remember(1, 1, 0);
        assert_eq!(memory.recall(&1), None);
    }
}
