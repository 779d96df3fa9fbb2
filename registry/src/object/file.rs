//! Reading blobs that are plain files; `object_store` itself would read 8 KiB at a time.

use std::{
    fs::File,
    io,
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::PathBuf,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use crate::{
    ByteStream, Result,
    transfer::{
        block::{BLOCK, Blocks},
        blocking::{blocking, local, sync_directory},
        source::fill,
    },
};

/// The bytes of a range of `file`, which lies at `path`.
pub(super) fn stream(file: File, path: PathBuf, range: Range<u64>) -> ByteStream {
    Left::new(file, path, Blocks::new(2), range).stream()
}

/// Opens the file at `path`. Returns its size, and if that is `size`, the bytes of a range of it, of which
/// the first are read already: one trip to a blocking thread is all that a small file takes.
pub(super) async fn open(
    path: PathBuf,
    blocks: Blocks,
    size: u64,
    range: Range<u64>,
) -> io::Result<(u64, ByteStream)> {
    let opened = move || {
        let file = File::open(&path)?;
        let found = file.metadata()?.len();
        if found != size || range.is_empty() {
            return Ok((found, None));
        }
        Left::new(file, path, blocks, range).read().map(|read| (found, Some(read)))
    };
    let (found, read) = blocking(opened).await?;
    let first = stream::iter(read.filter(|(first, _)| !first.is_empty()));
    let rest = |(first, left): (Bytes, Left)| stream::iter([Ok(first)]).chain(left.stream());
    Ok((found, first.flat_map(rest).boxed()))
}

/// Makes the name of `file` durable, and those of as many directories as its key has segments.
pub(super) async fn sync_names(file: PathBuf, segments: usize) -> Result<()> {
    blocking(move || file.ancestors().skip(1).take(segments).try_for_each(sync_directory)).await
}

/// What is still to be read. Through the page cache: past it, eight parts at once were slower even when
/// nothing was cached, for want of read-ahead, and what was cached was read from the disk again.
struct Left {
    file: File,
    path: PathBuf,
    range: Range<u64>,
    blocks: Blocks,
}

impl Left {
    fn new(file: File, path: PathBuf, blocks: Blocks, range: Range<u64>) -> Self {
        Self { file, path, range, blocks }
    }

    fn stream(self) -> ByteStream {
        stream::try_unfold(self, |left| async move {
            if left.range.is_empty() {
                return Ok(None);
            }
            let path = left.path.clone();
            let (block, left) = blocking(move || left.read()).await.map_err(local("read", &path))?;
            // A file that has been cut off since ends the stream early, and the reader notices.
            Ok((!block.is_empty()).then_some((block, left)))
        })
        .boxed()
    }

    fn read(mut self) -> io::Result<(Bytes, Self)> {
        let wanted = self.range.end - self.range.start;
        let bytes = if wanted < BLOCK as u64 { self.rest(wanted)? } else { self.block()? };
        self.range.start += bytes.len() as u64;
        Ok((bytes, self))
    }

    fn rest(&mut self, wanted: u64) -> io::Result<Bytes> {
        let mut bytes = Vec::with_capacity(usize::try_from(wanted).expect("it is less than a block"));
        self.file.seek(SeekFrom::Start(self.range.start))?;
        (&self.file).take(wanted).read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    fn block(&mut self) -> io::Result<Bytes> {
        // Who reads may keep all of them, so they are not counted.
        let mut block = self.blocks.extra();
        self.file.seek(SeekFrom::Start(self.range.start))?;
        fill(&mut self.file, &mut block)?;
        Ok(block.freeze())
    }
}
