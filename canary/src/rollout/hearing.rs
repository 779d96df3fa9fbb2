//! What was observed for some criteria, and what it says so far.

use tidegate_metrics::{
    Criterion, Evidence, Importance, Judge, Judgement, Measurement, Missing, Observation, Pair, Verdict,
    Window,
};

use super::Sample;

/// The evidence for some criteria and their judges, who keep what they have made of it: a window costs the same
/// however many came before.
#[derive(Clone, Debug)]
pub(super) struct Hearing {
    judges: Vec<Judge>,
    evidence: Vec<Evidence>,
    /// Requests of the candidate that each criterion has seen in the step.
    trials: Vec<u64>,
}

impl Hearing {
    pub(super) fn new(criteria: &[Criterion]) -> Self {
        let judge =
            |criterion: &Criterion| Judge::new(criterion.clone()).expect("a plan's criteria are checked");
        Self {
            judges: criteria.iter().map(judge).collect(),
            evidence: vec![Evidence::default(); criteria.len()],
            trials: vec![0; criteria.len()],
        }
    }

    /// A step begins, and its requests are counted anew.
    pub(super) fn begin(&mut self) {
        self.trials.fill(0);
    }

    /// Takes in what was seen in `window`, one sample for each criterion.
    pub(super) fn take(&mut self, window: Window, samples: &[Sample]) {
        let sides = self.judges.iter_mut().zip(&mut self.evidence).zip(&mut self.trials);
        for (((judge, evidence), trials), sample) in sides.zip(samples) {
            // Once the candidate has all traffic there is nothing to compare it with, and what was known stays.
            if sample.baseline.is_none() && judge.criterion().needs_baseline() {
                continue;
            }
            let Sample { candidate, baseline } = sample.clone();
            // A window that is there already was journaled twice and counts once.
            if evidence.add(window, candidate.clone(), baseline.clone()) {
                *trials = trials.saturating_add(candidate.observed().map_or(0, Observation::trials));
                judge.take(window, &Pair::new(candidate, baseline));
            }
        }
    }

    pub(super) fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    pub(super) fn is_empty(&self) -> bool {
        self.evidence.iter().all(Evidence::is_empty)
    }

    pub(super) fn judgements(&self) -> Vec<Judgement> {
        self.judges.iter().map(Judge::judgement).collect()
    }

    /// What all of it says together.
    pub(super) fn verdict(&self) -> Verdict {
        let required =
            self.judges.iter().filter(|judge| judge.criterion().importance == Importance::Required);
        Verdict::over(required.map(Judge::verdict))
    }

    /// What speaks against the candidate, in words.
    pub(super) fn failures(&self) -> Vec<String> {
        let judgements = self.judgements();
        let failed = judgements.iter().filter(|judgement| {
            judgement.verdict == Verdict::Fail && judgement.importance == Importance::Required
        });
        failed.map(ToString::to_string).collect()
    }

    /// The most requests of the candidate that any criterion has seen in the step.
    pub(super) fn trials(&self) -> u64 {
        self.trials.iter().copied().max().unwrap_or(0)
    }

    /// Whether the source of a required criterion could say nothing of the candidate.
    pub(super) fn is_out(&self, samples: &[Sample]) -> bool {
        let required = self.judges.iter().zip(samples).filter(|(judge, _)| is_required(judge));
        required
            .into_iter()
            .any(|(_, sample)| matches!(sample.candidate, Measurement::Missing(Missing::SourceError { .. })))
    }

    /// How many requests each side has answered in a window, by the first criterion that saw both.
    pub(super) fn sides(samples: &[Sample]) -> Option<(u64, u64)> {
        samples.iter().find_map(|sample| {
            let candidate = sample.candidate.observed()?;
            let baseline = sample.baseline.as_ref()?.observed()?;
            Some((candidate.trials(), baseline.trials()))
        })
    }
}

fn is_required(judge: &Judge) -> bool {
    judge.criterion().importance == Importance::Required
}

/// A judge is what its evidence made of it.
impl PartialEq for Hearing {
    fn eq(&self, other: &Self) -> bool {
        self.evidence == other.evidence
    }
}
