//! Where a rollout can be.

use std::{borrow::Cow, collections::BTreeSet, fmt, time::SystemTime};

use serde::{Deserialize, Serialize};
use tidegate_metrics::Verdict;
use tidegate_registry::Seq;

/// Where a rollout is, in the order of a life. Each state knows only what it needs and owes one [`Duty`](crate::Duty).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    },
    /// The step went well; its gates have to open.
    Gate {
        /// The step, from 0.
        step: usize,
        /// The start of the window that is observed next.
        from: SystemTime,
        /// The gates that are open, by their places in the step's list.
        open: BTreeSet<usize>,
    },
    /// Somebody wants all traffic on the candidate, without further proof.
    Rush {
        /// Since when.
        since: SystemTime,
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

    /// Stable was to be replaced already: the version before is to be made to run there again.
    Restore {
        /// Since when.
        since: SystemTime,
        /// Why.
        cause: Cause,
    },
    /// All traffic is to go back to stable.
    Retreat {
        /// Since when.
        since: SystemTime,
        /// Why.
        cause: Cause,
    },
    /// Traffic is back; stable is watched, to see that it is well.
    Verify {
        /// Since when.
        since: SystemTime,
        /// The start of the window that is observed next.
        from: SystemTime,
        /// Why traffic is back.
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

    /// An end that was wanted: both sides are compared, all traffic is on stable and the candidate is gone.
    Compared {
        /// What the evidence says of the candidate.
        verdict: Verdict,
        /// Each criterion, in words, with its numbers.
        judgements: Vec<String>,
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
        during: Cow<'static, str>,
        /// Why that did not work.
        why: String,
        /// What a person must do now.
        remedy: Cow<'static, str>,
    },
    /// An end: promoted, but the bake went badly. The version is not a last known good; roll it back.
    Unsettled {
        /// Why.
        cause: Cause,
    },
}

/// Why a rollout did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// Something that was owed could not be done.
    Broken {
        /// What, and why.
        why: String,
    },
    /// Both sides have been compared, which was all that was wanted.
    Compared {
        /// What the evidence says of the candidate.
        verdict: Verdict,
        /// Each criterion, in words, with its numbers.
        judgements: Vec<String>,
    },
    /// The evidence was against the candidate.
    Failed {
        /// The criteria that failed, in words, with their numbers.
        judgements: Vec<String>,
    },
    /// Somebody kept a gate shut.
    Rejected {
        /// Who, or which check.
        by: String,
        /// Why.
        reason: String,
    },
    /// Another plan takes the place of this one.
    Replaced {
        /// Who asked for it.
        by: String,
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

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::Compared { .. }
                | Self::Promoted
                | Self::RolledBack { .. }
                | Self::Seized { .. }
                | Self::Stuck { .. }
                | Self::Unsettled { .. }
        )
    }

    /// Whether nothing has been done yet that only a rollback undoes.
    #[must_use]
    pub const fn is_before_promotion(&self) -> bool {
        matches!(
            self,
            Self::Preflight
                | Self::Provision { .. }
                | Self::Warm { .. }
                | Self::Shift { .. }
                | Self::Analyse { .. }
                | Self::Gate { .. }
                | Self::Rush { .. }
        )
    }

    /// Whether the promoted version is, or has been, watched in its bake.
    #[must_use]
    pub const fn is_bake(&self) -> bool {
        matches!(self, Self::Bake { .. } | Self::Settle { .. } | Self::Promoted | Self::Unsettled { .. })
    }

    /// Since when it is in this state, where the state says so.
    pub(crate) const fn since(&self) -> Option<SystemTime> {
        match self {
            Self::Analyse { since, .. }
            | Self::Bake { since, .. }
            | Self::Drain { since, .. }
            | Self::Ebb { since, .. }
            | Self::Provision { since }
            | Self::Record { since }
            | Self::Renew { since }
            | Self::Restore { since, .. }
            | Self::Retire { since, .. }
            | Self::Retreat { since, .. }
            | Self::Return { since }
            | Self::Rush { since }
            | Self::Settle { since, .. }
            | Self::Shift { since, .. }
            | Self::Verify { since, .. }
            | Self::Warm { since }
            | Self::Withdraw { since, .. } => Some(*since),
            Self::Compared { .. }
            | Self::Gate { .. }
            | Self::Preflight
            | Self::Promoted
            | Self::RolledBack { .. }
            | Self::Seized { .. }
            | Self::Stuck { .. }
            | Self::Unsettled { .. } => None,
        }
    }

    /// The step that it is in, from 0, if it is in one.
    pub(crate) const fn step(&self) -> Option<usize> {
        match self {
            Self::Analyse { step, .. } | Self::Gate { step, .. } | Self::Shift { step, .. } => Some(*step),
            _ => None,
        }
    }

    /// Its name, as it is written in a journal.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Analyse { .. } => "analyse",
            Self::Bake { .. } => "bake",
            Self::Compared { .. } => "compared",
            Self::Drain { .. } => "drain",
            Self::Ebb { .. } => "ebb",
            Self::Gate { .. } => "gate",
            Self::Preflight => "preflight",
            Self::Promoted => "promoted",
            Self::Provision { .. } => "provision",
            Self::Record { .. } => "record",
            Self::Renew { .. } => "renew",
            Self::Restore { .. } => "restore",
            Self::Retire { .. } => "retire",
            Self::Retreat { .. } => "retreat",
            Self::Return { .. } => "return",
            Self::RolledBack { .. } => "rolledBack",
            Self::Rush { .. } => "rush",
            Self::Seized { .. } => "seized",
            Self::Settle { .. } => "settle",
            Self::Shift { .. } => "shift",
            Self::Stuck { .. } => "stuck",
            Self::Unsettled { .. } => "unsettled",
            Self::Verify { .. } => "verify",
            Self::Warm { .. } => "warm",
            Self::Withdraw { .. } => "withdraw",
        }
    }

    /// What it is doing, as the rest of a sentence that begins "the rollout is".
    #[must_use]
    pub const fn doing(&self) -> &'static str {
        match self {
            Self::Analyse { .. } => "judging the candidate",
            Self::Bake { .. } => "baking the promoted version",
            Self::Compared { .. } => "over, both sides compared",
            Self::Drain { .. } | Self::Ebb { .. } => "letting requests in flight end",
            Self::Gate { .. } => "waiting before a gate",
            Self::Preflight => "checking its plan",
            Self::Promoted => "over, its candidate promoted",
            Self::Provision { .. } => "making the candidate run",
            Self::Record { .. } => "recording the promotion",
            Self::Renew { .. } => "making the new release run in the stable slot",
            Self::Restore { .. } => "making the version before run in the stable slot again",
            Self::Retire { .. } => "emptying the candidate's slot",
            Self::Retreat { .. } => "returning traffic to stable",
            Self::Return { .. } => "moving traffic to the renewed stable slot",
            Self::RolledBack { .. } => "over, rolled back",
            Self::Rush { .. } => "moving all traffic to the candidate",
            Self::Seized { .. } => "over, its route taken by somebody else",
            Self::Settle { .. } => "recording the end of the bake",
            Self::Shift { .. } => "moving traffic",
            Self::Stuck { .. } => "stuck and needs a person",
            Self::Unsettled { .. } => "over, promoted but failed its bake",
            Self::Verify { .. } => "watching stable after the return of its traffic",
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
            Self::Compared { verdict, judgements } => {
                write!(f, "{} ({verdict}): {}", self.doing(), judgements.join("; "))
            }
            Self::Ebb { cause, .. }
            | Self::Restore { cause, .. }
            | Self::Retreat { cause, .. }
            | Self::RolledBack { cause }
            | Self::Unsettled { cause }
            | Self::Verify { cause, .. }
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
            Self::Compared { verdict, .. } => write!(f, "both sides are compared ({verdict})"),
            Self::Failed { judgements } => f.write_str(&judgements.join("; ")),
            Self::Rejected { by, reason } => write!(f, "{by} rejected it: {reason}"),
            Self::Replaced { by } => write!(f, "{by} put another plan in its place"),
            Self::Requested { by, reason } => write!(f, "{by} asked for it: {reason}"),
            Self::Undecided => f.write_str("there was not enough evidence within the horizon"),
        }
    }
}
