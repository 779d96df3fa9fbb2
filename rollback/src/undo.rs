//! The way back: a pure machine. No clock, no I/O; the [driver](crate::Rollback) does what it owes.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_canary::{Slot, Traffic, Weight};
use tidegate_registry::Seq;

use crate::Order;

/// A rollback under way: its order, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    order: Order,
    state: State,
    since: SystemTime,
}

/// How far a rollback is, in the order of its life.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The target is to be looked at: it exists, and where it runs.
    Verify,
    /// All traffic is to go to the stable slot as it is, so that the candidate's slot is free.
    Clear,
    /// Requests in flight on the candidate's slot are to end, before the target takes it.
    Ebb,
    /// The target is to be made to run beside what is in service.
    Stage,
    /// All traffic is to go to the staged target.
    Shift,
    /// Requests in flight on the stable slot are to end, before the target takes it.
    Still,
    /// The target is to be made to run in the stable slot.
    Restore,
    /// All traffic is to go to the stable slot, which runs the target.
    Return,
    /// The channel is to say so.
    Record,
    /// Requests in flight on the candidate's slot are to end.
    Drain {
        /// The record of the move.
        recorded: Seq,
    },
    /// The candidate's slot, now without traffic, is to be emptied.
    Retire {
        /// The record of the move.
        recorded: Seq,
    },
    /// The end that was wanted: all traffic is on the target, and the channel says so.
    Done {
        /// The record of the move.
        recorded: Seq,
    },
    /// An end for a person.
    Stuck {
        /// What it was doing.
        during: &'static str,
        /// Why that did not work.
        why: String,
        /// What a person must do now.
        remedy: &'static str,
    },
}

/// What happened to a rollback. Journaled, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// The time that was waited for has come.
    Elapsed,
    /// What was owed cannot be done; repeating it did not help.
    Failed {
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
    /// The candidate's slot has traffic and the stable slot cannot take any: the target goes there directly.
    Occupied,
    /// The target is ready in the stable slot already, as it is while a rollout is under way.
    There,
}

/// What is owed in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duty {
    /// Make the target run in `slot`: `Ready` or `Failed`.
    Ensure {
        /// The slot.
        slot: Slot,
    },
    /// It is over.
    Nothing,
    /// Record the move in the channel: `Recorded` or `Failed`.
    Record,
    /// Empty the candidate's slot: `Removed` or `Failed`.
    Remove,
    /// Put `traffic` in force and see it there: `Routed` or `Failed`.
    Route {
        /// The traffic.
        traffic: Traffic,
        /// The slot in which the target must be ready for it, if it must.
        on: Option<Slot>,
    },
    /// Look at the target: `Verified` or `Failed`.
    Verify,
    /// Let requests in flight end: `Elapsed`.
    Wait {
        /// Until then.
        until: SystemTime,
    },
}

/// An event that makes no sense in the state that a rollback is in: its journal is damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{event:?}` is not possible while the rollback is {state}")]
pub struct IllegalEvent {
    event: Event,
    state: State,
}

impl Undo {
    /// A rollback that has not begun, ordered at `at`.
    #[must_use]
    pub const fn new(order: Order, at: SystemTime) -> Self {
        Self { order, state: State::Verify, since: at }
    }

