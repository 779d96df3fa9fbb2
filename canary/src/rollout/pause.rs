//! Why a rollout does not go on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a rollout does not go on, although it could. Several may hold at once; it goes on when none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Pause {
    /// Somebody has changed the traffic, and the plan leaves it to a person what to do.
    Drifted,
    /// A freeze of the plan is on.
    Frozen,
    /// Somebody asked for it.
    Held,
    /// The router does not keep to the weights.
    Misrouted,
    /// No source of metrics answers.
    Outage,
    /// Stable is not ready: there is nothing to compare with, and nowhere to return to.
    StableUnready,
    /// A step has reached the horizon undecided.
    Undecided,
}

impl Pause {
    /// Whether only a person ends it. The others end by themselves once their reason does.
    #[must_use]
    pub const fn is_for_a_person(self) -> bool {
        matches!(self, Self::Drifted | Self::Held | Self::Misrouted | Self::Undecided)
    }
}

/// As the rest of a sentence that begins "it does not go on, since".
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Drifted => "somebody has changed the traffic",
            Self::Frozen => "a freeze is on",
            Self::Held => "somebody holds it",
            Self::Misrouted => "the router does not keep to the weights",
            Self::Outage => "no source of metrics answers",
            Self::StableUnready => "stable is not ready",
            Self::Undecided => "the horizon was reached undecided",
        })
    }
}
