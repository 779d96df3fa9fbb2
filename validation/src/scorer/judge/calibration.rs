//! How often a judge is right, by answers that people have judged.

use std::fmt;

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::{Rubric, judge};
use crate::{
    AgentId, Reply, Run,
    dataset::Question,
    scorer::ScoreError,
    statistics::{Detector, Kappa, Proportion, kappa},
};

/// How often a judge agrees with people, on one rubric.
///
/// A judge that is right in 90 % of cases finds 18 % of answers good where only 10 % are. What it
/// [`corrected`](Self::corrected) says is the rate behind, with an interval that also covers how well the judge itself
/// is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct JudgeCalibration {
    /// Who judged.
    pub judge: AgentId,
    /// By what rubric.
    pub rubric: Rubric,
    /// Good answers that it found good.
    pub true_passes: u64,
    /// Good answers that it did not find good.
    pub false_fails: u64,
    /// Bad answers that it did not find good.
    pub true_fails: u64,
    /// Bad answers that it found good.
    pub false_passes: u64,
    /// Answers that it gave no verdict on.
    #[serde(default)]
    pub unknown: u64,
}

/// An answer that people have judged.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Labelled {
    /// What was asked.
    pub question: Question,
    /// What was answered.
    pub answer: String,
    /// Whether people found it good.
    pub good: bool,
}

/// Why a judge may not decide about a version.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Unfit {
    /// It was tried on too few answers.
    Few {
        /// Good answers with a verdict.
        good: u64,
        /// Bad answers with a verdict.
        bad: u64,
    },
    /// It knows too little: sensitivity + specificity is at most 1.2.
    Uninformed {
        /// Sensitivity + specificity.
        sum: f64,
    },
    /// It agrees with people too little.
    Disagrees {
        /// Cohen's kappa.
        kappa: f64,
        /// The least that is wanted.
        floor: f64,
    },
    /// It is another judge than the one of the run, or was tried by another rubric.
    Other {
        /// What it is.
        is: String,
        /// What it should be.
        wanted: String,
    },
}

impl JudgeCalibration {
    /// Fewest answers with a verdict.
    pub const FEWEST: u64 = 100;
    /// Fewest of each kind: a judge that was shown no bad answer is not known to find any.
    pub const FEWEST_OF_A_KIND: u64 = 10;
    /// What sensitivity + specificity must exceed: at 1 a judge knows nothing.
    pub const LEAST_SUM: f64 = 1.2;