    /// Takes in what happened, at `at`.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] when it is not possible now; nothing has changed then.
    pub fn apply(&mut self, event: &Event, at: SystemTime) -> Result<(), IllegalEvent> {
        self.state = match (&self.state, event) {
            (State::Verify, Event::Verified { way: Way::There }) => State::Return,
            (State::Verify, Event::Verified { way: Way::Busy }) => State::Clear,
            (State::Verify, Event::Verified { way: Way::Free }) => State::Stage,
            (State::Verify, Event::Verified { way: Way::Occupied }) => State::Restore,
            (State::Clear, Event::Routed) => State::Ebb,
            (State::Ebb, Event::Elapsed) => State::Stage,
            (State::Stage, Event::Ready) => State::Shift,
            (State::Shift, Event::Routed) => State::Still,
            (State::Still, Event::Elapsed) => State::Restore,
            (State::Restore, Event::Ready) => State::Return,
            (State::Return, Event::Routed) => State::Record,
            (State::Record, &Event::Recorded { seq }) => State::Drain { recorded: seq },
            (&State::Drain { recorded }, Event::Elapsed) => State::Retire { recorded },
            (&State::Retire { recorded }, Event::Removed) => State::Done { recorded },
            (state, Event::Failed { why }) => match remedy(state) {
                Some(remedy) => State::Stuck { during: state.doing(), why: why.clone(), remedy },
                None => return Err(IllegalEvent { event: event.clone(), state: state.clone() }),
            },
            (state, event) => return Err(IllegalEvent { event: event.clone(), state: state.clone() }),
        };
        self.since = at;
        Ok(())
    }

    /// What is owed now: a function of where it is, and of nothing else.
    #[must_use]
    pub fn duty(&self) -> Duty {
        match self.state {
            State::Verify => Duty::Verify,
            State::Clear => Duty::Route { traffic: Traffic::stable(), on: None },
            State::Stage => Duty::Ensure { slot: Slot::Candidate },
            State::Shift => Duty::Route { traffic: Traffic::split(Weight::FULL), on: Some(Slot::Candidate) },
            State::Restore => Duty::Ensure { slot: Slot::Stable },
            State::Return => Duty::Route { traffic: Traffic::stable(), on: Some(Slot::Stable) },
            State::Record => Duty::Record,
            State::Drain { .. } | State::Ebb | State::Still => {
                Duty::Wait { until: self.since + self.order.drain }
            }
            State::Retire { .. } => Duty::Remove,
            State::Done { .. } | State::Stuck { .. } => Duty::Nothing,
        }
    }

    /// When to give up on what is owed now.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.since + self.order.patience
    }

    /// What is being undone.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// How far it is.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Stuck { .. })
    }

    /// What it is doing, as the rest of a sentence that begins "the rollback is".
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::Clear => "freeing the candidate's slot",
            Self::Done { .. } => "done",
            Self::Drain { .. } | Self::Ebb | Self::Still => "letting requests in flight end",
            Self::Record => "recording the move",
            Self::Restore => "making the target run in the stable slot",
            Self::Retire { .. } => "emptying the candidate's slot",
            Self::Return => "moving traffic to the restored stable slot",
            Self::Shift => "moving traffic to the target",
            Self::Stage => "making the target run",
            Self::Stuck { .. } => "stuck and needs a person",
            Self::Verify => "looking at the target",
        }
    }
}

/// What a person must do when what is owed in `state` cannot be done; `None` where nothing can fail.
const fn remedy(state: &State) -> Option<&'static str> {
    match state {
        State::Verify => Some("traffic is as it was; choose another target"),
        State::Clear => Some("traffic is as it was; mend the router, then roll back again"),
        State::Stage => {
            Some("all traffic is on the version to be left; choose another target, or mend what runs it")
        }
        State::Shift => {
            Some("the target runs in the candidate's slot; mend the router, then roll back again")
        }
        State::Restore => Some(
            "the target has all traffic, from the candidate's slot; mend the stable slot, then roll back again",
        ),
        State::Return => {
            Some("the target runs in the stable slot; mend the router, then send all traffic to stable")
        }
        State::Record => Some(
            "all traffic is on the target but the channel does not say so; look at the channel's history, then promote the target by hand",
        ),
        State::Retire { .. } => Some("the rollback is complete; remove the candidate's slot by hand"),
        State::Done { .. } | State::Drain { .. } | State::Ebb | State::Still | State::Stuck { .. } => None,
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { during, why, remedy } => {
                write!(f, "{} while {during}: {why}; {remedy}", self.doing())
            }
            _ => f.write_str(self.doing()),
        }
    }
}
