//! Garbage collection: what no version uses is condemned in the log, and only then removed.
//!
//! Safety rests on the log alone. A publication that has written blobs which were condemned meanwhile is
//! refused when it comes to its record, and writes them again; one that comes to its record first makes the
//! condemnation start over. So a grace of zero is safe beside any number of publishers; a longer one only
//! spares them work. No clock but the caller's is asked, and object names are never used again.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use object_store::{Error as Failure, ObjectMeta, ObjectStoreExt as _, path::Path};
use serde::Serialize;

use super::garbage::{Known, Listing, Patience, Plan, folders, plan};
use crate::{
    Digest, Error, LogKey, ModelName, ModelRef, Result, Stamp,
    catalogue::Fact,
    object::{
        ObjectBacked,
        failure::failure,
        keys,
        publish::unfinished::{LONGEST_NOTE, Note},
        stored,
        stored::Stored,
    },
};

/// Manifests read at once.
const MANIFESTS: usize = 16;

/// Uploads ended at once.
const UPLOADS: usize = 16;

/// How often a collection starts over because the log has moved on meanwhile.
const ATTEMPTS: usize = 256;

/// How patient a garbage collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Collection {
    /// Objects that no version uses, and uploads in parts, are left alone while they are younger, by the clock of
    /// the store: they may be of a publication under way, which would have to write them again. Longer than an
    /// upload ever takes, therefore.
    pub grace: Duration,
    /// Objects of deleted versions are left alone so long after the deletion: somebody may be reading them.
    pub retention: Duration,
    /// Only say what would be removed.
    pub rehearse: bool,
}

/// What a garbage collection removed, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Collected {
    /// Objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Unfinished uploads in parts, which were ended. How many bytes they hold is not known. Azure cannot end one,
    /// and drops what was uploaded after a week.
    pub uploads: usize,
}

impl Default for Collection {
    /// Both a week.
    fn default() -> Self {
        let week = Duration::from_secs(7 * 24 * 3600);
        Self { grace: week, retention: week, rehearse: false }
    }
}

impl ObjectBacked {
    /// Removes the blobs and manifests of a model that no version uses: what broken-off publications left,
    /// and what deleted versions had. In a directory that includes hidden files of killed programs; in a bucket,
    /// the parts of uploads that were never completed, if the client was given that can end them (see
    /// [`with_multipart`](Self::with_multipart)). Whatever one that was stopped has left is removed by the
    /// next.
    ///
    /// Beside three listings and three requests for each unfinished upload it reads the manifests of versions
    /// that share blobs with deleted ones.
    ///
    /// # Errors
    ///
    /// Those of [`Log`](crate::Log), [`Error::Refused`] or [`Error::Unavailable`] when something cannot be
    /// listed, read or removed, and [`Error::SeqTaken`] beside so many publishers that it never gets its
    /// turn: try again.
    pub async fn collect(
        &self,
        name: &ModelName,
        collection: &Collection,
        stamp: &Stamp,
    ) -> Result<Collected> {
        let patience = Patience { grace: collection.grace, retention: collection.retention, at: stamp.at };
        let [blobs, manifests] = folders(name);
        let mut listing = Listing::new(self.list(&blobs).await?, self.list(&manifests).await?);
        // Without the client nothing could be done about them.
        if self.place.multipart().is_some() {
            listing.add_uploads(self.list(&keys::uploads(name)).await?);
        }
        let mut known = Known::default();
        for _ in 0..ATTEMPTS {
            let mut last = None;
            let commit = self.catalogues.commit(self, name, stamp, |catalogue| {
                let planned = plan(catalogue, &listing, &known, &patience)?;
                let facts = match &planned {
                    Plan::Collect { garbage, .. } if !garbage.is_empty() && !collection.rehearse => {
                        vec![Fact::Condemn(garbage.clone())]
                    }
                    _ => Vec::new(),
                };
                last = Some((planned, catalogue.garbage().clone()));
                Ok(facts)
            });
            commit.await?;
            match last.expect("a commit asks what to say at least once") {
                (Plan::Ask { versions, strays }, _) => {
                    self.look_up(name, &versions, &strays, &mut known).await?;
                }
                (Plan::Collect { garbage, objects, uploads }, before) => {
                    let hidden = self.sweep(name, &patience, collection.rehearse).await?;
                    let collected = Collected {
                        objects: objects.len() + hidden.objects,
                        bytes: objects.iter().map(|meta| meta.size).sum::<u64>() + hidden.bytes,
                        uploads: uploads.iter().filter(|key| listing.size(key).is_none()).count(),
                    };
                    if !collection.rehearse {
                        self.remove(objects).await?;
                        // One that cannot be ended keeps nothing else from being done.
                        let ended = self.end_uploads(name, &uploads, &listing).await;
                        self.drop_old_snapshots(&LogKey::model(name)).await?;
                        let swept = garbage.or(&before);
                        if !swept.is_empty() {
                            let sweep = |_: &_| Ok(vec![Fact::Sweep(swept.clone())]);
                            self.catalogues.commit(self, name, stamp, sweep).await?;
                        }
                        ended?;
                    }
                    return Ok(collected);
                }
            }
        }
        let seq = self.catalogues.fold(self, name).await?.next();
        Err(Error::SeqTaken { key: LogKey::model(name), seq })
    }

