//! Memory for bytes on their way: recycled, aligned, and never more than a transfer may hold.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a block. Large enough that the hop to a blocking thread does not count beside hashing it
/// (some 2.5 ms), small enough that a few dozen of them are little memory.
pub(crate) const BLOCK: usize = 4 << 20;

/// What unbuffered writes ask of addresses and lengths: the largest sector in use.
pub(crate) const ALIGNMENT: usize = 4096;

/// Whether unbuffered writes take `bytes` as they lie.
pub(crate) fn is_aligned(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(ALIGNMENT) && bytes.as_ptr().align_offset(ALIGNMENT) == 0
}

/// The blocks that one transfer may hold together. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Blocks(Arc<Pool>);

struct Pool {
    free: Arc<Semaphore>,
    most: usize,
    /// Memory that was used before, so that its pages need not be given out and zeroed again.
    spare: Mutex<Vec<Vec<u8>>>,
}

/// A block being filled.
pub(crate) struct Block {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
    pool: Arc<Pool>,
    _leave: Option<OwnedSemaphorePermit>,
}

impl Blocks {
    /// At most `most` at a time.
    pub(crate) fn new(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most));
        Self(Arc::new(Pool { free, most, spare: Mutex::default() }))
    }

    /// Waits until one is free. Whoever holds one must be able to go on without another: see
    /// [`take_for`](Self::take_for).
    pub(crate) async fn take(&self) -> Block {
        let leave = Arc::clone(&self.0.free).acquire_owned().await.expect("the blocks are never closed");
        self.block(Some(leave))
    }

    /// Waits until enough are free for `bytes` bytes, and takes all of them at once, so that two that need
    /// several do not wait for each other. More than there are at all is given when all are free.
    #[cfg(feature = "object-store")]
    pub(crate) async fn take_for(&self, bytes: u64) -> Vec<Block> {
        let wanted = usize::try_from(bytes.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX).max(1);
        let leaves = u32::try_from(wanted.min(self.0.most)).unwrap_or(u32::MAX);
        let leaves = Arc::clone(&self.0.free).acquire_many_owned(leaves).await;
        let mut leaves = Some(leaves.expect("the blocks are never closed"));
        let mut blocks = Vec::with_capacity(wanted);
        for _ in 0..wanted {
            let leave = leaves.as_mut().and_then(|leaves| leaves.split(1));
            blocks.push(self.block(leave));
        }
        blocks
    }

    /// One beyond those that may be held, for the rare case of what cannot wait.
    #[cfg(feature = "object-store")]
    pub(crate) fn extra(&self) -> Block {
        self.block(None)
    }

    fn block(&self, leave: Option<OwnedSemaphorePermit>) -> Block {
        let spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = spare.unwrap_or_else(|| vec![0; BLOCK + ALIGNMENT]);
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Block { memory, start, filled: 0, pool: Arc::clone(&self.0), _leave: leave }
    }
}

impl Block {
    /// Where the next bytes go; empty when the block is full.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.memory[self.start + self.filled..self.start + BLOCK]
    }

    /// Says that so many bytes of the room were filled.
    pub(crate) fn fill(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(BLOCK);
    }

    /// Copies as much of `bytes` as there is room for, and returns how much.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let n = bytes.len().min(room.len());
        room[..n].copy_from_slice(&bytes[..n]);
        self.fill(n);
        n
    }

    /// How many bytes are in it.
    pub(crate) const fn len(&self) -> usize {
        self.filled
    }

    /// What is in it. The block is free again when this and all its clones and slices are dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.filled]
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let mut spare = self.pool.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < self.pool.most {
            spare.push(mem::take(&mut self.memory));
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} bytes)", self.filled)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} blocks free", self.free.available_permits(), self.most)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn blocks_are_aligned_bounded_and_used_again() {
        let blocks = Blocks::new(3);
        let mut first = blocks.take().await;
        assert_eq!((first.room().len(), first.room().as_ptr().align_offset(ALIGNMENT)), (BLOCK, 0));
        assert_eq!(first.copy(b"abc"), 3);
        let bytes = first.freeze();
        let slice = bytes.slice(1..);
        assert!(blocks.take_for(3 * BLOCK as u64).now_or_never().is_none(), "one is held");
        drop(bytes);
        assert!(blocks.take_for(3 * BLOCK as u64).now_or_never().is_none(), "a slice holds it");
        assert_eq!(&slice[..], b"bc");
        drop(slice);
        let many = blocks.take_for(100 * BLOCK as u64).now_or_never().unwrap();
        assert_eq!(many.len(), 100, "more than there are, when all are free");
        assert!(blocks.take().now_or_never().is_none());
        drop(many);
        assert_eq!(blocks.take_for(0).await.len(), 1);
        assert!(blocks.0.spare.lock().unwrap().len() <= 3);
    }
}
