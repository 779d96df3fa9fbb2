//! A watch under way: a pure machine. No clock, no I/O; the [guard](crate::Guard) does what it owes.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tidegate_canary::{RolloutId, metrics::Verdict};
use tidegate_registry::{BoxError, ModelRef};

use crate::{
    Error, Helped, Look, Order, PassedOver, State as UndoState, Vigilance, Watch,
    ledger::{Ledger, Machine},
};

/// A watch under way: what it guards, and how things are.
///
/// Looks are not events: only what follows from them is. So its journal is short, however long it watches.
#[derive(Clone, Debug, PartialEq)]
pub struct Vigil {
    watch: Watch,
    began: SystemTime,
    state: Vigilance,
}

/// What happened to a watch, or was asked of it. Journaled, so its form is for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum VigilEvent {
    /// Something is wrong.
    Alarmed {
        /// What, in words, with its numbers.
        why: Vec<String>,
        /// What was seen up to then, in the last span, oldest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        looks: Vec<Look>,
        /// Whether it is that nothing was seen, which says nothing against the release's content.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        blind: bool,
    },
    /// Somebody asks for something.
    Ask(VigilRequest),
    /// A rollback begins.
    Begun {
        /// Its id.
        id: RolloutId,
        /// What is undone.
        order: Box<Order>,
        /// What was seen up to then, in the last span, oldest first, where no alarm of the watch itself says so.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        looks: Vec<Look>,
    },
    /// Nothing has been seen for two windows.
    Blinded {
        /// Why.
        why: String,
    },
    /// The time is over.
    Expired {
        /// What the looks of the last span say.
        verdict: Verdict,
    },
    /// There will be no rollback without a person.
    Held {
        /// Why.
        why: String,
        /// What was seen up to then, in the last span, oldest first, where no alarm of the watch itself says so.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        looks: Vec<Look>,
        /// What was passed over, where there is nowhere to go, as it was known then; newest first.
        #[serde(default, rename = "passedOver", skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<(ModelRef, PassedOver)>,
    },
    /// The channel points to another version, or nowhere.
    Moved {
        /// Where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<ModelRef>,
    },
    /// The rollback is over.
    Returned {
        /// Whether all traffic is on the target.
        done: bool,
        /// Whether that was seen to help, if it is done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        helped: Option<Helped>,
        /// How it ended, in words.
        end: String,
    },
    /// Something is seen again.
    Sighted,
}

