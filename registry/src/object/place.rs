//! Where blobs lie: in a bucket, or as plain files.

use std::{fmt, sync::Arc};

use futures::{StreamExt as _, stream};
use object_store::{ObjectStore, multipart::MultipartStore, path::Path};

#[cfg(feature = "fs")]
use super::publish::local::LocalBlobs;

/// How blobs are written and removed. Everything else goes through the object store.
#[derive(Clone)]
pub(super) enum Place {
    Bucket {
        /// The same client, if it is one that can go on with what another process has begun.
        multipart: Option<Arc<dyn MultipartStore>>,
    },
    #[cfg(feature = "fs")]
    Directory(LocalBlobs),
}

impl Place {
    /// The client that can go on with, and end, what another process has begun.
    pub(super) fn multipart(&self) -> Option<&Arc<dyn MultipartStore>> {
        match self {
            Self::Bucket { multipart } => multipart.as_ref(),
            #[cfg(feature = "fs")]
            Self::Directory(_) => None,
        }
    }

    /// Removes blobs that no record names, as far as the store lets us; what stays is invisible.
    pub(super) async fn discard(&self, store: &dyn ObjectStore, blobs: Vec<Path>) {
        #[cfg(feature = "fs")]
        if let Self::Directory(directory) = self {
            directory.remove(blobs).await;
            return;
        }
        let mut deleted = store.delete_stream(stream::iter(blobs.into_iter().map(Ok)).boxed());
        while let Some(deleted) = deleted.next().await {
            if let Err(error) = deleted {
                tracing::debug!(%error, "a blob of an abandoned publication stays behind");
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A client's own `Debug` may hold credentials.
        f.write_str(match self {
            Self::Bucket { .. } => "bucket",
            #[cfg(feature = "fs")]
            Self::Directory(_) => "directory",
        })
    }
}
