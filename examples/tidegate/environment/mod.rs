//! Where things are: what moves traffic, what makes versions run, what is observed, and who is told.

mod cluster;
mod deployer;
mod gates;
mod images;
pub(crate) mod notify;
mod router;
mod sealed;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use reqwest::Client;
use serde::Deserialize;
use tidegate::{
    canary::{ActuatorError, Deployer, Gatekeepers, Release, RouteId, TrafficRouter, WallClock, World},
    metrics::{MetricsSource, Scrape},
};

use self::{
    cluster::{Cluster, ClusterFile},
    deployer::DeployerFile,
    gates::GateFile,
    images::{ImagesFile, PinnedDeployer},
    notify::{Couriers, NotifyFile},
    router::RouterFile,
};
use crate::{
    document::Document,
    query::source::{Asked, SourceFile},
    registry::Registry,
};

/// The file. It holds no secret, only the names of variables and files that do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnvironmentFile {
    router: RouterFile,
    deployer: DeployerFile,
    metrics: SourceFile,
    /// The cluster of router and deployer.
    #[serde(default)]
    kubernetes: ClusterFile,
    /// The OCI registries that hold the images of versions, by names of one's own.
    #[serde(default)]
    images: BTreeMap<String, ImagesFile>,
    /// Who keeps the gates of plans, by their names there.
    #[serde(default)]
    gates: BTreeMap<String, GateFile>,
    /// Who is told, by names of one's own.
    #[serde(default)]
    notify: BTreeMap<String, NotifyFile>,
}

/// When that is taken which only one program on this machine can have at a time: its server processes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Taken {
    /// At once, and for as long as the program runs.
    AtOnce,
    /// When something is to be done with it. Until then others may.
    WhenNeeded,
}

/// What a rollout acts on besides the registry.
pub(crate) struct Environment {
    pub(crate) router: Arc<dyn TrafficRouter>,
    pub(crate) deployer: Arc<dyn Deployer>,
    images: Option<Arc<PinnedDeployer>>,
    metrics: Arc<dyn MetricsSource>,
    gates: Gatekeepers,
    couriers: Vec<Couriers>,
    scrape: Option<(Arc<Scrape>, Duration)>,
}

impl EnvironmentFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Ok(Document::parse_discreetly("environment", path)?)
    }

    /// What says whether a version could be made to run, and takes nothing.
    pub(crate) async fn look(self, registry: &Registry) -> Result<Arc<dyn Deployer>> {
        let scaled = self.router.scales();
        let deployer = self.deployer.look(registry, &Cluster::from(self.kubernetes), scaled).await?;
        let pinned = images::pinned(self.images, &deployer, registry)?;
        Ok(pinned.map_or(deployer, |pinned| pinned as _))
    }

    /// Opens everything. Nothing has moved when that fails.
    pub(crate) async fn open(
        self,
        registry: &Registry,
        route: &RouteId,
        clock: WallClock,
        taken: Taken,
    ) -> Result<Environment> {
        let client = client()?;
        let cluster = Cluster::from(self.kubernetes);
        let scaled = self.router.scales();
        let router = self.router.open(&client, &cluster).await?;
        let gates = self.gates.into_iter().map(|(name, gate)| Ok((name, gate.open(&client, clock)?)));
        let gates = gates.collect::<Result<Gatekeepers>>()?;
        let couriers =
            self.notify.into_iter().map(|(name, file)| file.open(&name, registry, route, &client, clock));
        let couriers = couriers.collect::<Result<Vec<_>>>()?;
        let (metrics, scrape): (Arc<dyn MetricsSource>, _) = match self.metrics.open(None).await? {
            Asked::Scrape { source, every } => (Arc::clone(&source) as _, Some((source, every))),
            Asked::Server(source) => (Arc::from(source), None),
        };
        let deployer = self.deployer.open(registry, &cluster, scaled, taken).await?;
        let images = images::pinned(self.images, &deployer, registry)?;
        let deployer = images.clone().map_or(deployer, |pinned| pinned as _);
        Ok(Environment { router, deployer, images, metrics, gates, couriers, scrape })
    }
}

impl Environment {
    /// Whether anything speaks against the image of `release`; nothing does where no registry of images is named.
    pub(crate) async fn check_image(&self, release: &Release) -> Result<(), ActuatorError> {
        match &self.images {
            Some(images) => images.check(release).await,
            None => Ok(()),
        }
    }

    pub(crate) fn world(&self, registry: &Registry, clock: WallClock) -> World {
        World {
            store: Arc::new(registry.store.clone()),
            log: Arc::new(registry.store.clone()),
            metrics: Arc::clone(&self.metrics),
            router: Arc::clone(&self.router),
            deployer: Arc::clone(&self.deployer),
            gates: self.gates.clone(),
            clock,
        }
    }

    /// Scrapes for as long as it is let.
    pub(crate) async fn scrape(&self, clock: WallClock) {
        if let Some((scrape, every)) = &self.scrape {
            scrape.run(move || clock.now(), *every).await;
        }
        std::future::pending().await
    }

    /// Tells everybody for as long as it is let; one for whom that is hopeless holds up nobody else.
    pub(crate) async fn tell(&self) {
        futures::future::join_all(self.couriers.iter().map(Couriers::run)).await;
        std::future::pending().await
    }

    /// Brings what there is still to be told, for a moment: nobody waits for a chat that is away.
    pub(crate) async fn tell_the_end(&self) {
        const MOMENT: Duration = Duration::from_secs(10);
        let all = self.couriers.iter().map(Couriers::catch_up);
        if tokio::time::timeout(MOMENT, futures::future::join_all(all)).await.is_err() {
            tracing::warn!(
                "not everybody could be told of the end; the next rollout of the route tells them"
            );
        }
    }
}

/// Follows no redirects, which could carry what is secret elsewhere.
pub(crate) fn client() -> Result<Client> {
    tidegate::canary::notify::client(Client::builder())
        .context("cannot set up HTTP; are the system's certificates readable?")
}