/// What can be asked of a watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum VigilRequest {
    /// Something is wrong, says another system: evidence like any other.
    Alarm {
        /// Which.
        by: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing is to be done without a person from now on.
    Hold {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// It may act by itself again.
    Resume {
        /// Who asks.
        by: String,
    },
    /// Go back now: a person's decision, which no brake holds up.
    RollBack {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
    /// It is not to watch any longer.
    Stop {
        /// Who asks.
        by: String,
        /// Why.
        reason: String,
    },
}

/// An event that makes no sense in the state that a watch is in. It changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("that is not possible while the watch {state}; {remedy}")]
pub struct IllegalVigilEvent {
    state: Box<Vigilance>,
    remedy: &'static str,
}

impl Vigil {
    /// A watch that begins at `began`.
    #[must_use]
    pub const fn new(watch: Watch, began: SystemTime) -> Self {
        Self { watch, began, state: Vigilance::Watching }
    }

    /// What is guarded, and how.
    #[must_use]
    pub const fn watch(&self) -> &Watch {
        &self.watch
    }

    /// How things are.
    #[must_use]
    pub const fn state(&self) -> &Vigilance {
        &self.state
    }

    /// Whether a person holds it still, which another watch of the same release must not undo.
    pub(crate) fn is_held_for(&self, watch: &Watch) -> bool {
        matches!(self.state, Vigilance::Held { by: Some(_), .. }) && self.watch.release == watch.release
    }

    /// When it is over, if nothing happens.
    #[must_use]
    pub fn until(&self) -> SystemTime {
        self.began + self.watch.lasts
    }

    /// Takes in what happened or was asked, at `at`.
    ///
    /// # Errors
    ///
    /// [`IllegalVigilEvent`] when it is not possible now; nothing has changed then.
    pub fn apply(&mut self, event: &VigilEvent, at: SystemTime) -> Result<(), IllegalVigilEvent> {
        use Vigilance::{Alarmed, Blind, Held, Kept, Moved, Returned, Returning, Stopped, Watching};
        self.state = match (&self.state, event) {
            (state, event) if state.is_end() => return Err(illegal(state, event)),
            (Watching | Blind { .. }, VigilEvent::Alarmed { why, blind, .. }) => {
                Alarmed { why: why.clone(), by: None, blind: *blind }
            }
            (Watching | Blind { .. }, VigilEvent::Ask(VigilRequest::Alarm { by, reason })) => {
                Alarmed { why: vec![format!("{by}: {reason}")], by: None, blind: false }
            }
            // It is written down, and what holds it still does.
            (
                Held { .. } | Alarmed { .. } | Returning { .. },
                VigilEvent::Ask(VigilRequest::Alarm { .. }),
            ) => {
                return Ok(());
            }
            (Watching, VigilEvent::Blinded { why }) => Blind { since: at, why: why.clone() },
            (Blind { .. }, VigilEvent::Sighted) => Watching,
            (Alarmed { .. }, VigilEvent::Held { why, .. }) => Held { why: why.clone(), by: None },
            (Alarmed { .. }, VigilEvent::Begun { id, order, .. }) => {
                Returning { id: id.clone(), order: order.clone() }
            }
            (Returning { id, .. }, VigilEvent::Returned { done, helped, end }) => {
                Returned { id: id.clone(), done: *done, helped: *helped, end: end.clone() }
            }
            (Watching | Blind { .. }, VigilEvent::Expired { verdict }) => Kept { verdict: *verdict },
            (Watching | Blind { .. } | Alarmed { .. } | Held { .. }, VigilEvent::Moved { to }) => {
                Moved { to: to.clone() }
            }
            (
                Watching | Blind { .. } | Alarmed { .. } | Held { .. },
                VigilEvent::Ask(VigilRequest::Hold { by, reason }),
            ) => Held { why: reason.clone(), by: Some(by.clone()) },
            (Held { .. }, VigilEvent::Ask(VigilRequest::Resume { .. })) => Watching,
            (
                Watching | Blind { .. } | Alarmed { .. } | Held { .. },
                VigilEvent::Ask(VigilRequest::RollBack { by, reason }),
            ) => Alarmed { why: vec![reason.clone()], by: Some(by.clone()), blind: false },
            (
                Watching | Blind { .. } | Alarmed { .. } | Held { .. },
                VigilEvent::Ask(VigilRequest::Stop { by, reason }),
            ) => Stopped { by: by.clone(), reason: reason.clone() },
            (state, event) => return Err(illegal(state, event)),
        };
        Ok(())
    }
}

fn illegal(state: &Vigilance, event: &VigilEvent) -> IllegalVigilEvent {
    let remedy = match (state, event) {
        (state, _) if state.is_end() => "open a new one",
        (Vigilance::Returning { .. }, VigilEvent::Ask(_)) => {
            "wait until the rollback has ended, or take the route from it by another"
        }
        (_, VigilEvent::Ask(VigilRequest::Resume { .. })) => "nobody holds it",
        _ => "that is not what is owed",
    };
    IllegalVigilEvent { state: Box::new(state.clone()), remedy }
}

impl Ledger<Vigil> {
    /// Asks something of the watch that is open, whoever keeps it and wherever: its guard takes it in when it next
    /// [looks](crate::Guard::looking_every); where none runs, whoever opens the watch again does.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] when that is not possible now, [`Error::NothingOpened`] when there is no watch to ask;
    /// otherwise the journal's errors.
    pub async fn ask(&mut self, request: VigilRequest, at: SystemTime) -> Result<(), Error> {
        self.insist(VigilEvent::Ask(request), at).await
    }
}

impl VigilRequest {
    /// Who asks.
    #[must_use]
    pub fn by(&self) -> &str {
        match self {
            Self::Alarm { by, .. }
            | Self::Hold { by, .. }
            | Self::Resume { by }
            | Self::RollBack { by, .. }
            | Self::Stop { by, .. } => by,
        }
    }
}

impl Machine for Vigil {
    type Event = VigilEvent;
    type Order = Watch;

    const KIND: &'static str = "watch";

    fn begin(watch: Watch, at: SystemTime) -> Self {
        Self::new(watch, at)
    }

    fn happen(&mut self, event: &VigilEvent, at: SystemTime) -> Result<(), BoxError> {
        self.apply(event, at).map_err(Into::into)
    }
}

/// Another rollback has taken the route from the one that the watch ordered.
pub(crate) fn overtaken() -> VigilEvent {
    let end = "overtaken by another rollback of the route, which has the say now".to_owned();
    VigilEvent::Returned { done: false, helped: None, end }
}

/// How a rollback ended, for the journal of the watch that ordered it.
pub(crate) fn returned(end: &UndoState) -> VigilEvent {
    let helped = match end {
        UndoState::Done { helped, .. } => Some(*helped),
        _ => None,
    };
    VigilEvent::Returned { done: helped.is_some(), helped, end: end.to_string() }
}
