//! Bounded cache with second-chance eviction. Holds only what can be recomputed, so eviction changes no answer.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use parking_lot::Mutex;

/// Cache of values by key. The caller passes the max size to each `insert`.
#[derive(Debug)]
pub struct Cache<K, V>(Mutex<SecondChance<K, V>>);

#[derive(Debug)]
struct SecondChance<K, V> {
    entries: HashMap<K, CachedValue<V>>,
    /// Keys in eviction order: the front is the next candidate.
    order: VecDeque<K>,
}

#[derive(Debug)]
struct CachedValue<V> {
    value: V,
    /// Whether it was read since it was last considered for eviction.
    referenced: bool,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Cache<K, V> {
        Cache(Mutex::new(SecondChance { entries: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K: Copy + Eq + Hash, V: Clone> Cache<K, V> {
    /// Returns the cached value of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<V> {
        self.0.lock().get(key)
    }

    /// Caches a value, then evicts entries until there are at most `max_entries`.
    pub fn insert(&self, key: K, value: V, max_entries: usize) {
        self.0.lock().insert(key, value, max_entries);
    }

    /// Removes all entries and frees their memory.
    pub fn clear(&self) {
        *self.0.lock() = SecondChance { entries: HashMap::new(), order: VecDeque::new() };
    }

    /// Returns the number of cached entries.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().entries.len()
    }
}

impl<K: Copy + Eq + Hash, V: Clone> SecondChance<K, V> {
    fn get(&mut self, key: &K) -> Option<V> {
        let entry = self.entries.get_mut(key)?;
        entry.referenced = true;
        Some(entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V, max_entries: usize) {
        if max_entries == 0 {
            return;
        }
        if self.entries.insert(key, CachedValue { value, referenced: false }).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > max_entries {
            self.evict_one();
        }
    }

    /// Evicts the first entry that was not referenced. Terminates: each entry passed over loses its reference bit.
    fn evict_one(&mut self) {
        while let Some(key) = self.order.pop_front() {
            match self.entries.get_mut(&key) {
                Some(entry) if entry.referenced => {
                    entry.referenced = false;
                    self.order.push_back(key);
                }
                _ => {
                    self.entries.remove(&key);
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
    fn the_cache_is_bounded_and_keeps_referenced_entries() {
        let cache = Cache::default();
        for number in 0..=255u8 {
            let _ = cache.get(&0);
            cache.insert(number, number, 10);
            assert!(cache.count() <= 10 && cache.count() == cache.0.lock().order.len());
        }
        assert_eq!([cache.get(&0), cache.get(&255), cache.get(&1)], [Some(0), Some(255), None]);
        cache.clear();
        assert_eq!((cache.count(), cache.get(&0)), (0, None));
    }

    #[test]
    fn a_cache_of_size_zero_stores_nothing() {
        let cache = Cache::default();
        cache.insert(1, 1, 0);
        assert_eq!(cache.get(&1), None);
    }
}
