//! The stored form of a manifest, and a cache of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ObjectBacked, keys};
use crate::{Digest, Error, File, Invalid, Manifest, ModelName, ModelRef, Result};

const FORMAT: u32 = 1;

/// Bytes of the largest manifest document. A hundred thousand files with long paths fit.
pub(super) const LONGEST: u64 = 128 << 20;

/// A manifest, and which blobs hold its files.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stored {
    v: u32,
    pub(super) manifest: Manifest,
    /// Who wrote it, which makes the document one that nobody else writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publication: Option<Uuid>,
    /// In the order of the manifest's files.
    pub(super) segments: Vec<Segment>,
}

/// Bytes of a blob.
///
/// In this format each file is one segment and each segment a whole blob. `offset` and `length` are
/// there so that a later format can share blobs between files and versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) key: String,
    offset: u64,
    length: u64,
    sha256: Digest,
}

/// Manifests by version. Neither ever changes, so what is here is true for ever.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<ModelRef, Arc<Stored>>>);

impl Segment {
    pub(super) const fn whole(key: String, length: u64, sha256: Digest) -> Self {
        Self { key, offset: 0, length, sha256 }
    }

    pub(super) fn path(&self, name: &ModelName) -> Path {
        keys::blob(name, &self.key)
    }
}

impl Stored {
    pub(super) const fn new(manifest: Manifest, publication: Uuid, segments: Vec<Segment>) -> Self {
        Self { v: FORMAT, manifest, publication: Some(publication), segments }
    }

    /// Who wrote a document that may be of any model, if it says so.
    pub(super) fn publication_of(document: &[u8]) -> Option<Uuid> {
        #[derive(Deserialize)]
        struct Outline {
            publication: Uuid,
        }
        serde_json::from_slice(document).ok().map(|Outline { publication }| publication)
    }

    /// Its files, each with the key of the blob that holds it.
    pub(super) fn blobs(&self) -> impl Iterator<Item = (File, String)> {
        let keys = self.segments.iter().map(|segment| segment.key.clone());
        self.manifest.files.iter().cloned().zip(keys)
    }

    /// The document, which reads back as what it was made of.
    pub(super) fn encode(&self) -> Result<Bytes> {
        let model = || self.manifest.model.to_string();
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Invalid::new("card", model(), format!("it cannot be written as JSON ({error})"))
        })?;
        if bytes.len() as u64 > LONGEST {
            let why = format!(
                "its manifest would be longer than {LONGEST} bytes; shorten the card or pack small files"
            );
            return Err(Invalid::new("content", model(), why).into());
        }
        // A document that nobody could read must never be published: its version would be taken for ever.
        let path = keys::manifest(self.manifest.model.name(), &Digest::of(&bytes));
        match Self::decode(&self.manifest.model, &path, &bytes) {
            Ok(read) if read == *self => Ok(bytes.into()),
            _ => Err(Invalid::new("card", model(), "it does not read back as it was written").into()),
        }
    }

    fn decode(model: &ModelRef, path: &Path, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let damaged = |source| Error::Corrupt { what: path.to_string(), source };
        let Version { v } = serde_json::from_slice(bytes).map_err(|error| damaged(error.into()))?;
        if v != FORMAT {
            return Err(Error::TooNew { what: path.to_string(), found: format!("format {v}") });
        }
        let stored: Self = serde_json::from_slice(bytes).map_err(|error| damaged(error.into()))?;
        stored.manifest.check(model)?;
        let (files, segments) = (&stored.manifest.files, &stored.segments);
        let fits = files.len() == segments.len()
            && std::iter::zip(files, segments).all(|(file, segment)| {
                (segment.offset, segment.length, segment.sha256) == (0, file.size, file.digest)
                    && keys::is_blob(&segment.key)
            });
        if fits { Ok(stored) } else { Err(damaged("its segments do not fit its files".into())) }
    }
}

impl ObjectBacked {
    /// The manifest of a version, as the log says it is.
    pub(super) async fn stored(&self, model: &ModelRef) -> Result<Arc<Stored>> {
        if let Some(stored) = self.cache.find(model) {
            return Ok(stored);
        }
        let row = self.catalogues.fold(self, model.name()).await?.row(model)?;
        let (digest, published) = (row.manifest, row.published);
        let stored = self.document(model, &digest).await?;
        if (stored.manifest.digest, stored.manifest.size) != (published.digest, published.size) {
            let path = keys::manifest(model.name(), &digest);
            let source = "the log says another content digest or size".into();
            return Err(Error::Corrupt { what: format!("{path} in {self}"), source });
        }
        let stored = Arc::new(stored);
        self.cache.keep(model, &stored);
        Ok(stored)
    }

    /// The manifest document of a version, which has this digest.
    pub(super) async fn document(&self, model: &ModelRef, digest: &Digest) -> Result<Stored> {
        let path = keys::manifest(model.name(), digest);
        let damaged = |why: &str| Error::Corrupt { what: format!("{path} in {self}"), source: why.into() };
        let bytes = self.get(&path, LONGEST).await?.ok_or_else(|| damaged("it is not there"))?;
        if Digest::of(&bytes) != *digest {
            return Err(damaged("its digest is not the one in the log"));
        }
        Stored::decode(model, &path, &bytes)
    }
}

impl Cache {
    /// Versions remembered. A release looks at a handful; the largest manifest takes some megabytes.
    const MOST: usize = 16;

    fn find(&self, model: &ModelRef) -> Option<Arc<Stored>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(model).map(Arc::clone)
    }

    fn keep(&self, model: &ModelRef, stored: &Arc<Stored>) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= Self::MOST {
            cache.clear();
        }
        cache.insert(model.clone(), Arc::clone(stored));
    }
}
