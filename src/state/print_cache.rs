//! What is remembered of photos: a photo seen before is not decoded again.

use std::sync::Arc;

use super::cache::Cache;
use crate::domain::matcher::hash::ProbeHash;

/// Most photos that are remembered, some five kilobytes each.
const MOST: usize = 4096;

/// The prints of photos, by the SHA-256 of their files; `None` for a photo that has none.
#[derive(Debug, Default)]
pub struct PrintCache(Cache<[u8; 32], Option<Arc<ProbeHash>>>);

impl PrintCache {
    /// The print of a photo seen before, or what `look` gives, which is remembered. `look` runs without the lock.
    pub fn print(
        &self,
        sha256: &[u8; 32],
        look: impl FnOnce() -> Option<ProbeHash>,
    ) -> Option<Arc<ProbeHash>> {
        if let Some(known) = self.0.get(sha256) {
            return known;
        }
        let print = look().map(Arc::new);
        self.0.insert(*sha256, print.clone(), MOST);
        print
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::matcher::hash::SIDE;

    fn print(kind: u8) -> Option<ProbeHash> {
        ProbeHash::of(&std::array::from_fn(|at| ((at / SIDE) as u8 * 5) ^ kind))
    }

    #[test]
    fn a_photo_is_looked_at_once_even_when_it_has_no_print() {
        let seen = PrintCache::default();
        for (sha256, print) in [([1; 32], print(1)), ([2; 32], None)] {
            let first = seen.print(&sha256, || print.clone());
            let again = seen.print(&sha256, || unreachable!("it was seen"));
            assert_eq!(first.is_some(), print.is_some());
            assert_eq!(first.map(|print| Arc::as_ptr(&print)), again.map(|print| Arc::as_ptr(&print)));
        }
    }
}
