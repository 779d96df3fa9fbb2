//! A registry in a bucket or a directory, by way of any [`object_store`] client.
//!
//! ```text
//! tidegate.json                          the format, and that the store was tried out; written once
//! models/<name>/log/<number>.json        the commit point: created, never overwritten or deleted
//! models/<name>/hint.json                about where the log ends; overwritten, never relied on
//! models/<name>/snapshots/<number>.jsonl.gz  what the log comes to at that record; never relied on
//! models/<name>/manifests/<sha256>.json  what a version is, and which blobs hold it
//! models/<name>/blobs/<uuid>.<n>         the bytes of one file, as they are; a key is never used again
//! models/<name>/uploads/<uuid>.<n>.json  that blob is being uploaded in parts; removed when it is there
//! logs/<kind>/<id>/<number>.json         other logs
//! check/<uuid>/…                         written and removed while a store is tried out
//! check/<sha256>.json                    a store that the registry was copied to was tried out
//! ```
//!
//! Versions and user's file names never become keys, so no character of theirs can mean something to a
//! store. Nothing is found by listing but the names of models.

mod failure;
#[cfg(feature = "fs")]
mod file;
mod hint;
mod keys;
mod log;
pub(crate) mod opening;
mod place;
mod publish;
mod read;
mod stored;
mod upkeep;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use futures::{
    FutureExt as _, TryStreamExt as _,
    stream::{self, BoxStream, StreamExt as _},
};
use object_store::{Error as Failure, ObjectStore};

pub use self::upkeep::{Collected, Collection, Inspection, Problem, Reread};
use self::{
    failure::failure, hint::Heads, opening::proven::Proven, place::Place, publish::unfinished::Cleanups,
    stored::Cache,
};
use crate::{
    ByteStream, Content, Draft, Error, FilePath, Filter, Log as _, Manifest, ModelName, ModelRef, ModelStore,
    OpenOptions, Progress, Published, Result, Transfers,
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
/// client's own timeouts and retries apply to each request. Uploads in parts that killed programs never
/// finished are ended by [`collect`](Self::collect), if both were given the client with
/// [`resumable`](Self::resumable) or [`with_multipart`](Self::with_multipart); otherwise they need a
/// lifecycle rule of the bucket, which is good to have in any case: a part that arrives while its upload is
/// being ended may stay. An upload in parts takes two small requests more then, for its note.
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

impl ObjectBacked {
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

    /// Waits until everything has been removed that publications left whose futures were dropped. A
    /// program that stops a publication calls this before it leaves the runtime.
    pub async fn clean_up(&self) {
        self.cleanups.finish().await;
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
