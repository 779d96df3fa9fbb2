//! Reading local files in large blocks; `object_store` itself would read 8 KiB at a time.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::PathBuf,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};

use crate::{
    ByteStream, Result,
    transfer::blocking::{blocking, local, sync_directory},
};

/// Large enough that the hop to a blocking thread does not count.
const BLOCK: u64 = 1 << 20;

/// The bytes of a range of `file`, which lies at `path`.
pub(super) fn stream(file: File, path: PathBuf, range: Range<u64>) -> ByteStream {
    let left = Left { file, path, range };
    stream::try_unfold(left, |left| async move {
        if left.range.is_empty() {
            return Ok(None);
        }
        let (block, left) = blocking(move || left.read()).await?;
        // A file that has been cut off since ends the stream early, and the reader notices.
        Ok((!block.is_empty()).then_some((block, left)))
    })
    .boxed()
}

/// Makes the name of `file` durable, and those of as many directories as its key has segments.
pub(super) async fn sync_names(file: PathBuf, segments: usize) -> Result<()> {
    blocking(move || file.ancestors().skip(1).take(segments).try_for_each(sync_directory)).await
}

/// What is still to be read.
struct Left {
    file: File,
    path: PathBuf,
    range: Range<u64>,
}

impl Left {
    fn read(mut self) -> Result<(Bytes, Self)> {
        let wanted = BLOCK.min(self.range.end - self.range.start);
        let mut block = Vec::with_capacity(usize::try_from(wanted).expect("a block fits the address space"));
        let mut read = || {
            self.file.seek(SeekFrom::Start(self.range.start))?;
            (&self.file).take(wanted).read_to_end(&mut block)
        };
        let n = read().map_err(local("read", &self.path))?;
        self.range.start += n as u64;
        Ok((block.into(), self))
    }
}
