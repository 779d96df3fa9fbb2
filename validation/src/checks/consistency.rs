//! Does the same question get the same answer at temperature 0?

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Settings, asking, common_flaw, list_flaw};
use crate::{
    Case, Cost, Error, Evidence, Finding, Gate, Outcome, Rule, Run, Sampling, Subject, Tally, Validator,
    Verdict, asking::Answer,
};

/// Asks each prompt several times at temperature 0 and counts how many answers agree with the most
/// frequent one. Every prompt must reach the floor on its own: repeating one question is no
/// evidence about another. Silence agrees with nothing, itself included.
///
/// **Ten of ten prove little**: with 95 % confidence only that the rate of agreement is above 0.741.
/// Under [`Rule::Bound`] a floor of 0.95 takes 59 repeats, so the default settings, ten repeats and a
/// floor of 0.95, find what disagrees and are inconclusive about the rest. Ask more often, lower the
/// floor, or say [`Rule::Point`] if the ten answers themselves are all that is required.
///
/// Temperature 0 is not determinism: batching and prompt caches change the order of additions and with it,
/// now and then, the likeliest token. Questions are therefore asked one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Consistency {
    /// The check's name in reports.
    pub name: String,
    /// What is asked.
    pub prompts: Vec<String>,
    /// How often each prompt is asked.
    pub repeats: u32,
    /// The least share of answers that agree.
    pub floor: f64,
    /// How the share is held against the floor.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the prompts are put. The temperature should stay 0.
    pub request: Sampling,
}

impl Default for Consistency {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            prompts: Vec::new(),
            repeats: 10,
            floor: 0.95,
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Consistency {
    const KIND: &str = "consistency";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let once = self.repeats < 2;
        list_flaw("prompts", self.calls())
            .or_else(|| {
                once.then(|| ("repeats", format!("{} must be at least 2 for answers to agree", self.repeats)))
            })
            .or_else(|| common_flaw(&self.gate(), &self.request))
    }
}

#[async_trait]
impl Validator for Consistency {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(self.calls() as u64, self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let answers = asking(self, &self.request, subject, run)?.in_turn(&self.prompts, self.calls()).await?;
        let judged: Vec<_> = (0..self.prompts.len()).map(|i| self.judge(i, &answers)).collect();
        let verdict = Verdict::over(judged.iter().map(|prompt| &prompt.verdict));
        let heat = self.request.temperature.map_or_else(|| "its own".to_owned(), |heat| heat.to_string());
        let claim = format!("asked {} times at temperature {heat}, a model repeats itself", self.repeats);
        Ok(Finding::new(&self.name, verdict, claim)
            .with_evidence(judged.iter().filter_map(|prompt| prompt.evidence.clone()))
            .with_cases(judged.into_iter().flat_map(|prompt| prompt.cases)))
    }
}

struct Judged {
    verdict: Verdict,
    evidence: Option<Evidence>,
    cases: Vec<Case>,
}

impl Consistency {
    fn calls(&self) -> usize {
        self.prompts.len().saturating_mul(self.repeats as usize)
    }

    fn gate(&self) -> Gate {
        Gate { floor: self.floor, rule: self.rule, confidence: self.confidence }
    }

    /// Judges the prompt at `i`, whose answers are every `prompts.len()`-th.
    fn judge(&self, i: usize, answers: &[Answer]) -> Judged {
        let prompt = &self.prompts[i];
        let own = || answers.iter().skip(i).step_by(self.prompts.len());
        let texts = own().filter_map(|answer| match answer {
            Answer::Given(reply) => reply.said(),
            _ => None,
        });
        let mode = most_frequent(texts);
        let mut tally = Tally::default();
        let cases = own()
            .map(|answer| {
                answer.case(prompt, &mut tally, |reply| match reply.said() {
                    Some(said) if mode == Some(said) => (Outcome::Hit, said.to_owned()),
                    said => (Outcome::Miss, said.unwrap_or("(nothing)").to_owned()),
                })
            })
            .collect();
        let measure = format!("answers to `{}` that agree", crate::excerpt::excerpt(prompt, 40));
        let (verdict, evidence) = self.gate().judge(&measure, &tally);
        Judged { verdict, evidence, cases }
    }
}

/// The most frequent of `texts`; of equally frequent ones the first in alphabetical order.
fn most_frequent<'a>(texts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map(|(text, _)| text)
}
