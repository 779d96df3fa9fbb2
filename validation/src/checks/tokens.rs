//! Are answers of a sensible length for their questions?

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Settings, asking, common_flaw, list_flaw, listed::Judged};
use crate::{Cost, Error, Finding, Gate, Outcome, Reason, Reply, Rule, Run, Sampling, Subject, Validator};

/// Asks each prompt once and divides the tokens of the answer by those of the question: a model that
/// babbles or has fallen silent leaves the range.
///
/// Tokens are those that the provider counted; an answer without a count is unknown, never estimated.
/// The default range of 1 to 10 suits free text: classifiers and long documents need their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Tokens {
    /// The check's name in reports.
    pub name: String,
    /// What is asked.
    pub prompts: Vec<String>,
    /// The least tokens of the answer for one of the question.
    pub min: f64,
    /// The most tokens of the answer for one of the question.
    pub max: f64,
    /// The least share of answers within the range.
    pub floor: f64,
    /// How the share is held against the floor.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the prompts are put.
    pub request: Sampling,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            prompts: Vec::new(),
            min: 1.0,
            max: 10.0,
            floor: 0.9,
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Tokens {
    const KIND: &str = "tokens";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if !(self.min >= 0.0 && self.min.is_finite()) {
            return Some(("min", format!("{} must be a number from 0", self.min)));
        }
        if !(self.max >= self.min && self.max.is_finite()) {
            return Some(("max", format!("{} must be a number from `min`, {}", self.max, self.min)));
        }
        list_flaw("prompts", self.prompts.len()).or_else(|| common_flaw(&self.gate(), &self.request))
    }
}

#[async_trait]
impl Validator for Tokens {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.prompts.len() as u64, self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let prompts: Vec<_> = self.prompts.iter().map(String::as_str).collect();
        let settings = json!([self.prompts, self.min, self.max]);
        let judge = |_, reply: &Reply| self.judge(reply);
        let [counted] =
            asking(self, &self.request, subject, run)?.list(&prompts, settings, |_| 0, judge).await?;
        let measure = format!("answers of {} to {} tokens for each of the question", self.min, self.max);
        let (verdict, evidence) = self.gate().judge(&measure, &counted.tally());
        let claim = format!("at least {} of answers have a sensible length", self.floor);
        Ok(Finding::new(&self.name, verdict, claim).with_evidence(evidence).with_cases(counted.cases))
    }
}

impl Tokens {
    fn judge(&self, reply: &Reply) -> Judged {
        match reply.usage {
            Some(usage) if usage.input_tokens > 0 => {
                let ratio = usage.output_tokens as f64 / usage.input_tokens as f64;
                let within = (self.min..=self.max).contains(&ratio);
                let outcome = if within { Outcome::Hit } else { Outcome::Miss };
                Judged::new(outcome, format!("{ratio:.2} ({} / {})", usage.output_tokens, usage.input_tokens))
            }
            _ => Judged {
                reason: Some(Reason::Uncounted { replies: 1 }),
                ..Judged::new(Outcome::Unknown, "the reply came without token counts".to_owned())
            },
        }
    }

    fn gate(&self) -> Gate {
        Gate { floor: self.floor, rule: self.rule, confidence: self.confidence }
    }
}
