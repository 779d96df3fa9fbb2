//! What a rollback has taken its route from.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tidegate_canary::{NotDone, Patience, RouteId, RouteJournal, State as RolloutState, Traffic};
use tidegate_registry::Log;

use super::{Rollback, way::WITHIN};
use crate::Took;

/// How long the registry may take over a journal before it is asked again.
const AGAIN: Duration = Duration::from_secs(30);

impl Rollback {
    /// The rollout that this has taken the route from, or that another has and left its traffic as it was; unless that is
    /// known already.
    pub(super) async fn taken(&self, until: SystemTime) -> Result<Option<Took>, NotDone> {
        if self.undo().took().is_some() {
            return Ok(None);
        }
        let (log, route) = (&self.world.log, &self.undo().order().route);
        let mut patience = Patience::new(self.world.clock, until);
        let seized = loop {
            match tokio::time::timeout(AGAIN, seized(Arc::clone(log), route)).await {
                Ok(seized) => break seized,
                Err(_) => patience.unanswered("the registry").await?,
            }
        };
        let Some((by, took)) = seized else { return Ok(None) };
        // What cannot be said in time is not waited for.
        let observed = tokio::time::timeout(WITHIN, self.world.router.observe(route)).await;
        let traffic = observed.ok().and_then(Result::ok).map(|observed| observed.traffic);
        let is_split = traffic.as_ref().is_some_and(|traffic| *traffic != Traffic::stable());
        Ok((by == self.holder() || is_split).then_some(Took { traffic, ..took }))
    }
}

/// The rollout that was seized last, and by whom. A journal that cannot be read says nothing of one.
pub(super) async fn seized(log: Arc<dyn Log>, route: &RouteId) -> Option<(String, Took)> {
    let journal = RouteJournal::open(log, route).await.ok()?;
    let (id, rollout) = journal.latest()?;
    let RolloutState::Seized { by } = rollout.state() else { return None };
    let stable = rollout.plan().stable.model.clone();
    Some((by.clone(), Took { rollout: id.clone(), stable, traffic: None }))
}
