//! Reading versions and blobs.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    OciBacked,
    artifact::{Artifact, Blob},
    document::{self, LONGEST_DOCUMENT},
    facts::Pinned,
    failure::{Failure, failure},
    place::Name,
    wire::Download,
};
use crate::{BoxError, ByteStream, Digest, Error, File, Manifest, ModelRef, Result, transfer::source::whole};

/// Manifests by version. Neither ever changes, so what is here is true for ever.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<ModelRef, Arc<Manifest>>>);

impl From<&File> for Blob {
    fn from(file: &File) -> Self {
        Self { digest: file.digest, size: file.size }
    }
}

impl OciBacked {
    /// The manifest of a version, as the log says it is.
    pub(super) async fn stored(&self, model: &ModelRef) -> Result<Arc<Manifest>> {
        if let Some(manifest) = self.cache.find(model) {
            return Ok(manifest);
        }
        let Pinned { artifact: digest, content, size } = self.facts.pinned(model).await?;
        let repository = self.place.repository(model.name())?;
        let what = || format!("the artifact of {model} ({digest} in {self})");
        let damaged = |source: BoxError| Error::Corrupt { what: what(), source };
        let bytes = self
            .wire
            .manifest(&repository, &Name::Digest(digest))
            .await
            .map_err(failure(self, "read an artifact"))?
            .ok_or_else(|| {
                damaged("it is not there; the registry may have collected it as garbage".into())
            })?;
        if Digest::of(&bytes) != digest {
            return Err(damaged("its digest is not the one in the log".into()));
        }
        let artifact = Artifact::parse(&bytes).map_err(|why| damaged(why.into()))?;
        let blob = artifact.document.ok_or_else(|| damaged("it was not made by tidegate".into()))?;
        let manifest = self.document(&repository, &artifact, &blob, &what).await?;
        manifest.check(model)?;
        if (manifest.digest, manifest.size) != (content, size) {
            return Err(damaged("the log says another content digest or size".into()));
        }
        let manifest = Arc::new(manifest);
        self.cache.keep(model, &manifest);
        Ok(manifest)
    }

    /// Reads our own manifest of an artifact and compares it with the layers.
    pub(super) async fn document(
        &self,
        repository: &str,
        artifact: &Artifact,
        blob: &Blob,
        what: &(dyn Fn() -> String + Sync),
    ) -> Result<Manifest> {
        let bytes = self.small(repository, blob, LONGEST_DOCUMENT, what).await?;
        let manifest = document::decode(&bytes, what)?;
        artifact.agrees(&manifest).map_err(|why| Error::Corrupt { what: what(), source: why.into() })?;
        Ok(manifest)
    }

    /// A small blob, whole and verified.
    pub(super) async fn small(
        &self,
        repository: &str,
        blob: &Blob,
        longest: u64,
        what: &(dyn Fn() -> String + Sync),
    ) -> Result<Bytes> {
        let damaged = |why: &str| Error::Corrupt { what: what(), source: why.into() };
        let size = usize::try_from(blob.size.min(longest)).map_err(|_| damaged("it is too long"))?;
        if blob.size > longest {
            return Err(damaged("a part of it that is read whole is longer than it can be"));
        }
        let stream = self.stream(repository, blob, 0..blob.size, what()).await?;
        let Some(bytes) = whole(stream, size).await? else {
            return Err(damaged("a part of it does not have the size that its manifest says"));
        };
        if Digest::of(&bytes) != blob.digest {
            return Err(damaged("a part of it does not have the digest that its manifest says"));
        }
        Ok(bytes)
    }

    /// The bytes `range` of a blob as they come; `what` names it.
    pub(super) async fn stream(
        &self,
        repository: &str,
        blob: &Blob,
        range: Range<u64>,
        what: String,
    ) -> Result<ByteStream> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let damaged = |why: String| Error::Corrupt { what: what.clone(), source: why.into() };
        let asked = self.wire.blob(repository, &blob.digest, Some(range.clone())).await;
        let Download { response, range: came, whole } = match asked {
            Ok(download) => download,
            Err(failure) if failure.is_missing() => return Err(damaged("it is not there".to_owned())),
            Err(failure) if failure.is_beyond() => {
                return Err(damaged(format!("it does not have {} bytes", blob.size)));
            }
            Err(failed) => return Err(failure(self, "read a blob")(failed)),
        };
        if let Some(whole) = whole.filter(|&whole| whole != blob.size) {
            return Err(damaged(format!("it has {whole} bytes instead of {}", blob.size)));
        }
        let store = self.to_string();
        let bytes = response
            .bytes_stream()
            .map_err(move |error| failure(&store, "read a blob")(Failure::from(error)))
            .boxed();
        match came {
            Some(came) if came == range => Ok(bytes),
            Some(_) => Err(damaged("another range came than was asked for".to_owned())),
            None => Ok(within(bytes, range)),
        }
    }
}

/// The bytes `range` of a whole blob, for registries that know no ranges.
fn within(bytes: ByteStream, range: Range<u64>) -> ByteStream {
    stream::try_unfold((bytes, 0), move |(mut bytes, at)| {
        let Range { start, end } = range;
        async move {
            let mut at: u64 = at;
            while at < end {
                let Some(chunk) = bytes.next().await.transpose()? else { break };
                let here = at..at + chunk.len() as u64;
                at = here.end;
                // Sound casts: both lie within the chunk.
                let from = (start.clamp(here.start, here.end) - here.start) as usize;
                let to = (end.min(here.end) - here.start) as usize;
                if from < to {
                    return Ok(Some((chunk.slice(from..to), (bytes, at))));
                }
            }
            Ok(None)
        }
    })
    .boxed()
}

impl Cache {
    /// Versions remembered. A release looks at a handful; the largest manifest takes some megabytes.
    const MOST: usize = 16;

    fn find(&self, model: &ModelRef) -> Option<Arc<Manifest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(model).map(Arc::clone)
    }

    fn keep(&self, model: &ModelRef, manifest: &Arc<Manifest>) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= Self::MOST {
            cache.clear();
        }
        cache.insert(model.clone(), Arc::clone(manifest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_range_is_cut_out_of_whatever_chunks_come() {
        let all = Bytes::from_static(b"0123456789");
        for step in 1..=11 {
            for start in 0..10 {
                for end in start + 1..=10 {
                    let chunks: Vec<_> = all.chunks(step).map(|chunk| Ok(all.slice_ref(chunk))).collect();
                    let cut = within(stream::iter(chunks).boxed(), start..end);
                    let cut: Vec<Bytes> = cut.try_collect().await.unwrap();
                    assert_eq!(cut.concat(), all[start as usize..end as usize], "{start}..{end} by {step}");
                }
            }
        }
    }
}
