//! What can happen to a rollback, and what it owes.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tidegate_canary::{
    Release, Side, Slot, Traffic,
    metrics::{Measurement, Window},
};
use tidegate_registry::Seq;

use super::{State, Took};

/// What happened to a rollback. Journaled, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// A person calls it off, while no traffic has gone to the target yet.
    Aborted {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// What was left is in quarantine.
    Condemned,
    /// Another release has replaced the target, which was in service and is what the deployer was told.
    Displaced {
        /// What runs.
        runs: Release,
        /// What is known of it.
        why: String,
    },
    /// The time that was waited for has come.
    Elapsed,
    /// What was owed cannot be done; repeating it did not help.
    Failed {
        /// Why.
        why: String,
    },
    /// The channel was moved by somebody since this has recorded the target there, and another release runs, or may.
    Moved {
        /// Where it points, and what is known of what runs.
        why: String,
    },
    /// A window closed, and this was seen of the target in it.
    Observed {
        /// The window.
        window: Window,
        /// One for each criterion of the recovery, in its order.
        seen: Vec<Measurement>,
    },
    /// What was owed cannot be done; repeating it did not help, and what follows does not need it.
    Omitted {
        /// Why.
        why: String,
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
    /// A rollout was under way on the route that was taken.
    Took(Took),
    /// What was owed could not be asked of who would do it, for as long as that was waited for: nothing is known to be wrong
    /// with the target.
    Unreached {
        /// Who: the router, the deployer or the registry.
        who: String,
        /// Why.
        why: String,
    },
    /// The target exists, and this is how things stand.
    Verified {
        /// Where the way back begins.
        way: Way,
    },
}

/// Where the way back begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Way {
    /// The candidate's slot has traffic, and the stable slot can take it over: the candidate's slot is freed
    /// first.
    Busy,
    /// The candidate's slot has no traffic: the target is staged there.
    Free,
    /// There is no other slot than stable: the target replaces what runs there, under traffic, if it does not run there
    /// already.
    InPlace,
    /// The candidate's slot has traffic and the stable slot cannot take any: the target goes there directly.
    Occupied,
    /// The target runs in the candidate's slot and has traffic there already, as an earlier rollback has left it: it
    /// gets all of it.
    Staged,
    /// The target is ready in the stable slot already, as it is while a rollout is under way.
    There,
}

/// What is owed in a state. Where `Failed` can happen, `Unreached` can.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duty {
    /// Put all traffic on the stable slot, if any release is ready there: `Routed` or `Failed`, or `Verified` as
    /// [`Way::Occupied`] where none is.
    Clear,
    /// Put what was left into quarantine: `Condemned` or `Omitted`.
    Condemn,
    /// Make the target run in `slot`: `Ready` or `Failed`; or `Moved`, where it was in service before.
    Ensure {
        /// The slot.
        slot: Slot,
    },
    /// It is over.
    Nothing,
    /// Look at a window once it is complete: `Observed`. Where another release runs by then, `Displaced` if the deployer was
    /// told the target, `Failed` if somebody has deployed the other, and `Moved` if the channel says so, too.
    Observe {
        /// The window.
        window: Window,
        /// When its observations are complete.
        due: SystemTime,
        /// The side to look at.
        side: Side,
    },
    /// Record the move in the channel: `Recorded` or `Failed`.
    Record,
    /// Empty the candidate's slot: `Removed` or `Omitted`.
    Remove,
    /// Put `traffic` in force and see it there: `Routed` or `Failed`.
    Route {
        /// The traffic.
        traffic: Traffic,
        /// The slot in which the target must be ready for it.
        on: Slot,
    },
    /// Look at the target: `Verified` or `Failed`; and `Took` before, where a rollout was under way.
    Verify,
    /// Let requests in flight end: `Elapsed`.
    Wait {
        /// Until then.
        until: SystemTime,
    },
}

/// An event that makes no sense in the state that a rollback is in: its journal is damaged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{event:?}` is not possible while the rollback is {state}")]
pub struct IllegalEvent {
    event: Box<Event>,
    state: Box<State>,
}

impl IllegalEvent {
    pub(super) fn new(event: &Event, state: &State) -> Self {
        Self { event: Box::new(event.clone()), state: Box::new(state.clone()) }
    }
}
