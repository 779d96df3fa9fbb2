//! The cluster that routers and deployers act on.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::failure::{Failure, unreadable};

/// Which cluster: without a word the one that `kubectl` would take, or the one that this program runs in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterFile {
    /// In place of the usual one.
    kubeconfig: Option<PathBuf>,
    /// In place of its current one.
    context: Option<String>,
}

/// A cluster that is only looked for when something asks for it.
pub(super) struct Cluster {
    file: ClusterFile,
    client: OnceCell<Client>,
}

impl From<ClusterFile> for Cluster {
    fn from(file: ClusterFile) -> Self {
        Self { file, client: OnceCell::new() }
    }
}

impl Cluster {
    pub(super) async fn client(&self) -> Result<Client> {
        self.client.get_or_try_init(|| self.file.open()).await.cloned()
    }
}

impl ClusterFile {
    async fn open(&self) -> Result<Client> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = match &self.kubeconfig {
            Some(path) => {
                let wrong = |error| wrong(&format!("kubernetes.kubeconfig `{}`", path.display()), error);
                let read = Kubeconfig::read_from(path).map_err(wrong)?;
                Config::from_custom_kubeconfig(read, &options).await.map_err(wrong)?
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .map_err(|error| wrong("the kubeconfig that kubectl would take", error))?,
            None => Config::infer().await.map_err(|_| {
                let why = "there is no cluster to reach: this program runs in none, and no kubeconfig is found that can be used; say kubernetes: { kubeconfig: PATH }";
                Failure::Misused(why.to_owned())
            })?,
        };
        Client::try_from(config).context("the cluster's address or certificates cannot be used")
    }
}

/// What is wrong with a kubeconfig, without a line of it: there are secrets in it.
fn wrong(which: &str, error: KubeconfigError) -> Failure {
    let why = match error {
        KubeconfigError::CurrentContextNotSet => {
            "has no current context; name one by kubernetes.context".to_owned()
        }
        KubeconfigError::LoadContext(context) => {
            format!("has no context `{context}`; `kubectl config get-contexts` lists them")
        }
        KubeconfigError::Parse(_) => "is not the YAML of a kubeconfig".to_owned(),
        KubeconfigError::ReadConfig(error, _) => unreadable(&error),
        error => format!("cannot be used: {error}"),
    };
    Failure::Misused(format!("{which} {why}"))
}
