//! What is to be undone, chosen from a channel's history.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tidegate_canary::{LONGEST, Release, RouteId, RouteJournal, Slot, State, Weight, Workload, World};
use tidegate_registry::{Channel, Channels, ModelName, ModelRef};

use crate::{Choice, Error, Target};

/// What is to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers change single fields")]
pub struct Order {
    /// The route whose traffic goes back.
    pub route: RouteId,
    /// The channel that records it.
    pub channel: Channel,
    /// What is to be left.
    pub from: Release,
    /// Where to go.
    pub to: Release,
    /// Why, in words.
    pub reason: String,
    /// How long a side may take to become ready, and a router to obey.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// How long requests in flight may take to end before their side is removed.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
}

/// An order that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrder {
    /// There is nothing to undo.
    #[error("the order leads from {0} to itself; name another target")]
    Nowhere(ModelRef),
    /// Another model is wanted.
    #[error("the order leads from {0} to {1}, which is another model; name a version of the same one")]
    OtherModel(ModelRef, ModelRef),
    /// A duration is longer than a year.
    #[error("patience or drain of the order is longer than a year; write for example 5m")]
    TooLong,
}

impl Order {
    /// The order to take `route` back to `target`, and why there. Patience is 5 min, drain 30 s.
    ///
    /// What is to be left is what the route is on the way to: the candidate of a rollout that is under way or
    /// stuck, otherwise what `channel` of `name` points to. So while a candidate is tried, the last known good
    /// version is the one in service.
    ///
    /// # Errors
    ///
    /// [`Error::NoTarget`] when there is nowhere to go, [`Error::Registry`] when the registry cannot be read.
    pub async fn choose(
        world: &World,
        route: RouteId,
        name: &ModelName,
        channel: Channel,
        target: &Target,
        reason: impl Into<String>,
    ) -> Result<(Self, Choice), Error> {
        let channels = Channels::new(Arc::clone(&world.log));
        let history = channels.history(name, &channel).await.map_err(Error::Registry)?;
        let tried = tried(world, &route, &channel).await;
        let choice = target.choose(&history, tried.as_ref().map(|release| &release.model))?;
        let manifest = async |model| world.store.manifest(model).await.map_err(Error::Registry);
        let from = match tried {
            Some(release) => release,
            None => Release::from(&manifest(&choice.from).await?),
        };
        let order = Self {
            route,
            channel,
            from,
            to: Release::from(&manifest(&choice.to).await?),
            reason: reason.into(),
            patience: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(30),
        };
        Ok((order, choice))
    }

    /// Where to go, running in `slot` and able to carry everything.
    pub(crate) fn workload(&self, slot: Slot) -> Workload {
        Workload { slot, release: self.to.clone(), share: Weight::FULL }
    }

    /// Whether the order makes sense.
    ///
    /// # Errors
    ///
    /// [`InvalidOrder`] says why not.
    pub fn check(&self) -> Result<(), InvalidOrder> {
        let (from, to) = (&self.from.model, &self.to.model);
        if from == to {
            return Err(InvalidOrder::Nowhere(from.clone()));
        }
        if from.name() != to.name() {
            return Err(InvalidOrder::OtherModel(from.clone(), to.clone()));
        }
        if self.patience.max(self.drain) > LONGEST {
            return Err(InvalidOrder::TooLong);
        }
        Ok(())
    }
}

/// The candidate of a rollout to `channel` that has begun and found neither of its good ends. A journal that
/// cannot be read is no reason not to go back: then the channel alone says what is in service.
async fn tried(world: &World, route: &RouteId, channel: &Channel) -> Option<Release> {
    let journal = RouteJournal::open(Arc::clone(&world.log), route).await.ok()?;
    let (_, rollout) = journal.latest()?;
    let over = matches!(
        rollout.state(),
        State::Promoted | State::RolledBack { .. } | State::Seized { .. } | State::Unsettled { .. }
    );
    let plan = rollout.plan();
    (!over && plan.channel == *channel && !rollout.promotion_is_recorded()).then(|| plan.candidate.clone())
}
