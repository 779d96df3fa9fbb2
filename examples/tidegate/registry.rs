//! An open registry, and what several subcommands ask of it.

use futures::TryStreamExt as _;
use semver::{Comparator, Op, VersionReq};
use tidegate::registry::{
    Attestations, Channels, Error, Filter, Lifecycle, ModelName, ModelRef, ModelStore as _,
    ModelStoreExt as _, ObjectBacked, Published, Result as RegistryResult, Selector, Transfers,
};

/// An open registry.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(crate) store: ObjectBacked,
    pub(crate) channels: Channels,
    pub(crate) attestations: Attestations,
    pub(crate) lifecycle: Lifecycle,
}

impl Registry {
    /// The same, moving bytes as `transfers` says.
    pub(crate) fn moving(mut self, transfers: Transfers) -> Self {
        self.store = self.store.with_transfers(transfers);
        self
    }

    pub(crate) async fn resolve(&self, selector: &Selector) -> RegistryResult<ModelRef> {
        self.store.resolve(selector, &self.channels).await
    }

    /// Fails if there is no such model: what is asked about it has no empty answer, it is a typo.
    pub(crate) async fn expect_model(&self, name: &ModelName) -> RegistryResult<()> {
        self.store.versions(name, Filter::default()).try_next().await.map(drop)
    }

    /// What the log says about a version.
    pub(crate) async fn published(&self, model: &ModelRef) -> RegistryResult<Published> {
        let version = model.version();
        let exactly = Comparator {
            op: Op::Exact,
            major: version.major,
            minor: Some(version.minor),
            patch: Some(version.patch),
            pre: version.pre.clone(),
        };
        let matching = Some(VersionReq { comparators: vec![exactly] });
        let filter = Filter { matching, ..Filter::default() };
        match self.store.versions(model.name(), filter).try_next().await? {
            // Requirements do not look at build metadata.
            Some(found) if found.version == *version => Ok(found),
            // The store says what there is instead.
            _ => Err(match self.store.manifest(model).await {
                Err(error) => error,
                Ok(_) => Error::NotFound {
                    what: model.to_string(),
                    remedy: "it came just now; try again".to_owned(),
                },
            }),
        }
    }

    /// The channels that point to a version.
    pub(crate) async fn channels_at(&self, model: &ModelRef) -> RegistryResult<Vec<String>> {
        let heads = self.channels.all(model.name()).await?;
        let here = heads.into_iter().filter(|(_, made)| made.to == *model);
        Ok(here.map(|(channel, _)| channel.to_string()).collect())
    }

    /// That model, or all there are.
    pub(crate) async fn models(&self, name: Option<ModelName>) -> RegistryResult<Vec<ModelName>> {
        match name {
            Some(name) => Ok(vec![name]),
            None => self.store.models().try_collect().await,
        }
    }
}
