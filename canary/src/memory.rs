//! A router and a deployer in memory: the references, and what tests and examples run on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    ActuatorError, Capabilities, Deployer, Fence, Observed, Readiness, Rehearsed, Release, RouteId, Slot,
    Traffic, TrafficRouter, Workload,
};

/// Routes in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct InMemoryRouter {
    routes: Arc<Mutex<BTreeMap<RouteId, (Traffic, Fence)>>>,
}

/// Slots in memory, where everything is ready at once. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct InMemoryDeployer {
    slots: Arc<Mutex<Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    running: BTreeMap<Slot, Release>,
    /// What is not made to run, and why.
    refused: Vec<(Release, String)>,
    fence: Option<Fence>,
}

impl Slots {
    /// Whether `release` may be made to run.
    fn accept(&self, release: &Release) -> Result<(), ActuatorError> {
        match self.refused.iter().find(|(refused, _)| refused == release) {
            Some((_, why)) => Err(ActuatorError::Refused {
                target: "the deployer in memory".to_owned(),
                source: why.clone().into(),
            }),
            None => Ok(()),
        }
    }
}

/// Refuses `offered` when a later fence was seen; remembers it otherwise.
pub(crate) fn admit(held: &mut Option<Fence>, offered: Fence) -> Result<(), ActuatorError> {
    match *held {
        Some(held) if held > offered => Err(ActuatorError::Fenced { offered, held }),
        _ => {
            *held = Some(offered);
            Ok(())
        }
    }
}

/// Nothing here panics while it holds a lock, so a poisoned one still holds a whole value.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl TrafficRouter for InMemoryRouter {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        self.capabilities().check(traffic).map_err(|unsupported| ActuatorError::Refused {
            target: format!("route {route} in memory"),
            source: unsupported.into(),
        })?;
        let mut routes = lock(&self.routes);
        admit(&mut routes.get(route).map(|(_, held)| *held), fence)?;
        routes.insert(route.clone(), (traffic.clone(), fence));
        Ok(())
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        Ok(match lock(&self.routes).get(route) {
            Some((traffic, fence)) => Observed::new(traffic.clone(), Some(*fence)),
            None => Observed::new(Traffic::stable(), None),
        })
    }
}

impl InMemoryDeployer {
    /// A deployer whose stable slot runs `release`.
    #[must_use]
    pub fn serving(release: Release) -> Self {
        let running = BTreeMap::from([(Slot::Stable, release)]);
        Self { slots: Arc::new(Mutex::new(Slots { running, ..Slots::default() })) }
    }

    /// From now on `release` is not made to run, as if an image or a quota were missing. What runs goes on.
    pub fn refuse(&self, release: Release, why: impl Into<String>) {
        lock(&self.slots).refused.push((release, why.into()));
    }
}

#[async_trait]
impl Deployer for InMemoryDeployer {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        let mut slots = lock(&self.slots);
        admit(&mut slots.fence, fence)?;
        if slots.running.get(&workload.slot) != Some(&workload.release) {
            slots.accept(&workload.release)?;
        }
        slots.running.insert(workload.slot, workload.release.clone());
        Ok(())
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        lock(&self.slots).accept(&workload.release).map(|()| Rehearsed::Accepted)
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        Ok(match lock(&self.slots).running.get(&slot) {
            Some(release) => Readiness::Ready { release: release.clone() },
            None => Readiness::Absent,
        })
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        let mut slots = lock(&self.slots);
        admit(&mut slots.fence, fence)?;
        slots.running.remove(&slot);
        Ok(())
    }
}
