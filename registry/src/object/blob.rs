//! Uploading one file as one blob.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    ObjectBacked,
    failure::failure,
    keys,
    stored::Segment,
    unfinished::{Unfinished, Upload},
};
use crate::{
    File, Invalid, ModelName, PART_SIZE, Progress, Result, Transfer,
    transfer::{
        hashing::FileHasher,
        source::{Reader, Source},
    },
};

/// Bytes of the smallest multipart part; also the largest file that is put in one request.
const SMALLEST: u64 = 16 << 20;

/// Parts of one upload that are used, of the 10 000 that S3 allows.
const MOST_PARTS: u64 = 9_500;

/// Bytes of a part of a stream, whose end is not known; 9 500 of them are 296 GiB.
const UNSIZED: u64 = 32 << 20;

/// A block and the leave to hold it.
type Held = (Bytes, OwnedSemaphorePermit);

/// The memory that uploads of one version take together.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    /// 128 MiB: eight parts of 16 MiB under way, at the 85 to 240 MB/s that one connection to an object
    /// store carries, fill a 10 Gbit/s network.
    const MIB: u32 = 128;

    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(Self::MIB as usize)))
    }

    /// Waits until `bytes` may be held.
    async fn take(&self, bytes: u64) -> OwnedSemaphorePermit {
        let mib = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX).clamp(1, Self::MIB);
        Arc::clone(&self.0).acquire_many_owned(mib).await.expect("the budget is never closed")
    }

    /// The next block of a file, or nothing at its end.
    async fn read(&self, reader: &mut Reader, size: usize) -> Result<Option<Held>> {
        let permit = self.take(size as u64).await;
        let block = reader.block(size).await?;
        Ok((!block.is_empty()).then_some((block, permit)))
    }
}

/// The size of parts for a file of `size` bytes: all equal, as R2 demands, few enough for S3, and
/// a divisor or multiple of [`PART_SIZE`], so that no block is split for hashing.
fn part_size(size: Option<u64>) -> u64 {
    let Some(size) = size else { return UNSIZED };
    let wanted = size.div_ceil(MOST_PARTS).max(SMALLEST);
    if wanted <= PART_SIZE { wanted.next_power_of_two() } else { wanted.next_multiple_of(PART_SIZE) }
}

impl ObjectBacked {
    /// Stores the bytes of `source` under a new key, reading and hashing each once.
    pub(super) async fn upload(
        &self,
        name: &ModelName,
        key: String,
        source: Source,
        budget: &Budget,
        unfinished: &Unfinished,
        progress: &dyn Progress,
    ) -> Result<(File, Segment)> {
        let path = source.path.clone();
        let part = part_size(source.size);
        let expected = source.size.map_or(part, |size| part.min(size));
        let blob = keys::blob(name, &key);

        let permit = budget.take(expected).await;
        let mut reader = source.open().await?;
        let mut hasher = FileHasher::default();
        let size = usize::try_from(part).expect("a part fits the address space");
        let first = reader.block(size).await?;
        if first.len() < size {
            let put = async {
                unfinished.put(&blob, first.clone().into()).await.map_err(failure(self, "write a blob"))
            };
            let (_, put) = futures::join!(hasher.update(first.clone()), put);
            put?;
            progress.tell(Transfer::Bytes(first.len() as u64));
        } else {
            let upload = unfinished.begin(&blob).await.map_err(failure(self, "begin a blob"))?;
            let parts = Parts { store: self, upload, budget, size, progress };
            parts.send((first, permit), &mut reader, &mut hasher).await?;
        }
        let file = hasher.finish(path);
        progress.tell(Transfer::File(&file.path));
        let segment = Segment::whole(key, file.size, file.digest);
        Ok((file, segment))
    }
}

/// A file on its way up in parts.
struct Parts<'a> {
    store: &'a ObjectBacked,
    upload: Upload,
    budget: &'a Budget,
    size: usize,
    progress: &'a dyn Progress,
}

impl Parts<'_> {
    /// Sends `first` and all that `reader` still has: while parts are on their way, this one is hashed
    /// and the next one read.
    async fn send(mut self, first: Held, reader: &mut Reader, hasher: &mut FileHasher) -> Result<()> {
        let mut sending = FuturesUnordered::new();
        let mut next = Some(first);
        let mut sent = 0;
        while let Some((block, permit)) = next.take() {
            sent += 1;
            if sent > MOST_PARTS {
                let why = "it is longer than it was said to be, or than can be uploaded without saying; put it into a file that does not change and publish its directory";
                return Err(Invalid::new("content", format!("{sent} parts"), why).into());
            }
            let (last, length) = (block.len() < self.size, block.len() as u64);
            let part = self.upload.parts().put_part(block.clone().into());
            sending.push(async move {
                let done = part.await;
                drop(permit);
                done.map(|()| length)
            });
            let (budget, size) = (self.budget, self.size);
            let read = async { if last { Ok(None) } else { budget.read(reader, size).await } };
            // Parts under way are driven here as well: the budget may be waiting for them.
            let mut work = std::pin::pin!(async { futures::join!(read, hasher.update(block)).0 });
            next = loop {
                tokio::select! {
                    read = &mut work => break read?,
                    Some(done) = sending.next() => self.told(done)?,
                }
            };
        }
        while let Some(done) = sending.next().await {
            self.told(done)?;
        }
        self.upload.complete().await.map_err(failure(self.store, "complete a blob"))?;
        Ok(())
    }

    fn told(&self, done: object_store::Result<u64>) -> Result<()> {
        let length = done.map_err(failure(self.store, "write a part"))?;
        self.progress.tell(Transfer::Bytes(length));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_divide_evenly() {
        for size in [0, 1, 16 << 20, 80 << 30, 149 << 30, 300 << 30, 5 << 40] {
            let part = part_size(Some(size));
            assert!(size.div_ceil(part) <= 10_000 && part >= SMALLEST, "{size}: {part}");
            assert!(PART_SIZE.is_multiple_of(part) || part.is_multiple_of(PART_SIZE), "{size}: {part}");
        }
    }
}
