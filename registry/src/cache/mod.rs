//! A cache for machines that serve models: what was delivered once is not fetched again.

mod disk;
mod link;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use self::disk::Disk;
pub use self::link::Link;
use crate::{
    Error, File, Manifest, ModelRef, ModelStore, Phase, Progress, Result, Transfer, content_digest,
    transfer::{
        blocking::{blocking, local, sync_directory},
        destination::Destination,
        download::fetch,
    },
};

/// Bytes of the longest manifest that is read from the cache.
const LONGEST_MANIFEST: u64 = 128 << 20;

/// A directory of files by their SHA-256, shared by any number of programs on one machine.
///
/// * **Nothing is fetched twice.** A file that any delivered version has is taken from here, also for
///   another version or another model. Of programs that want the same content at the same time, one
///   fetches it and the others wait for it.
/// * **Nothing unverified gets in.** A file is admitted after every part of it was compared with the manifest,
///   under its digest, by a rename. A killed program leaves a fetch that the next one goes on with.
/// * **Files are linked, not copied**, where the file system can; see [`Link`].
/// * **Exact versions work offline.** The manifest of a delivered version is kept, so it can be delivered while
///   the store is [unavailable](Error::Unavailable). A version never changes, so this is as good as asking;
///   but that it was deleted meanwhile is not known then. Channels and `latest` need the store: there is no
///   stale answer to them.
/// * **The least recently delivered files go first** when there are more bytes than the limit, after a
///   delivery and never during one. A version that is larger than the limit is delivered, and not kept.
///
/// A file in here that was changed since it was admitted is found by its times and hashed again; if it is not
/// what it was, it is fetched anew. Keep the directory to programs that you trust: whoever may write to it
/// can put back times as well ([`verify`](Self::verify) hashes everything).
///
/// ```text
/// files/<2 hex digits>/<sha256>   read-only
/// used/<sha256>                   what is known of it; its time says when it was used last
/// manifests/<sha256>.json         of versions that were delivered, by store and name
/// incoming/<sha256>/              what is being fetched, by content
/// locks/<sha256>, lock            locks of contents, and of the whole
/// ```
#[derive(Clone, Debug)]
pub struct Cache {
    disk: Arc<Disk>,
    limit: u64,
    link: Link,
}

