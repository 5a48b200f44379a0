//! Cache of perceptual hashes by photo file, so that a repeated photo is not decoded again.

use std::sync::Arc;

use super::cache::Cache;
use crate::domain::matcher::hash::ProbeHash;

/// Max cached photos, about 5 kB each.
const MAX_ENTRIES: usize = 4096;

/// Probe hashes by the SHA-256 of the photo's file; `None` for a photo that has no hash.
#[derive(Debug, Default)]
pub struct PrintCache(Cache<[u8; 32], Option<Arc<ProbeHash>>>);

impl PrintCache {
    /// Returns the cached hash of a photo, or calls `compute` and caches the result. `compute` runs without the lock.
    pub fn get_or_compute(
        &self,
        sha256: &[u8; 32],
        compute: impl FnOnce() -> Option<ProbeHash>,
    ) -> Option<Arc<ProbeHash>> {
        if let Some(cached) = self.0.get(sha256) {
            return cached;
        }
        let hash = compute().map(Arc::new);
        self.0.insert(*sha256, hash.clone(), MAX_ENTRIES);
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matcher::hash::SIDE;

    fn hash(kind: u8) -> Option<ProbeHash> {
        ProbeHash::of(&std::array::from_fn(|at| ((at / SIDE) as u8 * 5) ^ kind))
    }

    #[test]
    fn a_hash_is_computed_once_even_when_there_is_none() {
        let cache = PrintCache::default();
        for (sha256, hash) in [([1; 32], hash(1)), ([2; 32], None)] {
            let first = cache.get_or_compute(&sha256, || hash.clone());
            let again = cache.get_or_compute(&sha256, || unreachable!("it is cached"));
            assert_eq!(first.is_some(), hash.is_some());
            assert_eq!(first.map(|hash| Arc::as_ptr(&hash)), again.map(|hash| Arc::as_ptr(&hash)));
        }
    }
}
