//! The mean of all values so far, against a bound: a heuristic, labelled as one.

use super::{Evidence, Gaps, Seen, Tally, too_few, unjudged};
use crate::{Bound, Criterion, Judgement, Limit, Measurement, Observation, Verdict};

pub(super) fn judge(criterion: &Criterion, limit: &Limit, evidence: &Evidence) -> Judgement {
    let mut gaps = Gaps::default();
    let (mut count, mut mean) = (0_u64, 0.0_f64);
    for (_, pair) in evidence.windows() {
        let values = match &pair.candidate {
            Measurement::Observed(observation @ Observation::Values(values)) if observation.is_valid() => {
                values
            }
            Measurement::Observed(other) => {
                gaps.note(Seen::Unusable(format!("a mean takes values, but the source gave {other}")));
                continue;
            }
            Measurement::Missing(missing) => {
                gaps.note(Seen::Missing(missing.to_string()));
                continue;
            }
        };
        gaps.note_observed();
        for value in values {
            count += 1;
            // Dividing first keeps the greatest values from overflowing.
            mean += value / count as f64 - mean / count as f64;
        }
    }
    let kept = match limit.bound {
        Bound::AtMost(most) => mean <= most,
        Bound::AtLeast(least) => mean >= least,
    };
    let shown = format!("the mean of {count} values is {mean:.6}, which no error bound stands behind");
    let decided = match (count >= limit.min_samples.max(1), kept) {
        (false, _) => (Verdict::Inconclusive, Some(too_few(count, limit.min_samples.max(1)))),
        (true, false) => (Verdict::Fail, Some(shown)),
        (true, true) => (Verdict::Pass, Some(shown)),
    };
    let (verdict, reason) = gaps.temper(criterion.on_missing, decided);
    Judgement {
        verdict,
        candidate: Tally { hits: 0, trials: count },
        ..unjudged(criterion, evidence, reason)
    }
}
