//! Does the same question get the same answer at temperature 0?

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Settings, asking, common_flaw, list_flaw};
use crate::{
    Case, Cost, Embedding, Error, Evidence, Finding, Gate, Method, Outcome, Reason, Rule, Run, Sampling,
    Subject, Tally, Unit, Validator, Verdict,
    asking::Answer,
    scorer::{ScoreError, embedded},
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// The least mean cosine between the answers to one prompt, as the run's embedder has them; none is required by
    /// default. With an embedder it is reported all the same.
    pub similarity: Option<f64>,
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
            similarity: None,
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
            .or_else(|| {
                let wrong = self.similarity.filter(|least| !(-1.0..=1.0).contains(least));
                wrong.map(|least| ("similarity", format!("{least} must be from -1 to 1")))
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
        let asking = asking(self, &self.request, subject, run)?;
        if self.similarity.is_some() && run.embedder.is_none() {
            let why = ScoreError::NO_EMBEDDER.to_string();
            return Err(Error::Misconfigured { check: self.name.clone(), field: "similarity", why });
        }
        let answers = asking.in_turn(&self.prompts, self.calls()).await?;
        let judged: Vec<_> = (0..self.prompts.len()).map(|i| self.judge(i, &answers)).collect();
        let mut verdicts: Vec<_> = judged.iter().map(|prompt| prompt.verdict.clone()).collect();
        let mut similarities = Vec::new();
        if run.embedder.is_some() {
            for i in 0..self.prompts.len() {
                let (verdict, evidence) = self.similar(i, &answers, run).await;
                verdicts.extend(verdict);
                similarities.extend(evidence);
            }
        }
        let verdict = Verdict::over(&verdicts);
        let heat = self.request.temperature.map_or_else(|| "its own".to_owned(), |heat| heat.to_string());
        let claim = format!("asked {} times at temperature {heat}, a model repeats itself", self.repeats);
        Ok(Finding::new(&self.name, verdict, claim)
            .with_evidence(judged.iter().filter_map(|prompt| prompt.evidence.clone()))
            .with_evidence(similarities)
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

    /// How near the answers to the prompt at `i` are to each other; a verdict only if that is required.
    async fn similar(&self, i: usize, answers: &[Answer], run: &Run) -> (Option<Verdict>, Option<Evidence>) {
        let own = answers.iter().skip(i).step_by(self.prompts.len());
        let texts: Vec<_> = own
            .filter_map(|answer| match answer {
                Answer::Given(reply) if !reply.text.trim().is_empty() => Some(reply.text.as_str()),
                _ => None,
            })
            .collect();
        if texts.len() < 2 {
            return (self.similarity.map(|_| Verdict::Inconclusive(Reason::Silent)), None);
        }
        let mean = match embedded(&texts, run).await {
            Ok(vectors) => mean_cosine(&vectors),
            Err(error) => {
                return (self.similarity.map(|_| Verdict::Inconclusive(Reason::infra(&error))), None);
            }
        };
        let verdict = self.similarity.map(|least| if mean >= least { Verdict::Pass } else { Verdict::Fail });
        let prompt = crate::excerpt::excerpt(&self.prompts[i], 40);
        let evidence = Evidence {
            measure: format!("mean cosine between answers to `{prompt}`"),
            estimate: mean,
            lower: None,
            upper: None,
            p: None,
            confidence: self.confidence,
            threshold: self.similarity.unwrap_or(-1.0),
            detectable: None,
            method: Method::Census,
            n: texts.len() as u64,
            effective: None,
            unknown: u64::from(self.repeats) - texts.len() as u64,
            cut_off: 0,
            remembered: 0,
            unit: Unit::Plain,
        };
        (verdict, Some(evidence))
    }

    /// Judges the prompt at `i`, whose answers are every `prompts.len()`-th.
    fn judge(&self, i: usize, answers: &[Answer]) -> Judged {
        let prompt = &self.prompts[i];
        let own = || answers.iter().skip(i).step_by(self.prompts.len());
        let texts = own().filter_map(|answer| match answer {
            Answer::Given(reply) => reply.said_and_called(),
            _ => None,
        });
        let mode = most_frequent(texts);
        let mut tally = Tally::default();
        let cases = own()
            .map(|answer| {
                answer.case(prompt, &mut tally, |reply| match reply.said_and_called() {
                    Some(said) if mode.as_ref() == Some(&said) => (Outcome::Hit, said.into_owned()),
                    said => (Outcome::Miss, said.map_or_else(|| "(nothing)".to_owned(), Cow::into_owned)),
                })
            })
            .collect();
        let measure = format!("answers to `{}` that agree", crate::excerpt::excerpt(prompt, 40));
        let (verdict, evidence) = self.gate().judge(&measure, &tally);
        Judged { verdict, evidence, cases }
    }
}

/// The mean cosine over all pairs of `vectors`, of which there are at least two. Their lengths are 1, so that the squared
/// length of their sum holds every pair twice, and each of them once.
fn mean_cosine(vectors: &[Embedding]) -> f64 {
    let n = vectors.len() as f64;
    let mut sum = vec![0.0_f64; vectors.iter().map(|vector| vector.as_slice().len()).max().unwrap_or(0)];
    for vector in vectors {
        sum.iter_mut().zip(vector.as_slice()).for_each(|(sum, number)| *sum += f64::from(*number));
    }
    let square: f64 = sum.iter().map(|number| number * number).sum();
    ((square - n) / (n * (n - 1.0))).clamp(-1.0, 1.0)
}

/// The most frequent of `texts`; of equally frequent ones the first in alphabetical order.
fn most_frequent<'a>(texts: impl Iterator<Item = Cow<'a, str>>) -> Option<Cow<'a, str>> {
    let mut counts = BTreeMap::<_, u64>::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map(|(text, _)| text)
}
