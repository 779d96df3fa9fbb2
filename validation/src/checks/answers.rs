//! Is the answer the one that was expected?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Settings, asking, common_flaw, list_flaw, listed::Judged};
use crate::{
    Cost, Error, Finding, Gate, Outcome, Reply, Rule, Run, Sampling, Subject, Validator,
    fold::{mentions, normal},
};

/// Asks each case once and compares the answer with the expected one: labels of a classifier, facts,
/// anything with one right answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Answers {
    /// The check's name in reports.
    pub name: String,
    /// What is asked, and the right answer.
    pub cases: Vec<AnswerCase>,
    /// When an answer counts as the expected one.
    pub matching: Matching,
    /// The least share of right answers.
    pub floor: f64,
    /// How the share is held against the floor.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the questions are put.
    pub request: Sampling,
}

/// A question and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct AnswerCase {
    /// What is asked.
    pub input: String,
    /// The right answer.
    pub target: String,
}

/// When an answer counts as the expected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Matching {
    /// It contains it, as words of its own, whatever the case and the accents.
    Contains,
    /// It is it, to the byte.
    Exact,
    /// It is it but for case, accents, space and punctuation around it.
    #[default]
    Normalised,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            cases: Vec::new(),
            matching: Matching::Normalised,
            floor: 0.9,
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Answers {
    const KIND: &str = "answers";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if let Some(case) = self.cases.iter().find(|case| normal(&case.target).is_empty()) {
            return Some(("cases", format!("has no target for `{}`; write the right answer", case.input)));
        }
        list_flaw("cases", self.cases.len()).or_else(|| common_flaw(&self.gate(), &self.request))
    }
}

#[async_trait]
impl Validator for Answers {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.cases.len() as u64, self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let questions: Vec<_> = self.cases.iter().map(|case| case.input.as_str()).collect();
        let settings = json!([self.cases, self.matching]);
        let judge = |at, reply: &Reply| self.judge(at, &reply.text);
        let [counted] =
            asking(self, &self.request, subject, run)?.list(&questions, settings, |_| 0, judge).await?;
        let (verdict, evidence) = self.gate().judge("answers as expected", &counted.tally());
        let claim = format!("at least {} of answers are as expected", self.floor);
        Ok(Finding::new(&self.name, verdict, claim).with_evidence(evidence).with_cases(counted.cases))
    }
}

impl Answers {
    fn judge(&self, at: usize, answer: &str) -> Judged {
        let target = &self.cases[at].target;
        match self.matching.holds(answer, target) {
            true => Judged::new(Outcome::Hit, answer.to_owned()),
            false => Judged::new(Outcome::Miss, format!("`{target}` expected, `{}` answered", answer.trim())),
        }
    }

    fn gate(&self) -> Gate {
        Gate { floor: self.floor, rule: self.rule, confidence: self.confidence }
    }
}

impl Matching {
    pub(super) fn holds(self, answer: &str, target: &str) -> bool {
        match self {
            Self::Contains => mentions(answer, target),
            Self::Exact => answer == target,
            Self::Normalised => normal(answer) == normal(target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchings_differ_in_what_they_forgive() {
        let forgives = |answer| {
            [Matching::Exact, Matching::Normalised, Matching::Contains].map(|m| m.holds(answer, "spam"))
        };
        assert_eq!(forgives("spam"), [true, true, true]);
        assert_eq!(forgives(" **Spam.**\n"), [false, true, true]);
        assert_eq!(forgives("It is spam"), [false, false, true]);
        assert_eq!(forgives("antispam"), [false, false, false]);
        assert!(!Matching::Normalised.holds("-1", "1"));
    }
}
