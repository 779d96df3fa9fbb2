//! Where a rollout can be.

use std::{fmt, time::SystemTime};

use tidegate_registry::Seq;

/// Where a rollout is, in the order of a life. Each state knows only what it needs and owes one [`Duty`](crate::Duty).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// The plan is to be checked against the world. Nothing has moved.
    Preflight,
    /// The candidate is to be made to run.
    Provision {
        /// Since when.
        since: SystemTime,
    },
    /// The ready candidate runs without traffic, to fill its caches.
    Warm {
        /// Since when.
        since: SystemTime,
    },
    /// The traffic of a step is to be put in force.
    Shift {
        /// The step, from 0.
        step: usize,
        /// Since when.
        since: SystemTime,
    },
    /// The traffic of a step is in force and is being judged.
    Analyse {
        /// The step, from 0.
        step: usize,
        /// Since when.
        since: SystemTime,
        /// The start of the window that is observed next.
        from: SystemTime,
        /// Requests that the candidate had answered before.
        trials: u64,
    },
    /// The step went well; a person has to approve.
    Gate {
        /// The step, from 0.
        step: usize,
        /// The start of the window that is observed next.
        from: SystemTime,
    },
    /// The candidate carries everything; its release is to be made to run in the stable slot too.
    Renew {
        /// Since when.
        since: SystemTime,
    },
    /// Traffic is to go to the stable slot, which runs the new release.
    Return {
        /// Since when.
        since: SystemTime,
    },
    /// The promotion is to be recorded in the channel.
    Record {
        /// Since when.
        since: SystemTime,
    },
    /// Requests in flight on the candidate's slot are to end.
    Drain {
        /// Since when.
        since: SystemTime,
        /// The record of the promotion.
        promoted: Seq,
    },
    /// The candidate's slot, now without traffic, is to be emptied.
    Retire {
        /// Since when.
        since: SystemTime,
        /// The record of the promotion.
        promoted: Seq,
    },
    /// The promoted version is being watched.
    Bake {
        /// Since when.
        since: SystemTime,
        /// The start of the window that is observed next.
        from: SystemTime,
        /// The record of the promotion.
        promoted: Seq,
    },
    /// The end of the bake is to be recorded in the channel.
    Settle {
        /// Since when.
        since: SystemTime,
        /// The record of the promotion.
        promoted: Seq,
    },

    /// All traffic is to go back to stable.
    Retreat {
        /// Since when.
        since: SystemTime,
        /// Why.
        cause: Cause,
    },
    /// Traffic is back; requests in flight on the candidate are to end.
    Ebb {
        /// Since when.
        since: SystemTime,
        /// Why.
        cause: Cause,
    },
    /// The candidate, now without traffic, is to be removed.
    Withdraw {
        /// Since when.
        since: SystemTime,
        /// Why.
        cause: Cause,
    },

    /// The end that was wanted: promoted, baked and settled.
    Promoted,
    /// An end: all traffic is on stable and the candidate is gone.
    RolledBack {
        /// Why.
        cause: Cause,
    },
    /// An end: somebody else took the route.
    Seized {
        /// Who.
        by: String,
    },
    /// An end for a person: something could not be done that must not be left undone.
    Stuck {
        /// What it was doing.
        during: &'static str,
        /// Why that did not work.
        why: String,
        /// What a person must do now.
        remedy: &'static str,
    },
    /// An end: promoted, but the bake went badly. The version is not a last known good; roll it back.
    Unsettled {
        /// Why.
        cause: Cause,
    },
}

/// Why a rollout did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Something that was owed could not be done.
    Broken {
        /// What, and why.
        why: String,
    },
    /// The evidence was against the candidate.
    Failed {
        /// The criteria that failed, in words, with their numbers.
        judgements: Vec<String>,
    },
    /// Somebody kept the gate shut.
    Rejected {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Somebody asked for it.
    Requested {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The horizon was reached undecided. This says nothing against the candidate.
    Undecided,
}

/// Why a rollout does not go on, although it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pause {
    /// Somebody asked for it.
    Held,
    /// A step has reached the horizon undecided.
    Undecided,
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Promoted
                | Self::RolledBack { .. }
                | Self::Seized { .. }
                | Self::Stuck { .. }
                | Self::Unsettled { .. }
        )
    }

    /// Whether the promoted version is, or has been, watched in its bake.
    #[must_use]
    pub const fn is_bake(&self) -> bool {
        matches!(self, Self::Bake { .. } | Self::Settle { .. } | Self::Promoted | Self::Unsettled { .. })
    }

    /// What it is doing, as the rest of a sentence that begins "the rollout is".
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::Analyse { .. } => "judging the candidate",
            Self::Bake { .. } => "baking the promoted version",
            Self::Drain { .. } | Self::Ebb { .. } => "letting requests in flight end",
            Self::Gate { .. } => "waiting for approval",
            Self::Preflight => "checking its plan",
            Self::Promoted => "over, its candidate promoted",
            Self::Provision { .. } => "making the candidate run",
            Self::Record { .. } => "recording the promotion",
            Self::Renew { .. } => "making the new release run in the stable slot",
            Self::Retire { .. } => "emptying the candidate's slot",
            Self::Retreat { .. } => "returning traffic to stable",
            Self::Return { .. } => "moving traffic to the renewed stable slot",
            Self::RolledBack { .. } => "over, rolled back",
            Self::Seized { .. } => "over, its route taken by somebody else",
            Self::Settle { .. } => "recording the end of the bake",
            Self::Shift { .. } => "moving traffic",
            Self::Stuck { .. } => "stuck and needs a person",
            Self::Unsettled { .. } => "over, promoted but failed its bake",
            Self::Warm { .. } => "warming the candidate up",
            Self::Withdraw { .. } => "removing the candidate",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Analyse { step, .. } | Self::Gate { step, .. } | Self::Shift { step, .. } => {
                write!(f, "{} (step {})", self.doing(), step + 1)
            }
            Self::Ebb { cause, .. }
            | Self::Retreat { cause, .. }
            | Self::RolledBack { cause }
            | Self::Unsettled { cause }
            | Self::Withdraw { cause, .. } => write!(f, "{}: {cause}", self.doing()),
            Self::Seized { by } => write!(f, "{}: {by}", self.doing()),
            Self::Stuck { during, why, remedy } => {
                write!(f, "{} while {during}: {why}; {remedy}", self.doing())
            }
            _ => f.write_str(self.doing()),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { why } => f.write_str(why),
            Self::Failed { judgements } => f.write_str(&judgements.join("; ")),
            Self::Rejected { by, reason } => write!(f, "{by} rejected it: {reason}"),
            Self::Requested { by, reason } => write!(f, "{by} asked for it: {reason}"),
            Self::Undecided => f.write_str("there was not enough evidence within the horizon"),
        }
    }
}