    /// Has the judge of `run` judge `labelled` answers by `rubric`, several at once, within the time of the run, which
    /// begins here. An answer without a verdict, or that there was no time for, is counted as unknown.
    ///
    /// # Errors
    ///
    /// [`ScoreError`] if the run has no judge, or if no answer got a verdict.
    pub async fn measure(labelled: &[Labelled], rubric: &Rubric, run: &Run) -> Result<Self, ScoreError> {
        let mut found = Self::empty(judge(run)?.fingerprint(), rubric.clone());
        let run = &run.timed();
        let scores = labelled.iter().map(|case| async move {
            (case.good, rubric.score(&case.question, &Reply::text(&case.answer), run).await)
        });
        // Collected first, so that they are all of one type of future.
        let scores: Vec<_> = scores.collect();
        let mut scores = stream::iter(scores).buffered(run.concurrency.get());
        let mut failed = None;
        while let Some((good, score)) = scores.next().await {
            match score {
                Ok(score) => found.add(good, Some(score.passed)),
                Err(error) => {
                    found.add(good, None);
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if found.known() == 0 => Err(error),
            _ => Ok(found),
        }
    }

    /// A judge that was not tried yet.
    #[must_use]
    pub const fn empty(judge: AgentId, rubric: Rubric) -> Self {
        Self { judge, rubric, true_passes: 0, false_fails: 0, true_fails: 0, false_passes: 0, unknown: 0 }
    }

    /// Counts one more answer: whether people found it good, and whether the judge did.
    pub const fn add(&mut self, good: bool, passed: Option<bool>) {
        *match (good, passed) {
            (_, None) => &mut self.unknown,
            (true, Some(true)) => &mut self.true_passes,
            (true, Some(false)) => &mut self.false_fails,
            (false, Some(false)) => &mut self.true_fails,
            (false, Some(true)) => &mut self.false_passes,
        } += 1;
    }

    /// Answers with a verdict.
    #[must_use]
    pub const fn known(&self) -> u64 {
        self.good().saturating_add(self.bad())
    }

    /// Cohen's kappa between people and the judge; `None` if one of them knows only one word.
    #[must_use]
    pub fn kappa(&self) -> Option<Kappa> {
        kappa(&[[self.true_passes, self.false_fails], [self.false_passes, self.true_fails]])
    }

    /// How often it is right about good answers, and about bad ones; `None` without either.
    #[must_use]
    pub fn detector(&self) -> Option<Detector> {
        Some(Detector {
            sensitivity: Proportion::new(self.true_passes, self.good())?,
            specificity: Proportion::new(self.true_fails, self.bad())?,
        })
    }

    /// Why it may not decide about a version, if it may not; `floor` is the least kappa, such as 0.6.
    ///
    /// # Errors
    ///
    /// [`Unfit`] says what is lacking.
    pub fn fit(&self, floor: f64) -> Result<Detector, Unfit> {
        let (good, bad) = (self.good(), self.bad());
        let few = self.known() < Self::FEWEST || good.min(bad) < Self::FEWEST_OF_A_KIND;
        let (false, Some(detector)) = (few, self.detector()) else { return Err(Unfit::Few { good, bad }) };
        let sum = detector.informedness() + 1.0;
        if sum <= Self::LEAST_SUM {
            return Err(Unfit::Uninformed { sum });
        }
        match self.kappa().map_or(0.0, |kappa| kappa.kappa) {
            kappa if kappa >= floor => Ok(detector),
            kappa => Err(Unfit::Disagrees { kappa, floor }),
        }
    }

    /// The rate of good answers if the judge found so many good, and between which bounds it lies, each at
    /// `confidence`; by [`Detector::corrected_interval`]. `None` if the judge knows nothing.
    #[must_use]
    pub fn corrected(&self, found: Proportion, confidence: f64) -> Option<(f64, (f64, f64))> {
        self.corrected_share(found.share(), found.trials() as f64, confidence)
    }

    /// As [`corrected`](Self::corrected), of a share that is worth so many trials.
    pub(crate) fn corrected_share(
        &self,
        share: f64,
        trials: f64,
        confidence: f64,
    ) -> Option<(f64, (f64, f64))> {
        let detector = self.detector()?;
        let bounds = detector.interval_of(share, trials, 2.0 * confidence - 1.0)?;
        Some((detector.corrected(share)?, bounds))
    }

    const fn good(&self) -> u64 {
        self.true_passes.saturating_add(self.false_fails)
    }

    const fn bad(&self) -> u64 {
        self.true_fails.saturating_add(self.false_passes)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Few { good, bad } => write!(
                f,
                "the judge was tried on {good} good and {bad} bad answers; it takes {} in all and {} of each",
                JudgeCalibration::FEWEST,
                JudgeCalibration::FEWEST_OF_A_KIND
            ),
            Self::Uninformed { sum } => write!(
                f,
                "sensitivity and specificity of the judge add up to {sum:.2}, which must be above {}; take a better judge or rubric",
                JudgeCalibration::LEAST_SUM
            ),
            Self::Disagrees { kappa, floor } => {
                write!(
                    f,
                    "kappa between people and the judge is {kappa:.2}, below {floor}; take a better judge or rubric"
                )
            }
            Self::Other { is, wanted } => {
                write!(f, "it was calibrated as `{is}` and is now `{wanted}`; calibrate it again")
            }
        }
    }
}

impl std::error::Error for Unfit {}
