//! A rollout taken apart, to be written down and put together again to the last bit.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tidegate_metrics::statistics::Split;

use super::{
    Pause, Rollout, State,
    hearing::{Hearing, Part},
    next::LAST,
};
use crate::{LONGEST, Plan};

/// All of a rollout but its judges and their evidence, of which it has the lengths in bytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Outline {
    plan: Plan,
    state: State,
    pauses: BTreeSet<Pause>,
    split: Split,
    freezes: BTreeSet<usize>,
    overridden: BTreeSet<usize>,
    next: Option<Box<Plan>>,
    promoted: bool,
    trial: Vec<Part>,
    recovery: Vec<Part>,
    bake: Vec<Part>,
}

impl Rollout {
    /// Takes it apart: its outline, and its judges with their evidence.
    pub(crate) fn outline(&self) -> (Outline, Vec<u8>) {
        let mut bytes = Vec::new();
        let Self { plan, state, pauses, trial, recovery, bake, split, freezes, overridden, next, promoted } =
            self;
        let outline = Outline {
            plan: plan.clone(),
            state: state.clone(),
            pauses: pauses.clone(),
            split: split.clone(),
            freezes: freezes.clone(),
            overridden: overridden.clone(),
            next: next.clone(),
            promoted: *promoted,
            trial: trial.write(&plan.criteria, &mut bytes),
            recovery: recovery.write(&plan.bake_criteria, &mut bytes),
            bake: bake.write(&plan.bake_criteria, &mut bytes),
        };
        (outline, bytes)
    }

    /// Puts it together again. `None` where the parts are of no rollout.
    pub(crate) fn restore(outline: Outline, mut bytes: &[u8]) -> Option<Self> {
        let Outline { plan, state, pauses, split, freezes, overridden, next, promoted, .. } = outline;
        let trial = Hearing::read(&plan.criteria, &outline.trial, &mut bytes)?;
        let recovery = Hearing::read(&plan.bake_criteria, &outline.recovery, &mut bytes)?;
        let bake = Hearing::read(&plan.bake_criteria, &outline.bake, &mut bytes)?;
        let rollout =
            Self { plan, state, pauses, trial, recovery, bake, split, freezes, overridden, next, promoted };
        (bytes.is_empty() && rollout.is_possible()).then_some(rollout)
    }

    /// The plan to go on with once traffic is back.
    pub(crate) fn next_plan(&self) -> Option<&Plan> {
        self.next.as_deref()
    }

    /// Whether it is at a step that its plan has, at a time that all arithmetic can do with.
    fn is_possible(&self) -> bool {
        // One that is over is not written down.
        if self.state.is_end() {
            return false;
        }
        let from = match self.state {
            State::Analyse { from, .. }
            | State::Bake { from, .. }
            | State::Gate { from, .. }
            | State::Verify { from, .. } => Some(from),
            _ => None,
        };
        // The next window begins after what is in flight has ended.
        let latest = SystemTime::UNIX_EPOCH + LAST + 2 * LONGEST + Duration::from_secs(1);
        self.state.step().is_none_or(|step| step < self.plan.steps.len())
            && [self.state.since(), from].into_iter().flatten().all(|at| at <= latest)
    }
}
