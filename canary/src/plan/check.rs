//! Whether a plan holds up.

use std::time::Duration;

use tidegate_metrics::{Criterion, Importance, InvalidCriterion};

use super::{AtHorizon, Finish, Gate, Plan, PlanSpec, Require, Step, Timing};
use crate::{Slot, Weight};

/// No duration of a plan, a watch or a rollback makes sense beyond this year, and below it no arithmetic on
/// time overflows.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Why a plan does not hold up, with the path of the field.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlan {
    /// The baseline has no room beside the candidate.
    #[error(
        "steps[{step}].weight leaves no room for a baseline of the same size; use at most 50%, or 100%, or set baseline to false"
    )]
    BaselineTooLarge {
        /// The place in the list, from 0.
        step: usize,
    },
    /// Every criterion compares.
    #[error(
        "every criterion compares two sides, so the last step, which has only one, would never end; add a limit"
    )]
    BlindAtFull,
    /// There is a bake, but nothing to judge it by.
    #[error(
        "bakeCriteria has no required criterion, so nothing would be seen during timing.bake; add one or set timing.bake to 0s"
    )]
    BlindBake,
    /// A criterion does not hold up.
    #[error("{field}[{index}] is not valid")]
    Criterion {
        /// The list.
        field: &'static str,
        /// The place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidCriterion,
    },
    /// The last step leaves traffic on stable.
    #[error("steps must end with weight 100%; add a last step")]
    EndsShortOfFull,
    /// An exception cannot work.
    #[error("exceptions[{index}] cannot work: {why}")]
    Exception {
        /// The place in the list, from 0.
        index: usize,
        /// Why.
        why: &'static str,
    },
    /// There is nothing to judge by.
    #[error("criteria has no required criterion, so nothing could ever pass or fail; add one")]
    NoCriteria,
    /// A comparison ends with all traffic on one side.
    #[error("steps[{step}].weight is 100%, but `finish: compare` ends with both sides; use less, or promote")]
    ComparesOneSide {
        /// The place in the list, from 0.
        step: usize,
    },
    /// A gate has no name.
    #[error("steps[{step}].gates has a check without a name; name one of the gatekeepers of the rollout")]
    Gate {
        /// The place in the list, from 0.
        step: usize,
    },
    /// Copies and requests at once.
    #[error(
        "steps[{step}] has a weight and mirrors; copies are for candidates without requests of their own"
    )]
    MirrorsBesides {
        /// The place in the list, from 0.
        step: usize,
    },
    /// A step shows no more traffic to the candidate than the one before.
    #[error(
        "steps[{step}] shows no more to the candidate than the step before; weights must increase, or copies"
    )]
    NotIncreasing {
        /// The place in the list, from 0.
        step: usize,
    },
    /// The candidate could be promoted without a pass.
    #[error(
        "no step with traffic has `require: pass`, so the candidate could be promoted unproven; require it in one, or say why in `unproven`"
    )]
    NothingProven,
    /// Undecided steps go on, and nothing says why that is good enough.
    #[error(
        "`atHorizon: promote` goes on without evidence; hold or roll back, or say in `unproven` why that is good enough"
    )]
    PromotesUndecided,
    /// A comparison has no second side to compare with.
    #[error(
        "{field}[{index}] compares two sides, but no step serves both; use a limit, or add a step between 0% and 100%"
    )]
    NothingToCompare {
        /// The list.
        field: &'static str,
        /// The place in the list, from 0.
        index: usize,
    },
    /// Stable and candidate are different models.
    #[error(
        "stable and candidate are versions of different models; a rollout replaces a version by another of the same model"
    )]
    OtherModel,
    /// Stable and candidate are the same.
    #[error("stable and candidate are the same version; there is nothing to roll out")]
    SameVersion,
    /// Users cannot be told apart by it.
    #[error("sticky is no name of a header or cookie; use letters, digits and `-`")]
    Sticky,
    /// A duration is longer than a year.
    #[error("a duration in timing or steps is longer than a year; write for example 15m")]
    TooLong,
    /// A duration is too short to work with.
    #[error("timing.{field} is shorter than 1ms; write for example 30s")]
    TooShort {
        /// The field.
        field: &'static str,
    },
}

