//! Opening a registry, and making one in a store that is fit to hold it.

pub(crate) mod check;
pub(in crate::object) mod proven;
mod url;

use std::sync::Arc;

use bytes::Bytes;
use object_store::{Error as Failure, ObjectStore, PutMode, multipart::MultipartStore};
use serde::{Deserialize, Serialize};

use self::{
    check::{Flaw, StoreCheck},
    proven::Proven,
};
use super::{ObjectBacked, failure::failure, keys, place::Place};
use crate::{Digest, Error, Result, Transfers};

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
    /// file system must have hard links, which is how a file is created only if it is absent. A directory that is
    /// removed or unmounted while it is open is no empty registry: every call fails until it is back.
    ///
    /// # Errors
    ///
    /// [`Error::Local`] when the directory cannot be made; otherwise as [`open`](Self::open).
    #[cfg(feature = "fs")]
    pub async fn directory(path: impl Into<std::path::PathBuf>) -> Result<Self> {
        use object_store::local::LocalFileSystem;

        use crate::{
            object::publish::local::LocalBlobs,
            transfer::{blocking::blocking, directories::NewDirectories},
        };

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
        let blobs = LocalBlobs::new(store);
        opened.proven.hold(blobs.file(&keys::marker())?);
        Ok(Self { soft, place: Place::Directory(blobs), ..opened })
    }

    /// Opens the registry in the bucket that `client` reaches, as [`open`](Self::open) does; but a
    /// publication that was killed can be gone on with here, if [`Transfers::journal`] says where to keep what
    /// that needs; and one that nobody goes on with is ended by [`collect`](Self::collect). (A `dyn ObjectStore`
    /// does not let one process send parts of what another has begun, nor end it.)
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn resumable<S: ObjectStore + MultipartStore>(client: Arc<S>) -> Result<Self> {
        let opened = Self::open(Arc::clone(&client) as Arc<dyn ObjectStore>).await?;
        Ok(Self { place: Place::Bucket { multipart: Some(client) }, ..opened })
    }

    /// The same registry, whose publications can be gone on with, and ended, as those of
    /// [`resumable`](Self::resumable).
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
}
