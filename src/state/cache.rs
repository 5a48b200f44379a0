//! A bounded memory of what can be computed again, so that forgetting it changes no answer. What was not asked for since the last
//! round goes first.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values by their keys.
#[derive(Debug)]
pub struct Cache<K, V>(Mutex<SecondChance<K, V>>);

#[derive(Debug)]
struct SecondChance<K, V> {
    known: HashMap<K, CachedValue<V>>,
    /// The next to go first.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct CachedValue<V> {
    value: V,
    /// Since its turn to go came last.
    asked_for: bool,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Cache<K, V> {
        Cache(Mutex::new(SecondChance { known: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Cache<K, V> {
    /// What is known of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        self.lock().get(key)
    }

    /// Remembers a value, and forgets others until there are at most `most`.
    pub fn insert(&self, key: K, value: V, most: usize) {
        self.lock().insert(key, value, most);
    }

    /// Forgets everything, and gives the memory back.
    pub fn clear(&self) {
        *self.lock() = SecondChance { known: HashMap::new(), order: VecDeque::new() };
    }

    /// How much is remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().known.len()
    }

    fn lock(&self) -> MutexGuard<'_, SecondChance<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, V: Clone> SecondChance<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        let known = self.known.get_mut(key)?;
        known.asked_for = true;
        Some(known.value.clone())
    }

    fn insert(&mut self, key: K, value: V, most: usize) {
        if most == 0 {
            return;
        }
        if self.known.insert(key, CachedValue { value, asked_for: false }).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > most {
            self.evict_one();
        }
    }

    /// Ends: what is passed over has been asked for, and has not any more.
    fn evict_one(&mut self) {
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
        let memory = Cache::default();
        for number in 0..=255u8 {
            let _ = memory.get(&0);
            memory.insert(number, number, 10);
            assert!(memory.count() <= 10 && memory.count() == memory.lock().order.len());
        }
        assert_eq!([memory.get(&0), memory.get(&255), memory.get(&1)], [Some(0), Some(255), None]);
        memory.clear();
        assert_eq!((memory.count(), memory.get(&0)), (0, None));
    }

    #[test]
    fn at_most_none_is_none() {
        let memory = Cache::default();
        memory.insert(1, 1, 0);
        assert_eq!(memory.get(&1), None);
    }
}
