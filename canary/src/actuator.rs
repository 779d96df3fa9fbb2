//! Acting on a route with patience: repeat what may succeed, stop when fenced, say why when it is hopeless.

use std::time::{Duration, SystemTime};

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
    /// It could not be asked of who would do it, for as long as that was waited for. Nothing is known to be wrong with what
    /// was wanted.
    #[error("{why}")]
    Unreached {
        /// Who: the router, the deployer or the registry.
        who: String,
        /// The last failure.
        why: String,
    },
}

impl NotDone {
    /// The same, where it failed since `who` could not be asked.
    #[must_use]
    pub fn unreached(self, who: &str) -> Self {
        match self {
            Self::Failed(why) => Self::Unreached { who: who.to_owned(), why },
            not_done => not_done,
        }
    }
}

/// What reasons call them.
pub(crate) const DEPLOYER: &str = "the deployer";
pub(crate) const REGISTRY: &str = "the registry";
pub(crate) const ROUTER: &str = "the router";

/// How long a deployer may keep the way back waiting before it is taken for one that does not answer.
const WAY_BACK: Duration = Duration::from_secs(5);

impl Actuator<'_> {
    /// Makes `workload` run and returns once it is ready.
    ///
    /// # Errors
    ///
    /// [`NotDone`]; it is tried at least once, however long ago `until` was.
    pub async fn ensure(&self, workload: &Workload, until: SystemTime) -> Result<(), NotDone> {
        let Workload { slot, release, .. } = workload;
        let mut patience = Patience::new(self.clock, until);
        patience.until(DEPLOYER, || self.deployer.ensure(workload, self.fence)).await?;
        loop {
            match patience.until(DEPLOYER, || self.deployer.status(*slot)).await? {
                Readiness::Ready { release: running } if running == *release => return Ok(()),
                Readiness::Failed { release: failed, why } if failed == *release => {
                    return Err(NotDone::Failed(format!("{release} does not run in the {slot} slot: {why}")));
                }
                _ => patience.wait(|| format!("{release} is not ready in the {slot} slot in time")).await?,
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
            if !back || self.answers(workload.slot).await {
                self.ensure(workload, until).await?;
            }
        }
        let mut patience = Patience::new(self.clock, until);
        loop {
            let seen = async || {
                self.router.apply(route, traffic, self.fence).await?;
                self.router.observe(route).await
            };
            let observed = patience.until(ROUTER, seen).await?;
            if observed.fence > Some(self.fence) {
                return Err(NotDone::Superseded);
            }
            if observed.traffic == *traffic {
                return Ok(());
            }
            let was = observed.traffic;
            patience.wait(|| format!("route {route} was told {traffic} but stays at {was}")).await?;
        }
    }

    /// Whether the deployer says anything of `slot`, be it that it refuses.
    async fn answers(&self, slot: Slot) -> bool {
        match tokio::time::timeout(WAY_BACK, self.deployer.status(slot)).await {
            Ok(Err(error)) => !error.is_transient(),
            Ok(Ok(_)) => true,
            Err(_) => false,
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
            let gone = async || {
                self.deployer.remove(slot, self.fence).await?;
                self.deployer.status(slot).await
            };
            match patience.until(DEPLOYER, gone).await? {
                Readiness::Absent => return Ok(()),
                _ => patience.wait(|| format!("the {slot} slot is not empty in time")).await?,
            }
        }
    }
}
