//! Stores that break one promise.

use std::{
    fmt, io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, Error as Failure, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
    path::Path,
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// A condition is ignored.
    Condition,
    /// Whoever creates what is there is told of success, and nothing changes.
    Flattery,
    /// A creation needs hard links, which there are none of.
    HardLinks,
    /// Nothing.
    None,
    /// What is there is not listed.
    List,
    /// Parts are visible while they are sent.
    Parts,
    /// A range is not served.
    Range,
    /// Nothing may be written.
    ReadOnly,
    /// Nothing can be removed.
    Undeletable,
}

/// A store with a quirk, under the name of the store that it wraps.
#[derive(Clone, Debug)]
pub(crate) struct Odd {
    store: Arc<dyn ObjectStore>,
    quirk: Quirk,
    requests: Arc<AtomicUsize>,
}

impl Odd {
    pub(crate) fn new(store: &Arc<dyn ObjectStore>, quirk: Quirk) -> Self {
        Self { store: Arc::clone(store), quirk, requests: Arc::default() }
    }

    /// Requests since this was last asked.
    pub(crate) fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }

    fn count(&self) {
        self.requests.fetch_add(1, Ordering::SeqCst);
    }

    fn writes(&self) -> Result<()> {
        self.count();
        if self.quirk == Quirk::ReadOnly {
            return Err(Failure::PermissionDenied { path: String::new(), source: "read only".into() });
        }
        Ok(())
    }
}

/// Puts each part under the final name at once.
#[derive(Debug)]
struct Visible(Arc<dyn ObjectStore>, Path);

#[async_trait]
impl MultipartUpload for Visible {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, path) = (Arc::clone(&self.0), self.1.clone());
        Box::pin(async move { store.put_opts(&path, data, PutOptions::default()).await.map(drop) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl ObjectStore for Odd {
    async fn put_opts(&self, at: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        self.writes()?;
        match (self.quirk, &options.mode) {
            (Quirk::Condition, PutMode::Create) => options.mode = PutMode::Overwrite,
            (Quirk::HardLinks, PutMode::Create) => {
                let source = io::Error::from(io::ErrorKind::Unsupported).into();
                return Err(Failure::Generic { store: "LocalFileSystem", source });
            }
            _ => {}
        }
        match self.store.put_opts(at, payload, options).await {
            Err(Failure::AlreadyExists { .. }) if self.quirk == Quirk::Flattery => {
                Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
            }
            answer => answer,
        }
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.writes()?;
        if self.quirk == Quirk::Parts {
            return Ok(Box::new(Visible(Arc::clone(&self.store), at.clone())));
        }
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.count();
        if self.quirk == Quirk::Range && options.range.is_some() {
            return Err(Failure::Generic { store: "odd", source: "the whole object came".into() });
        }
        self.store.get_opts(at, options).await
    }

    async fn get_ranges(&self, at: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.count();
        self.store.get_ranges(at, ranges).await
    }

    fn delete_stream(&self, at: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        if self.quirk == Quirk::Undeletable {
            let denied = |path: Result<Path>| {
                Err(Failure::PermissionDenied { path: path?.to_string(), source: "locked".into() })
            };
            return at.map(denied).boxed();
        }
        self.count();
        self.store.delete_stream(at)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.count();
        match self.quirk {
            Quirk::List => futures::stream::empty().boxed(),
            _ => self.store.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.count();
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.writes()?;
        self.store.copy_opts(from, to, options).await
    }
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}
