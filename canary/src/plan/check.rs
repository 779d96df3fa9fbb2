//! Whether a plan holds up.

use std::time::Duration;

use tidegate_metrics::{Criterion, Importance, InvalidCriterion};

use super::{Plan, PlanSpec, Require, Timing};
use crate::{Slot, Weight};

/// No duration of a plan, a watch or a rollback makes sense beyond this year, and below it no arithmetic on
/// time overflows.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Why a plan does not hold up, with the path of the field.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlan {
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
    /// A step shows no more traffic to the candidate than the one before.
    #[error("steps[{step}].weight is not above the step before; weights must increase")]
    NotIncreasing {
        /// The place in the list, from 0.
        step: usize,
    },
    /// The candidate could be promoted without a pass.
    #[error(
        "no step with traffic has `require: pass`, so the candidate could be promoted unproven; require it in one"
    )]
    NothingProven,
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
        if let Some(at) = self.steps.windows(2).position(|pair| pair[0].weight >= pair[1].weight) {
            return Err(InvalidPlan::NotIncreasing { step: at + 1 });
        }
        if self.steps.last().is_none_or(|step| step.weight != Weight::FULL) {
            return Err(InvalidPlan::EndsShortOfFull);
        }
        check("criteria", &self.criteria)?;
        check("bakeCriteria", &self.bake_criteria)?;
        if let Some(index) = self.bake_criteria.iter().position(Criterion::needs_baseline) {
            return Err(InvalidPlan::NothingToCompare { field: "bakeCriteria", index });
        }
        let split = self.steps.iter().any(|step| step.weight > Weight::NONE && step.weight < Weight::FULL);
        if let (false, Some(index)) = (split, self.criteria.iter().position(Criterion::needs_baseline)) {
            return Err(InvalidPlan::NothingToCompare { field: "criteria", index });
        }
        if !self.criteria.iter().any(is_required) {
            return Err(InvalidPlan::NoCriteria);
        }
        // At 100 % there is nothing left to compare with, and a step without evidence never ends.
        if self.criteria.iter().all(Criterion::needs_baseline) {
            return Err(InvalidPlan::BlindAtFull);
        }
        for (index, exception) in self.exceptions.iter().enumerate() {
            if exception.to == Slot::Baseline {
                return Err(InvalidPlan::Exception { index, why: "nothing runs in the baseline slot" });
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
        if !self.steps.iter().any(|step| step.weight > Weight::NONE && step.require == Require::Pass) {
            return Err(InvalidPlan::NothingProven);
        }
        let Timing { window, patience, horizon, .. } = self.timing;
        for (field, duration) in [("window", window), ("patience", patience), ("horizon", horizon)] {
            if duration < Duration::from_millis(1) {
                return Err(InvalidPlan::TooShort { field });
            }
        }
        let Timing { bake, drain, lag, warm_up, .. } = self.timing;
        let soaks = self.steps.iter().map(|step| step.soak);
        if [window, patience, horizon, bake, drain, lag, warm_up]
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
