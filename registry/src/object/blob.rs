//! Uploading one file as one blob.

use bytes::Bytes;

use super::{ObjectBacked, keys, place::Place, stored::Segment, unfinished::Unfinished};
#[cfg(feature = "fs")]
use super::{
    failure::local_failure,
    local::{BlobFile, Durability, LocalBlobs},
    unfinished::Alive,
};
use crate::{
    File, FilePath, ModelName, Progress, Result, Transfer,
    transfer::{
        block::{BLOCK, Block, Blocks},
        blocking::blocking,
        hashing::{Digests, digest},
        lane::Lane,
        source::{Reader, Source},
    },
};

/// Blocks that uploads of one version hold together: 128 MiB. Eight parts of 16 MiB under way, at the 85 to
/// 240 MB/s that one connection to an object store carries, fill a 10 Gbit/s network.
const BLOCKS: usize = 32;

/// What the uploads of one publication share.
pub(super) struct Uploads<'a> {
    pub(super) registry: &'a ObjectBacked,
    pub(super) name: &'a ModelName,
    pub(super) blocks: Blocks,
    pub(super) unfinished: &'a Unfinished,
    pub(super) progress: &'a dyn Progress,
    #[cfg(feature = "fs")]
    durability: Durability,
}

impl<'a> Uploads<'a> {
    pub(super) fn new(
        registry: &'a ObjectBacked,
        name: &'a ModelName,
        unfinished: &'a Unfinished,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            registry,
            name,
            blocks: Blocks::new(BLOCKS),
            unfinished,
            progress,
            #[cfg(feature = "fs")]
            durability: Durability::Each,
        }
    }

    /// Makes the place ready for so many files.
    #[cfg_attr(not(feature = "fs"), expect(clippy::unused_async, reason = "only a directory needs it"))]
    pub(super) async fn begin(&mut self, files: usize) -> Result<()> {
        #[cfg(feature = "fs")]
        if let Place::Directory(directory) = &self.registry.place {
            let file = directory.file(&keys::blob(self.name, &keys::new_blob()))?;
            let store = self.registry.to_string();
            let begun = blocking(move || {
                let blobs = file.parent().expect("a blob lies in a directory");
                std::fs::create_dir_all(blobs)?;
                Ok(Durability::of(files, blobs))
            })
            .await;
            self.durability = begun.map_err(local_failure(store, "make a directory"))?;
        }
        let _ = files;
        Ok(())
    }

    /// Makes durable what was uploaded, where that is left to us. To be called before it is named anywhere.
    #[cfg_attr(not(feature = "fs"), expect(clippy::unused_async, reason = "only a directory needs it"))]
    pub(super) async fn settle(&self) -> Result<()> {
        #[cfg(feature = "fs")]
        if let Place::Directory(directory) = &self.registry.place {
            let path = keys::blob(self.name, &keys::new_blob());
            let file = directory.file(&path)?;
            match self.durability.clone() {
                Durability::Each => super::file::sync_names(file, path.parts().count()).await?,
                Durability::Together(together) => {
                    let store = self.registry.to_string();
                    blocking(move || together.sync()).await.map_err(local_failure(store, "sync blobs"))?;
                }
            }
        }
        Ok(())
    }

    /// Stores the bytes of `source` under a new key, reading each once.
    pub(super) async fn upload(&self, source: Source) -> Result<(File, Segment)> {
        let key = keys::new_blob();
        let file = match &self.registry.place {
            Place::Bucket { .. } => self.to_bucket(source, &key).await?,
            #[cfg(feature = "fs")]
            Place::Directory(directory) => self.to_directory(directory, source, &key).await?,
        };
        self.progress.tell(Transfer::File(&file.path));
        let segment = Segment::whole(key, file.size, file.digest);
        Ok((file, segment))
    }

    /// Reads, hashes and writes at the same time.
    #[cfg(feature = "fs")]
    async fn to_directory(&self, directory: &LocalBlobs, source: Source, key: &str) -> Result<File> {
        let blob = keys::blob(self.name, key);
        let begin = BeginFile {
            store: self.registry.to_string(),
            path: directory.file(&blob)?,
            alive: self.unfinished.note(&blob),
        };
        let (named, size) = (source.path.clone(), source.size);
        let durability = self.durability.clone();
        let block = self.blocks.take().await;
        let (mut reader, mut block, begin) = match source.file() {
            Some(from) if size.is_some_and(|size| size < BLOCK as u64) => {
                let (from, named, durability) = (from.to_owned(), named.clone(), durability.clone());
                match blocking(move || small(from, named, block, begin, &durability)).await? {
                    Small::Done(file) => {
                        self.progress.tell(Transfer::Bytes(file.size));
                        return Ok(file);
                    }
                    Small::Grown(reader, block, begin) => (reader, block, begin),
                }
            }
            _ => {
                let mut reader = source.open().await?;
                let block = reader.block(block).await?;
                (reader, block, begin)
            }
        };
        let writer = Lane::start(blocking(move || begin.begin()).await?, BlobFile::write);
        let mut digests = Digests::new();
        while !block.is_empty() {
            let length = block.len();
            digests.take_in(block.clone()).await?;
            if !writer.give(block).await {
                break;
            }
            self.progress.tell(Transfer::Bytes(length as u64));
            if length < BLOCK {
                break;
            }
            block = reader.block(self.blocks.take().await).await?;
        }
        let blob = writer.finish().await?;
        let file = digests.finish(named).await?;
        blocking(move || blob.finish(&durability)).await?;
        Ok(file)
    }
}

/// What it takes to begin a file.
#[cfg(feature = "fs")]
struct BeginFile {
    store: String,
    path: std::path::PathBuf,
    alive: Alive,
}

#[cfg(feature = "fs")]
impl BeginFile {
    fn begin(self) -> Result<BlobFile> {
        BlobFile::begin(self.store, self.path, false, self.alive)
    }
}

#[cfg(feature = "fs")]
enum Small {
    Done(File),
    /// It is not small any more: its first block is full.
    Grown(Reader, Bytes, BeginFile),
}

/// Does everything to a small file in one go: most of a thousand of them goes into the hops otherwise.
#[cfg(feature = "fs")]
fn small(
    from: std::path::PathBuf,
    named: FilePath,
    mut block: Block,
    begin: BeginFile,
    durability: &Durability,
) -> Result<Small> {
    let mut reader = Reader::file(from)?;
    reader.block_now(&mut block).transpose()?;
    if block.len() == BLOCK {
        return Ok(Small::Grown(reader, block.freeze(), begin));
    }
    let file = digest(named, block.as_ref());
    let mut blob = begin.begin()?;
    blob.write(block.freeze())?;
    blob.finish(durability)?;
    Ok(Small::Done(file))
}
