//! What the log says about a model, and saying more: all that this backend has to do with logs.

use crate::{
    Digest, Error, Log, Manifest, ModelName, ModelRef, Result, Versions,
    commit::{commit, fold},
    record::Fact,
};

/// What a log pins of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    /// The digest of the artifact's manifest, by which the registry knows it.
    pub(super) artifact: Digest,
    /// The identity of its content.
    pub(super) content: Digest,
    pub(super) size: u64,
}

/// The versions of a model, or [`Error::NotFound`].
pub(super) async fn versions(log: &dyn Log, name: &ModelName) -> Result<Versions> {
    fold(log, name).await?.into_versions()
}

/// Whether a model has a version.
pub(super) async fn has_versions(log: &dyn Log, name: &ModelName) -> Result<bool> {
    match versions(log, name).await {
        Ok(_) => Ok(true),
        Err(Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where a version is, or [`Error::NotFound`].
pub(super) async fn pinned(log: &dyn Log, model: &ModelRef) -> Result<Pinned> {
    let catalogue = fold(log, model.name()).await?;
    let published = catalogue.published(model)?;
    let (content, size) = (published.digest, published.size);
    Ok(Pinned { artifact: catalogue.manifest(model)?, content, size })
}

/// Whether a version exists; [`Error::Invalid`] when another takes its place in the order.
pub(super) async fn exists(log: &dyn Log, model: &ModelRef) -> Result<bool> {
    Ok(fold(log, model.name()).await?.equal_precedence(model)?.is_some())
}

/// [`Error::AlreadyPublished`] unless the content is that of the version, if it exists.
pub(super) async fn admits(log: &dyn Log, model: &ModelRef, content: &Digest) -> Result<()> {
    fold(log, model.name()).await?.admits(model, content).map(drop)
}

/// Makes a version of an artifact. `false` when somebody else published the same content meanwhile.
pub(super) async fn publish(log: &dyn Log, manifest: &Manifest, artifact: Digest) -> Result<bool> {
    let Manifest { model, digest, size, created, .. } = manifest;
    let (_, written) = commit(log, model.name(), created, |catalogue| {
        let publish = || Fact::Publish {
            version: model.version().clone(),
            digest: *digest,
            size: *size,
            manifest: artifact,
        };
        Ok(if catalogue.admits(model, digest)? { vec![publish()] } else { Vec::new() })
    })
    .await?;
    Ok(written.is_some())
}
