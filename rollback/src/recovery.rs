//! What shows that a rollback has helped.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_canary::{
    LONGEST,
    metrics::{Criterion, InvalidCriterion},
};

/// What shows that the way back has helped: the target, now in service, is watched until it has shown what it must,
/// or that it does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers change single fields")]
pub struct Recovery {
    /// What it must show; fixed limits.
    pub criteria: Vec<Criterion>,
    /// The length of a window: how often there is a look.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How long after the end of a window its observations are complete.
    #[serde(with = "humantime_serde", default)]
    pub lag: Duration,
    /// It is watched at least for so long.
    #[serde(with = "humantime_serde")]
    pub at_least: Duration,
    /// And at most for so long: then it is done, and what there was to see was too little.
    #[serde(with = "humantime_serde")]
    pub at_most: Duration,
}

/// Whether a rollback was seen to help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Helped {
    /// The target has shown what it must.
    Proven,
    /// Nobody asked.
    Unasked,
    /// There was too little to see.
    Unproven,
}

/// What is wrong with a recovery.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRecovery {
    /// A criterion does not hold up.
    #[error("recovery.criteria[{index}] is not valid")]
    Criterion {
        /// The place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidCriterion,
    },
    /// There is nothing to judge by.
    #[error("recovery.criteria is empty, so nothing would be seen; add one, or leave recovery out")]
    NoCriteria,
    /// There is only one side.
    #[error("recovery.criteria[{index}] compares two sides, but only the target is in service; use a limit")]
    NothingToCompare {
        /// The place in the list, from 0.
        index: usize,
    },
    /// The durations do not fit together.
    #[error(
        "recovery: write a window of 1ms or more, and it ≤ atLeast ≤ atMost ≤ a year, as in 30s, 1m and 5m"
    )]
    Times,
}

impl Recovery {
    /// By `criteria`, looking every 30 s, for at least a minute and at most fifteen.
    #[must_use]
    pub const fn new(criteria: Vec<Criterion>) -> Self {
        Self {
            criteria,
            window: Duration::from_secs(30),
            lag: Duration::ZERO,
            at_least: Duration::from_secs(60),
            at_most: Duration::from_secs(15 * 60),
        }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidRecovery> {
        if self.criteria.is_empty() {
            return Err(InvalidRecovery::NoCriteria);
        }
        for (index, criterion) in self.criteria.iter().enumerate() {
            criterion.check().map_err(|source| InvalidRecovery::Criterion { index, source })?;
            if criterion.needs_baseline() {
                return Err(InvalidRecovery::NothingToCompare { index });
            }
        }
        let least = Duration::from_millis(1);
        let times = [least, self.window, self.at_least, self.at_most, LONGEST];
        if !times.is_sorted() || self.lag > LONGEST {
            return Err(InvalidRecovery::Times);
        }
        Ok(())
    }
}
