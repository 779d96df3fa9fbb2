//! How a check stands that still asks.

use super::{Cases, outcome::Outcomes};
use crate::{Evidence, Verdict};

/// How a check of a dataset stands while it asks. What it says is worked out when it is asked for, and by then takes
/// time in proportion to the clusters counted so far: ask a few times a second.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    check: &'a Cases,
    outcomes: &'a Outcomes,
}

impl<'a> Standing<'a> {
    pub(super) const fn new(check: &'a Cases, outcomes: &'a Outcomes) -> Self {
        Self { check, outcomes }
    }

    /// The check.
    #[must_use]
    pub fn check(&self) -> &'a str {
        &self.check.name
    }

    /// Trials so far, whatever became of them.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.outcomes.made()
    }

    /// Trials once all are made.
    #[must_use]
    pub const fn of(&self) -> u64 {
        self.check.dataset.len().saturating_mul(self.check.repeats as u64)
    }

    /// The share so far, with bounds that hold for what was asked so far, beside its floor. None before the first
    /// trial with a result.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        self.outcomes.judged(self.check).1.pop()
    }

    /// What it would say if nothing more were asked. Looked at after each trial it changes now and then by chance:
    /// it is a picture, and no verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.outcomes.judged(self.check).0
    }
}