impl PlanSpec {
    /// Checks the plan.
    ///
    /// # Errors
    ///
    /// [`InvalidPlan`] names the first field that does not hold up.
    pub fn build(self) -> Result<Plan, InvalidPlan> {
        if self.stable.model.name() != self.candidate.model.name() {
            return Err(InvalidPlan::OtherModel);
        }
        if self.stable.model == self.candidate.model {
            return Err(InvalidPlan::SameVersion);
        }
        self.check_steps()?;
        check("criteria", &self.criteria)?;
        check("bakeCriteria", &self.bake_criteria)?;
        if let Some(index) = self.bake_criteria.iter().position(Criterion::needs_baseline) {
            return Err(InvalidPlan::NothingToCompare { field: "bakeCriteria", index });
        }
        self.check_proof()?;
        for (index, exception) in self.exceptions.iter().enumerate() {
            if exception.to == Slot::Baseline {
                return Err(InvalidPlan::Exception { index, why: "the baseline is for comparison alone" });
            }
            if !exception.key.is_token() {
                return Err(InvalidPlan::Exception {
                    index,
                    why: "its key is no name of a header or cookie",
                });
            }
        }
        if self.sticky.as_ref().is_some_and(|key| !key.is_token()) {
            return Err(InvalidPlan::Sticky);
        }
        let Timing { window, patience, horizon, .. } = self.timing;
        for (field, duration) in [("window", window), ("patience", patience), ("horizon", horizon)] {
            if duration < Duration::from_millis(1) {
                return Err(InvalidPlan::TooShort { field });
            }
        }
        let Timing { bake, drain, lag, verify, warm_up, .. } = self.timing;
        let soaks = self.steps.iter().map(|step| step.soak);
        if [window, patience, horizon, bake, drain, lag, verify, warm_up]
            .into_iter()
            .chain(soaks)
            .any(|d| d > LONGEST)
        {
            return Err(InvalidPlan::TooLong);
        }
        if self.timing.bake > Duration::ZERO && !self.bake_criteria.iter().any(is_required) {
            return Err(InvalidPlan::BlindBake);
        }
        Ok(Plan(self))
    }

    fn check_steps(&self) -> Result<(), InvalidPlan> {
        let shown = |step: &Step| (step.weight, step.mirror);
        if let Some(at) = self.steps.windows(2).position(|pair| shown(&pair[0]) >= shown(&pair[1])) {
            return Err(InvalidPlan::NotIncreasing { step: at + 1 });
        }
        for (step, Step { weight, mirror, gates, .. }) in self.steps.iter().enumerate() {
            if *weight > Weight::NONE && *mirror > Weight::NONE {
                return Err(InvalidPlan::MirrorsBesides { step });
            }
            let is_split = *weight > Weight::NONE && *weight < Weight::FULL;
            if self.baseline && is_split && *weight > weight.rest() {
                return Err(InvalidPlan::BaselineTooLarge { step });
            }
            if self.finish == Finish::Compare && *weight == Weight::FULL {
                return Err(InvalidPlan::ComparesOneSide { step });
            }
            if gates.iter().any(|gate| matches!(gate, Gate::Check(name) if name.is_empty())) {
                return Err(InvalidPlan::Gate { step });
            }
        }
        match (self.finish, self.steps.last()) {
            (_, None) => Err(InvalidPlan::EndsShortOfFull),
            (Finish::Promote, Some(step)) if step.weight != Weight::FULL => Err(InvalidPlan::EndsShortOfFull),
            _ => Ok(()),
        }
    }

    /// Whether what the criteria ask for can be found out, and is asked before it is promoted.
    fn check_proof(&self) -> Result<(), InvalidPlan> {
        // Where telling sides apart is all that is wanted, those who are sent by exception are compared, too.
        let chosen = self.finish == Finish::Compare
            && self.exceptions.iter().any(|exception| exception.to == Slot::Candidate);
        let both = |step: &Step| {
            chosen || step.mirror > Weight::NONE || (step.weight > Weight::NONE && step.weight < Weight::FULL)
        };
        let compares = self.criteria.iter().position(Criterion::needs_baseline);
        if let (false, Some(index)) = (self.steps.iter().any(both), compares) {
            return Err(InvalidPlan::NothingToCompare { field: "criteria", index });
        }
        if self.criteria.is_empty() && self.unproven.is_some() && self.finish == Finish::Promote {
            return Ok(());
        }
        if !self.criteria.iter().any(is_required) {
            return Err(InvalidPlan::NoCriteria);
        }
        // At 100 % there is nothing left to compare with, and a step without evidence never ends.
        let full = self.steps.iter().any(|step| step.weight == Weight::FULL);
        if full && self.criteria.iter().all(Criterion::needs_baseline) {
            return Err(InvalidPlan::BlindAtFull);
        }
        if self.unproven.is_none() && self.at_horizon == AtHorizon::Promote && self.finish == Finish::Promote
        {
            return Err(InvalidPlan::PromotesUndecided);
        }
        let proven = |step: &Step| {
            (chosen || step.weight.max(step.mirror) > Weight::NONE) && step.require == Require::Pass
        };
        if self.unproven.is_none() && !self.steps.iter().any(proven) {
            return Err(InvalidPlan::NothingProven);
        }
        Ok(())
    }
}

pub(super) const fn is_required(criterion: &Criterion) -> bool {
    matches!(criterion.importance, Importance::Required)
}

fn check(field: &'static str, criteria: &[Criterion]) -> Result<(), InvalidPlan> {
    for (index, criterion) in criteria.iter().enumerate() {
        criterion.check().map_err(|source| InvalidPlan::Criterion { field, index, source })?;
    }
    Ok(())
}
