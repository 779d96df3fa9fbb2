//! Uploading one file as one blob.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

#[cfg(feature = "fs")]
use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use tokio::sync::Semaphore;
use uuid::Uuid;

#[cfg(feature = "fs")]
use super::{
    journal::Line,
    local::{BlobFile, Durability, LocalBlobs},
    unfinished::Alive,
};
use super::{
    journal::{Journal, Past},
    unfinished::Unfinished,
};
#[cfg(feature = "fs")]
use crate::object::failure::local_failure;
#[cfg(feature = "fs")]
use crate::transfer::{
    block::{BLOCK, Block},
    hashing::digest,
    lane::{DEPTH, Lane},
};
use crate::{
    File, FilePath, ModelName, PART_SIZE, Progress, Result, Transfer,
    object::{ObjectBacked, keys, place::Place, stored::Segment},
    transfer::{
        block::Blocks,
        blocking::blocking,
        hashing::{Digests, Hashed},
        source::{Reader, Source},
    },
};

/// Blocks that a part under way holds.
const BLOCKS: usize = 4;

/// What the uploads of one publication share.
pub(in crate::object) struct Uploads<'a> {
    pub(in crate::object) registry: &'a ObjectBacked,
    pub(in crate::object) name: &'a ModelName,
    pub(in crate::object) blocks: Blocks,
    /// Leave to have a request with a body under way.
    pub(in crate::object) slots: Semaphore,
    /// Held by a part that is sent again: on a line that is too slow for many, one at a time gets through.
    pub(in crate::object) again: tokio::sync::Mutex<()>,
    pub(in crate::object) unfinished: &'a Unfinished,
    pub(in crate::object) journal: Option<&'a Journal>,
    pub(in crate::object) progress: &'a dyn Progress,
    /// Files of other versions, by size, and the blobs that hold them.
    live: HashMap<u64, Vec<(File, String)>>,
    pub(in crate::object) publication: Uuid,
    begun: AtomicUsize,
    reused: Mutex<Vec<String>>,
    #[cfg(feature = "fs")]
    durability: Durability,
}

impl<'a> Uploads<'a> {
    /// Makes everything ready for so many `files`. `live` are files of versions that exist, each with the key
    /// of its blob, which may be used again.
    #[cfg_attr(not(feature = "fs"), expect(clippy::unused_async, reason = "only a directory needs it"))]
    pub(in crate::object) async fn begin(
        registry: &'a ObjectBacked,
        name: &'a ModelName,
        files: usize,
        unfinished: &'a Unfinished,
        journal: Option<&'a Journal>,
        live: Vec<(File, String)>,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let parts = registry.transfers.parts();
        let mut by_size: HashMap<u64, Vec<_>> = HashMap::new();
        for (file, key) in live {
            by_size.entry(file.size).or_default().push((file, key));
        }
        #[cfg(not(feature = "fs"))]
        let _ = files;
        Ok(Self {
            registry,
            name,
            blocks: Blocks::new(parts.saturating_mul(BLOCKS)),
            slots: Semaphore::new(parts.min(Semaphore::MAX_PERMITS)),
            again: tokio::sync::Mutex::new(()),
            unfinished,
            journal,
            progress,
            live: by_size,
            publication: Uuid::now_v7(),
            begun: AtomicUsize::new(0),
            reused: Mutex::default(),
            #[cfg(feature = "fs")]
            durability: durability(registry, name, files).await?,
        })
    }

    /// As the publication of this name, which has begun so many blobs.
    pub(in crate::object) fn of(self, publication: Uuid, begun: usize) -> Self {
        Self { publication, begun: AtomicUsize::new(begun), ..self }
    }

    /// The key of another blob.
    pub(in crate::object) fn new_key(&self) -> String {
        keys::new_blob(&self.publication, self.begun.fetch_add(1, Ordering::Relaxed))
    }

