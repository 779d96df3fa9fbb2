//! What a publication leaves when it ends before its record, and its removal.

use std::{
    collections::HashMap,
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use object_store::{
    Error as Failure, MultipartId, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload,
    multipart::{MultipartStore, PartId},
    path::Path,
};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    object::{ObjectBacked, keys, place::Place},
    transfer::blocking::joined,
};

/// Every blob that a publication has begun. Dropping this removes them in a task of its own, once
/// everything that may still write one has ended.
///
/// What a store does may go on after its future is dropped: a local one creates and renames files on
/// other threads. So whatever brings an object into being runs in a task that is never stopped, and
/// holds an [`Alive`].
#[derive(Debug)]
pub(in crate::object) struct Unfinished {
    store: Arc<dyn ObjectStore>,
    place: Place,
    cleanups: Arc<Cleanups>,
    runtime: Handle,
    blobs: Mutex<Vec<Path>>,
    uploads: Arc<Mutex<HashMap<Path, MultipartId>>>,
    /// Whether a journal says how to go on, so that what was begun stays.
    kept: bool,
    alive: Alive,
    ended: mpsc::Receiver<()>,
}

/// Held by everything that may still write. Nothing is ever sent: what counts is that all are dropped.
pub(in crate::object) type Alive = mpsc::Sender<()>;

/// How many removals are under way, in all clones of a registry.
#[derive(Debug, Default)]
pub(in crate::object) struct Cleanups(watch::Sender<usize>);

/// One of them.
#[derive(Debug)]
struct Cleanup(Arc<Cleanups>);

/// What is kept in the registry while a blob is uploaded in parts, because stores can list unfinished uploads
/// but `object_store` cannot ask them: it lets a garbage collection end what a killed program has left.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::object) struct Note {
    /// The store's name for it.
    pub(in crate::object) upload: MultipartId,
}

/// Bytes of a [`Note`] that are read. S3 says no bound for names of uploads; real ones have some hundred bytes.
pub(in crate::object) const LONGEST_NOTE: u64 = 64 << 10;

/// A multipart upload that is aborted when dropped.
#[derive(Debug)]
pub(in crate::object) struct Upload {
    upload: Option<Box<dyn MultipartUpload>>,
    runtime: Handle,
    alive: Alive,
}

impl Unfinished {
    /// Nothing begun yet. What will be is `kept` if the publication ends before its record, or not.
    pub(in crate::object) fn new(registry: &ObjectBacked, kept: bool) -> Self {
        let (alive, ended) = mpsc::channel(1);
        Self {
            store: Arc::clone(&registry.store),
            place: registry.place.clone(),
            cleanups: Arc::clone(&registry.cleanups),
            runtime: Handle::current(),
            blobs: Mutex::default(),
            uploads: Arc::default(),
            kept,
            alive,
            ended,
        }
    }

    /// Puts a whole blob.
    pub(in crate::object) async fn put(&self, blob: &Path, bytes: PutPayload) -> object_store::Result<()> {
        let (store, blob, alive) = (Arc::clone(&self.store), blob.clone(), self.note(blob));
        unstoppable(async move {
            let put = store.put(&blob, bytes).await.map(drop);
            drop(alive);
            put
        })
        .await
    }

    /// Begins a blob in parts.
    pub(in crate::object) async fn begin(&self, blob: &Path) -> object_store::Result<Upload> {
        let (store, blob, alive) = (Arc::clone(&self.store), blob.clone(), self.note(blob));
        let runtime = self.runtime.clone();
        unstoppable(async move {
            let upload = store.put_multipart(&blob).await?;
            Ok(Upload { upload: Some(upload), runtime, alive })
        })
        .await
    }

