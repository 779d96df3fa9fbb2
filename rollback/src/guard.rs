//! A watch with consequences: a release that does not keep its limits is rolled back, one that does is settled.

use std::{sync::Arc, time::SystemTime};

use tidegate_canary::{
    Patience, RolloutId, World,
    metrics::{Judgement, Verdict},
};
use tidegate_registry::{Channel, Channels, ModelRef, Move, Stamp};

use crate::{Error, NoTarget, Order, Outcome, Rollback, State, Target, Watch};

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
    /// The id of the rollback, should there be one. Running the guard again after a crash continues it.
    pub id: RolloutId,
}

/// How a guard ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Guarded {
    /// Nothing was done: the release is good and now settled, or the watch could not tell.
    Kept(Outcome),
    /// The channel points to another version by now, so there is nothing left to guard.
    Moved {
        /// Where it points.
        to: ModelRef,
    },
    /// The release did not keep its limits.
    RolledBack {
        /// The judgements that say so; none when a rollback was continued.
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
        if let Some(rollback) = Rollback::resume(world.clone(), &self.watch.side.route, &self.id).await? {
            return Ok(Guarded::RolledBack { judgements: Vec::new(), end: rollback.run().await? });
        }
        let outcome = self.watch.run(&world, deadline).await?;
        let current = self.current(&world).await?;
        if current.to != self.watch.side.release.model {
            return Ok(Guarded::Moved { to: current.to });
        }
        match outcome {
            Outcome::Failed { judgements } => {
                let end = self.roll_back(world, &judgements).await?;
                Ok(Guarded::RolledBack { judgements, end })
            }
            Outcome::Good { .. } => {
                // It was watched to the end and is good, so it is a last known good from now on.
                let stamp = Stamp { by: format!("guard {}", self.id), at: world.clock.now() };
                let channels = Channels::new(Arc::clone(&world.log));
                let settled = channels.settle(current.to.name(), &self.channel, current.seq, stamp);
                settled.await.map_err(Error::Registry)?;
                Ok(Guarded::Kept(outcome))
            }
            _ => Ok(Guarded::Kept(outcome)),
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

    async fn current(&self, world: &World) -> Result<Move, Error> {
        let channels = Channels::new(Arc::clone(&world.log));
        let name = self.watch.side.release.model.name();
        let mut patience = Patience::new(world.clock, world.clock.now() + self.watch.patience);
        loop {
            match channels.current(name, &self.channel).await {
                Ok(current) => return current.ok_or_else(|| NoTarget::EmptyChannel.into()),
                Err(error) if error.is_transient() && patience.wait(String::new).await.is_ok() => {}
                Err(error) => return Err(Error::Registry(error)),
            }
        }
    }
}
