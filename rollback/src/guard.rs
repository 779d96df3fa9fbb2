//! A watch with consequences: a release that does not keep its limits is rolled back, one that does is settled.

use std::{sync::Arc, time::SystemTime};

use tidegate_canary::{
    RolloutId, World,
    metrics::{Judgement, Verdict},
};
use tidegate_registry::{Channel, Channels, Stamp};

use crate::{Error, Order, Outcome, Rollback, State, Target, Watch};

/// Guards a promoted release and acts on what it sees.
///
/// It notifies by log lines at level `warn`, and rolls back at most once: a target that is bad too is for a
/// person. A blind or undecided watch is reported and not acted on.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is made as a literal")]
pub struct Guard {
    /// What to look at.
    pub watch: Watch,
    /// The channel in which the release was promoted.
    pub channel: Channel,
    /// Where to go back to.
    pub target: Target,
    /// The id of the rollback, should there be one; opening the guard again after a crash continues it.
    pub id: RolloutId,
}

/// How a guard ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Guarded {
    /// Nothing was done: the release is good and now settled, or the watch could not tell.
    Kept(Outcome),
    /// The release did not keep its limits.
    RolledBack {
        /// The judgements that say so.
        judgements: Vec<Judgement>,
        /// How the rollback ended.
        end: State,
    },
}

impl Guard {
    /// Watches until `deadline` and does what follows.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidWatch`] before the first look; otherwise those of [`Rollback`] and of the registry.
    pub async fn run(&self, world: World, deadline: SystemTime) -> Result<Guarded, Error> {
        match self.watch.run(&world, deadline).await? {
            Outcome::Failed { judgements } => {
                let end = self.roll_back(world, &judgements).await?;
                Ok(Guarded::RolledBack { judgements, end })
            }
            outcome => {
                if matches!(outcome, Outcome::Good { .. }) {
                    self.settle(&world).await?;
                }
                Ok(Guarded::Kept(outcome))
            }
        }
    }

    async fn roll_back(&self, world: World, judgements: &[Judgement]) -> Result<State, Error> {
        let failed = judgements.iter().filter(|judgement| judgement.verdict == Verdict::Fail);
        let reason = failed.map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let (route, name) = (self.watch.side.route.clone(), self.watch.side.release.model.name());
        let (order, _) =
            Order::choose(&world, route, name, self.channel.clone(), &self.target, reason).await?;
        Rollback::open(world, self.id.clone(), order).await?.run().await
    }

    /// The release was watched to the end and is good, so it is a last known good from now on.
    async fn settle(&self, world: &World) -> Result<(), Error> {
        let model = &self.watch.side.release.model;
        let channels = Channels::new(Arc::clone(&world.log));
        let current = channels.current(model.name(), &self.channel).await.map_err(Error::Registry)?;
        if let Some(current) = current.filter(|current| current.to == *model) {
            let stamp = Stamp { by: format!("guard {}", self.id), at: world.clock.now() };
            channels
                .settle(model.name(), &self.channel, current.seq, stamp)
                .await
                .map_err(Error::Registry)?;
        }
        Ok(())
    }
}
