//! Workloads of a cluster: a set for each slot, or one that is taken back in place.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::Result;
use futures::TryStreamExt as _;
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use tidegate::{
    canary::{
        Deployer, Release, Slot,
        kubernetes::{Deployments, InferenceServices, Revisions},
    },
    registry::{Filter, ModelName, ModelStore as _},
};

use crate::{document::Document, failure::Failure, registry::Registry};

/// A Deployment for each slot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploymentsFile {
    namespace: String,
    /// A file with the Deployment that all are made from.
    template: PathBuf,
    /// Images by container: `registry.example/fraud:{version}`.
    #[serde(default)]
    images: BTreeMap<String, String>,
    /// Names of Deployments that were there before.
    #[serde(default)]
    names: BTreeMap<Slot, String>,
}

/// An InferenceService of KServe for each slot.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InferenceServicesFile {
    namespace: String,
    /// A file with the InferenceService that all are made from.
    template: PathBuf,
    /// Where a version lies: `s3://models/{name}/{version}`.
    storage: String,
    #[serde(default)]
    names: BTreeMap<Slot, String>,
}

/// A workload that its pipeline deploys, taken back to what it ran before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevisionsFile {
    namespace: String,
    workload: Workload,
    /// What it runs is told by an image, not by annotations.
    image: Option<ImageFile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Workload {
    Deployment(String),
    StatefulSet(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageFile {
    container: String,
    pattern: String,
    /// The model whose versions the pattern is tried with.
    model: ModelName,
}

impl DeploymentsFile {
    /// `scaled` says that the router decides on numbers of replicas.
    pub(super) fn open(self, client: Client, scaled: bool) -> Result<Arc<dyn Deployer>> {
        let template: Value = Document::parse("deployer.deployments.template", &self.template)?;
        let mut deployer = Deployments::new(client, &self.namespace, &template)?;
        for (container, pattern) in &self.images {
            deployer = deployer.with_image(container, pattern)?;
        }
        for (slot, name) in &self.names {
            deployer = deployer.with_name(*slot, name)?;
        }
        Ok(if scaled { Arc::new(deployer.with_replicas_by_ratio()) } else { Arc::new(deployer) })
    }
}

impl InferenceServicesFile {
    pub(super) fn open(self, client: Client) -> Result<Arc<dyn Deployer>> {
        let template: Value = Document::parse("deployer.inference-services.template", &self.template)?;
        let mut deployer = InferenceServices::new(client, &self.namespace, &template, &self.storage)?;
        for (slot, name) in &self.names {
            deployer = deployer.with_name(*slot, name)?;
        }
        Ok(Arc::new(deployer))
    }
}

impl RevisionsFile {
    pub(super) async fn open(self, client: Client, registry: &Registry) -> Result<Arc<dyn Deployer>> {
        let mut deployer = match &self.workload {
            Workload::Deployment(name) => Revisions::of_deployment(client, &self.namespace, name)?,
            Workload::StatefulSet(name) => Revisions::of_stateful_set(client, &self.namespace, name)?,
        };
        if let Some(ImageFile { container, pattern, model }) = self.image {
            deployer = deployer.with_image(&container, &pattern, releases(registry, &model).await?)?;
        }
        Ok(Arc::new(deployer))
    }
}

/// The versions of a model.
async fn releases(registry: &Registry, model: &ModelName) -> Result<Vec<Release>> {
    let published: Vec<_> = registry.store.versions(model, Filter::default()).try_collect().await?;
    if published.is_empty() {
        let why = format!("deployer.revisions.image.model: {model} has no versions; correct the name");
        return Err(Failure::Misused(why).into());
    }
    let releases = published.into_iter().map(|published| {
        let model = format!("{model}@{}", published.version).parse()?;
        Ok(Release { model, digest: published.digest })
    });
    releases.collect()
}
