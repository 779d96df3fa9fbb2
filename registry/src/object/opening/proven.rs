//! A store that is written to only once it has been tried out.

use std::{
    fmt, io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use object_store::{
    CopyOptions, Error as Failure, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, path::Path,
};

use super::check::{Flaw, StoreCheck, Unfit, check};

use crate::{Digest, object::keys, transfer::blocking::blocking};

/// A store under a name of its own. Reading is free; the first write to a store that nobody has tried
/// out tries it out, and nothing is written to one that has failed.
#[derive(Debug)]
pub(in crate::object) struct Proven {
    store: Arc<dyn ObjectStore>,
    /// The same place, for what need not survive a loss of power.
    scratch: Arc<dyn ObjectStore>,
    name: String,
    identity: Digest,
    verdict: Mutex<Option<Verdict>>,
    checking: tokio::sync::Mutex<()>,
    /// The `tidegate.json` of a registry in a directory, once that is open.
    marker: OnceLock<PathBuf>,
}

type Verdict = std::result::Result<(), Unfit>;

impl Proven {
    pub(in crate::object) fn new(store: Arc<dyn ObjectStore>) -> Self {
        let name = store.to_string();
        Self {
            scratch: Arc::clone(&store),
            store,
            identity: Digest::of(&name),
            name,
            verdict: Mutex::default(),
            checking: tokio::sync::Mutex::default(),
            marker: OnceLock::new(),
        }
    }

    /// Calls the store `name`. Stores of the same `identity` are one and the same.
    pub(in crate::object) fn named(self, name: String, identity: &str) -> Self {
        Self { name, identity: Digest::of(identity), ..self }
    }

    /// Tries it out by way of `scratch`.
    #[cfg(feature = "fs")]
    pub(in crate::object) fn with_scratch(self, scratch: Arc<dyn ObjectStore>) -> Self {
        Self { scratch, ..self }
    }

    /// Goes by `marker` from now on: where it is gone, so is the registry.
    #[cfg(feature = "fs")]
    pub(in crate::object) fn hold(&self, marker: PathBuf) {
        self.marker.get_or_init(|| marker);
    }

    /// Whether what is not there is absent. In a directory that was removed or is not mounted any more, everything is not
    /// there, and what would be written would be lost as soon as that is back.
    pub(in crate::object) async fn still_there(&self) -> Result<()> {
        still_there(self.marker.get().cloned()).await
    }

    /// By what the store is known again: a digest, because a name may say more than others should know.
    pub(in crate::object) const fn identity(&self) -> Digest {
        self.identity
    }

    /// Somebody has tried it out before.
    pub(in crate::object) fn trust(&self) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(Ok(()));
    }

    /// Tries it out, whatever is known, and goes by what is seen from then on.
    pub(in crate::object) async fn check(&self) -> std::result::Result<StoreCheck, Flaw> {
        let checked = check(&self.scratch).await;
        let verdict = match &checked {
            Ok(_) => Ok(()),
            Err(Flaw::Unfit(unfit)) => Err(unfit.clone()),
            Err(Flaw::Failed(_)) => return checked,
        };
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        checked
    }

    /// Whether it may be written to.
    async fn admits(&self) -> Result<()> {
        self.still_there().await?;
        if let Some(verdict) = self.verdict() {
            return verdict.map_err(refusal);
        }
        let _one_at_a_time = self.checking.lock().await;
        if let Some(verdict) = self.verdict() {
            return verdict.map_err(refusal);
        }
        let seal = keys::checked(&self.identity);
        if self.store.head(&seal).await.is_ok() {
            self.trust();
            return Ok(());
        }
        match self.check().await {
            Ok(checked) => {
                let seal_bytes = serde_json::to_vec(&checked).expect("names and numbers are JSON");
                // Only spares others the same check.
                let _ = self.store.put_opts(&seal, seal_bytes.into(), PutMode::Create.into()).await;
                Ok(())
            }
            Err(Flaw::Unfit(unfit)) => Err(refusal(unfit)),
            Err(Flaw::Failed(error)) => Err(error),
        }
    }

    fn verdict(&self) -> Option<Verdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The directory of an open registry is gone.
#[derive(Debug, thiserror::Error)]
#[error(
    "the registry in {directory} is gone: it was removed, moved or unmounted; put it back there and the same call goes on"
)]
struct Gone {
    directory: String,
    source: io::Error,
}

async fn still_there(marker: Option<PathBuf>) -> Result<()> {
    let Some(marker) = marker else { return Ok(()) };
    let gone = move || {
        let source = marker.metadata().err()?;
        let directory = marker.parent().unwrap_or(&marker).display().to_string();
        Some(Gone { directory, source })
    };
    match blocking(gone).await {
        None => Ok(()),
        Some(gone) => Err(Failure::Generic { store: "directory", source: gone.into() }),
    }
}

/// `listed`, and an error behind it where the registry is gone by then.
fn if_still_there(
    listed: BoxStream<'static, Result<ObjectMeta>>,
    marker: Option<PathBuf>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let end = stream::once(still_there(marker)).filter_map(|there| async move { there.err().map(Err) });
    listed.chain(end).boxed()
}

fn refusal(unfit: Unfit) -> Failure {
    Failure::NotSupported { source: unfit.into() }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Proven {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.admits().await?;
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.admits().await?;
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.store.get_opts(location, options).await {
            Err(absent @ Failure::NotFound { .. }) => self.still_there().await.and(Err(absent)),
            answer => answer,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if_still_there(self.store.list(prefix), self.marker.get().cloned())
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        if_still_there(self.store.list_with_offset(prefix, offset), self.marker.get().cloned())
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.store.list_with_delimiter(prefix).await;
        self.still_there().await.and(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.admits().await?;
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.admits().await?;
        self.store.rename_opts(from, to, options).await
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
