//! Server processes on this machine.

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use reqwest::Client;
use serde::Deserialize;
use tidegate::{
    canary::{
        ActuatorError, BoxError, Deployer, Fence, LocalProcesses, Readiness, Rehearsed, Release, Slot,
        Workload, process::ServerSpec,
    },
    registry::{ModelStoreExt as _, ObjectBacked},
};
use tokio::sync::OnceCell;

use super::{super::Taken, looked::Looked};
use crate::registry::Registry;

/// A server process for each slot, on this machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessesFile {
    /// Where it is kept what runs, with logs, and the files of versions.
    directory: PathBuf,
    server: ServerSpec,
}

/// Who supervises the servers, once it is opened. Others are kept from that as long as it is.
struct Supervisor {
    directory: PathBuf,
    server: ServerSpec,
    client: Client,
    store: ObjectBacked,
}

/// A supervisor that is opened when something is to be done with it. Until then it looks, and lets go again: a watch
/// that sees nothing wrong must not be in anybody's way.
struct WhenNeeded {
    supervisor: Supervisor,
    opened: OnceCell<LocalProcesses>,
}

impl ProcessesFile {
    pub(super) fn look(self) -> Looked {
        Looked(self.server)
    }

    pub(super) async fn open(self, registry: &Registry, taken: Taken) -> Result<Arc<dyn Deployer>> {
        let Self { directory, server } = self;
        // A relative path would be another one for servers with a directory of their own.
        let directory = std::path::absolute(&directory).context("this program has no working directory")?;
        let client = Client::builder().no_proxy().build().context("cannot set up HTTP")?;
        let supervisor = Supervisor { directory, server, client, store: registry.store.clone() };
        match (supervisor.open().await, taken) {
            (opened, Taken::AtOnce) => Ok(Arc::new(opened?)),
            // It is dropped again, and the servers go on as they are.
            (Ok(_), Taken::WhenNeeded) => Ok(Arc::new(WhenNeeded::from(supervisor))),
            // Another supervisor has them now. What it takes to be one was found right before that.
            (Err(error), Taken::WhenNeeded) if error.is_transient() => {
                Ok(Arc::new(WhenNeeded::from(supervisor)))
            }
            (Err(error), Taken::WhenNeeded) => Err(error.into()),
        }
    }
}

impl Supervisor {
    async fn open(&self) -> Result<LocalProcesses, ActuatorError> {
        let (store, files) = (self.store.clone(), self.directory.join("files"));
        let fetch = move |release| delivered(store.clone(), files.clone(), release);
        let servers = self.directory.join("servers");
        LocalProcesses::open(servers, self.server.clone(), self.client.clone(), fetch).await
    }
}

impl From<Supervisor> for WhenNeeded {
    fn from(supervisor: Supervisor) -> Self {
        Self { supervisor, opened: OnceCell::new() }
    }
}

impl WhenNeeded {
    async fn opened(&self) -> Result<&LocalProcesses, ActuatorError> {
        self.opened.get_or_try_init(|| self.supervisor.open()).await
    }
}

#[async_trait]
impl Deployer for WhenNeeded {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.opened().await?.ensure(workload, fence).await
    }

    /// It takes no supervisor to say that.
    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.supervisor.server.rehearse(workload)
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        match self.opened.get() {
            Some(opened) => opened.status(slot).await,
            None => self.supervisor.open().await?.status(slot).await,
        }
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.opened().await?.remove(slot, fence).await
    }
}

impl fmt::Debug for WhenNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = &self.supervisor.directory;
        f.debug_struct("WhenNeeded").field("directory", directory).finish_non_exhaustive()
    }
}

/// The directory with the files of a release, fetched where they are not there yet.
async fn delivered(store: ObjectBacked, files: PathBuf, release: Release) -> Result<PathBuf, BoxError> {
    let Release { model, digest } = &release;
    let directory = files.join(format!("{}-{}-{}", model.name(), model.version(), &digest.hex()[..12]));
    let manifest = store.download(model, &directory, &()).await?;
    if manifest.digest != *digest {
        return Err(format!("{model} in the registry is {}, not {digest}", manifest.digest).into());
    }
    Ok(directory)
}
