//! Does an answer speak of what it should speak of?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Settings, asking, common_flaw, list_flaw, listed::Judged};
use crate::{
    Cost, Error, Finding, Gate, Outcome, Reply, Rule, Run, Sampling, Subject, Validator, scorer::missing,
};

/// Asks each case once and counts the topics that the answer mentions. A case is as it should be when
/// the share of its topics reaches `threshold`; the share of such cases must reach `floor`.
///
/// A topic is mentioned when it stands in the answer as words of its own, in the singular or with a
/// plural `s` or `es`, whatever the case and the accents; `car|automobile` is mentioned by either.
/// In scripts without spaces between words it may stand anywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Topics {
    /// The check's name in reports.
    pub name: String,
    /// What is asked, and what the answer must mention.
    pub cases: Vec<TopicCase>,
    /// The least share of a case's topics that its answer mentions.
    pub threshold: f64,
    /// The least share of cases that are as they should be.
    pub floor: f64,
    /// How the share is held against the floor.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the questions are put.
    pub request: Sampling,
}

/// A question and the topics of a good answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct TopicCase {
    /// What is asked.
    pub input: String,
    /// What the answer must mention; alternatives of one topic are separated by `|`.
    pub topics: Vec<String>,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            cases: Vec::new(),
            threshold: 0.7,
            floor: 0.9,
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Topics {
    const KIND: &str = "topics";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let empty = |case: &TopicCase| {
            case.topics.is_empty()
                || case.topics.iter().flat_map(|topic| topic.split('|')).any(|t| t.trim().is_empty())
        };
        if let Some(case) = self.cases.iter().find(|case| empty(case)) {
            return Some((
                "cases",
                format!("has no topic, or an empty one, for `{}`; name what to look for", case.input),
            ));
        }
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Some(("threshold", format!("{} must be above 0 and at most 1", self.threshold)));
        }
        list_flaw("cases", self.cases.len()).or_else(|| common_flaw(&self.gate(), &self.request))
    }
}

#[async_trait]
impl Validator for Topics {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.cases.len() as u64, self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let questions: Vec<_> = self.cases.iter().map(|case| case.input.as_str()).collect();
        let settings = json!([self.cases, self.threshold]);
        let judge = |at: usize, reply: &Reply| self.judge(&self.cases[at], &reply.text);
        let [counted] =
            asking(self, &self.request, subject, run)?.list(&questions, settings, |_| 0, judge).await?;
        let measure = format!("answers that cover {:.0} % of their topics", self.threshold * 100.0);
        let (verdict, evidence) = self.gate().judge(&measure, &counted.tally());
        let claim = format!("at least {} of answers cover their topics", self.floor);
        Ok(Finding::new(&self.name, verdict, claim).with_evidence(evidence).with_cases(counted.cases))
    }
}

impl Topics {
    fn gate(&self) -> Gate {
        Gate { floor: self.floor, rule: self.rule, confidence: self.confidence }
    }

    fn judge(&self, case: &TopicCase, answer: &str) -> Judged {
        let missing: Vec<_> = missing(&case.topics, answer).collect();
        let share = 1.0 - missing.len() as f64 / case.topics.len() as f64;
        match share >= self.threshold {
            true => Judged::new(Outcome::Hit, format!("covers {share:.2}")),
            false => {
                let why = format!("covers {share:.2}, not {}: {answer}", missing.join(", "));
                Judged::new(Outcome::Miss, why)
            }
        }
    }
}
