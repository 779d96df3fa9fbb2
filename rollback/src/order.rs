//! What is to be undone, chosen from a channel's history.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tidegate_canary::{Release, RouteId, World};
use tidegate_registry::{Channel, Channels, ModelName};

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

impl Order {
    /// The order to take `route` from what `channel` of `name` points to back to `target`, and why there.
    /// Patience is 5 min, drain 30 s.
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
        let choice = target.choose(&channels.history(name, &channel).await.map_err(Error::Registry)?)?;
        let from = world.store.manifest(&choice.from).await.map_err(Error::Registry)?;
        let to = world.store.manifest(&choice.to).await.map_err(Error::Registry)?;
        let order = Self {
            route,
            channel,
            from: Release::from(&from),
            to: Release::from(&to),
            reason: reason.into(),
            patience: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(30),
        };
        Ok((order, choice))
    }
}
