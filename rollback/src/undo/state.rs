//! How far a rollback can be.

use std::{borrow::Cow, fmt, time::SystemTime};

use tidegate_registry::Seq;

use crate::Helped;

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
    /// The target is to replace what runs in the stable slot, under traffic.
    Replace,
    /// All traffic is to go to the stable slot, which runs the target.
    Return,
    /// The channel is to say so.
    Record,
    /// What was left is to be put into quarantine.
    Condemn {
        /// The record of the move.
        recorded: Seq,
    },
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
    /// The target, now in service, is watched.
    Prove {
        /// The record of the move.
        recorded: Seq,
        /// The start of the window that is observed next.
        from: SystemTime,
    },
    /// What was left has replaced the target, which was in service, and is to be replaced by it once more.
    Reassert {
        /// The record of the move.
        recorded: Seq,
    },
    /// The end that was wanted: all traffic is on the target, and the channel says so.
    Done {
        /// The record of the move.
        recorded: Seq,
        /// Whether it was seen to help.
        helped: Helped,
    },
    /// The end that a person wanted: traffic never went to the target.
    Aborted {
        /// Who called it off.
        by: String,
        /// Why.
        reason: String,
        /// What a person must do now, if anything.
        remedy: Option<String>,
    },
    /// An end for a person.
    Stuck {
        /// What it was doing.
        during: &'static str,
        /// Why that did not work.
        why: String,
        /// What a person must do now.
        remedy: Cow<'static, str>,
    },
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Aborted { .. } | Self::Done { .. } | Self::Stuck { .. })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Aborted { .. } => "aborted",
            Self::Clear => "clear",
            Self::Condemn { .. } => "condemn",
            Self::Done { .. } => "done",
            Self::Drain { .. } => "drain",
            Self::Ebb => "ebb",
            Self::Prove { .. } => "prove",
            Self::Reassert { .. } => "reassert",
            Self::Record => "record",
            Self::Replace => "replace",
            Self::Restore => "restore",
            Self::Retire { .. } => "retire",
            Self::Return => "return",
            Self::Shift => "shift",
            Self::Stage => "stage",
            Self::Still => "still",
            Self::Stuck { .. } => "stuck",
            Self::Verify => "verify",
        }
    }

    /// Whether users may still be on the version to be left, since no traffic has come to the target on purpose.
    pub(crate) const fn is_before_recovery(&self) -> bool {
        matches!(
            self,
            Self::Clear
                | Self::Ebb
                | Self::Replace
                | Self::Restore
                | Self::Return
                | Self::Shift
                | Self::Stage
                | Self::Verify
        )
    }

    /// What it is doing, as the rest of a sentence that begins "the rollback is".
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::Aborted { .. } => "called off",
            Self::Condemn { .. } => "putting what was left into quarantine",
            Self::Clear => "freeing the candidate's slot",
            Self::Done { .. } => "done",
            Self::Drain { .. } | Self::Ebb | Self::Still => "letting requests in flight end",
            Self::Prove { .. } => "watching the target, now in service",
            Self::Reassert { .. } => "replacing what has come back by the target",
            Self::Record => "recording the move",
            Self::Replace => "replacing what is to be left by the target",
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

/// What a person must do where another release has taken the place of the target.
pub(super) const DISPLACED: &str = "the channel was left pointing to the target, but another release runs in the stable slot and has its traffic; take back what was merged there, or put the target back in the files or the workload, and see that it runs again; where what runs is meant to, promote it instead";

/// What a person must do where another release runs or may, and the channel was moved as well.
pub(super) const MOVED: &str = "somebody has moved the channel since the target was recorded there, and that counts, so what runs was left alone; nothing has to be undone where that was meant; see that what the channel points to runs";

/// What a person must do when what is owed in `state` cannot be done, by whether traffic was moved before, and by who could
/// not be asked for it if that is why; `None` where nothing can fail.
pub(super) fn remedy(state: &State, routed: bool, away: Option<&str>) -> Option<Cow<'static, str>> {
    let (now, then) = match state {
        State::Verify => ("traffic is as it was", "choose another target"),
        State::Clear => ("traffic is as it was", "mend the router, then roll back again"),
        State::Stage => (
            if routed {
                "all traffic is on what runs in the stable slot"
            } else {
                "all traffic is on the version to be left"
            },
            "choose another target, or mend what runs it",
        ),
        State::Shift => ("the target runs in the candidate's slot", "mend the router, then roll back again"),
        State::Restore => (
            if routed {
                "the target has all traffic, from the candidate's slot"
            } else {
                "traffic is as it was, on the candidate's slot, which may run the version to be left"
            },
            "mend the stable slot, then roll back again",
        ),
        State::Return => {
            ("the target runs in the stable slot", "mend the router, then send all traffic to stable")
        }
        _ => return after(state).map(Cow::Borrowed),
    };
    Some(Cow::Owned(match away {
        Some(who) => format!("{now}; mend {who}, then roll back again"),
        None => format!("{now}; {then}"),
    }))
}

/// The same where it does not matter who could not be asked: the target replaces what runs, or has all traffic.
const fn after(state: &State) -> Option<&'static str> {
    match state {
        State::Replace => Some(
            "traffic goes to what runs in the stable slot, which may be the version to be left; mend what keeps the target from replacing it, then roll back again; also should it replace it later by itself, as where a merge request is merged only then, since the channel does not say so before that",
        ),
        State::Prove { .. } | State::Reassert { .. } => Some(DISPLACED),
        State::Record => Some(
            "all traffic is on the target but the channel does not say so; look at the channel's history, then promote the target by hand",
        ),
        State::Condemn { .. } => Some("put what was left into quarantine by hand"),
        State::Retire { .. } => Some("remove what runs in the candidate's slot by hand"),
        _ => None,
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { during, why, remedy } => {
                write!(f, "{} while {during}: {why}; {remedy}", self.doing())
            }
            Self::Aborted { by, reason, remedy } => {
                write!(f, "called off by {by}: {reason}; no traffic went to the target")?;
                match remedy {
                    Some(remedy) => write!(f, "; {remedy}"),
                    None => f.write_str(", which may still run in the candidate's slot"),
                }
            }
            Self::Done { helped: Helped::Proven, .. } => f.write_str("done, and was seen to help"),
            Self::Done { helped: Helped::Unproven, .. } => {
                f.write_str("done, but too little was seen to say whether it helped")
            }
            _ => f.write_str(self.doing()),
        }
    }
}
