//! Files that lie on this machine.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use super::{Inspector, Profile, Reading};
use crate::{
    Content, FilePath, Result,
    transfer::blocking::{blocking, local},
};

/// Bytes read at once: more than most headers, and little to read in vain.
const BLOCK: usize = 256 << 10;

impl Profile {
    /// What the files below `directory` say, if [`Content::directory`] takes them. Only headers are read,
    /// on a blocking thread of tokio.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) as for publishing the directory,
    /// [`Error::Local`](crate::Error::Local) when a file cannot be read. A damaged file is no error; it is
    /// in [`notes`](Self::notes).
    pub async fn of_directory(directory: &Path) -> Result<Self> {
        let files = Content::directory(directory).sources().await?;
        let directory = directory.to_owned();
        blocking(move || Self::of_files(&directory, files.into_iter().map(|source| source.path))).await
    }

    /// What the files at `paths` below `directory` say. Only headers are read, but it blocks: not for
    /// the threads of an asynchronous runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Local`](crate::Error::Local) when a file cannot be read.
    pub fn of_files(directory: &Path, paths: impl IntoIterator<Item = FilePath>) -> Result<Self> {
        let mut block = vec![0; BLOCK];
        let mut readings = Vec::new();
        for path in paths {
            readings.extend(read(&path.below(directory), &path, &mut block)?);
        }
        Ok(Self::of(readings))
    }
}

fn read(file: &Path, path: &FilePath, block: &mut [u8]) -> Result<Option<Reading>> {
    let mut opened = File::open(file).map_err(local("open", file))?;
    let size = opened.metadata().map_err(local("inspect", file))?.len();
    let mut inspector = Inspector::new(path);
    let mut at = 0_u64;
    loop {
        let idle = inspector.idle().min(size.saturating_sub(at));
        if idle > 0 {
            inspector.pass(idle);
            at += idle;
            opened.seek(SeekFrom::Start(at)).map_err(local("read", file))?;
        }
        match opened.read(block) {
            Ok(0) => return Ok(inspector.finish()),
            Ok(read) => {
                inspector.feed(&block[..read]);
                at += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(local("read", file)(error)),
        }
    }
}
