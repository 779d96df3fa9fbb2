//! Where answers are kept.

use std::{
    collections::{HashMap, VecDeque},
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};
use tidegate_registry::Digest;
use tokio::{fs, io::AsyncReadExt as _};

use crate::Reply;

/// Longest file of an answer that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// Where answers are kept.
#[derive(Debug)]
pub(super) enum Shelf {
    Directory { path: PathBuf, written: AtomicU64 },
    Memory { most: NonZeroUsize, kept: Mutex<Kept> },
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    replies: HashMap<Digest, Reply>,
    /// Oldest first.
    order: VecDeque<Digest>,
}

/// A file: the answer, and the question that it belongs to.
#[derive(Deserialize, Serialize)]
struct Entry<R> {
    key: Digest,
    reply: R,
}

impl Shelf {
    pub(super) fn directory(path: PathBuf) -> Self {
        Self::Directory { path, written: AtomicU64::new(0) }
    }

    pub(super) fn memory(most: NonZeroUsize) -> Self {
        Self::Memory { most, kept: Mutex::default() }
    }

    /// The answer under `key`, if it is there and undamaged.
    pub(super) async fn find(&self, key: Digest) -> Option<Reply> {
        match self {
            Self::Memory { kept, .. } => {
                kept.lock().unwrap_or_else(PoisonError::into_inner).replies.get(&key).cloned()
            }
            Self::Directory { path, .. } => {
                let path = file(path, key);
                match read(&path, key).await {
                    Ok(reply) => Some(reply),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => {
                        tracing::warn!("a remembered answer is asked for anew, {}: {error}", path.display());
                        None
                    }
                }
            }
        }
    }

    pub(super) async fn keep(&self, key: Digest, reply: &Reply) {
        match self {
            Self::Memory { most, kept } => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.replies.insert(key, reply.clone()).is_none() {
                    kept.order.push_back(key);
                }
                while kept.order.len() > most.get() {
                    let oldest = kept.order.pop_front();
                    oldest.map(|oldest| kept.replies.remove(&oldest));
                }
            }
            Self::Directory { path, written } => {
                let number = written.fetch_add(1, Ordering::Relaxed);
                let path = file(path, key);
                if let Err(error) = write(&path, number, &Entry { key, reply }).await {
                    tracing::warn!("an answer is not remembered, {}: {error}", path.display());
                }
            }
        }
    }
}

/// 256 directories keep the lists of a million files short.
fn file(directory: &Path, key: Digest) -> PathBuf {
    let key = key.to_string();
    let hex = key.rsplit(':').next().unwrap_or_default();
    directory.join(&hex[..2]).join(format!("{hex}.json"))
}

async fn read(path: &Path, key: Digest) -> io::Result<Reply> {
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut bytes = Vec::new();
    fs::File::open(path).await?.take(LONGEST).read_to_end(&mut bytes).await?;
    let entry: Entry<Reply> = serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
    match entry.key == key {
        true => Ok(entry.reply),
        false => Err(invalid(format!("it is the answer to {}", entry.key))),
    }
}

/// Writes beside the file and renames: whoever reads sees all of it or nothing.
async fn write(path: &Path, number: u64, entry: &Entry<&Reply>) -> io::Result<()> {
    let bytes = serde_json::to_vec(entry)?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).await?;
    }
    let draft = path.with_extension(format!("{}-{number}.part", process::id()));
    fs::write(&draft, bytes).await?;
    let renamed = fs::rename(&draft, path).await;
    if renamed.is_err() {
        let _ = fs::remove_file(&draft).await;
    }
    renamed
}
