//! Servers of this machine, seen by whoever only looks: it must not get in the way of whoever acts.

use async_trait::async_trait;
use tidegate::canary::{
    ActuatorError, Deployer, Fence, Readiness, Rehearsed, Slot, Workload, process::ServerSpec,
};

/// Says what could be made to run, and makes nothing run.
#[derive(Debug)]
pub(super) struct Looked(pub(super) ServerSpec);

#[async_trait]
impl Deployer for Looked {
    async fn ensure(&self, _: &Workload, _: Fence) -> Result<(), ActuatorError> {
        Err(only_looked())
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.0.rehearse(workload)
    }

    async fn status(&self, _: Slot) -> Result<Readiness, ActuatorError> {
        Ok(Readiness::Absent)
    }

    async fn remove(&self, _: Slot, _: Fence) -> Result<(), ActuatorError> {
        Err(only_looked())
    }
}

fn only_looked() -> ActuatorError {
    let (target, source) = ("a deployer that only looks".to_owned(), "it changes nothing".into());
    ActuatorError::Refused { target, source }
}
