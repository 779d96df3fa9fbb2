//! The supervisor of local processes, with real processes: this very test program, started again as a server.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends where what it needs is missing")]

mod crashing;
mod logs;
#[path = "../../../tests/ports/mod.rs"]
mod ports;
mod recovery;
mod replacing;
mod rollout;
mod server;
mod spec;
mod stage;
mod stopping;

use async_trait::async_trait;
use tidegate_canary::{
    ActuatorError, Deployer, Fence, LocalProcesses, Readiness, Rehearsed, Slot, Workload,
    testkit::{deployer::Slots, deployer_conformance},
};

use crate::stage::{Stage, release};

/// A supervisor whose servers end with the test.
#[derive(Debug)]
struct Guarded {
    servers: LocalProcesses,
    _stage: Stage,
}

#[async_trait]
impl Deployer for Guarded {
    async fn ensure(&self, workload: &Workload, fence: Fence) -> Result<(), ActuatorError> {
        self.servers.ensure(workload, fence).await
    }

    async fn rehearse(&self, workload: &Workload) -> Result<Rehearsed, ActuatorError> {
        self.servers.rehearse(workload).await
    }

    async fn status(&self, slot: Slot) -> Result<Readiness, ActuatorError> {
        self.servers.status(slot).await
    }

    async fn remove(&self, slot: Slot, fence: Fence) -> Result<(), ActuatorError> {
        self.servers.remove(slot, fence).await
    }
}

async fn slots() -> Slots<Guarded> {
    let stage = Stage::new();
    let deployer = Guarded { servers: stage.open().await, _stage: stage };
    Slots { deployer, releases: [release("1.0.0"), release("1.1.0")] }
}

async fn fixed_slots() -> Slots<Guarded> {
    let stage = Stage::new();
    let mut spec = stage.spec();
    for slot in [Slot::Stable, Slot::Baseline, Slot::Candidate] {
        spec.ports.insert(slot, ports::free_port());
    }
    let deployer = Guarded { servers: stage.open_with(spec).await.unwrap(), _stage: stage };
    Slots { deployer, releases: [release("1.0.0"), release("1.1.0")] }
}

deployer_conformance!(on_free_ports, slots);
deployer_conformance!(on_fixed_ports, fixed_slots);
