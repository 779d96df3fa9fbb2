//! A registry in a bucket or a directory, by way of any [`object_store`] client.
//!
//! ```text
//! tidegate.json                          the format, and that the store was tried out; written once
//! models/<name>/log/<number>.json        the commit point: created, never overwritten or deleted
//! models/<name>/hint.json                about where the log ends; overwritten, never relied on
//! models/<name>/snapshots/<number>.jsonl.gz  what the log comes to at that record; never relied on
//! models/<name>/manifests/<sha256>.json  what a version is, and which blobs hold it
//! models/<name>/blobs/<uuid>             the bytes of one file, as they are; a key is never used again
//! logs/<kind>/<id>/<number>.json         other logs
//! check/<uuid>/…                         written and removed while a store is tried out
//! check/<sha256>.json                    a store that the registry was copied to was tried out
//! ```
//!
//! Versions and user's file names never become keys, so no character of theirs can mean something to a
//! store. Nothing is found by listing but the names of models.

mod blob;
mod bucket;
pub(crate) mod check;
mod collect;
mod failure;
#[cfg(feature = "fs")]
mod file;
mod fsck;
mod garbage;
mod hint;
mod journal;
mod keys;
#[cfg(feature = "fs")]
mod local;
mod log;
mod place;
mod proven;
mod publish;
mod read;
mod stored;
#[cfg(feature = "fs")]
mod sweep;
mod unfinished;
mod url;
mod written;

pub use self::{
    collect::{Collected, Collection},
    fsck::{Inspection, Problem, Reread},
};

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    FutureExt as _, TryStreamExt as _,
    stream::{self, BoxStream, StreamExt as _},
};
use object_store::{Error as Failure, ObjectStore, PutMode, multipart::MultipartStore};
use serde::{Deserialize, Serialize};

use self::{
    check::{Flaw, StoreCheck},
    failure::failure,
    hint::Heads,
    place::Place,
    proven::Proven,
    stored::Cache,
    unfinished::Cleanups,
};
use crate::{
    ByteStream, Content, Digest, Draft, Error, FilePath, Filter, Log as _, Manifest, ModelName, ModelRef,
    ModelStore, OpenOptions, Progress, Published, Result, Transfers,
    catalogue::{Catalogues, Fact},
};

/// Models looked at together when all are listed.
const MODELS: usize = 16;

/// A [`ModelStore`](crate::ModelStore) and [`Log`](crate::Log) over any [`ObjectStore`] that can create
/// an object only if it is absent. Clones share a small cache of what never changes.
///
/// * A publish uploads each file once under a key of its own, in parallel, hashing it on the way, and
///   then commits one log record. Until then, and for ever if the publisher dies, nobody sees anything;
///   blobs left behind are garbage.
/// * What was hashed is what was stored: a file that changes while it is read makes a version of the
///   bytes that were read, never a manifest that its bytes do not match.
/// * Publishing a version that exists reads and hashes the content but uploads nothing.
/// * A publication that fails, or whose future is dropped, removes the blobs it has begun, unless they
///   may be part of a version; see [`clean_up`](Self::clean_up).
///
/// Give it a [`PrefixStore`](object_store::prefix::PrefixStore) to share a bucket with others. The
/// client's own timeouts and retries apply to each request. In a bucket, have unfinished multipart
/// uploads removed by a lifecycle rule.
#[derive(Clone)]
pub struct ObjectBacked {
    store: Arc<dyn ObjectStore>,
    /// The same store.
    proven: Arc<Proven>,
    /// The same place, for what may be lost when the power fails.
    soft: Arc<dyn ObjectStore>,
    place: Place,
    transfers: Transfers,
    heads: Arc<Heads>,
    catalogues: Arc<Catalogues>,
    cache: Arc<Cache>,
    cleanups: Arc<Cleanups>,
}

/// The content of `tidegate.json`.
#[derive(Serialize, Deserialize)]
struct Marker {
    format: u32,
    /// Which store was tried out when the registry was made; a copy of the registry may lie in another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked: Option<Checked>,
}

