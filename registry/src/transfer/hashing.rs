//! Digests of a file, whole and in parts, taken as its bytes pass.

use std::mem;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    block::Blocks,
    lane::{DEPTH, Lane},
    source::Reader,
};
use crate::{Digest, File, FilePath, Hasher, Inspector, PART_SIZE, Progress, Reading, Result, Transfer};

/// Blocks held where nothing is done with them but hashing.
const BLOCKS: usize = 8;

/// What a file is, and what it says about itself if it is of a format that is known.
pub(crate) type Hashed = (File, Option<Reading>);

/// Reads everything that is left in `reader` and says what a manifest would say about it as `path`.
/// Each block is shown to `see` first, which may stop it.
pub(crate) async fn hash(
    mut reader: Reader,
    path: FilePath,
    progress: &dyn Progress,
    mut see: impl FnMut(&Bytes) -> Result<()> + Send,
) -> Result<Hashed> {
    let blocks = Blocks::new(BLOCKS);
    let mut digests = Digests::new(&path);
    loop {
        let block = reader.block(blocks.take().await).await?;
        if block.is_empty() {
            return digests.finish(path).await;
        }
        see(&block)?;
        progress.tell(Transfer::Bytes(block.len() as u64));
        digests.take_in(block).await?;
    }
}

/// Hashes the blocks of a file on two threads, one for the parts and one for the whole: that takes both
/// digests in the time of one. A file of one part is hashed once.
///
/// SHA-256 of the whole is serial, so more threads would not help a single file.
#[derive(Debug)]
pub(crate) struct Digests {
    parts: Lane<Step, PartHasher>,
    /// Nothing yet within the first part, because there it would be equal to the part.
    whole: Option<Lane<Bytes, Hasher>>,
    size: u64,
}

/// What the lane of the parts does.
#[derive(Debug)]
enum Step {
    /// Takes in bytes that lie within one part.
    Bytes(Bytes),
    /// Tells the digest of the part so far.
    #[cfg(feature = "object-store")]
    Mark(oneshot::Sender<Digest>),
    /// Tells the state of the part so far.
    Fork(oneshot::Sender<Hasher>),
}

#[derive(Debug)]
struct PartHasher {
    closed: Vec<Digest>,
    open: Hasher,
    filled: u64,
    /// Sees the bytes as well, while they are in the processor's cache.
    inspector: Inspector,
}

impl Digests {
    /// Of a file that is going to be called `path`.
    pub(crate) fn new(path: &FilePath) -> Self {
        Self { parts: Lane::start(DEPTH, PartHasher::new(path), PartHasher::step), whole: None, size: 0 }
    }

    /// Takes in the next bytes. Returns before they are hashed.
    pub(crate) async fn take_in(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let filled = self.size % PART_SIZE;
            let room = usize::try_from(PART_SIZE - filled).unwrap_or(usize::MAX);
            let now = bytes.split_to(bytes.len().min(room));
            if self.size == PART_SIZE {
                let seed = self.ask(Step::Fork).await;
                self.whole = Some(Lane::start(DEPTH, seed, |hasher, bytes: Bytes| {
                    hasher.update(&bytes);
                    Ok(())
                }));
            }
            self.size += now.len() as u64;
            if let Some(whole) = &self.whole {
                whole.give(now.clone()).await;
            }
            self.parts.give(Step::Bytes(now)).await;
        }
        Ok(())
    }

    /// The digest of the last part as far as it was taken in: it says whether the bytes up to here are the same
    /// as some other time, without hashing any of them once more.
    #[cfg(feature = "object-store")]
    pub(crate) async fn mark(&self) -> Digest {
        self.ask(Step::Mark).await
    }

    /// Bytes taken in.
    #[cfg(feature = "object-store")]
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Everything that a manifest says about the file.
    pub(crate) async fn finish(self, path: FilePath) -> Result<Hashed> {
        let parts = self.parts.finish().await?;
        let whole = match self.whole {
            Some(whole) => Some(whole.finish().await?.finish()),
            None => None,
        };
        Ok(parts.finish(path, whole, self.size))
    }

    async fn ask<A>(&self, step: impl FnOnce(oneshot::Sender<A>) -> Step) -> A {
        let (tell, told) = oneshot::channel();
        self.parts.give(step(tell)).await;
        told.await.expect("hashing does not fail")
    }
}

impl PartHasher {
    fn new(path: &FilePath) -> Self {
        Self { closed: Vec::new(), open: Hasher::default(), filled: 0, inspector: Inspector::new(path) }
    }

    fn step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Bytes(bytes) => self.take_in(&bytes),
            // Who asked may have been dropped.
            #[cfg(feature = "object-store")]
            Step::Mark(tell) => drop(tell.send(self.open.clone().finish())),
            Step::Fork(tell) => drop(tell.send(self.open.clone())),
        }
        Ok(())
    }

    fn take_in(&mut self, bytes: &[u8]) {
        if self.filled == PART_SIZE {
            self.closed.push(mem::take(&mut self.open).finish());
            self.filled = 0;
        }
        self.open.update(bytes);
        self.inspector.feed(bytes);
        self.filled += bytes.len() as u64;
    }

    fn finish(self, path: FilePath, whole: Option<Digest>, size: u64) -> Hashed {
        let mut parts = self.closed;
        let last = self.open.finish();
        if size > 0 {
            parts.push(last);
        }
        (File { path, size, digest: whole.unwrap_or(last), parts }, self.inspector.finish())
    }
}

/// Everything that a manifest says about a file of at most one part, which is at hand. Hashes on this thread.
#[cfg(feature = "fs")]
pub(crate) fn digest(path: FilePath, bytes: &[u8]) -> Hashed {
    debug_assert!(bytes.len() as u64 <= PART_SIZE, "a longer file has several parts");
    let digest = Digest::of(bytes);
    let parts = if bytes.is_empty() { Vec::new() } else { vec![digest] };
    let mut inspector = Inspector::new(&path);
    inspector.feed(bytes);
    (File { path, size: bytes.len() as u64, digest, parts }, inspector.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whole_and_parts_do_not_depend_on_how_the_bytes_come() {
        const PART: usize = PART_SIZE as usize;
        for size in [0, 1, PART, PART + 1, 2 * PART, 2 * PART + 7] {
            let bytes: Bytes =
                b"some bytes, over and over, 31.".repeat(size / 30 + 1)[..size].to_vec().into();
            let parts: Vec<_> = bytes.chunks(PART).map(Digest::of).collect();
            for step in [16 << 20, 30_000_001, 90_000_000] {
                let mut digests = Digests::new(&"weights".parse().unwrap());
                let mut taken = 0;
                for block in bytes.chunks(step) {
                    digests.take_in(bytes.slice_ref(block)).await.unwrap();
                    taken += block.len();
                    let since = (taken - 1) / PART * PART;
                    assert_eq!(digests.mark().await, Digest::of(&bytes[since..taken]), "{size} by {step}");
                }
                let (file, _) = digests.finish("weights".parse().unwrap()).await.unwrap();
                assert_eq!((file.size, file.digest), (size as u64, Digest::of(&bytes)), "{size} by {step}");
                assert_eq!(file.parts, parts, "{size} by {step}");
            }
            if size <= PART {
                let (file, _) = digest("weights".parse().unwrap(), &bytes);
                assert_eq!((file.digest, file.parts), (Digest::of(&bytes), parts), "{size}");
            }
        }
    }
}
