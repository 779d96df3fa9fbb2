//! Candidate against baseline, by the means of values without bound.

use serde::{Deserialize, Serialize};

use super::{
    Better, Seen, Standing, Tally, Test,
    comparison::sides,
    criterion::{Problems, five_percent},
    decided,
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
};
use crate::{
    Observation, Pair, Verdict, Window,
    statistics::{MeanDifference, PairedDifference},
};

/// Whether the candidate's mean (cost of a request, tokens of an answer: values without bound) is worse than the
/// baseline's.
///
/// Fails once a confidence sequence shows that it is worse by more than [`tolerated`](Self::tolerated), a share of
/// the baseline's mean, which has to be positive; passes once it shows that it is worse by less than
/// `tolerated + margin`.
///
/// [`Values`](Observation::Values) of either side are one sample each, and nothing is said before there are 100.
/// Of [`Total`](Observation::Total)s, where single values are not known, the means of each window are compared and
/// windows are the sample; nothing is said before there are 20. Both are **asymptotic**: the chances of error hold as
/// samples grow, and better the less is in rare, enormous values; [cap](Self::cap) those.
///
/// One sample of all values knows nothing of when they were: where the share of traffic changes while both sides
/// drift together, as in a ramp, that looks like a difference. Give totals there, or begin anew at each step. Strata
/// are refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct MeanComparison {
    /// The chance of failing a candidate that is tolerable, over all looks together, asymptotically; in (0, 1),
    /// default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub alpha: f64,
    /// The chance of passing a candidate that is worse than the margin allows, over all looks together,
    /// asymptotically; in (0, 1), default 0.05.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1)))]
    pub beta: f64,
    /// How much worse the mean may be without failing, as a share of the baseline's; default 0.
    pub tolerated: f64,
    /// How much more must be ruled out for a pass, as a share of the baseline's; positive, default 0.1.
    pub margin: f64,
    /// Greater values count as this; default none. Choose it before there are values.
    pub cap: Option<f64>,
    /// Which way is better; default lower.
    pub better: Better,
}

impl Default for MeanComparison {
    fn default() -> Self {
        Self {
            alpha: five_percent(),
            beta: five_percent(),
            tolerated: 0.0,
            margin: 0.1,
            cap: None,
            better: Better::default(),
        }
    }
}

impl MeanComparison {
    pub(super) fn check(&self, problems: &mut Problems) {
        let Self { alpha, beta, tolerated, margin, cap, .. } = *self;
        problems.chances(alpha, beta);
        problems.not_negative("tolerated", tolerated);
        problems
            .unless(margin.is_finite() && margin > 0.0, format!("margin is {margin}, not a positive share"));
        problems.unless(
            cap.is_none_or(|cap| cap.is_finite() && cap > 0.0),
            format!("cap is {}, not a positive number", cap.unwrap_or_default()),
        );
        problems.unless(
            self.better == Better::Lower || tolerated + margin < 1.0,
            format!("margin is {margin}, but no mean is worse by {} of itself", tolerated + margin),
        );
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        Box::new(Weighing { rule: self, sample: None, counts: (0, 0), failed: false, passed: false })
    }

    /// What the baseline's mean is multiplied by, if the candidate may be worse by this share.
    fn factor(&self, share: f64) -> f64 {
        match self.better {
            Better::Higher => 1.0 - share,
            Better::Lower => 1.0 + share,
        }
    }
}

#[derive(Clone, Debug)]
struct Weighing {
    rule: MeanComparison,
    sample: Option<Sample>,
    counts: (u64, u64),
    failed: bool,
    passed: bool,
}

/// The difference to what a failure takes, to what a pass takes, and to the baseline itself at either chance of
/// error.
#[derive(Clone, Debug)]
enum Sample {
    Single(Box<[MeanDifference; 4]>),
    Windows(Box<[PairedDifference; 4]>),
}

impl Weighing {
    /// What the baseline is multiplied by, and the chance of error, of each difference.
    fn differences(&self) -> [(f64, f64); 4] {
        let MeanComparison { alpha, beta, tolerated, margin, .. } = self.rule;
        [
            (self.rule.factor(tolerated), alpha),
            (self.rule.factor(tolerated + margin), beta),
            (1.0, alpha),
            (1.0, beta),
        ]
    }

    fn sample(&mut self, single: bool) -> &mut Sample {
        let differences = self.differences();
        let cap = self.rule.cap;
        self.sample.get_or_insert_with(|| {
            if single {
                Sample::Single(Box::new(differences.map(|(factor, error)| {
                    let difference = MeanDifference::new(error);
                    // The baseline is multiplied after it was capped.
                    cap.map_or_else(
                        || difference.clone(),
                        |cap| difference.clone().capped_at(cap * factor.max(1.0)),
                    )
                })))
            } else {
                Sample::Windows(Box::new(differences.map(|(_, error)| PairedDifference::new(error))))
            }
        })
    }

