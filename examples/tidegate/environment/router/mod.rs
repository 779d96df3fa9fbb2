//! What moves traffic.

mod objects;
mod proxies;

use std::sync::Arc;

use anyhow::Result;
use reqwest::Client;
use serde::Deserialize;
use tidegate::canary::{TrafficRouter, Unsplit};

use self::{
    objects::{HttpRouteFile, IngressFile, ReplicasFile, TraefikFile, VirtualServiceFile},
    proxies::{EnvoyFile, HaProxyFile, NginxFile, WeightsFile},
};
use super::cluster::Cluster;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum RouterFile {
    Envoy(EnvoyFile),
    Haproxy(HaProxyFile),
    HaproxyWeights(WeightsFile),
    HttpRoute(HttpRouteFile),
    Ingress(IngressFile),
    Nginx(NginxFile),
    Replicas(ReplicasFile),
    Traefik(TraefikFile),
    /// Nothing splits traffic: releases are replaced in place.
    Unsplit {},
    VirtualService(VirtualServiceFile),
}

impl RouterFile {
    /// Whether it says how many replicas there are, so that a deployer must not.
    pub(super) const fn scales(&self) -> bool {
        matches!(self, Self::Replicas(_))
    }

    pub(super) async fn open(self, client: &Client, cluster: &Cluster) -> Result<Arc<dyn TrafficRouter>> {
        Ok(match self {
            Self::Envoy(file) => file.open(client)?,
            Self::Haproxy(file) => file.open()?,
            Self::HaproxyWeights(file) => file.open()?,
            Self::HttpRoute(file) => file.open(cluster.client().await?),
            Self::Ingress(file) => file.open(cluster.client().await?),
            Self::Nginx(file) => file.open(client)?,
            Self::Replicas(file) => file.open(cluster.client().await?),
            Self::Traefik(file) => file.open(cluster.client().await?),
            Self::Unsplit {} => Arc::new(Unsplit),
            Self::VirtualService(file) => file.open(cluster.client().await?),
        })
    }
}