/// How much there is in a cache, or was removed from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Cache {
    /// The cache in `directory`, which is made if need be, of `limit` bytes at most.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] when it cannot be made.
    pub async fn open(directory: impl Into<PathBuf>, limit: u64) -> Result<Self> {
        let directory = directory.into();
        let disk = blocking(move || Disk::open(&directory)).await?;
        Ok(Self { disk: Arc::new(disk), limit, link: Link::default() })
    }

    /// The same cache, giving files to destinations in this way.
    #[must_use]
    pub const fn with_link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// Delivers a version into `directory`, as [`ModelStoreExt::download`](crate::ModelStoreExt::download)
    /// does, but fetches only files that are not here.
    ///
    /// # Errors
    ///
    /// As `download`; those about files may be about the cache.
    pub async fn deliver<S: ModelStore + ?Sized>(
        &self,
        store: &S,
        model: &ModelRef,
        directory: &Path,
        progress: &dyn Progress,
    ) -> Result<Manifest> {
        progress.tell(Transfer::Phase(Phase::Preparing));
        let manifest = self.manifest(store, model).await?;
        let disk = Arc::clone(&self.disk);
        let content = manifest.digest;
        // While this is held nothing is evicted, and nobody else fetches the same.
        let held = blocking(move || disk.hold(&content)).await?;
        self.fill(store, &manifest, progress).await?;
        progress.tell(Transfer::Phase(Phase::Finishing));
        let (disk, link, target) = (Arc::clone(&self.disk), self.link, directory.to_owned());
        let files = manifest.files.clone();
        blocking(move || {
            let (destination, missing, _) = Destination::prepare(&target, &content, &files, false)?;
            for &at in &missing {
                let staged = destination.staged(&files[at].path);
                link.give(&disk.file(&files[at].digest), &staged)?;
            }
            destination.deliver(&files, &missing)
        })
        .await?;
        drop(held);
        self.shrink(self.limit).await?;
        Ok(manifest)
    }

    /// How much there is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] when it cannot be read.
    pub async fn usage(&self) -> Result<Usage> {
        let disk = Arc::clone(&self.disk);
        let files = blocking(move || disk.files()).await?;
        Ok(Usage { files: files.len(), bytes: files.iter().map(|file| file.bytes).sum() })
    }

    /// Removes the least recently used files until there are `limit` bytes at most. Returns what was removed:
    /// nothing while a delivery is under way, which does the same when it is done. With a limit of zero, also
    /// what broken-off deliveries have fetched goes.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] when a file cannot be removed.
    pub async fn shrink(&self, limit: u64) -> Result<Usage> {
        let disk = Arc::clone(&self.disk);
        blocking(move || disk.shrink(limit)).await
    }

    /// Hashes every file and removes those that are not what their names say. Returns what was removed.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] when a file cannot be read or removed.
    pub async fn verify(&self) -> Result<Usage> {
        let disk = Arc::clone(&self.disk);
        blocking(move || disk.verify()).await
    }

    /// The manifest that the store has, or had when this version was delivered last.
    async fn manifest<S: ModelStore + ?Sized>(&self, store: &S, model: &ModelRef) -> Result<Manifest> {
        let kept = self.disk.manifest(&store.to_string(), model);
        match store.manifest(model).await {
            Ok(manifest) => {
                manifest.check(model)?;
                let bytes = serde_json::to_vec(&manifest).expect("a manifest that was read is JSON");
                blocking(move || disk::replace(&kept, &bytes)).await?;
                Ok(manifest)
            }
            Err(error @ Error::Unavailable { .. }) => {
                let bytes: Option<Vec<u8>> = blocking(move || disk::read(&kept, LONGEST_MANIFEST)).await;
                let manifest = bytes.and_then(|bytes| serde_json::from_slice::<Manifest>(&bytes).ok());
                // One that is not of this version, or does not agree with itself, is none.
                let Some(manifest) = manifest.filter(|manifest| manifest.check(model).is_ok()) else {
                    return Err(error);
                };
                tracing::warn!(%model, %error, "the store is away, delivering what the cache knows");
                Ok(manifest)
            }
            Err(error) => Err(error),
        }
    }

    /// Fetches what is not here.
    async fn fill<S: ModelStore + ?Sized>(
        &self,
        store: &S,
        manifest: &Manifest,
        progress: &dyn Progress,
    ) -> Result<()> {
        let (disk, files) = (Arc::clone(&self.disk), manifest.files.clone());
        let mut missing = blocking(move || {
            let mut missing = BTreeMap::new();
            for file in files {
                if !disk.has(&file)? {
                    missing.insert(file.digest, file);
                }
            }
            Ok::<_, Error>(missing.into_values().collect::<Vec<File>>())
        })
        .await?;
        if missing.is_empty() {
            progress.tell(Transfer::Start { files: 0, bytes: Some(0) });
            return Ok(());
        }
        missing.sort_by(|a, b| a.path.cmp(&b.path));
        let incoming = self.disk.incoming(&manifest.digest);
        // Other files are another fetch.
        let content = content_digest(&missing);
        fetch(store, &manifest.model, content, missing.clone(), &incoming, true, progress).await?;
        let disk = Arc::clone(&self.disk);
        blocking(move || {
            for file in &missing {
                disk.admit(&file.path.below(&incoming), &file.digest)?;
            }
            fs::remove_dir_all(&incoming).map_err(local("remove", &incoming))?;
            incoming.parent().map_or(Ok(()), sync_directory)
        })
        .await
    }
}
