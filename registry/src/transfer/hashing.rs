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

/// Hashes a file on blocking threads. SHA-256 is serial, so the digest of the whole and those of the
/// parts of a large file are taken on two threads at once.
#[derive(Debug, Default)]
pub(crate) struct FileHasher {
    /// Nothing yet within the first part, because there it would be equal to `parts.open`.
    whole: Option<Hasher>,
    parts: Parts,
    size: u64,
}

#[derive(Debug, Default)]
struct Parts {
    closed: Vec<Digest>,
    open: Hasher,
    filled: u64,
}

impl FileHasher {
    /// Takes in the next bytes.
    pub(crate) async fn update(&mut self, mut block: Bytes) {
        self.size += block.len() as u64;
        let mut parts = mem::take(&mut self.parts);
        if self.whole.is_none() {
            let first = block.split_to(parts.room(block.len()));
            parts = blocking(move || parts.with(&first)).await;
            if !block.is_empty() {
                self.whole = Some(parts.open.clone());
            }
        }
        if let Some(mut whole) = self.whole.take() {
            let same = block.clone();
            let (whole, hashed) = futures::join!(
                blocking(move || {
                    whole.update(&same);
                    whole
                }),
                blocking(move || parts.with(&block)),
            );
            self.whole = Some(whole);
            parts = hashed;
        }
        self.parts = parts;
    }

    /// Everything that a manifest says about the file.
    pub(crate) fn finish(self, path: FilePath) -> File {
        let Parts { closed: mut parts, open, .. } = self.parts;
        let last = open.finish();
        let digest = self.whole.map_or(last, Hasher::finish);
        if self.size > 0 {
            parts.push(last);
        }
        File { path, size: self.size, digest, parts }
    }
}

impl Parts {
    /// How many of `len` bytes the open part has room for.
    fn room(&self, len: usize) -> usize {
        let room = PART_SIZE - self.filled;
        usize::try_from(room).map_or(len, |room| room.min(len))
    }

    fn with(mut self, mut bytes: &[u8]) -> Self {
        while !bytes.is_empty() {
            if self.filled == PART_SIZE {
                self.closed.push(mem::take(&mut self.open).finish());
                self.filled = 0;
            }
            let (now, later) = bytes.split_at(self.room(bytes.len()));
            self.open.update(now);
            self.filled += now.len() as u64;
            bytes = later;
        }
        self
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
