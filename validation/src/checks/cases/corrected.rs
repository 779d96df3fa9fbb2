//! What a judge found, corrected by how often it errs.

use super::{Cases, outcome::Shares};
use crate::{
    AgentId, Evidence, Gate, Method, Rule, Run, Tally, Unit, Verdict,
    scorer::{Assertion, Judge, JudgeCalibration, Unfit},
    statistics::{WeightedShare, detectable_between},
};

impl Cases {
    /// Why the check cannot be corrected by `calibration`, whoever judges.
    pub(super) fn uncorrectable(&self, calibration: &JudgeCalibration) -> Option<String> {
        let alone = self.assertions.len() == 1 && self.scorers.is_empty() && !self.dataset.asserts();
        match self.assertions.first().map(|part| &part.assertion) {
            Some(Assertion::Rubric(rubric)) if alone && *rubric == calibration.rubric => {
                calibration.fit(self.kappa_floor).err().map(|unfit| unfit.to_string())
            }
            Some(Assertion::Rubric(rubric)) if alone => {
                let (is, wanted) = (calibration.rubric.rubric.clone(), rubric.rubric.clone());
                Some(Unfit::Other { is, wanted }.to_string())
            }
            _ => Some(
                "corrects what a judge found, so the check's only assertion must be its `rubric`".to_owned(),
            ),
        }
    }

    /// Why the judge of `run` is not the one that was calibrated, if it is not.
    pub(super) fn miscalibrated(&self, run: &Run) -> Option<String> {
        let calibration = self.calibration.as_deref()?;
        let wanted = run.judge.as_ref().map_or_else(|| AgentId::new("no judge"), Judge::fingerprint);
        let is = calibration.judge.to_string();
        (wanted != calibration.judge).then(|| Unfit::Other { is, wanted: wanted.to_string() }.to_string())
    }

    /// What `shares` of answers that the judge found good say about those that are.
    pub(super) fn corrected(
        &self,
        calibration: &JudgeCalibration,
        shares: &Shares,
        tally: &Tally,
    ) -> (Verdict, Option<Evidence>) {
        const MEASURE: &str = "answers as they should be, corrected by how often the judge errs";
        let (gate, confidence) = (self.gate(), self.confidence);
        let corrected = |found: Option<WeightedShare>| {
            let found = found?;
            let bounds = |share, trials| calibration.corrected_share(share, trials, confidence);
            let (rate, (lower, upper)) = bounds(found.share, found.effective)?;
            // As those of `WeightedShare`: no nearer than what clusters would show that are all hit, or all missed. A
            // miss or two within clusters make little variance, and say nothing of clusters that were not seen.
            let (_, (highest, _)) = bounds(1.0, found.kish)?;
            let (_, (_, lowest)) = bounds(0.0, found.kish)?;
            Some((rate, (lower.min(highest), upper.max(lowest))))
        };
        let decide = |found| {
            let (rate, (lower, upper)) = corrected(found)?;
            gate.decide_between(rate, lower, upper)
        };
        let verdict = Gate::settle(decide(shares.worst), decide(shares.best), || shares.reason.clone());
        let evidence = corrected(shares.known).map(|(rate, (lower, upper))| {
            let detectable = (self.rule == Rule::Bound)
                .then(|| detectable_between((lower, upper), confidence, Evidence::POWER))
                .flatten();
            let evidence = Evidence::new(MEASURE, rate, Unit::Share, Method::LangReiczigel)
                .between(Some(lower), Some(upper), confidence)
                .against(self.floor)
                .of(tally);
            Evidence { detectable, ..evidence }
        });
        (verdict, evidence)
    }
}
