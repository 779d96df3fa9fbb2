//! What can happen to a rollout, and what can be asked of it.

use serde::{Deserialize, Serialize};
use tidegate_metrics::{Measurement, Window};
use tidegate_registry::Seq;

/// What happened (in the past tense) or was asked (in the imperative). Journaled, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// The plan fits the world: the router can do it, the candidate exists, the channel is where the plan says.
    Checked,
    /// The route was not as it was owed, or nobody could say; it is again. What was seen up to now says nothing.
    Drifted {
        /// How it was found.
        why: String,
    },
    /// The time that was waited for has come.
    Elapsed,
    /// What was owed cannot be done; repeating it did not help.
    Failed {
        /// Why.
        why: String,
    },
    /// A window closed, and this was seen in it.
    Observed {
        /// The window.
        window: Window,
        /// One for each criterion of the plan, in its order.
        samples: Vec<Sample>,
    },
    /// What was to run is ready.
    Ready,
    /// The channel says so now.
    Recorded {
        /// The record of the move.
        seq: Seq,
    },
    /// The candidate's slot is empty.
    Removed,
    /// The traffic that was owed is in force, and was seen to be.
    Routed,
    /// The channel says that the version finished its bake.
    Settled,

    /// Somebody asks for something.
    Ask(Request),
    /// A rollback or another authority took the route; nothing more is to be done here.
    Seize {
        /// Who.
        by: String,
    },
}

/// What one criterion's metric was in a window, on the judged side and on the one it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Sample {
    /// The side being judged.
    pub candidate: Measurement,
    /// The side in service, where the criterion compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Measurement>,
}

/// What a person can ask of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Request {
    /// To give up and return to stable.
    Abort {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// To go through the gate.
    Approve {
        /// Who asks.
        by: String,
    },
    /// To stay where it is. Observation goes on, and evidence against the candidate still counts.
    Hold {
        /// Who asks.
        by: String,
    },
    /// To give up at the gate and return to stable.
    Reject {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// To go on.
    Resume {
        /// Who asks.
        by: String,
    },
}

impl Request {
    /// Its name, as it is written in a journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Abort { .. } => "abort",
            Self::Approve { .. } => "approve",
            Self::Hold { .. } => "hold",
            Self::Reject { .. } => "reject",
            Self::Resume { .. } => "resume",
        }
    }
}

impl Event {
    /// Its name, as it is written in a journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ask(request) => request.name(),
            Self::Checked => "checked",
            Self::Drifted { .. } => "drifted",
            Self::Elapsed => "elapsed",
            Self::Failed { .. } => "failed",
            Self::Observed { .. } => "observed",
            Self::Ready => "ready",
            Self::Recorded { .. } => "recorded",
            Self::Removed => "removed",
            Self::Routed => "routed",
            Self::Seize { .. } => "seize",
            Self::Settled => "settled",
        }
    }
}
