//! What makes versions run.

mod files;
mod looked;
mod processes;
mod workloads;

use std::sync::Arc;

use anyhow::Result;
use serde::Deserialize;
use tidegate::canary::Deployer;

use self::{
    files::GitOpsFile,
    processes::ProcessesFile,
    workloads::{DeploymentsFile, InferenceServicesFile, RevisionsFile},
};
use super::{Taken, cluster::Cluster};
use crate::registry::Registry;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum DeployerFile {
    Deployments(DeploymentsFile),
    Gitops(GitOpsFile),
    InferenceServices(InferenceServicesFile),
    Processes(ProcessesFile),
    Revisions(RevisionsFile),
}

/// A deployer whose slots are in a cluster.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum InCluster {
    Deployments(DeploymentsFile),
    InferenceServices(InferenceServicesFile),
    Revisions(RevisionsFile),
}

impl DeployerFile {
    /// What says whether a version could be made to run: asked for nothing else, it takes and changes nothing.
    pub(super) async fn look(
        self,
        registry: &Registry,
        cluster: &Cluster,
        scaled: bool,
    ) -> Result<Arc<dyn Deployer>> {
        match self {
            Self::Processes(file) => Ok(Arc::new(file.look())),
            in_cluster => in_cluster.open(registry, cluster, scaled, Taken::WhenNeeded).await,
        }
    }

    /// `scaled` says that the router decides on numbers of replicas.
    pub(super) async fn open(
        self,
        registry: &Registry,
        cluster: &Cluster,
        scaled: bool,
        taken: Taken,
    ) -> Result<Arc<dyn Deployer>> {
        let in_cluster = match self {
            Self::Processes(file) => return file.open(registry, taken).await,
            Self::Gitops(file) => return file.open(registry, cluster, scaled).await,
            Self::Deployments(file) => InCluster::Deployments(file),
            Self::InferenceServices(file) => InCluster::InferenceServices(file),
            Self::Revisions(file) => InCluster::Revisions(file),
        };
        in_cluster.open(registry, cluster, scaled).await
    }
}

impl InCluster {
    async fn open(self, registry: &Registry, cluster: &Cluster, scaled: bool) -> Result<Arc<dyn Deployer>> {
        let client = cluster.client().await?;
        match self {
            Self::Deployments(file) => file.open(client, scaled),
            Self::InferenceServices(file) => file.open(client),
            Self::Revisions(file) => file.open(client, registry).await,
        }
    }
}
