//! What can happen to a rollout, and what can be asked of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tidegate_metrics::{Measurement, Window};
use tidegate_registry::{Digest, Seq};

use crate::{Plan, Slot};

/// What happened (in the past tense) or was asked (in the imperative). Journaled, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// The channel does not let the candidate in any more.
    Barred {
        /// Why.
        why: String,
    },
    /// The plan fits the world: the router can do it, the candidate exists, the channel is where the plan says.
    Checked,
    /// The route was not as it was owed; where the plan wants it, it is again. What was seen up to now says
    /// nothing.
    Drifted {
        /// How it was found.
        why: String,
    },
    /// The time that was waited for has come.
    Elapsed,
    /// Other freezes of the plan are on than before.
    Frozen {
        /// Which are on now, by their places in the plan's list.
        on: BTreeSet<usize>,
        /// The same in words.
        why: String,
    },
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
    /// A gate has opened.
    Opened {
        /// Its place in the step's list.
        gate: usize,
        /// What opened it.
        by: String,
    },
    /// What was to run is ready.
    Ready,
    /// The channel says so now.
    Recorded {
        /// The record of the move.
        seq: Seq,
    },
    /// Stable, which was not, is ready again.
    Recovered,
    /// The candidate's slot is empty, and that of the baseline.
    Removed,
    /// The traffic that was owed is in force, and was seen to be.
    Routed,
    /// The channel says that the version finished its bake.
    Settled,
    /// A gate stays shut for good.
    Shut {
        /// Its place in the step's list.
        gate: usize,
        /// What keeps it shut.
        by: String,
        /// Why.
        reason: String,
    },
    /// No freeze is on any more.
    Thawed,
    /// Nobody could say what traffic was in force. What was seen in that window says nothing.
    Unseen {
        /// Why.
        why: String,
    },
    /// What runs in a slot does not any more: the candidate, for good; or stable, for now.
    Unready {
        /// The slot.
        slot: Slot,
        /// What was seen.
        why: String,
    },

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        /// The content of the candidate that was looked at; it has to be that of the plan.
        digest: Digest,
    },
    /// To stay where it is. Observation goes on, and evidence against the candidate still counts.
    Hold {
        /// Who asks.
        by: String,
    },
    /// To take the freezes that are on for none. One that begins later counts.
    Override {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// To send everything to the candidate and promote it, without further proof.
    Promote {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// To give up at the gate and return to stable.
    Reject {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// To return to stable, forget what was seen, and begin again with another plan for the same route.
    Replace {
        /// Who asks.
        by: String,
        /// The other plan.
        plan: Box<Plan>,
    },
    /// To go on.
    Resume {
        /// Who asks.
        by: String,
    },
    /// To take the step for done, whatever is missing.
    Skip {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
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
            Self::Override { .. } => "override",
            Self::Promote { .. } => "promote",
            Self::Reject { .. } => "reject",
            Self::Replace { .. } => "replace",
            Self::Resume { .. } => "resume",
            Self::Skip { .. } => "skip",
        }
    }

    /// Who asks.
    #[must_use]
    pub fn by(&self) -> &str {
        match self {
            Self::Abort { by, .. }
            | Self::Approve { by, .. }
            | Self::Hold { by }
            | Self::Override { by, .. }
            | Self::Promote { by, .. }
            | Self::Reject { by, .. }
            | Self::Replace { by, .. }
            | Self::Resume { by }
            | Self::Skip { by, .. } => by,
        }
    }
}

impl Event {
    /// Its name, as it is written in a journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ask(request) => request.name(),
            Self::Barred { .. } => "barred",
            Self::Checked => "checked",
            Self::Drifted { .. } => "drifted",
            Self::Elapsed => "elapsed",
            Self::Failed { .. } => "failed",
            Self::Frozen { .. } => "frozen",
            Self::Observed { .. } => "observed",
            Self::Opened { .. } => "opened",
            Self::Ready => "ready",
            Self::Recorded { .. } => "recorded",
            Self::Recovered => "recovered",
            Self::Removed => "removed",
            Self::Routed => "routed",
            Self::Seize { .. } => "seize",
            Self::Settled => "settled",
            Self::Shut { .. } => "shut",
            Self::Thawed => "thawed",
            Self::Unready { .. } => "unready",
            Self::Unseen { .. } => "unseen",
        }
    }
}