    /// Reads which blobs versions use, and who wrote documents that no version has.
    async fn look_up(
        &self,
        name: &ModelName,
        versions: &[(ModelRef, Digest)],
        strays: &[Digest],
        known: &mut Known,
    ) -> Result<()> {
        let read = versions.iter().map(|(model, digest)| -> BoxFuture<'_, Result<_>> {
            Box::pin(async move { Ok((*digest, self.document(model, digest).await?)) })
        });
        let mut read = stream::iter(read.collect::<Vec<_>>()).buffer_unordered(MANIFESTS);
        while let Some((digest, stored)) = read.try_next().await? {
            known.add(digest, stored.segments.into_iter().map(|segment| segment.key));
        }
        for digest in strays {
            let document = self.get(&keys::manifest(name, digest), stored::LONGEST).await?;
            known.add_stray(*digest, document.and_then(|document| Stored::publication_of(&document)));
        }
        Ok(())
    }

    pub(in crate::object) async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>> {
        match self.store.list(Some(folder)).try_collect().await {
            Ok(found) => Ok(found),
            Err(Failure::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(failure(self, "list what there is of a model")(error)),
        }
    }

    async fn end_uploads(&self, name: &ModelName, keys: &[String], listing: &Listing) -> Result<()> {
        let end = |key: &String| -> BoxFuture<'_, Result<()>> {
            let (key, complete) = (key.clone(), listing.size(key).is_some());
            Box::pin(async move { self.end_upload(name, &key, complete).await })
        };
        let ended = stream::iter(keys.iter().map(end).collect::<Vec<_>>()).buffer_unordered(UPLOADS);
        let ended: Vec<_> = ended.collect().await;
        ended.into_iter().collect()
    }

    /// Ends an upload in parts that nobody will complete any more, unless it is `complete` and only its note
    /// was left.
    async fn end_upload(&self, name: &ModelName, key: &str, complete: bool) -> Result<()> {
        let blob = keys::blob(name, key);
        let at = keys::upload(&blob);
        // A note that makes no sense was not written by a registry, and says nothing about an upload.
        if !complete
            && let Some(client) = self.place.multipart()
            && let Some(text) = self.get(&at, LONGEST_NOTE).await?
            && let Ok(note) = serde_json::from_slice::<Note>(&text)
        {
            match client.abort_multipart(&blob, &note.upload).await {
                // It was completed or ended before.
                Ok(()) | Err(Failure::NotFound { .. }) => {}
                Err(error) => return Err(failure(self, "end an unfinished upload")(error)),
            }
        }
        match self.store.delete(&at).await {
            Ok(()) | Err(Failure::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(self, "remove the note of an upload")(error)),
        }
    }

    /// Removes hidden files of killed programs from a directory.
    #[cfg_attr(
        not(feature = "fs"),
        expect(clippy::unused_async, reason = "only a directory has hidden files")
    )]
    async fn sweep(&self, name: &ModelName, patience: &Patience, rehearse: bool) -> Result<Collected> {
        #[cfg(feature = "fs")]
        if let crate::object::place::Place::Directory(directory) = &self.place {
            let blobs = directory.file(&keys::blobs(name))?;
            let (grace, at) = (patience.grace, patience.at);
            return crate::transfer::blocking::blocking(move || {
                let model = blobs.parent().expect("blobs lie below their model");
                super::sweep::sweep(model, grace, at, rehearse)
            })
            .await;
        }
        let _ = (name, patience, rehearse);
        Ok(Collected::default())
    }

    async fn remove(&self, objects: Vec<ObjectMeta>) -> Result<()> {
        let paths = stream::iter(objects.into_iter().map(|object| Ok(object.location)));
        let mut removed = self.store.delete_stream(paths.boxed());
        while let Some(removed) = removed.next().await {
            match removed {
                // Somebody else was faster.
                Ok(_) | Err(Failure::NotFound { .. }) => {}
                Err(error) => return Err(failure(self, "remove what nobody uses")(error)),
            }
        }
        Ok(())
    }
}
