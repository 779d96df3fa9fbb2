//! Files in a repository that a GitOps controller puts in force.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use serde::Deserialize;
use tidegate::canary::{Deployer, GitOps, gitops::Place};

use super::{super::cluster::Cluster, InCluster};
use crate::{failure::Failure, registry::Registry};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GitOpsFile {
    /// The directory with the checked-out repository.
    checkout: PathBuf,
    /// A file beside it that remembers what was written.
    state: PathBuf,
    places: Vec<PlaceFile>,
    /// What commits, pushes, opens a merge request; the program first.
    #[serde(default)]
    command: Vec<String>,
    /// What makes the checkout what is committed, before files are looked at.
    #[serde(default)]
    refresh: Vec<String>,
    /// How long each of them may take.
    #[serde(default, with = "humantime_serde")]
    timeout: Option<Duration>,
    /// What tells whether the change is in force.
    cluster: InCluster,
}

/// A scalar in a file of YAML that names the release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceFile {
    file: PathBuf,
    /// By JSONPath.
    path: String,
    /// `{name}@{version}`
    pattern: String,
    /// Of the document, where the file has several.
    object: Option<ObjectFile>,
    /// Whether it is an image or its tag.
    #[serde(default)]
    image: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectFile {
    kind: String,
    name: String,
}

impl GitOpsFile {
    pub(super) async fn open(
        self,
        registry: &Registry,
        cluster: &Cluster,
        scaled: bool,
    ) -> Result<Arc<dyn Deployer>> {
        if self.places.is_empty() {
            let why = "deployer.gitops.places is empty; name the scalars that say which release runs";
            return Err(Failure::Misused(why.to_owned()).into());
        }
        let beneath = self.cluster.open(registry, cluster, scaled).await?;
        let mut deployer = GitOps::new(self.checkout, self.state, beneath)?;
        for place in self.places {
            deployer = deployer.with(place.open()?);
        }
        if !self.command.is_empty() {
            deployer = deployer.with_command(self.command)?;
        }
        if !self.refresh.is_empty() {
            deployer = deployer.with_refresh(self.refresh);
        }
        if let Some(timeout) = self.timeout {
            deployer = deployer.with_command_timeout(timeout);
        }
        Ok(Arc::new(deployer))
    }
}

impl PlaceFile {
    fn open(self) -> Result<Place> {
        let mut place = Place::new(self.file, &self.path, &self.pattern)?;
        if let Some(ObjectFile { kind, name }) = self.object {
            place = place.of(&kind, &name);
        }
        Ok(if self.image { place.as_image() } else { place })
    }
}
