//! From single pairs to a finding.

use crate::{
    AgentError, AgentId, Case, Error, Finding, Outcome, Reason, Shortage,
    asking::not_asked,
    checks::cases::Made,
    compare::{Comparison, MOST_SHOWN, Pairs},
    dataset::Question,
    record::Past,
};

/// What became of all pairs so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) candidate: Fate,
    pub(super) baseline: Fate,
    pairs: Pairs,
    shown: Vec<Case>,
}

/// How it went with one side.
#[derive(Debug, Default)]
pub(super) struct Fate {
    /// Trials that were answered, and the last reason why one was not.
    answered: u64,
    lost: Option<AgentError>,
    short: Option<Shortage>,
}

/// What a pair is worth to either side.
#[derive(Debug)]
pub(super) struct Valued {
    pub(super) candidate: Option<f64>,
    pub(super) baseline: Option<f64>,
    pub(super) why_unknown: Option<Reason>,
    /// What was wrong with the candidate's answer, where the baseline's was better.
    pub(super) lost: Option<String>,
    /// Whether each answer was cut off, and whether it was remembered.
    pub(super) answers: [(bool, bool); 2],
}

impl Fate {
    /// Notes how a trial went, and what came of it; nothing of a side that was not asked because the other gave no
    /// answer, which then says why the pair is not known.
    pub(super) fn told(&mut self, made: Option<Made>) -> Past {
        let Some(made) = made else {
            return Past { reason: None, ..Past::lost(not_asked(None), "not asked") };
        };
        match made {
            Made::Known(past) => {
                self.answered += u64::from(!past.lost && !past.unanswered);
                past
            }
            Made::Lost(past, error) => {
                self.lost = Some(error);
                past
            }
            Made::NotAsked(shortage) => {
                let past = Past::lost(not_asked(shortage.as_ref()), "not asked");
                self.short = shortage.or_else(|| self.short.take());
                past
            }
        }
    }

    /// Why the check could not be made, if this side answered nothing.
    fn unmade(self, check: &str) -> Option<Error> {
        if self.answered > 0 {
            return None;
        }
        let check = check.to_owned();
        match (self.lost, self.short) {
            (Some(source), _) => Some(Error::Agent { check, source }),
            (None, Some(shortage)) => Some(Error::OutOfBudget { check, shortage }),
            (None, None) => None,
        }
    }
}

impl Gathered {
    pub(super) fn add(&mut self, question: &Question, valued: Valued) {
        let cluster = question.cluster.as_deref().unwrap_or(&question.id);
        if let (Some(_), Some(_)) = (valued.candidate, valued.baseline) {
            for (cut_off, remembered) in valued.answers {
                self.pairs.note(cut_off, remembered);
            }
        }
        match valued.why_unknown {
            Some(why) => self.pairs.push_unknown(cluster, valued.candidate, valued.baseline, why),
            None => self.pairs.push(cluster, valued.candidate, valued.baseline),
        }
        if let (Some(why), true) = (valued.lost, self.shown.len() < MOST_SHOWN) {
            self.shown.push(Case::new(question.prompt(), Outcome::Miss, &why));
        }
    }

    /// What they show; an error if a side gave no answer at all.
    pub(super) fn finding(
        self,
        check: &str,
        measure: &str,
        comparison: &Comparison,
        baseline: &AgentId,
    ) -> Result<Finding, Error> {
        if let Some(error) = self.candidate.unmade(check).or_else(|| self.baseline.unmade(check)) {
            return Err(error);
        }
        let (verdict, evidence) = comparison.judge(measure, &self.pairs);
        let claim = format!("{}, {baseline}", comparison.goal.claim(comparison.margin));
        Ok(Finding::new(check, verdict, claim).with_evidence(evidence).with_cases(self.shown))
    }
}
