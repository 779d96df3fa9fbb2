//! Asks that must be answered in one way, and the share of those that are not.

use std::fmt::Write as _;

use serde_json::json;

use super::{Cases, common_flaw, list_flaw};
use crate::{
    Cost, Error, Evidence, Finding, Gate, Rule, Run, Sampling, Subject, Validator as _,
    dataset::{Dataset, Format, Options},
    safety::{Conduct, Undecided},
    scorer::Assertion,
};

/// What a check of conduct asks, and what it holds the answers against: as the settings of the check say it.
pub(super) struct Asks<'a> {
    pub(super) check: &'a str,
    pub(super) prompts: &'a [String],
    pub(super) dataset: Option<&'a Dataset>,
    /// What is asked if there are neither prompts nor a dataset, a question a line.
    pub(super) own: &'static str,
    pub(super) conduct: Conduct,
    pub(super) repeats: u32,
    /// The greatest share of answers that may be otherwise.
    pub(super) ceiling: f64,
    pub(super) rule: Rule,
    pub(super) confidence: f64,
    pub(super) request: &'a Sampling,
}

impl Asks<'_> {
    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        let both = !self.prompts.is_empty() && self.dataset.is_some();
        let gate = Gate { floor: 1.0 - self.ceiling, rule: self.rule, confidence: self.confidence };
        both.then(|| ("prompts", "are there beside a dataset; write one of them".to_owned()))
            .or_else(|| list_flaw("prompts", self.prompts.len().max(1)))
            .or_else(|| ceiling_flaw(self.ceiling, self.rule))
            .or_else(|| self.conduct.flaw())
            .or_else(|| common_flaw(&gate, self.request))
    }

    /// The most that asking each in so many ways may cost.
    pub(super) fn estimate(&self, ways: usize) -> Cost {
        let asks = match self.dataset {
            Some(dataset) => dataset.len(),
            None if self.prompts.is_empty() => self.own.lines().count() as u64,
            None => self.prompts.len() as u64,
        };
        let trials = asks.saturating_mul(ways as u64).saturating_mul(self.repeats.into());
        Cost::calls(trials, self.request.max_tokens) + self.conduct.cost().times(trials)
    }

    /// All of it as a dataset.
    pub(super) fn dataset(&self) -> Result<Dataset, Error> {
        let native = Options { format: Some(Format::Native), ..Options::default() };
        let read = match self.dataset {
            Some(dataset) => return Ok(dataset.clone()),
            None if self.prompts.is_empty() => {
                Dataset::from_bytes("the questions of the crate", self.own, &native)
            }
            None => {
                let mut lines = String::new();
                for (i, prompt) in self.prompts.iter().enumerate() {
                    let _ = writeln!(lines, "{}", json!({"id": format!("prompts[{i}]"), "input": prompt}));
                }
                Dataset::from_bytes("prompts", lines, &native)
            }
        };
        read.map_err(|source| Error::Dataset { check: self.check.to_owned(), source: Box::new(source) })
    }

    /// What asking `dataset` finds. Its evidence, called `measure`, is the share of answers that are otherwise, of which the
    /// claim says that at most the ceiling `are`.
    pub(super) async fn finding(
        &self,
        dataset: Dataset,
        measure: &str,
        are: &str,
        subject: &Subject<'_>,
        run: &Run,
    ) -> Result<Finding, Error> {
        let cases = Cases {
            name: self.check.to_owned(),
            assertions: vec![Assertion::Conduct(self.conduct).into()],
            repeats: self.repeats,
            floor: 1.0 - self.ceiling,
            rule: self.rule,
            confidence: self.confidence,
            request: self.request.clone(),
            ..Cases::new(dataset.asks_only())
        };
        let mut finding = cases.validate(subject, run).await?;
        let evidence = std::mem::take(&mut finding.evidence).into_iter();
        finding.evidence = evidence.map(|found| self.turned(found, measure)).collect();
        finding.claim = format!("at most {} {are}{}", self.ceiling, told_by(&self.conduct, run));
        Ok(finding)
    }

    /// Evidence of a share as that of its contrary.
    fn turned(&self, evidence: Evidence, measure: &str) -> Evidence {
        let contrary = |share: f64| 1.0 - share;
        Evidence {
            measure: measure.to_owned(),
            estimate: contrary(evidence.estimate),
            lower: evidence.upper.map(contrary),
            upper: evidence.lower.map(contrary),
            threshold: self.ceiling,
            ..evidence
        }
    }
}

/// The flaw of a ceiling, if it has one.
pub(super) fn ceiling_flaw(ceiling: f64, rule: Rule) -> Option<(&'static str, String)> {
    let right = match rule {
        _ if !(0.0..=1.0).contains(&ceiling) => "must be from 0 to 1",
        Rule::Bound if ceiling == 0.0 => {
            "cannot be proven by any number of trials; say rule = \"point\" or a higher ceiling"
        }
        _ => return None,
    };
    Some(("ceiling", format!("{ceiling} {right}")))
}

/// What a claim says of how answers are told.
fn told_by(conduct: &Conduct, run: &Run) -> String {
    let mut by = vec!["phrases".to_owned()];
    if let Some(embedder) = run.embedder.as_ref().filter(|_| conduct.relevance > 0.0) {
        by.push(format!("relevance by {}", embedder.fingerprint()));
    }
    match conduct.undecided {
        Undecided::Answered => {}
        Undecided::Classifier => {
            by.extend(run.classifier.as_ref().map(|one| format!("the classifier {}", one.fingerprint())));
        }
        Undecided::Judge => {
            by.extend(run.judge.as_ref().map(|one| format!("the judge {}", one.fingerprint())))
        }
    }
    format!(", as told by {}", by.join(", "))
}
