//! Acting on a route with patience: repeat what may succeed, stop when fenced, say why when it is hopeless.

use std::time::SystemTime;

use crate::{
    Deployer, Fence, Patience, Readiness, RouteId, Slot, Traffic, TrafficRouter, WallClock, Workload,
};

/// The hands of a driver: a router and a deployer, with the right to act on one route.
///
/// Rollouts and rollbacks act through it, so that both keep the same two rules: traffic never goes to a
/// slot that is not ready, and nothing counts as done that was not seen.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is made as a literal")]
pub struct Actuator<'a> {
    /// What moves traffic.
    pub router: &'a dyn TrafficRouter,
    /// What makes versions run.
    pub deployer: &'a dyn Deployer,
    /// What time it is.
    pub clock: WallClock,
    /// The right to act.
    pub fence: Fence,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDone {
    /// It cannot be done, or not in time. This is why.
    #[error("{0}")]
    Failed(String),
    /// Somebody else has the route. Stop acting.
    #[error("another driver has taken the route over")]
    Superseded,
}

impl Actuator<'_> {
    /// Makes `workload` run and returns once it is ready.
    ///
    /// # Errors
    ///
    /// [`NotDone`]; it is tried at least once, however long ago `until` was.
    pub async fn ensure(&self, workload: &Workload, until: SystemTime) -> Result<(), NotDone> {
        let Workload { slot, release, .. } = workload;
        let mut patience = Patience::new(self.clock, until);
        while let Err(error) = self.deployer.ensure(workload, self.fence).await {
            patience.after(error).await?;
        }
        loop {
            match self.deployer.status(*slot).await {
                Ok(Readiness::Ready { release: running }) if running == *release => return Ok(()),
                Ok(Readiness::Failed { release: failed, why }) if failed == *release => {
                    return Err(NotDone::Failed(format!("{release} does not run in the {slot} slot: {why}")));
                }
                Ok(_) => {
                    patience.wait(|| format!("{release} is not ready in the {slot} slot in time")).await?
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// Puts `traffic` in force, once what it reaches is ready, and returns when it was seen in force.
    ///
    /// On the way `back` a deployer that does not answer is taken to have nothing against it: users must not
    /// stay on a failing version because of that.
    ///
    /// # Errors
    ///
    /// [`NotDone`]; it is tried at least once, however long ago `until` was.
    pub async fn route(
        &self,
        route: &RouteId,
        traffic: &Traffic,
        on: &[Workload],
        back: bool,
        until: SystemTime,
    ) -> Result<(), NotDone> {
        for workload in on {
            let silent = back
                && matches!(self.deployer.status(workload.slot).await, Err(error) if error.is_transient());
            if !silent {
                self.ensure(workload, until).await?;
            }
        }
        let mut patience = Patience::new(self.clock, until);
        loop {
            let seen = async {
                self.router.apply(route, traffic, self.fence).await?;
                self.router.observe(route).await
            };
            match seen.await {
                Ok(observed) if observed.fence > Some(self.fence) => return Err(NotDone::Superseded),
                Ok(observed) if observed.traffic == *traffic => return Ok(()),
                Ok(observed) => {
                    let was = observed.traffic;
                    patience.wait(|| format!("route {route} was told {traffic} but stays at {was}")).await?;
                }
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// Empties `slot` and returns once it is seen to be empty.
    ///
    /// # Errors
    ///
    /// [`NotDone`]; it is tried at least once, however long ago `until` was.
    pub async fn remove(&self, slot: Slot, until: SystemTime) -> Result<(), NotDone> {
        let mut patience = Patience::new(self.clock, until);
        loop {
            let gone = async {
                self.deployer.remove(slot, self.fence).await?;
                self.deployer.status(slot).await
            };
            match gone.await {
                Ok(Readiness::Absent) => return Ok(()),
                Ok(_) => patience.wait(|| format!("the {slot} slot is not empty in time")).await?,
                Err(error) => patience.after(error).await?,
            }
        }
    }
}