/// The part of it that every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct Checked {
    store: Digest,
    check: StoreCheck,
}

impl Marker {
    const FORMAT: u32 = 1;
    const LONGEST: u64 = 4096;
}

impl ObjectBacked {
    /// Opens the registry in `store`, or makes one where there is none yet.
    ///
    /// One request opens a registry that is there; who may only read can open it. Where there is none,
    /// the store is tried out first, as by [`check_store`](Self::check_store), and the result is kept in
    /// `tidegate.json`. A registry that came to this store as a copy can be read at once, and its store is
    /// tried out before the first write.
    ///
    /// # Errors
    ///
    /// [`Error::TooNew`] for a registry of a later format, [`Error::Corrupt`] when `tidegate.json` is
    /// something else, [`Error::Refused`] when there is none and the store is not fit to hold one, and
    /// [`Error::Refused`] or [`Error::Unavailable`] from the store.
    pub async fn open(store: Arc<dyn ObjectStore>) -> Result<Self> {
        Self::begin(Proven::new(store)).await
    }

    /// Opens the registry in a local directory, or makes one, the directory included.
    ///
    /// Blobs are plain files that any tool can read. Every write is synced to disk before it counts. The
    /// file system must have hard links, which is how a file is created only if it is absent.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] when the directory cannot be made; otherwise as [`open`](Self::open).
    #[cfg(feature = "fs")]
    pub async fn directory(path: impl Into<std::path::PathBuf>) -> Result<Self> {
        use object_store::local::LocalFileSystem;

        use crate::transfer::{blocking::blocking, directories::NewDirectories};

        let path = path.into();
        let (store, made) = blocking(move || {
            let made = NewDirectories::create(&path)?;
            made.sync()?;
            let store = LocalFileSystem::new_with_prefix(&path).map_err(|error| Error::Local {
                action: "open",
                path,
                source: std::io::Error::other(error),
            })?;
            Ok::<_, Error>((store, made))
        })
        .await?;
        let soft = Arc::new(store.clone());
        let scratch = Arc::new(store.clone().with_automatic_cleanup(true));
        let store = Arc::new(store.with_fsync(true));
        let proven = Proven::new(Arc::clone(&store) as _).with_scratch(scratch);
        let opened = Self::begin(proven).await?;
        made.keep();
        Ok(Self { soft, place: Place::Directory(local::LocalBlobs::new(store)), ..opened })
    }

    /// Opens the registry in the bucket that `client` reaches, as [`open`](Self::open) does; but a
    /// publication that was killed can be gone on with here, if [`Transfers::journal`] says where to keep what
    /// that needs. (A `dyn ObjectStore` does not let one process send parts of what another has begun.)
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn resumable<S: ObjectStore + MultipartStore>(client: Arc<S>) -> Result<Self> {
        let opened = Self::open(Arc::clone(&client) as Arc<dyn ObjectStore>).await?;
        Ok(Self { place: Place::Bucket { multipart: Some(client) }, ..opened })
    }

    /// The same registry, whose publications can be gone on with as those of [`resumable`](Self::resumable).
    /// For a registry opened by its URL: `client` has to reach the same bucket, under the same prefix (by a
    /// [`PrefixStore`](object_store::prefix::PrefixStore)). A registry in a directory needs none and ignores it.
    #[must_use]
    pub fn with_multipart<S: MultipartStore>(self, client: Arc<S>) -> Self {
        match self.place {
            Place::Bucket { .. } => Self { place: Place::Bucket { multipart: Some(client) }, ..self },
            #[cfg(feature = "fs")]
            Place::Directory(_) => self,
        }
    }

    /// The same registry, moving bytes as `transfers` says.
    #[must_use]
    pub fn with_transfers(mut self, transfers: Transfers) -> Self {
        self.transfers = transfers;
        self
    }

