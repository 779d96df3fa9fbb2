//! What the log says about a model, and saying more: all that this backend has to do with logs.

use std::sync::Arc;

use futures::stream::BoxStream;

use crate::{
    Digest, Draft, Error, Filter, Log, Manifest, ModelName, ModelRef, Published, Result,
    catalogue::{Catalogues, Publish},
};

/// A log, and what was read of it.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    log: Arc<dyn Log>,
    catalogues: Arc<Catalogues>,
}

/// What a log pins of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pinned {
    /// The digest of the artifact's manifest, by which the registry knows it.
    pub(super) artifact: Digest,
    /// The identity of its content.
    pub(super) content: Digest,
    pub(super) size: u64,
}

impl Facts {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, catalogues: Arc::default() }
    }

    /// The versions of a model.
    pub(super) fn versions(&self, name: &ModelName, filter: Filter) -> BoxStream<'_, Result<Published>> {
        self.catalogues.list(&*self.log, name.clone(), filter)
    }

    /// Whether a model has a version.
    pub(super) async fn has_versions(&self, name: &ModelName) -> Result<bool> {
        match self.catalogues.fold(&*self.log, name).await?.expect_versions() {
            Ok(()) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where a version is, or [`Error::NotFound`].
    pub(super) async fn pinned(&self, model: &ModelRef) -> Result<Pinned> {
        let row = self.catalogues.fold(&*self.log, model.name()).await?.row(model)?;
        let (content, size) = (row.published.digest, row.published.size);
        Ok(Pinned { artifact: row.manifest, content, size })
    }

    /// Whether a version exists; [`Error::Invalid`] when another takes its place in the order.
    pub(super) async fn exists(&self, model: &ModelRef) -> Result<bool> {
        Ok(self.catalogues.fold(&*self.log, model.name()).await?.equal_precedence(model)?.is_some())
    }

    /// Whether the promotions of a draft would be refused as things stand.
    pub(super) async fn check(&self, draft: &Draft) -> Result<()> {
        let catalogue = self.catalogues.fold(&*self.log, draft.model.name()).await?;
        draft.check_promotions(&catalogue)
    }

    /// Promotes a version that exists, as the draft says; [`Error::AlreadyPublished`] unless the content is
    /// that of the version.
    pub(super) async fn promote(&self, draft: &Draft, content: &Digest) -> Result<()> {
        let model = &draft.model;
        let commit = self.catalogues.commit(&*self.log, model.name(), &draft.stamp, |catalogue| {
            catalogue.admits(model, content)?;
            draft.promotions(catalogue, catalogue.published(model)?)
        });
        commit.await.map(drop)
    }

    /// Makes a version of an artifact. `false` when somebody else published the same content meanwhile.
    pub(super) async fn publish(&self, draft: &Draft, manifest: &Manifest, artifact: Digest) -> Result<bool> {
        let Manifest { model, digest, created, .. } = manifest;
        let mut is_ours = false;
        let commit = self.catalogues.commit(&*self.log, model.name(), created, |catalogue| {
            is_ours = catalogue.admits(model, digest)?;
            if !is_ours {
                return draft.promotions(catalogue, catalogue.published(model)?);
            }
            draft.facts(catalogue, Publish::of(manifest, artifact, catalogue.next()))
        });
        commit.await?;
        Ok(is_ours)
    }
}
