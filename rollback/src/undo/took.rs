//! What a rollback has taken its route from, and what that leaves where it moves nothing.

use serde::{Deserialize, Serialize};
use tidegate_canary::{RolloutId, Traffic};
use tidegate_registry::ModelRef;

/// The rollout that was under way when a rollback took its route. It is over by that. Journaled, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Took {
    /// The rollout.
    pub rollout: RolloutId,
    /// What it took for stable.
    pub stable: ModelRef,
    /// The traffic that it had put in force, where the router has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

impl Took {
    /// Whether more than the stable slot may have traffic.
    pub(super) fn is_split(&self) -> bool {
        self.traffic.as_ref().is_none_or(|traffic| *traffic != Traffic::stable())
    }

    /// What a person must do where the rollback ends, and all traffic is on the stable slot or was left as it was.
    pub(super) fn remedy(&self, is_split: bool) -> String {
        let Self { rollout, stable, traffic } = self;
        let over = format!("rollout {rollout}, from which it took the route, is over by that");
        if !is_split {
            return format!("{over}; all traffic is on the stable slot, so open it again under a new id");
        }
        let traffic = traffic.as_ref().map(|traffic| format!(" ({traffic})")).unwrap_or_default();
        format!(
            "{over}, and nobody judges the traffic that it has left{traffic}: roll back to {stable} to have all of it there, then open the rollout again under a new id"
        )
    }
}
