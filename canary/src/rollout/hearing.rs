//! What was observed for some criteria, and what it says so far.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidegate_metrics::{
    Criterion, Evidence, Importance, Judge, Judgement, Measurement, Missing, Observation, Pair, Verdict,
    Window,
};

use super::Sample;

/// The evidence for some criteria and their judges, who keep what they have made of it: a window costs the same
/// however many came before.
#[derive(Clone, Debug)]
pub(super) struct Hearing {
    /// None before the first window: most rollouts, most of the time, wait.
    judges: Vec<Judge>,
    evidence: Vec<Evidence>,
    /// Requests of the candidate that each criterion has seen in the step.
    trials: Vec<u64>,
}

/// What is written down for one criterion: so many bytes of its judge, then of its evidence.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    judge: usize,
    evidence: usize,
    trials: u64,
}

impl Hearing {
    pub(super) fn new(criteria: &[Criterion]) -> Self {
        Self {
            judges: Vec::new(),
            evidence: vec![Evidence::default(); criteria.len()],
            trials: vec![0; criteria.len()],
        }
    }

    /// Writes it down at the end of `bytes`.
    pub(super) fn write(&self, criteria: &[Criterion], bytes: &mut Vec<u8>) -> Vec<Part> {
        let all = self.called(criteria);
        let all = all.iter().zip(&self.evidence).zip(&self.trials);
        all.map(|((judge, evidence), &trials)| {
            let (judge, evidence) = (judge.to_bytes(), evidence.to_bytes());
            bytes.extend_from_slice(&judge);
            bytes.extend_from_slice(&evidence);
            Part { judge: judge.len(), evidence: evidence.len(), trials }
        })
        .collect()
    }

    /// Reads from the start of `bytes` what was written of a hearing for these criteria. `None` for anything else.
    pub(super) fn read(criteria: &[Criterion], parts: &[Part], bytes: &mut &[u8]) -> Option<Self> {
        let mut hearing = Self { judges: Vec::new(), evidence: Vec::new(), trials: Vec::new() };
        let mut take = |length| {
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some(taken)
        };
        for (criterion, part) in criteria.iter().zip(parts) {
            hearing.judges.push(Judge::from_bytes(criterion.clone(), take(part.judge)?)?);
            hearing.evidence.push(Evidence::from_bytes(take(part.evidence)?)?);
            hearing.trials.push(part.trials);
        }
        if hearing.is_empty() {
            hearing.judges.clear();
        }
        (criteria.len() == parts.len()).then_some(hearing)
    }

    /// A step begins, and its requests are counted anew.
    pub(super) fn begin(&mut self) {
        self.trials.fill(0);
    }

    /// Its judges, or those that it would have.
    fn called(&self, criteria: &[Criterion]) -> Cow<'_, [Judge]> {
        if self.judges.is_empty() { call(criteria).into() } else { (&self.judges).into() }
    }

    /// Takes in what was seen in `window`, one sample for each criterion.
    pub(super) fn take(&mut self, criteria: &[Criterion], window: Window, samples: &[Sample]) {
        if self.judges.is_empty() {
            self.judges = call(criteria);
        }
        let sides = self.judges.iter_mut().zip(&mut self.evidence).zip(&mut self.trials);
        for (((judge, evidence), trials), sample) in sides.zip(samples) {
            // Once the candidate has all traffic there is nothing to compare it with, and what was known stays.
            if sample.baseline.is_none() && judge.criterion().needs_baseline() {
                continue;
            }
            // A window that is there already was journaled twice and counts once.
            if evidence.admits(window) {
                let Sample { candidate, baseline } = sample.clone();
                *trials = trials.saturating_add(candidate.observed().map_or(0, Observation::trials));
                let pair = Pair::new(candidate, baseline);
                judge.take(window, &pair);
                evidence.add(window, pair.candidate, pair.baseline);
            }
        }
    }

    pub(super) fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    pub(super) fn is_empty(&self) -> bool {
        self.evidence.iter().all(Evidence::is_empty)
    }

    pub(super) fn judgements(&self, criteria: &[Criterion]) -> Vec<Judgement> {
        self.called(criteria).iter().map(Judge::judgement).collect()
    }

    /// What all of it says together; before the first window nothing does.
    pub(super) fn verdict(&self) -> Verdict {
        let required =
            self.judges.iter().filter(|judge| judge.criterion().importance == Importance::Required);
        Verdict::over(required.map(Judge::verdict))
    }

    /// What speaks against the candidate, in words.
    pub(super) fn failures(&self) -> Vec<String> {
        let judgements: Vec<Judgement> = self.judges.iter().map(Judge::judgement).collect();
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
    pub(super) fn is_out(criteria: &[Criterion], samples: &[Sample]) -> bool {
        let is_required = |criterion: &Criterion| criterion.importance == Importance::Required;
        let mut required = criteria.iter().zip(samples).filter(|(criterion, _)| is_required(criterion));
        required
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

fn call(criteria: &[Criterion]) -> Vec<Judge> {
    let judge = |criterion: &Criterion| Judge::new(criterion.clone()).expect("a plan's criteria are checked");
    criteria.iter().map(judge).collect()
}

/// A judge is what its evidence made of it.
impl PartialEq for Hearing {
    fn eq(&self, other: &Self) -> bool {
        self.evidence == other.evidence
    }
}
