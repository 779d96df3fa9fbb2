//! Windows that said nothing.

use crate::{Criterion, Evidence, Judge, OnMissing, Pair, Verdict, Window};

/// A window that was no evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "when, and why")]
pub struct Gap {
    /// The window.
    pub window: Window,
    /// Why it said nothing. It may be the source's own words.
    pub reason: String,
}

/// The windows of `evidence` that say nothing of `criterion`: missing observations, and such that the rule cannot use.
pub(super) fn of(criterion: &Criterion, evidence: &Evidence) -> Vec<Gap> {
    // Whatever a missing window is to mean for the verdict, it is not evidence.
    let criterion = criterion.clone().on_missing(OnMissing::Inconclusive);
    let gap = |(window, pair): (&Window, &Pair)| {
        // The judge knows best what it cannot use, so it is asked about this window alone.
        let mut judge = Judge::new(criterion.clone()).ok()?;
        judge.take(*window, pair);
        let judgement = judge.judgement();
        let says_nothing = judgement.candidate.trials == 0 && judgement.verdict == Verdict::Inconclusive;
        let reason = judgement.reason.filter(|_| says_nothing)?;
        Some(Gap { window: *window, reason })
    };
    evidence.windows().filter_map(gap).collect()
}