    /// Begins a blob in parts, by its name for the store, and notes that.
    ///
    /// Who is killed between the two leaves an upload without parts, which takes up nothing.
    pub(in crate::object) async fn begin_noted(
        &self,
        client: &Arc<dyn MultipartStore>,
        blob: &Path,
    ) -> object_store::Result<MultipartId> {
        let (client, blob, alive) = (Arc::clone(client), blob.clone(), self.note(blob));
        let (store, uploads) = (Arc::clone(&self.store), Arc::clone(&self.uploads));
        unstoppable(async move {
            let upload = client.create_multipart(&blob).await?;
            uploads.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.clone(), upload.clone());
            let noted = serde_json::to_vec(&Note { upload: upload.clone() }).expect("it is text");
            store.put(&keys::upload(&blob), noted.into()).await?;
            drop(alive);
            Ok(upload)
        })
        .await
    }

    /// Makes the blob of the parts of an upload that was noted.
    pub(in crate::object) async fn complete_noted(
        &self,
        client: &Arc<dyn MultipartStore>,
        blob: &Path,
        upload: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<()> {
        let (client, blob, upload) = (Arc::clone(client), blob.clone(), upload.clone());
        let (store, uploads, alive) =
            (Arc::clone(&self.store), Arc::clone(&self.uploads), self.alive.clone());
        unstoppable(async move {
            client.complete_multipart(&blob, &upload, parts).await?;
            uploads.lock().unwrap_or_else(PoisonError::into_inner).remove(&blob);
            forget_upload(&*store, &blob).await;
            drop(alive);
            Ok(())
        })
        .await
    }

    /// From here on a record may name the blobs: they stay, whatever happens. Returns them.
    pub(in crate::object) fn release(self) -> Vec<Path> {
        mem::take(&mut *self.blobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes everything begun, as far as the store lets us; what stays is invisible.
    pub(in crate::object) async fn remove(mut self) {
        if let Some(removal) = self.start_removal() {
            // One that panicked has left its blobs, which is what it may do.
            let _ = removal.await;
        }
    }

    fn start_removal(&mut self) -> Option<JoinHandle<()>> {
        let blobs = mem::take(&mut *self.blobs.lock().unwrap_or_else(PoisonError::into_inner));
        if blobs.is_empty() || self.kept {
            return None;
        }
        // Ours ends here, so that only writers are waited for.
        let (alive, ended) = mpsc::channel(1);
        drop(mem::replace(&mut self.alive, alive));
        let mut ended = mem::replace(&mut self.ended, ended);
        let (store, place) = (Arc::clone(&self.store), self.place.clone());
        let uploads = Arc::clone(&self.uploads);
        let cleanup = Cleanup::start(&self.cleanups);
        Some(self.runtime.spawn(async move {
            while ended.recv().await.is_some() {}
            let uploads = mem::take(&mut *uploads.lock().unwrap_or_else(PoisonError::into_inner));
            for (blob, upload) in uploads {
                let Some(client) = place.multipart() else { break };
                // Best effort: a garbage collection ends what stays, by its note.
                let ended = client.abort_multipart(&blob, &upload).await;
                if matches!(ended, Ok(()) | Err(Failure::NotFound { .. })) {
                    forget_upload(&*store, &blob).await;
                }
            }
            place.discard(&*store, blobs).await;
            drop(cleanup);
        }))
    }

    /// This blob is going to be begun, by whoever holds what is returned.
    pub(in crate::object) fn note(&self, blob: &Path) -> Alive {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner).push(blob.clone());
        self.alive.clone()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        drop(self.start_removal());
    }
}

impl Cleanups {
    /// Waits until there are none.
    pub(in crate::object) async fn finish(&self) {
        let none = self.0.subscribe().wait_for(|cleanups| *cleanups == 0).await.map(drop);
        none.expect("its sender is this one");
    }
}

impl Cleanup {
    fn start(cleanups: &Arc<Cleanups>) -> Self {
        cleanups.0.send_modify(|cleanups| *cleanups += 1);
        Self(Arc::clone(cleanups))
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        self.0.0.send_modify(|cleanups| *cleanups -= 1);
    }
}

impl Upload {
    /// Where the next part goes.
    pub(in crate::object) fn parts(&mut self) -> &mut dyn MultipartUpload {
        &mut **self.upload.as_mut().expect("an upload is there until it is completed")
    }

    /// Makes the blob of its parts.
    pub(in crate::object) async fn complete(&mut self) -> object_store::Result<()> {
        let upload = self.upload.take();
        let mut own = Self { upload, runtime: self.runtime.clone(), alive: self.alive.clone() };
        unstoppable(async move {
            own.parts().complete().await?;
            drop(own.upload.take());
            Ok(())
        })
        .await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else { return };
        let alive = self.alive.clone();
        self.runtime.spawn(async move {
            // Best effort: a lifecycle rule removes what stays.
            let _ = upload.abort().await;
            drop(alive);
        });
    }
}

/// Removes the note that a blob is being uploaded. One that stays is found by a garbage collection.
pub(in crate::object) async fn forget_upload(store: &dyn ObjectStore, blob: &Path) {
    if let Err(error) = store.delete(&keys::upload(blob)).await {
        tracing::debug!(%blob, %error, "the note of an upload stays behind");
    }
}

/// Runs `work` to its end, also when this future is dropped.
async fn unstoppable<T: Send + 'static>(
    work: impl Future<Output = object_store::Result<T>> + Send + 'static,
) -> object_store::Result<T> {
    joined(tokio::spawn(work)).await
}
