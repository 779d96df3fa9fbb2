//! A deployer for one machine: a slot is a model server in this process, on a port of its own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tidegate::{
    canary::{ActuatorError, Deployer, Fence, Readiness, Release, Slot, Workload},
    registry::{ModelStoreExt, ObjectBacked},
};

use super::server::Server;

/// Runs each slot's release from the files that the registry delivered. Clones share the slots.
#[derive(Clone, Debug)]
pub(crate) struct LocalDeployer {
    registry: ObjectBacked,
    directory: PathBuf,
    slots: Arc<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    running: BTreeMap<Slot, (Release, Server)>,
    fence: Option<Fence>,
}

impl LocalDeployer {
    /// Delivers versions below `directory`.
    pub(crate) fn new(registry: ObjectBacked, directory: PathBuf) -> Self {
        Self { registry, directory, slots: Arc::default() }
    }

    /// Where the server of `slot` listens, if there is one.
    pub(crate) fn address(&self, slot: Slot) -> Option<SocketAddr> {
        self.with(|slots| slots.running.get(&slot).map(|(_, server)| server.address()))
    }

    /// Delivers `release`, checks every byte of it, and starts a server on it.
    pub(crate) async fn start(&self, release: &Release) -> anyhow::Result<Server> {
        let directory = self.directory.join(release.model.version().to_string());
        self.registry.download(&release.model, &directory, &()).await?;
        Server::start(&release.model.to_string(), &directory).await
    }

    fn with<R>(&self, act: impl FnOnce(&mut Slots) -> R) -> R {
        act(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts `server` in the slot, or nothing; what ran there before ends once its requests are answered.
    fn put(&self, slot: Slot, server: Option<(Release, Server)>) {
        let before = self.with(|slots| match server {
            Some(running) => slots.running.insert(slot, running),
            None => slots.running.remove(&slot),
        });
        if let Some((_, server)) = before {
            tokio::spawn(server.stop());
        }
    }

    fn admit(&self, offered: Fence) -> Result<(), ActuatorError> {
        self.with(|slots| match slots.fence {
            Some(held) if held > offered => Err(ActuatorError::Fenced { offered, held }),
            _ => {
                slots.fence = Some(offered);
                Ok(())
            }
        })
    }
}

#[async_trait]
impl Deployer for LocalDeployer {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let (slot, release) = (workload.slot, &workload.release);
        self.admit(fence)?;
        if self.status(slot).await?.ready() != Some(release) {
            let server = self.start(release).await.map_err(|error| ActuatorError::Refused {
                target: format!("the {slot} slot of this machine"),
                source: error.into(),
            })?;
            // Delivering took its time; whoever came later has the last word.
            self.admit(fence)?;
            self.put(slot, Some((release.clone(), server)));
        }
        Ok(())
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        let running = self.with(|slots| slots.running.get(&slot).map(|(release, _)| release.clone()));
        Ok(running.map_or(Readiness::Absent, |release| Readiness::Ready { release }))
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.admit(fence)?;
        self.put(slot, None);
        Ok(())
    }
}