    /// Publishes several versions of one model in one record: all of them come into being together, or none
    /// does. For bulk imports, which are bound by the number of records otherwise. Drafts of versions that
    /// exist with the same content change nothing.
    ///
    /// # Errors
    ///
    /// As [`ModelStore::publish`]; [`Error::Invalid`] also when the drafts are of several models, have
    /// different stamps, or are too many for one record of 16 MiB.
    pub async fn publish_all(
        &self,
        drafts: Vec<(Draft, Content)>,
        progress: &dyn Progress,
    ) -> Result<Vec<Manifest>> {
        publish::publish(self, drafts, progress).await
    }

    /// Tries out whether the store keeps the promises that a registry stands on: that of many who create
    /// an object at the same time one wins and its bytes stay, that creating it again is refused, that
    /// what was written can be read and listed at once, that ranges are served, and that an upload in
    /// parts is invisible until it is complete.
    ///
    /// [`open`](Self::open) does it where there is no registry yet. Call it after the store has been
    /// replaced or upgraded. It takes some 150 to 350 small requests, fewer where they are slow, and
    /// writes below `check/`, which it removes; whoever drops the future leaves that there. A store that
    /// fails once in hundreds of races may pass.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when the store breaks a promise, with an [`Unfit`](crate::Unfit) as its source
    /// that says what was seen; every write through this registry or a clone of it is then refused with
    /// the same reason, and reading goes on. [`Error::Refused`] or [`Error::Unavailable`] from the store when
    /// the check cannot be carried out, which changes nothing.
    pub async fn check_store(&self) -> Result<StoreCheck> {
        self.proven.check().await.map_err(|flaw| match flaw {
            Flaw::Failed(error) => failure(self, "create an object only if it is absent")(error),
            Flaw::Unfit(unfit) => Error::Refused {
                store: self.to_string(),
                action: unfit.trial.promise(),
                source: unfit.into(),
            },
        })
    }

    /// Waits until everything has been removed that publications left whose futures were dropped. A
    /// program that stops a publication calls this before it leaves the runtime.
    pub async fn clean_up(&self) {
        self.cleanups.finish().await;
    }

    /// Opens what is there, or tries the store out and makes the registry.
    async fn begin(store: Proven) -> Result<Self> {
        let opened = Self::over(store);
        let bytes = match opened.marker().await? {
            Some(there) => there,
            None => opened.make().await?,
        };
        opened.admit(&bytes)
    }

    /// Opens what is there.
    async fn find(store: Proven) -> Result<Option<Self>> {
        let opened = Self::over(store);
        let Some(bytes) = opened.marker().await? else { return Ok(None) };
        opened.admit(&bytes).map(Some)
    }

    fn over(store: Proven) -> Self {
        let proven = Arc::new(store);
        Self {
            store: Arc::clone(&proven) as _,
            soft: Arc::clone(&proven) as _,
            proven,
            place: Place::Bucket { multipart: None },
            transfers: Transfers::default(),
            heads: Arc::default(),
            catalogues: Arc::default(),
            cache: Arc::default(),
            cleanups: Arc::default(),
        }
    }

    /// This registry, if its `tidegate.json` is one that can be read.
    fn admit(self, marker: &[u8]) -> Result<Self> {
        let corrupt = |error: serde_json::Error| Error::Corrupt {
            what: format!("{} in {self}", keys::marker()),
            source: error.into(),
        };
        // The format first: what else a later one says is not for us to read.
        let Format { format } = serde_json::from_slice(marker).map_err(corrupt)?;
        if format != Marker::FORMAT {
            return Err(Error::TooNew { what: self.to_string(), found: format!("format {format}") });
        }
        let marker: Marker = serde_json::from_slice(marker).map_err(corrupt)?;
        if marker.checked.is_some_and(|checked| checked.store == self.proven.identity()) {
            self.proven.trust();
        }
        Ok(self)
    }

    async fn marker(&self) -> Result<Option<Bytes>> {
        self.get(&keys::marker(), Marker::LONGEST).await
    }