    /// The keys of blobs of other versions that hold some of the files.
    pub(in crate::object) fn reused(&self) -> Vec<String> {
        self.reused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes durable what was uploaded, where that is left to us. To be called before it is named anywhere.
    #[cfg_attr(not(feature = "fs"), expect(clippy::unused_async, reason = "only a directory needs it"))]
    pub(in crate::object) async fn settle(&self) -> Result<()> {
        #[cfg(feature = "fs")]
        if let Place::Directory(directory) = &self.registry.place {
            let path = keys::blob(self.name, &self.new_key());
            let file = directory.file(&path)?;
            match self.durability.clone() {
                Durability::Each => crate::object::file::sync_names(file, path.parts().count()).await?,
                Durability::Together(together) => {
                    let store = self.registry.to_string();
                    blocking(move || together.sync()).await.map_err(local_failure(store, "sync blobs"))?;
                }
            }
        }
        Ok(())
    }

    /// Stores the bytes of `source` under a new key, reading each once; or finds the blob of another version
    /// that holds the same.
    pub(in crate::object) async fn upload(&self, source: Source) -> Result<(Hashed, Segment)> {
        let past = self.journal.and_then(|journal| journal.past(&source.path)).cloned();
        let same =
            self.same(source.path.clone(), source.file().map(ToOwned::to_owned), source.size, past.as_ref());
        if let Some((hashed, key)) = same.await? {
            let file = &hashed.0;
            self.progress.tell(Transfer::Bytes(file.size));
            self.progress.tell(Transfer::File(&file.path));
            let segment = Segment::whole(key, file.size, file.digest);
            return Ok((hashed, segment));
        }
        let (hashed, key) = match &self.registry.place {
            Place::Bucket { .. } => self.to_bucket(source, past).await?,
            #[cfg(feature = "fs")]
            Place::Directory(directory) => self.to_directory(directory, source, past).await?,
        };
        let file = &hashed.0;
        self.progress.tell(Transfer::File(&file.path));
        let segment = Segment::whole(key, file.size, file.digest);
        Ok((hashed, segment))
    }

    /// A blob that holds exactly what the file `from` does, found by hashing it without sending anything.
    ///
    /// Only files are looked at, because they can be read once more if they turn out to be different: at the
    /// end of the first part in most cases. A stream is sent. What is sent is always hashed while it is, so
    /// nothing depends on what was seen here.
    async fn same(
        &self,
        named: FilePath,
        from: Option<PathBuf>,
        size: Option<u64>,
        past: Option<&Past>,
    ) -> Result<Option<(Hashed, String)>> {
        let (Some(from), Some(size)) = (from, size) else { return Ok(None) };
        let done = past.and_then(|past| Some((past.done.clone()?, past.key.clone())));
        let live = self.live.get(&size).into_iter().flatten();
        let mut like: Vec<_> = live.chain(done.as_ref()).filter(|(file, _)| file.size == size).collect();
        if like.is_empty() || size == 0 {
            return Ok(None);
        }
        let mut reader = blocking(move || Reader::file(from)).await?;
        let mut digests = Digests::new(&named);
        let mut read = 0;
        loop {
            let block = reader.block(self.blocks.take().await).await?;
            if block.is_empty() {
                break;
            }
            read += block.len() as u64;
            digests.take_in(block).await?;
            if read == PART_SIZE {
                let first = digests.mark().await;
                like.retain(|(file, _)| file.parts.first() == Some(&first));
            }
            if read > size || like.is_empty() {
                return Ok(None);
            }
        }
        let (file, reading) = digests.finish(named).await?;
        let equal = |there: &&&(File, String)| (there.0.size, there.0.digest) == (file.size, file.digest);
        let Some((_, key)) = like.iter().find(equal) else { return Ok(None) };
        let blob = keys::blob(self.name, key);
        if done.as_ref().is_some_and(|(_, done)| done == key) {
            // Ours, and without a record: somebody may have taken it for garbage.
            match self.registry.store.head(&blob).await {
                Ok(found) if found.size == file.size => drop(self.unfinished.note(&blob)),
                _ => return Ok(None),
            }
        }
        self.reused.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        Ok(Some(((file, reading), key.clone())))
    }

    /// Reads, hashes and writes at the same time.
    #[cfg(feature = "fs")]
    async fn to_directory(
        &self,
        directory: &LocalBlobs,
        source: Source,
        past: Option<Past>,
    ) -> Result<(Hashed, String)> {
        let resume = past.is_some();
        let key = past.map_or_else(|| self.new_key(), |past| past.key);
        let blob = keys::blob(self.name, &key);
        if let Some(journal) = self.journal {
            journal.note(&Line::Begin { file: source.path.clone(), key: key.clone(), upload: None });
        }
        let begin = BeginFile {
            store: self.registry.to_string(),
            path: directory.file(&blob)?,
            resume,
            alive: self.unfinished.note(&blob),
        };
        let (named, size) = (source.path.clone(), source.size);
        let durability = self.durability.clone();
        let block = self.blocks.take().await;
        let (mut reader, mut block, begin) = match source.file() {
            Some(from) if size.is_some_and(|size| size < BLOCK as u64) => {
                let (from, named, durability) = (from.to_owned(), named.clone(), durability.clone());
                match blocking(move || small(from, named, block, begin, &durability)).await? {
                    Small::Done(hashed) => {
                        self.registry.transfers.pass(size.map_or(0, |size| size as usize)).await;
                        self.progress.tell(Transfer::Bytes(hashed.0.size));
                        return Ok((hashed, key));
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
        let writer = Lane::start(DEPTH, blocking(move || begin.begin(true)).await?, BlobFile::write);
        let mut digests = Digests::new(&named);
        while !block.is_empty() {
            let length = block.len();
            self.registry.transfers.pass(length).await;
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
        let hashed = digests.finish(named).await?;
        blocking(move || blob.finish(&durability)).await?;
        Ok((hashed, key))
    }
}

/// Makes the directory of the blobs, if that is what they lie in.
#[cfg(feature = "fs")]
async fn durability(registry: &ObjectBacked, name: &ModelName, files: usize) -> Result<Durability> {
    let Place::Directory(directory) = &registry.place else { return Ok(Durability::Each) };
    let blobs = directory.file(&keys::blobs(name))?;
    let begun = blocking(move || {
        std::fs::create_dir_all(&blobs)?;
        Ok(Durability::of(files, &blobs))
    })
    .await;
    begun.map_err(local_failure(registry.to_string(), "make a directory"))
}

/// What it takes to begin a file.
#[cfg(feature = "fs")]
struct BeginFile {
    store: String,
    path: PathBuf,
    resume: bool,
    alive: Alive,
}

#[cfg(feature = "fs")]
impl BeginFile {
    fn begin(self, unbuffered: bool) -> Result<BlobFile> {
        BlobFile::begin(self.store, self.path, self.resume, unbuffered, self.alive)
    }
}

#[cfg(feature = "fs")]
enum Small {
    Done(Hashed),
    /// It is not small any more: its first block is full.
    Grown(Reader, Bytes, BeginFile),
}

/// Does everything to a small file in one go: most of a thousand of them goes into the hops otherwise.
#[cfg(feature = "fs")]
fn small(
    from: PathBuf,
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
    let hashed = digest(named, block.as_ref());
    let mut blob = begin.begin(false)?;
    blob.write(block.freeze())?;
    blob.finish(durability)?;
    Ok(Small::Done(hashed))
}