    fn take_values(&mut self, candidate: &[f64], baseline: &[f64]) -> Result<(), String> {
        let factors = self.differences().map(|(factor, _)| factor);
        let most = self.rule.cap.unwrap_or(f64::INFINITY);
        let Sample::Single(samples) = self.sample(true) else { return Err(Self::changed()) };
        for (difference, factor) in samples.iter_mut().zip(factors) {
            for value in candidate {
                difference.push_candidate(value.min(most));
            }
            for value in baseline {
                difference.push_baseline(value.min(most) * factor);
            }
        }
        Ok(())
    }

    fn take_means(&mut self, candidate: f64, baseline: f64) -> Result<(), String> {
        let factors = self.differences().map(|(factor, _)| factor);
        let Sample::Windows(samples) = self.sample(false) else { return Err(Self::changed()) };
        for (difference, factor) in samples.iter_mut().zip(factors) {
            difference.push(candidate - baseline * factor);
        }
        Ok(())
    }

    fn changed() -> String {
        "the metric changed from values to totals or back; judge it from a new start".to_owned()
    }

    /// The bounds of a difference, by its place.
    fn interval(&self, place: usize) -> Option<(f64, f64)> {
        match self.sample.as_ref()? {
            Sample::Single(samples) => samples[place].interval(),
            Sample::Windows(samples) => samples[place].interval(),
        }
    }
}

impl Test for Weighing {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let (candidate, baseline) = match sides(pair) {
            Ok(sides) => sides,
            Err(seen) => return seen,
        };
        let taken = match (candidate, baseline) {
            (Observation::Values(candidate), Observation::Values(baseline)) => {
                self.take_values(candidate, baseline)
            }
            (
                Observation::Total { sum: one, count: of_one },
                Observation::Total { sum: other, count: of_other },
            ) => match (*of_one, *of_other) {
                (0, _) | (_, 0) => Ok(()),
                (of_one, of_other) => self.take_means(one / of_one as f64, other / of_other as f64),
            },
            (candidate, baseline) => Err(format!(
                "means are of values or of totals on both sides, not of {candidate} and {baseline}"
            )),
        };
        if let Err(problem) = taken {
            return Seen::Unusable(problem);
        }
        self.counts.0 = self.counts.0.saturating_add(candidate.trials());
        self.counts.1 = self.counts.1.saturating_add(baseline.trials());
        let (fail, pass) = (self.interval(0), self.interval(1));
        let (failed, passed) = match self.rule.better {
            Better::Higher => (fail.is_some_and(|fail| fail.1 < 0.0), pass.is_some_and(|pass| pass.0 > 0.0)),
            Better::Lower => (fail.is_some_and(|fail| fail.0 > 0.0), pass.is_some_and(|pass| pass.1 < 0.0)),
        };
        self.failed |= failed;
        self.passed |= passed;
        Seen::Counted
    }

    fn verdict(&self) -> Verdict {
        decided(self.failed, self.passed)
    }

    fn standing(&self) -> Standing {
        let estimate = match &self.sample {
            Some(Sample::Single(samples)) => samples[2].difference(),
            Some(Sample::Windows(samples)) => samples[2].difference(),
            None => None,
        };
        let (fail, pass) = (self.interval(2), self.interval(3));
        let (lower, upper) = match self.rule.better {
            Better::Higher => (pass.map(|pass| pass.0), fail.map(|fail| fail.1)),
            Better::Lower => (fail.map(|fail| fail.0), pass.map(|pass| pass.1)),
        };
        let reason = match &self.sample {
            Some(Sample::Single(_)) => "asymptotic: values without bound allow no stricter promise",
            Some(Sample::Windows(_)) => "asymptotic, with windows as the sample",
            None => "no values yet",
        };
        Standing {
            verdict: self.verdict(),
            reason: Some(reason.to_owned()),
            candidate: Tally { hits: 0, trials: self.counts.0 },
            baseline: Some(Tally { hits: 0, trials: self.counts.1 }),
            effect: Some(Effect { measure: Measure::Difference, estimate, lower, upper }),
            ..Standing::none()
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        let mut single = self.sample.as_ref().map(|sample| matches!(sample, Sample::Single(_)));
        tape.option(&mut single, || false, Tape::flag)?;
        if let Some(single) = single {
            match self.sample(single) {
                Sample::Single(samples) => samples.iter_mut().try_for_each(|one| one.state(tape))?,
                Sample::Windows(samples) => samples.iter_mut().try_for_each(|one| one.state(tape))?,
            }
        }
        tape.count(&mut self.counts.0)?;
        tape.count(&mut self.counts.1)?;
        tape.flag(&mut self.failed)?;
        tape.flag(&mut self.passed)
    }
}
