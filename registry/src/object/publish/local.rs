//! Blobs as plain files, written around `object_store`: it would write them through one lock and sync each.

use std::{
    fs, io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use object_store::{local::LocalFileSystem, path::Path};

use super::unfinished::Alive;
use crate::{
    Error, Result,
    object::failure::local_failure,
    transfer::{
        block::{BLOCK, Blocks},
        blocking::blocking,
        disk::{Output, Together},
    },
};

/// Blocks of memory that stay for who reads next.
const SPARE: usize = 8;

/// The files of a registry in a directory.
#[derive(Clone)]
pub(in crate::object) struct LocalBlobs {
    store: Arc<LocalFileSystem>,
    /// What is read is put into these, one after the other.
    blocks: Blocks,
}

impl LocalBlobs {
    pub(in crate::object) fn new(store: Arc<LocalFileSystem>) -> Self {
        Self { store, blocks: Blocks::new(SPARE) }
    }

    /// Where the blob at `path` lies.
    pub(in crate::object) fn file(&self, path: &Path) -> Result<PathBuf> {
        self.store
            .path_to_filesystem(path)
            .map_err(|error| Error::Corrupt { what: path.to_string(), source: Box::new(error) })
    }

    /// The blocks to read into.
    pub(in crate::object) const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Removes blobs, whole or begun.
    pub(in crate::object) async fn remove(&self, blobs: Vec<Path>) {
        let files: Vec<_> = blobs.iter().filter_map(|path| self.file(path).ok()).collect();
        blocking(move || {
            for file in files.iter().flat_map(|file| [hidden(file), file.clone()]) {
                match fs::remove_file(&file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::debug!(%error, "a blob of an abandoned publication stays behind");
                    }
                    _ => {}
                }
            }
        })
        .await;
    }
}

/// The name of a file until it is whole, in the same directory. `object_store` hides such names too.
fn hidden(file: &FilePath) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("#1");
    name.into()
}

/// How the files of one publication become durable.
#[derive(Clone, Debug)]
pub(in crate::object) enum Durability {
    /// Each for itself, before it gets its name.
    Each,
    /// All together, before the record that names them. Until then nobody can know of them, whatever their
    /// names.
    Together(Arc<Together>),
}

impl Durability {
    /// Files from which on one sync of everything is shorter than one for each.
    const MANY: usize = 16;

    /// Of a publication of so many files into `directory`.
    pub(in crate::object) fn of(files: usize, directory: &FilePath) -> Self {
        let together = if files < Self::MANY { None } else { Together::of(directory) };
        together.map_or(Self::Each, |together| Self::Together(Arc::new(together)))
    }
}

/// A blob being written.
#[derive(Debug)]
pub(in crate::object) struct BlobFile {
    store: String,
    path: PathBuf,
    /// Its name until then, unless it has its own already.
    hidden: Option<PathBuf>,
    output: Output,
    size: u64,
    /// For comparing with what another process has written, as far as there is anything.
    scratch: Option<Vec<u8>>,
    _alive: Alive,
}

impl BlobFile {
    /// Begins the blob at `path`, or goes on with it if `resume` says that it may have been begun by a
    /// publication that is still without a record. A small one is better not `unbuffered`: it would wait for
    /// the disk by itself.
    pub(in crate::object) fn begin(
        store: String,
        path: PathBuf,
        resume: bool,
        unbuffered: bool,
        alive: Alive,
    ) -> Result<Self> {
        let begun = hidden(&path);
        let open = || {
            let whole = resume && path.try_exists()?;
            if whole {
                return Ok((Output::open(&path, unbuffered)?, Some(vec![0; BLOCK]), None));
            }
            loop {
                let there = resume && begun.try_exists()?;
                if !there {
                    fs::File::create_new(&begun)?;
                }
                let output = Output::open(&begun, unbuffered)?;
                output.hold();
                // A sweep may have taken it for abandoned before it was held.
                if begun.try_exists()? {
                    return Ok((output, there.then(|| vec![0; BLOCK]), Some(begun)));
                }
            }
        };
        match open() {
            Ok((output, scratch, hidden)) => {
                Ok(Self { store, path, hidden, output, size: 0, scratch, _alive: alive })
            }
            Err(error) => Err(local_failure(store, "begin a blob")(error)),
        }
    }

    /// Writes the next bytes, also into a file that has its name already: a journal is opened only while its
    /// version does not exist, and nobody else knows of the keys in it, so no record names the file.
    ///
    /// Those that are there already are compared, not written: that is as fast as
    /// reading, and what is found needs no trust.
    pub(in crate::object) fn write(&mut self, bytes: Bytes) -> Result<()> {
        let at = self.size;
        self.size += bytes.len() as u64;
        let mut write = || {
            if let Some(scratch) = &mut self.scratch
                && let Some(scratch) = scratch.get_mut(..bytes.len())
                && self.output.holds(at, &bytes, scratch)?
            {
                return Ok(());
            }
            self.output.write(at, &bytes)
        };
        write().map_err(local_failure(self.store.clone(), "write a blob"))
    }

    /// Gives it its name.
    pub(in crate::object) fn finish(self, durability: &Durability) -> Result<()> {
        let finish = || {
            self.output.end_at(self.size)?;
            if matches!(durability, Durability::Each) {
                self.output.sync()?;
            }
            self.hidden.as_ref().map_or(Ok(()), |hidden| fs::rename(hidden, &self.path))
        };
        finish().map_err(local_failure(self.store.clone(), "complete a blob"))
    }
}
