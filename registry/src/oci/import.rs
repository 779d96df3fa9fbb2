//! Artifacts that the log does not know, made by whomever.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use super::{
    OciBacked,
    artifact::{Artifact, Layer},
    config::{self, LONGEST_CONFIG},
    failure::failure,
    place::Name,
};
use crate::{Card, Content, Digest, Error, FilePath, Invalid, ModelName, Result, transfer::copy::verified};

/// A model in an OCI registry, as [`OciBacked::artifact`] found it. What it says is what it was made to
/// say, by whoever may push there; its bytes are compared with it as they are read.
///
/// ```no_run
/// # use tidegate_registry::{Draft, Error, InMemory, ModelStore, OciBacked, Stamp};
/// # async fn import(registry: OciBacked, store: InMemory) -> Result<(), Error> {
/// let artifact = registry.artifact(&"llama".parse()?, "v3").await?;
/// let draft = Draft::new("llama@3.0.0".parse()?, Stamp::now("alice")).with_card(artifact.card().clone());
/// store.publish(draft, artifact.content(), &()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OciArtifact {
    store: OciBacked,
    repository: Arc<str>,
    digest: Digest,
    files: Vec<Layer>,
    card: Card,
}

impl OciArtifact {
    /// The digest of its manifest, by which every tool finds exactly this artifact.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What its maker says about it.
    #[must_use]
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// Its files, ascending by path: each with its size in bytes and its SHA-256.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&FilePath, u64, &Digest)> {
        self.files.iter().map(|layer| (&layer.path, layer.blob.size, &layer.blob.digest))
    }

    /// Its bytes, to publish them. Each file is fetched when it is read, and a file that does not have the
    /// size and the digest of its layer ends in [`Error::Corrupt`], so that nothing wrong is published. They come
    /// as fast as the [`Transfers`](crate::Transfers) of the store they were found in say.
    #[must_use]
    pub fn content(&self) -> Content {
        let stream = |layer: &Layer| {
            let what = format!("{} of {} ({} in {})", layer.path, self.repository, self.digest, self.store);
            let (store, repository, blob) = (self.store.clone(), Arc::clone(&self.repository), layer.blob);
            let name = what.clone();
            let open = async move {
                let transfers = store.transfers.clone();
                let paced =
                    store.stream(&repository, &blob, 0..blob.size, name).await?.and_then(move |bytes| {
                        let transfers = transfers.clone();
                        async move {
                            transfers.pass(bytes.len()).await;
                            Ok(bytes)
                        }
                    });
                Ok(paced.boxed())
            };
            let mismatch = move |actual: Digest| Error::Corrupt {
                what: what.clone(),
                source: format!("its bytes are {actual} instead of {}", blob.digest).into(),
            };
            (layer.path.clone(), verified(open.boxed(), layer.path.clone(), blob.size, blob.digest, mismatch))
        };
        Content::Streams(self.files.iter().map(stream).collect())
    }
}

pub(super) async fn artifact(store: &OciBacked, name: &ModelName, tag: &str) -> Result<OciArtifact> {
    let asked: Name = tag.parse()?;
    let repository = store.place.repository(name)?;
    let read = store.wire.manifest(&repository, &asked).await;
    let bytes = read.map_err(failure(store, "read an artifact"))?.ok_or_else(|| Error::NotFound {
        what: format!("{asked} of {repository} in {store}"),
        remedy: "look at the tags of the repository".to_owned(),
    })?;
    let digest = Digest::of(&bytes);
    let what = || format!("the artifact {digest} of {repository} in {store}");
    if matches!(asked, Name::Digest(asked) if asked != digest) {
        return Err(Error::Corrupt {
            what: format!("{asked} of {repository} in {store}"),
            source: "its digest is another".into(),
        });
    }
    let unusable = |why: String| Invalid::new("artifact", format!("{repository} {asked}"), why);
    let artifact = Artifact::parse(&bytes).map_err(unusable)?;
    let card = match &artifact.document {
        Some(document) => store.document(&repository, &artifact, document, &what).await?.card,
        None => {
            let config = store.small(&repository, &artifact.config, LONGEST_CONFIG, &what).await?;
            Card { description: config::description(&config), ..Card::default() }
        }
    };
    Ok(OciArtifact {
        store: store.clone(),
        repository: repository.into(),
        digest,
        files: artifact.files,
        card,
    })
}
