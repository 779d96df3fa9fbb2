//! Uploading one file to a bucket: in one request, or in parts at the same time.

use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesUnordered};
use object_store::PutPayload;

use super::{
    blob::Uploads,
    failure::failure,
    keys,
    unfinished::Upload,
};
use crate::{
    File, Invalid, PART_SIZE, Result, Transfer,
    transfer::{
        block::{BLOCK, Block},
        hashing::Digests,
        source::{Reader, Source},
    },
};

/// Bytes of the smallest multipart part; also the largest file that is put in one request.
const SMALLEST: u64 = 16 << 20;

/// Parts of one upload that are used, of the 10 000 that S3 allows.
const MOST_PARTS: u64 = 9_500;

/// Bytes of a part of a stream, whose end is not known; 9 500 of them are 296 GiB.
const UNSIZED: u64 = 32 << 20;

/// The size of parts for a file of `size` bytes: all equal, as R2 demands, few enough for S3, and
/// a divisor or multiple of [`PART_SIZE`], so that no block is split for hashing.
fn part_size(size: Option<u64>) -> u64 {
    let Some(size) = size else { return UNSIZED };
    let wanted = size.div_ceil(MOST_PARTS).max(SMALLEST);
    if wanted <= PART_SIZE { wanted.next_power_of_two() } else { wanted.next_multiple_of(PART_SIZE) }
}

/// One part, read and on its way through the hashes.
struct Part {
    blocks: Vec<Bytes>,
    length: u64,
}

impl Uploads<'_> {
    /// Reads, hashes and sends at the same time.
    pub(super) async fn to_bucket(&self, source: Source, key: &str) -> Result<File> {
        let named = source.path.clone();
        let size = part_size(source.size);
        // One byte more, to see the end.
        let expected = source.size.map_or(size, |expected| size.min(expected + 1));
        let blob = keys::blob(self.name, key);

        let blocks = self.blocks.take_for(expected).await;
        let mut reader = source.open().await?;
        let mut digests = Digests::new();
        let first = self.read(&mut reader, size, blocks, &mut digests).await?;
        if first.length < size {
            let length = first.length;
            let put = self.unfinished.put(&blob, payload(first)).await;
            put.map_err(failure(self.registry, "write a blob"))?;
            self.progress.tell(Transfer::Bytes(length));
        } else {
            let upload = self.unfinished.begin(&blob).await.map_err(failure(self.registry, "begin a blob"))?;
            self.send(upload, size, first, &mut reader, &mut digests).await?;
        }
        digests.finish(named).await
    }

    /// The next part, into `blocks`.
    async fn read(
        &self,
        reader: &mut Reader,
        size: u64,
        blocks: Vec<Block>,
        digests: &mut Digests,
    ) -> Result<Part> {
        let mut part = Part { blocks: Vec::with_capacity(blocks.len()), length: 0 };
        let mut blocks = blocks.into_iter();
        while part.length < size {
            // A file that has grown needs more than were taken for it.
            let block = blocks.next().unwrap_or_else(|| self.blocks.extra());
            let block = reader.block(block).await?;
            let length = block.len();
            if length > 0 {
                part.length += length as u64;
                digests.take_in(block.clone()).await?;
                part.blocks.push(block);
            }
            if length < BLOCK {
                break;
            }
        }
        Ok(part)
    }

    /// Sends `first` and all that `reader` still has: while parts are on their way, the next one is read.
    async fn send(
        &self,
        mut upload: Upload,
        size: u64,
        first: Part,
        reader: &mut Reader,
        digests: &mut Digests,
    ) -> Result<()> {
        let mut sending = FuturesUnordered::new();
        let mut next = first;
        let mut sent = 0;
        loop {
            sent += 1;
            if sent > MOST_PARTS {
                let why = "it is longer than it was said to be, or than can be uploaded without saying; put it into a file that does not change and publish its directory";
                return Err(Invalid::new("content", format!("{sent} parts"), why).into());
            }
            let (last, length) = (next.length < size, next.length);
            let part = upload.parts().put_part(payload(next));
            sending.push(async move { part.await.map(|()| length) });
            if last {
                break;
            }
            // Parts under way are driven here as well: the blocks may be theirs.
            let mut read = std::pin::pin!(async {
                let blocks = self.blocks.take_for(size).await;
                self.read(reader, size, blocks, digests).await
            });
            next = loop {
                tokio::select! {
                    read = &mut read => break read?,
                    Some(done) = sending.next() => self.told(done)?,
                }
            };
            if next.length == 0 {
                break;
            }
        }
        while let Some(done) = sending.next().await {
            self.told(done)?;
        }
        upload.complete().await.map_err(failure(self.registry, "complete a blob"))?;
        Ok(())
    }

    fn told(&self, done: object_store::Result<u64>) -> Result<()> {
        let length = done.map_err(failure(self.registry, "write a part"))?;
        self.progress.tell(Transfer::Bytes(length));
        Ok(())
    }
}

fn payload(part: Part) -> PutPayload {
    part.blocks.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_few_enough_and_divide_evenly() {
        for size in [0, 1, 16 << 20, 60 << 30, 80 << 30, 149 << 30, 300 << 30, 5 << 40] {
            let part = part_size(Some(size));
            assert!(size.div_ceil(part) <= 10_000 && part >= SMALLEST, "{size}: {part}");
            assert!(PART_SIZE.is_multiple_of(part) || part.is_multiple_of(PART_SIZE), "{size}: {part}");
        }
    }
}
