//! What is to be undone, chosen from a channel's history.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_canary::{LONGEST, Release, RolloutId, RouteId, Slot, Weight, Workload, World};
use tidegate_registry::{Channel, ModelRef, Seq};

use crate::{
    Choice, Error, Intent, InvalidRecovery, Recovery,
    search::{Found, Leaving, Search},
};

/// What is to be undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers change single fields")]
pub struct Order {
    /// The route whose traffic goes back.
    pub route: RouteId,
    /// The channel that records it.
    pub channel: Channel,
    /// The channel's last move when it was chosen: whoever moves the channel after that decides otherwise, and the
    /// rollback is stuck rather than to overrule that. Without it, it is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Seq>,
    /// What is to be left.
    pub from: Release,
    /// Where to go.
    pub to: Release,
    /// Why, in words.
    pub reason: String,
    /// The person who has ordered it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The watch that has ordered it, if one has: by itself, or because the person asked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<RolloutId>,
    /// Why it goes there: what was asked for and what was passed over, as it was known when it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// How long a side may take to become ready, and a router to obey.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// How long requests in flight may take to end before their side is removed.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// Whether the content of what is left goes into quarantine: no plan and no promotion takes it until a person
    /// lifts that.
    #[serde(default)]
    pub quarantine: bool,
    /// What shows that it has helped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// An order that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOrder {
    /// There is nothing to undo.
    #[error("the order leads from {0} to itself; name another target")]
    Nowhere(ModelRef),
    /// Nobody would know why.
    #[error("the order gives no reason; say why, somebody will ask")]
    NoReason,
    /// Another model is wanted.
    #[error("the order leads from {0} to {1}, which is another model; name a version of the same one")]
    OtherModel(ModelRef, ModelRef),
    /// What is to show that it helped cannot.
    #[error(transparent)]
    Recovery(#[from] InvalidRecovery),
    /// Nothing would change.
    #[error("{0} and {1} have the same content, so going back would change nothing; name another target")]
    SameContent(ModelRef, ModelRef),
    /// A duration is longer than a year.
    #[error("patience or drain of the order is longer than a year; write for example 5m")]
    TooLong,
}

impl Order {
    /// The order that `intent` leads to, and why there. Patience is 5 min, drain 30 s; nothing goes into quarantine, and
    /// whether it helped is not asked. Nothing is changed by choosing.
    ///
    /// The deployer is asked whether it could make the target run ([`rehearse`](tidegate_canary::Deployer::rehearse)). What
    /// it refuses is passed over, or refused where it was asked for; one that cannot tell within 5 s is not waited for.
    ///
    /// What is to be left is what the route is on the way to: the candidate of a rollout that is under way or
    /// stuck, otherwise what the channel points to. So while a candidate is tried, the last known good version is the
    /// one in service.
    ///
    /// # Errors
    ///
    /// [`Error::NoTarget`] when there is nowhere to go, [`Error::Registry`] when the registry cannot be read,
    /// [`Error::Unsure`] when it cannot be read what is in quarantine.
    pub async fn choose(world: &World, intent: Intent) -> Result<(Self, Choice), Error> {
        let Intent { route, name, channel, target, reason, reading, unsure } = intent;
        let (leaving, target) = (Leaving::WhatIs(&name), &target);
        let search = Search { world, route: &route, leaving, channel: &channel, target, reading, unsure };
        let found = search.run(&mut Vec::new()).await?;
        let choice = found.choice.clone();
        Ok((Self::to(route, channel, found, reason), choice))
    }

    /// With the defaults of [`choose`](Self::choose).
    pub(crate) fn to(route: RouteId, channel: Channel, found: Found, reason: String) -> Self {
        let Found { from, to, choice, head } = found;
        Self {
            route,
            channel,
            head,
            from,
            to,
            reason,
            by: None,
            watch: None,
            choice: Some(choice),
            patience: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(30),
            quarantine: false,
            recovery: None,
        }
    }

    /// Whether both want the same, whatever was known when each was chosen.
    pub(crate) fn wants_what(&self, other: &Self) -> bool {
        let wanted = |order: &Self| Self { choice: None, ..order.clone() };
        wanted(self) == wanted(other)
    }

    /// Who has ordered it, in words, where that is known: a person, a watch, or a person by a watch.
    #[must_use]
    pub fn orderer(&self) -> Option<String> {
        match (&self.by, &self.watch) {
            (Some(by), Some(watch)) => Some(format!("{by}, by watch {watch}")),
            (Some(by), None) => Some(by.clone()),
            (None, Some(watch)) => Some(format!("watch {watch}")),
            (None, None) => None,
        }
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
        if self.from.digest == self.to.digest {
            return Err(InvalidOrder::SameContent(from.clone(), to.clone()));
        }
        if self.reason.trim().is_empty() {
            return Err(InvalidOrder::NoReason);
        }
        if from.name() != to.name() {
            return Err(InvalidOrder::OtherModel(from.clone(), to.clone()));
        }
        if self.patience.max(self.drain) > LONGEST {
            return Err(InvalidOrder::TooLong);
        }
        self.recovery.as_ref().map_or(Ok(()), Recovery::check)?;
        Ok(())
    }
}