    /// Makes the registry, and returns its `tidegate.json`.
    async fn make(&self) -> Result<Bytes> {
        let check = self.check_store().await?;
        let checked = Some(Checked { store: self.proven.identity(), check });
        let marker = Marker { format: Marker::FORMAT, checked };
        let new = Bytes::from(serde_json::to_vec(&marker).expect("names and numbers are JSON"));
        match self.store.put_opts(&keys::marker(), new.clone().into(), PutMode::Create.into()).await {
            Ok(_) => Ok(new),
            // Somebody else has made it at the same time.
            Err(Failure::AlreadyExists { .. } | Failure::Precondition { .. }) => {
                Ok(self.marker().await?.unwrap_or(new))
            }
            Err(error) => Err(failure(self, "create tidegate.json")(error)),
        }
    }

    /// Every model of which there is anything, ascending: also what publications left that never came to a
    /// version. For garbage collection.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] or [`Error::Unavailable`] when the store cannot be listed.
    pub async fn traces(&self) -> Result<Vec<ModelName>> {
        let root = keys::models();
        let names = match self.store.list_with_delimiter(Some(&root)).await {
            Ok(listing) => listing.common_prefixes,
            Err(Failure::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(failure(self, "list models")(error)),
        };
        // What is no name was not put there by a registry.
        let mut names: Vec<ModelName> =
            names.iter().filter_map(|path| path.filename()?.parse().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Whether a model ever had a version: its first record is a publication, or says what was removed before
    /// there was one.
    async fn has_versions(&self, name: ModelName) -> Result<Option<ModelName>> {
        let key = crate::LogKey::model(&name);
        let Some(record) = self.record(&key, crate::Seq::FIRST).await? else { return Ok(None) };
        // One that cannot be read is of a model that is there, and damaged.
        let publishes = crate::Entry::decode(&key, crate::Seq::FIRST, &record)
            .map_or(true, |entry| entry.facts.iter().any(|fact| matches!(fact, Fact::Publish(_))));
        if publishes || self.catalogues.fold(self, &name).await?.expect_versions().is_ok() {
            return Ok(Some(name));
        }
        Ok(None)
    }
}

#[async_trait]
impl ModelStore for ObjectBacked {
    async fn publish(&self, draft: Draft, content: Content, progress: &dyn Progress) -> Result<Manifest> {
        let published = publish::publish(self, vec![(draft, content)], progress).await?;
        Ok(published.into_iter().next().expect("one draft makes one version"))
    }

    async fn manifest(&self, model: &ModelRef) -> Result<Manifest> {
        // What was read stays true, but that the version exists may not.
        self.catalogues.fold(self, model.name()).await?.row(model)?;
        Ok(self.stored(model).await?.manifest.clone())
    }

    async fn open(&self, model: &ModelRef, file: &FilePath, options: OpenOptions) -> Result<ByteStream> {
        let stored = self.stored(model).await?;
        let at = stored.manifest.position(file)?;
        let range = options.within(file, stored.manifest.files[at].size)?;
        self.blob(model, &stored.manifest.files[at], &stored.segments[at], range).await
    }

    fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.catalogues.list(self, name.clone(), filter)
    }

    fn transfers(&self) -> Transfers {
        self.transfers.clone()
    }

    fn models(&self) -> BoxStream<'_, Result<ModelName>> {
        let listed = async move { Ok::<_, Error>(stream::iter(self.traces().await?.into_iter().map(Ok))) };
        let names = listed.into_stream().try_flatten();
        names
            .map(move |name: Result<ModelName>| async move { self.has_versions(name?).await })
            .buffered(MODELS)
            .try_filter_map(|name| async move { Ok(name) })
            .boxed()
    }
}

impl fmt::Debug for ObjectBacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client's own `Debug` may hold credentials; its `Display` is the place's name.
        f.debug_tuple("ObjectBacked").field(&format_args!("{}", self.store)).finish()
    }
}

impl fmt::Display for ObjectBacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
