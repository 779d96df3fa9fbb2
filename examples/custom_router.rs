//! A router of one's own: a gateway that reads from a file which share of its requests goes to the candidate.
//!
//! `cargo run --example custom_router`; `cargo test --example custom_router` holds it against the contract.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tidegate::{
    canary::{
        ActuatorError, Capabilities, Fence, Observed, RouteId, Slot, Traffic, TrafficRouter, Weight,
        testkit::fence,
    },
    registry::Digest,
};

/// A directory with a file for each route.
#[derive(Debug)]
struct Shares<D>(D);

/// What the gateway reads, and who wrote it.
#[derive(Deserialize, Serialize)]
struct Share {
    candidate_percent: u16,
    fence: Fence,
}

impl<D: AsRef<Path>> Shares<D> {
    fn file(&self, route: &RouteId) -> PathBuf {
        self.0.as_ref().join(Digest::of(route.as_str()).hex())
    }

    fn read(&self, route: &RouteId) -> io::Result<Option<Share>> {
        match fs::read(self.file(route)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            bytes => Ok(Some(serde_json::from_slice(&bytes?)?)),
        }
    }

    /// Writes `share`, unless somebody with a higher fence was there: that fence is the answer then.
    fn write(&self, route: &RouteId, share: &Share) -> io::Result<Option<Fence>> {
        // Nobody else may write between the look at the fence and the writing, and drivers may be other processes.
        let lock = File::create(self.0.as_ref().join("lock"))?;
        lock.lock()?;
        if let Some(Share { fence, .. }) = self.read(route)?.filter(|held| held.fence > share.fence) {
            return Ok(Some(fence));
        }
        // Whoever reads sees the one share or the other, each with its own fence.
        let file = NamedTempFile::new_in(&self.0)?;
        serde_json::to_writer(&file, share)?;
        file.as_file().sync_all()?;
        file.persist(self.file(route)).map(|_| None).map_err(|error| error.error)
    }
}

#[async_trait]
impl<D: AsRef<Path> + fmt::Debug + Send + Sync + 'static> TrafficRouter for Shares<D> {
    fn capabilities(&self) -> Capabilities {
        let mut can = Capabilities::ALL;
        can.granularity = Weight::percent(1).expect("1 is at most 100");
        (can.baseline, can.headers, can.cookies, can.mirror, can.sticky) =
            (false, false, false, false, false);
        can
    }

    async fn apply(&self, route: &RouteId, traffic: &Traffic, fence: Fence) -> Result<(), ActuatorError> {
        let target = format!("the share of {route}");
        if let Err(unsupported) = self.capabilities().check(traffic) {
            return Err(ActuatorError::Refused { target, source: unsupported.into() });
        }
        let candidate_percent = traffic.weight(Slot::Candidate).as_basis_points() / 100;
        match self.write(route, &Share { candidate_percent, fence }) {
            Ok(None) => Ok(()),
            Ok(Some(held)) => Err(ActuatorError::Fenced { offered: fence, held }),
            Err(error) => Err(ActuatorError::Unavailable { target, source: error.into() }),
        }
    }

    async fn observe(&self, route: &RouteId) -> Result<Observed, ActuatorError> {
        let share = self.read(route).map_err(|error| ActuatorError::Unavailable {
            target: format!("the share of {route}"),
            source: error.into(),
        })?;
        let Some(Share { candidate_percent, fence }) = share else {
            return Ok(Observed::new(Traffic::stable(), None));
        };
        let weight = Weight::percent(candidate_percent).unwrap_or(Weight::FULL);
        Ok(Observed::new(Traffic::split(weight), Some(fence)))
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the example says what is in force")]
async fn main() -> anyhow::Result<()> {
    let (router, route) = (Shares(tempfile::tempdir()?), "serving/fraud".parse()?);
    let tenth = Traffic::split(Weight::percent(10).expect("10 is at most 100"));
    router.apply(&route, &tenth, fence(1)).await?;
    println!("{:?}", router.observe(&route).await?);
    Ok(())
}

#[cfg(test)]
tidegate::canary::router_conformance!(conformance, async || {
    let [route, another] = ["serving/fraud", "serving/spam"].map(|name| name.parse().expect("a route"));
    let router = Shares(tempfile::tempdir().expect("a temporary directory"));
    tidegate::canary::testkit::router::Routes { router, route, another }
});
