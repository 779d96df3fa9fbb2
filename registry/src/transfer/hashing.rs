//! Digests of a file, whole and in parts, taken as its bytes pass.

use std::mem;

use bytes::Bytes;

use super::{blocking::blocking, source::Reader};
use crate::{Digest, File, FilePath, Hasher, PART_SIZE, Progress, Result, Transfer};

/// Bytes hashed at once where nothing else is done with them.
const BLOCK: usize = 4 << 20;

/// Reads everything that is left in `reader` and says what a manifest would say about it as `path`.
/// Each block is shown to `see` first, which may stop it.
pub(crate) async fn hash(
    mut reader: Reader,
    path: FilePath,
    progress: &dyn Progress,
    mut see: impl FnMut(&Bytes) -> Result<()> + Send,
) -> Result<File> {
    let mut hasher = FileHasher::default();
    loop {
        let block = reader.block(BLOCK).await?;
        if block.is_empty() {
            return Ok(hasher.finish(path));
        }
        see(&block)?;
        progress.tell(Transfer::Bytes(block.len() as u64));
        hasher.update(block).await;
    }
}

/// Bytes that go through both digests one after the other, so that the second finds them in the
/// processor's cache.
const SLICE: usize = 32 << 10;

/// Hashes a file on a blocking thread.
#[derive(Debug, Default)]
pub(crate) struct FileHasher {
    /// Nothing yet within the first part, because there it would be equal to `open`.
    whole: Option<Hasher>,
    closed: Vec<Digest>,
    open: Hasher,
    filled: u64,
    size: u64,
}

impl FileHasher {
    /// Takes in the next bytes.
    pub(crate) async fn update(&mut self, block: Bytes) {
        let mut hasher = mem::take(self);
        *self = blocking(move || {
            hasher.take_in(&block);
            hasher
        })
        .await;
    }

    fn take_in(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.filled == PART_SIZE {
                let closed = mem::take(&mut self.open);
                self.whole.get_or_insert_with(|| closed.clone());
                self.closed.push(closed.finish());
                self.filled = 0;
            }
            let room = usize::try_from(PART_SIZE - self.filled).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(bytes.len().min(room).min(SLICE));
            self.open.update(now);
            if let Some(whole) = &mut self.whole {
                whole.update(now);
            }
            self.filled += now.len() as u64;
            self.size += now.len() as u64;
            bytes = later;
        }
    }

    /// The digest of everything taken in.
    pub(crate) fn digest(self) -> Digest {
        let Self { whole, open, .. } = self;
        whole.unwrap_or(open).finish()
    }

    /// Everything that a manifest says about the file.
    pub(crate) fn finish(self, path: FilePath) -> File {
        let mut parts = self.closed;
        let last = self.open.finish();
        let digest = self.whole.map_or(last, Hasher::finish);
        if self.size > 0 {
            parts.push(last);
        }
        File { path, size: self.size, digest, parts }
    }
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
                let mut hasher = FileHasher::default();
                for block in bytes.chunks(step) {
                    hasher.update(bytes.slice_ref(block)).await;
                }
                let file = hasher.finish("weights".parse().unwrap());
                assert_eq!((file.size, file.digest), (size as u64, Digest::of(&bytes)), "{size} by {step}");
                assert_eq!(file.parts, parts, "{size} by {step}");
            }
        }
    }
}
