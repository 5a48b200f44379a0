//! Memory of long bodies, apart from the heap. On the heap, small things that are made meanwhile come to stand between them, and what
//! they leave behind cannot be given back to the system; and given back at once, its pages would be cleared and mapped anew for each.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use memmap2::MmapMut;
use parking_lot::Mutex;

/// Capacities are multiples of this, so that bodies of about the same length share them.
const STEP: usize = 64 << 10;

/// So much is kept for the next bodies, in bytes.
const MAX_KEPT: usize = 64 << 20;

/// Buffers that wait for the next bodies.
#[derive(Debug, Default)]
pub struct BufferPool(Mutex<FreeList>);

#[derive(Debug, Default)]
struct FreeList {
    by_capacity: BTreeMap<usize, Vec<MmapMut>>,
    bytes: usize,
}

/// The bytes of a body.
pub enum Buffer {
    Pooled(PooledBuffer),
    /// Short, or the system maps no memory.
    Heap(Vec<u8>),
}

/// Mapped memory of which so much is used. Dropped, it goes back to the [`BufferPool`] it came from.
pub struct PooledBuffer {
    memory: Option<MmapMut>,
    length: usize,
    home: Arc<BufferPool>,
}

impl BufferPool {
    /// Room for `length` bytes. What is in it is anybody's.
    #[must_use]
    pub fn take(self: &Arc<BufferPool>, length: usize) -> Buffer {
        let capacity = length.max(1).next_multiple_of(STEP);
        let kept = self.0.lock().take(capacity);
        match kept.map_or_else(|| MmapMut::map_anon(capacity), Ok) {
            Ok(memory) => {
                Buffer::Pooled(PooledBuffer { memory: Some(memory), length, home: Arc::clone(self) })
            }
            Err(_) => Buffer::Heap(vec![0; length]),
        }
    }

    /// Gives the system back what is kept.
    pub fn release(&self) {
        *self.0.lock() = FreeList::default();
    }
}

impl FreeList {
    /// The smallest that is large enough, and not twice as large: that is for longer bodies.
    fn take(&mut self, capacity: usize) -> Option<MmapMut> {
        let (&found, memories) = self.by_capacity.range_mut(capacity..2 * capacity).next()?;
        let memory = memories.pop();
        if memories.is_empty() {
            self.by_capacity.remove(&found);
        }
        self.bytes -= found;
        memory
    }

    /// When it becomes too much, all others go: they may be of lengths that are not sent any more.
    fn put(&mut self, memory: MmapMut) {
        let capacity = memory.len();
        if capacity > MAX_KEPT {
            return;
        }
        if self.bytes + capacity > MAX_KEPT {
            *self = FreeList::default();
        }
        self.bytes += capacity;
        self.by_capacity.entry(capacity).or_default().push(memory);
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.home.0.lock().put(memory);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Buffer::Pooled(PooledBuffer { memory, length, .. }) => {
                memory.as_ref().map_or(&[], |all| &all[..*length])
            }
            Buffer::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Buffer::Pooled(PooledBuffer { memory, length, .. }) => {
                memory.as_mut().map_or(&mut [], |all| &mut all[..*length])
            }
            Buffer::Heap(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        Buffer::Heap(bytes)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// A derived Debug would print photos.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(buffers: &Arc<BufferPool>) -> (usize, usize) {
        let kept = buffers.0.lock();
        (kept.by_capacity.values().map(Vec::len).sum(), kept.bytes)
    }

    #[test]
    fn a_buffer_is_used_again_for_bodies_of_about_its_length() {
        for (length, fits) in [(STEP, false), (2 * STEP, true), (3 * STEP, true), (3 * STEP + 1, false)] {
            let buffers = Arc::<BufferPool>::default();
            drop(buffers.take(3 * STEP - 7));
            assert_eq!(kept(&buffers), (1, 3 * STEP));
            assert_eq!(buffers.take(length).len(), length);
            assert_eq!(kept(&buffers).0, if fits { 1 } else { 2 }, "{length}");
        }
    }

    #[test]
    fn what_is_written_stays_while_the_buffer_is_held() {
        let buffers = Arc::<BufferPool>::default();
        let mut both = [buffers.take(10), buffers.take(10)];
        both[0].fill(1);
        both[1].fill(2);
        assert_eq!([&both[0][..], &both[1][..]], [[1; 10], [2; 10]]);
        assert_eq!(*Buffer::from(vec![3]), [3]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_can_be_given_back() {
        let buffers = Arc::<BufferPool>::default();
        let many: Vec<_> = (0..100).map(|_| buffers.take(1 << 20)).collect();
        assert_eq!(kept(&buffers), (0, 0));
        drop(many);
        let (count, bytes) = kept(&buffers);
        assert!(count > 0 && bytes <= MAX_KEPT, "{count} {bytes}");
        drop(buffers.take(MAX_KEPT + 1));
        assert_eq!(kept(&buffers), (count, bytes), "too large to be kept");
        buffers.release();
        assert_eq!(kept(&buffers), (0, 0));
    }
}
