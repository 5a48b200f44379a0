//! Cache of perceptual hashes by photo file, so that a repeated photo is not decoded again.

use super::cache::Cache;
use crate::domain::matcher::ProbePixels;

/// Max cached photos, about 5 kB each.
const MAX_ENTRIES: usize = 4096;

/// What is compared of a photo's pixels, by the SHA-256 of its file.
#[derive(Debug, Default)]
pub struct PrintCache(Cache<[u8; 32], ProbePixels>);

impl PrintCache {
    /// Returns what is cached of a photo, or calls `compute` and caches the result. `compute` runs without the lock.
    pub fn get_or_compute(&self, sha256: &[u8; 32], compute: impl FnOnce() -> ProbePixels) -> ProbePixels {
        if let Some(cached) = self.0.get(sha256) {
            return cached;
        }
        let pixels = compute();
        self.0.insert(*sha256, pixels.clone(), MAX_ENTRIES);
        pixels
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::matcher::SmallPicture;
    use crate::domain::matcher::hash::SIDE;

    #[test]
    fn a_hash_is_computed_once_even_when_there_is_none() {
        let small = Box::new(std::array::from_fn(|at| (at / SIDE) as u8 * 5));
        let (cache, decoded) = (PrintCache::default(), Ok(SmallPicture { small, damage: None }));
        for (sha256, decoded) in [([1; 32], decoded), ([2; 32], Err("it is odd".to_owned()))] {
            let first = cache.get_or_compute(&sha256, || ProbePixels::of(decoded.clone()));
            let again = cache.get_or_compute(&sha256, || unreachable!("it is cached"));
            assert_eq!((first.hash.is_some(), &first.fault), (decoded.is_ok(), &again.fault));
            assert_eq!(first.hash.as_ref().map(Arc::as_ptr), again.hash.as_ref().map(Arc::as_ptr));
        }
    }
}
