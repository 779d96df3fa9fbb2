//! Candidate against baseline, by the means of scores between two bounds.

use serde::{Deserialize, Serialize};

use super::{
    Better, Seen, Standing, Tally, Test,
    comparison::sides,
    criterion::{Problems, five_percent},
    decided,
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
};
use crate::{Observation, Pair, Verdict, Window, statistics::BoundedMean};

/// Whether the mean of the candidate's scores (quality, relevance: values between two bounds) is worse than the
/// baseline's.
///
/// Fails once confidence sequences show that it is worse by more than [`tolerated`](Self::tolerated); passes once
/// they show that it is worse by less than `tolerated + margin`. They hold at all looks together, whatever the
/// distribution of scores. In return they take a few hundred scores.
///
/// One sample of all scores knows nothing of when they were: where the share of traffic changes while both sides
/// drift together, as in a ramp, that looks like a difference. Begin anew at each step there. Strata are refused.
///
/// I. Waudby-Smith and A. Ramdas, *Estimating means of bounded random variables by betting*, Journal of the Royal
/// Statistical Society B 86(1), 2024.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct ScoreComparison {
    /// The chance of failing a candidate that is tolerable, over all looks together; in (0, 1), default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub alpha: f64,
    /// The chance of passing a candidate that is worse than the margin allows, over all looks together; in
    /// (0, 1), default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub beta: f64,
    /// The least possible score; default 0.
    pub from: f64,
    /// The greatest possible score; default 1.
    pub to: f64,
    /// How much worse the mean may be without failing, in the unit of the scores; default 0.
    pub tolerated: f64,
    /// How much more must be ruled out for a pass; positive, default 0.1.
    pub margin: f64,
    /// Which way is better; default higher.
    pub better: Better,
}

impl Default for ScoreComparison {
    fn default() -> Self {
        Self {
            alpha: five_percent(),
            beta: five_percent(),
            from: 0.0,
            to: 1.0,
            tolerated: 0.0,
            margin: 0.1,
            better: Better::Higher,
        }
    }
}

impl ScoreComparison {
    pub(super) fn check(&self, problems: &mut Problems) {
        let Self { alpha, beta, from, to, tolerated, margin, .. } = *self;
        problems.chances(alpha, beta);
        problems.unless(
            (to - from).is_finite() && from < to,
            format!("scores reach from {from} to {to}; name the least and the greatest possible one"),
        );
        problems.not_negative("tolerated", tolerated);
        problems
            .unless(margin.is_finite() && margin > 0.0, format!("margin is {margin}, not a positive number"));
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        let means = |chance: f64| [(); 2].map(|()| BoundedMean::new(chance / 2.0));
        Box::new(Scoring {
            rule: self,
            fail: means(self.alpha),
            pass: means(self.beta),
            failed: false,
            passed: false,
        })
    }
}

/// Candidate and baseline, with the chance of error of either decision.
#[derive(Clone, Debug)]
struct Scoring {
    rule: ScoreComparison,
    fail: [BoundedMean; 2],
    pass: [BoundedMean; 2],
    failed: bool,
    passed: bool,
}

impl Scoring {
    /// Between which bounds the candidate's mean less the baseline's lies, in the unit of the scores.
    fn difference(&self, [candidate, baseline]: &[BoundedMean; 2]) -> (f64, f64) {
        let unit = self.rule.to - self.rule.from;
        ((candidate.lower() - baseline.upper()) * unit, (candidate.upper() - baseline.lower()) * unit)
    }
}

impl Test for Scoring {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let (candidate, baseline) = match sides(pair) {
            Ok(sides) => sides,
            Err(seen) => return seen,
        };
        let (Observation::Values(candidate), Observation::Values(baseline)) = (candidate, baseline) else {
            return Seen::Unusable(format!("scores are values, not {candidate} and {baseline}"));
        };
        let ScoreComparison { from, to, .. } = self.rule;
        if let Some(beyond) = candidate.iter().chain(baseline).find(|value| !(from..=to).contains(*value)) {
            return Seen::Unusable(format!("the score {beyond} is not between {from} and {to}"));
        }
        for (side, values) in [candidate, baseline].into_iter().enumerate() {
            for value in values {
                let score = (value - from) / (to - from);
                self.fail[side].push(score);
                self.pass[side].push(score);
            }
        }
        let (tolerated, worst) = (self.rule.tolerated, self.rule.tolerated + self.rule.margin);
        let (fail, pass) = (self.difference(&self.fail), self.difference(&self.pass));
        let (failed, passed) = match self.rule.better {
            Better::Higher => (fail.1 < -tolerated, pass.0 > -worst),
            Better::Lower => (fail.0 > tolerated, pass.1 < worst),
        };
        self.failed |= failed;
        self.passed |= passed;
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        decided(self.failed, self.passed)
    }

    fn standing(&self) -> Standing {
        let tally = |side: usize| Tally { hits: 0, trials: self.fail[side].count() };
        let (fail, pass) = (self.difference(&self.fail), self.difference(&self.pass));
        let (lower, upper) = match self.rule.better {
            Better::Higher => (pass.0, fail.1),
            Better::Lower => (fail.0, pass.1),
        };
        let both = tally(0).trials.min(tally(1).trials) > 0;
        let unit = self.rule.to - self.rule.from;
        Standing {
            verdict: self.verdict(),
            candidate: tally(0),
            baseline: Some(tally(1)),
            effect: both.then(|| Effect {
                measure: Measure::Difference,
                estimate: Some((self.fail[0].mean() - self.fail[1].mean()) * unit),
                lower: Some(lower),
                upper: Some(upper),
            }),
            ..Standing::none()
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        self.fail.iter_mut().chain(&mut self.pass).try_for_each(|mean| mean.state(tape))?;
        tape.flag(&mut self.failed)?;
        tape.flag(&mut self.passed)
    }
}
