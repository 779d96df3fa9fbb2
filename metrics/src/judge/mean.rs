//! The mean of all values so far, against a bound: a heuristic, labelled as one.

use super::{
    Bound, Limit, Seen, Standing, Tally, Test, decided,
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
    too_few,
};
use crate::{Measurement, Missing, Observation, Pair, Verdict, Window};

#[derive(Clone, Debug)]
pub(super) struct Mean {
    limit: Limit,
    count: u64,
    mean: f64,
    /// A value without bound, on the side that breaks the limit.
    broken: bool,
}

impl Mean {
    pub(super) const fn new(limit: Limit) -> Self {
        Self { limit, count: 0, mean: 0.0, broken: false }
    }

    fn need(&self) -> u64 {
        self.limit.min_samples.max(1)
    }

    fn add(&mut self, mean: f64, count: u64) {
        self.count = self.count.saturating_add(count);
        // Dividing first keeps the greatest values from overflowing.
        let share = count as f64 / self.count.max(1) as f64;
        self.mean += mean * share - self.mean * share;
    }
}

impl Test for Mean {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let observation = match &pair.candidate {
            Measurement::Missing(Missing::Infinite { negative })
                if *negative == matches!(self.limit.bound, Bound::AtLeast(_)) =>
            {
                self.broken = true;
                return Seen::Counted;
            }
            Measurement::Missing(missing) => return Seen::Missing(missing.to_string()),
            Measurement::Observed(observation) => observation.overall(),
        };
        match &*observation {
            Observation::Values(values) => values.iter().for_each(|value| self.add(*value, 1)),
            Observation::Total { sum, count } if *count > 0 => self.add(sum / *count as f64, *count),
            Observation::Total { .. } => {}
            other => {
                return Seen::Unusable(format!("a mean takes values or totals, but the source gave {other}"));
            }
        }
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        let kept = match self.limit.bound {
            Bound::AtMost(most) => self.mean <= most,
            Bound::AtLeast(least) => self.mean >= least,
        };
        let enough = self.count >= self.need();
        decided(self.broken || (enough && !kept), enough && kept)
    }

    fn standing(&self) -> Standing {
        let (count, mean) = (self.count, self.mean);
        let reason = if self.broken {
            "a value without bound is beyond any limit".to_owned()
        } else if count < self.need() {
            too_few(count, self.need())
        } else {
            format!("the mean of {count} values is {mean:.6}, which no error bound stands behind")
        };
        let estimate = (count > 0).then_some(mean);
        Standing {
            verdict: self.verdict(),
            reason: Some(reason),
            candidate: Tally { hits: 0, trials: self.count },
            effect: Some(Effect { measure: Measure::Mean, estimate, lower: None, upper: None }),
            ..Standing::none()
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.count(&mut self.count)?;
        tape.float(&mut self.mean)?;
        tape.flag(&mut self.broken)
    }
}
