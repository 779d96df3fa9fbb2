//! Reading objects: small ones whole, blobs as streams.

#[cfg(feature = "fs")]
use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{Error as Failure, GetOptions, GetResult, ObjectStoreExt as _, path::Path};

use super::{ObjectBacked, failure::failure, stored::Segment};
#[cfg(feature = "fs")]
use super::{failure::local_failure, place::Place};
use crate::{ByteStream, Error, File, ModelRef, Result, transfer::source::whole};

impl ObjectBacked {
    /// A small object, or nothing when it does not exist. One that is longer than `longest` was not
    /// written by a registry and is not read.
    pub(super) async fn get(&self, path: &Path, longest: u64) -> Result<Option<Bytes>> {
        let got = match self.store.get(path).await {
            Ok(got) => got,
            Err(Failure::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failure(self, "read")(error)),
        };
        let too_long = || Error::Corrupt {
            what: format!("{path} in {self}"),
            source: format!("it is longer than the {longest} bytes that such an object can have").into(),
        };
        let size = usize::try_from(got.meta.size.min(longest)).map_err(|_| too_long())?;
        if got.meta.size > longest {
            return Err(too_long());
        }
        let bytes = whole(self.stream(got), size).await?.ok_or_else(|| Error::Corrupt {
            what: format!("{path} in {self}"),
            source: format!("it does not have the {size} bytes that the store says").into(),
        })?;
        Ok(Some(bytes))
    }

    /// Makes an object survive a loss of power though the request that created it failed. Only a local
    /// file system leaves that to us: the bytes are synced before they get their name, but the name and
    /// the directories above it may not be.
    #[cfg_attr(
        not(feature = "fs"),
        expect(clippy::unused_async, reason = "only a local file system needs it")
    )]
    pub(super) async fn make_durable(&self, path: &Path) -> Result<()> {
        #[cfg(feature = "fs")]
        {
            let got = self.store.get(path).await.map_err(failure(self, "read"))?;
            if let object_store::GetResultPayload::File(_, file) = got.payload {
                super::file::sync_names(file, path.parts().count()).await?;
            }
        }
        #[cfg(not(feature = "fs"))]
        let _ = path;
        Ok(())
    }

    pub(super) async fn exists(&self, path: &Path) -> Result<bool> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(Failure::NotFound { .. }) => Ok(false),
            Err(error) => Err(failure(self, "look for an object")(error)),
        }
    }

    /// Bytes of a file of a version.
    pub(super) async fn blob(
        &self,
        model: &ModelRef,
        file: &File,
        segment: &Segment,
        range: Range<u64>,
    ) -> Result<ByteStream> {
        let path = segment.path(model.name());
        let damaged = |why: &str| Error::Corrupt {
            what: format!("{} of {model} ({path})", file.path),
            source: why.into(),
        };
        // An empty range cannot be said in HTTP; asking for the whole of an empty blob can.
        let options = if file.size == 0 {
            GetOptions::new()
        } else {
            GetOptions::new().with_range(Some(range.clone()))
        };
        if range.is_empty() && file.size > 0 {
            return Ok(futures::stream::empty().boxed());
        }
        #[cfg(feature = "fs")]
        if let Place::Directory(directory) = &self.place {
            let opened =
                super::file::open(directory.file(&path)?, directory.blocks().clone(), file.size, range).await;
            return match opened {
                Ok((found, stream)) if found == file.size => Ok(stream),
                Ok((found, _)) => Err(damaged(&format!("it has {found} bytes instead of {}", file.size))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.proven.still_there().await.map_err(failure(self, "read a blob"))?;
                    Err(damaged("it is not there"))
                }
                Err(error) => Err(local_failure(self.to_string(), "read a blob")(error)),
            };
        }
        match self.store.get_opts(&path, options).await {
            Ok(got) if got.meta.size != file.size => {
                Err(damaged(&format!("it has {} bytes instead of {}", got.meta.size, file.size)))
            }
            Ok(got) if got.range != range => Err(damaged("another range came than was asked for")),
            Ok(got) => Ok(self.stream(got)),
            Err(Failure::NotFound { .. }) => Err(damaged("it is not there")),
            // What a truncated blob answers differs from store to store; its size tells.
            Err(error) => match self.store.head(&path).await {
                Ok(found) if found.size != file.size => {
                    Err(damaged(&format!("it has {} bytes instead of {}", found.size, file.size)))
                }
                _ => Err(failure(self, "read a blob")(error)),
            },
        }
    }

    fn stream(&self, got: GetResult) -> ByteStream {
        #[cfg(feature = "fs")]
        let got = match got.payload {
            object_store::GetResultPayload::File(file, path) => {
                return super::file::stream(file, path, got.range);
            }
            payload => GetResult { payload, ..got },
        };
        let store = self.clone();
        got.into_stream().map_err(move |error| failure(&store, "read")(error)).boxed()
    }
}
