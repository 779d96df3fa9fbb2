//! How a rollout ended, as a sentence and as an exit status.

use tidegate::{
    canary::{Cause, Rollout, State},
    metrics::Verdict,
};

use crate::{answer::Status, words::plain};

/// The exit status of an end; of what is no end, that it is done as far as it is.
pub(super) const fn status(state: &State) -> Status {
    match state {
        State::Compared { verdict: Verdict::Inconclusive, .. }
        | State::RolledBack { cause: Cause::Undecided }
        | State::Unsettled { cause: Cause::Undecided } => Status::Inconclusive,
        State::RolledBack { .. } | State::Seized { .. } | State::Stuck { .. } | State::Unsettled { .. } => {
            Status::Refused
        }
        _ => Status::Done,
    }
}

/// A word for machines.
pub(super) const fn word(state: &State) -> &'static str {
    match state {
        State::Compared { .. } => "compared",
        State::Promoted => "promoted",
        State::RolledBack { .. } => "rolled-back",
        State::Seized { .. } => "seized",
        State::Stuck { .. } => "stuck",
        State::Unsettled { .. } => "unsettled",
        _ => "under-way",
    }
}

/// A sentence for people.
pub(super) fn sentence(rollout: &Rollout) -> String {
    let plan = rollout.plan();
    let (candidate, stable) = (&plan.candidate, &plan.stable);
    plain(&match rollout.state() {
        State::Promoted => format!("promoted: {candidate} is in {}, baked and settled", plan.channel),
        State::Compared { verdict, .. } => {
            format!("compared: the evidence for {candidate} is {verdict}; all traffic is on {stable}")
        }
        State::RolledBack { cause } => format!("rolled back to {stable}: {cause}"),
        State::Unsettled { cause } => {
            format!(
                "promoted, but {candidate} failed its bake and is no last known good; roll it back: {cause}"
            )
        }
        State::Stuck { during, why, remedy } => format!("stuck while {during}: {why}; {remedy}"),
        State::Seized { by } => format!("the route was taken by {by}"),
        state => format!("the rollout is {state}"),
    })
}
