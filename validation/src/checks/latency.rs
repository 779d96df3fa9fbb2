//! Does the model answer fast enough?

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Settings, asking, list_flaw, order_flaw};
use crate::{
    AgentError, Case, Cost, Error, Evidence, Finding, Gate, Method, Outcome, Reason, Rule, Run, Sampling,
    Subject, Tally, Unit, Validator,
    asking::Answer,
    gate::confidence_flaw,
    statistics::{lower_rank, sample_rank, upper_rank},
};

/// Asks the prompts in turn, one question at a time, and holds a quantile of the latency against `max`.
///
/// Under [`Rule::Bound`] the quantile itself must be proven to lie below `max`, from order statistics
/// and therefore whatever the distribution: with 95 % confidence that takes 59 calls for the 95th percentile, the
/// default, and 299 for the 99th.
///
/// A call that times out after `max` or later is a slow one; any other call without an answer, or with
/// an empty one, is unknown. Attempts that an agent had to repeat do not count, as they are not the model's latency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Latency {
    /// The check's name in reports.
    pub name: String,
    /// What is asked, over and over in this order.
    pub prompts: Vec<String>,
    /// How many calls are measured.
    pub calls: u32,
    /// How many calls are made before, unmeasured.
    pub warmup: u32,
    /// Which quantile, between 0 and 1.
    pub quantile: f64,
    /// The longest that it may be.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub max: Duration,
    /// How the quantile is held against it.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the prompts are put.
    pub request: Sampling,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            name: Self::KIND.to_owned(),
            prompts: Vec::new(),
            calls: 59,
            warmup: 1,
            quantile: 0.95,
            max: Duration::from_secs(5),
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }
}

impl Settings for Latency {
    const KIND: &str = "latency";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if !(self.quantile > 0.0 && self.quantile < 1.0) {
            return Some((
                "quantile",
                format!("{} must be above 0 and below 1, such as 0.95", self.quantile),
            ));
        }
        list_flaw("prompts", self.prompts.len())
            .or_else(|| list_flaw("calls", self.calls as usize))
            .or_else(|| list_flaw("warmup", self.warmup.max(1) as usize))
            .or_else(|| order_flaw(self.rule))
            .or_else(|| confidence_flaw(self.confidence))
            .or_else(|| self.request.flaw())
    }
}

#[async_trait]
impl Validator for Latency {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        Cost::calls(u64::from(self.calls) + u64::from(self.warmup), self.request.max_tokens)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let (warmup, calls) = (self.warmup as usize, self.calls as usize);
        let answers =
            asking(self, &self.request, subject, run)?.in_turn(&self.prompts, warmup + calls).await?;
        let measured = &answers[warmup..];
        let mut tally = Tally::default();
        let prompts = self.prompts.iter().cycle().skip(warmup % self.prompts.len());
        let cases: Vec<_> = measured
            .iter()
            .zip(prompts)
            .map(|(answer, prompt)| self.case(prompt, answer, &mut tally))
            .collect();
        let mut latencies: Vec<_> = measured.iter().filter_map(|answer| self.latency(answer)).collect();
        latencies.sort_unstable();
        // The quantile is at most `max` exactly when that share of calls takes at most `max`.
        let (verdict, _) = self.gate().judge("", &tally);
        let claim = format!("{}-quantile of the latency is at most {:?}", self.quantile, self.max);
        Ok(Finding::new(&self.name, verdict, claim)
            .with_evidence(self.evidence(&latencies, &tally))
            .with_cases(cases))
    }
}

impl Latency {
    fn gate(&self) -> Gate {
        Gate { floor: self.quantile, rule: self.rule, confidence: self.confidence }
    }

    /// How long the call took, at least; `None` if that is not known.
    fn latency(&self, answer: &Answer) -> Option<Duration> {
        match answer {
            Answer::Given(reply) => reply.said().map(|_| reply.latency),
            Answer::Lost(AgentError::TimedOut { waited, .. }) if *waited >= self.max => Some(*waited),
            Answer::Lost(_) | Answer::NotAsked(_) => None,
        }
    }

    fn case(&self, prompt: &str, answer: &Answer, tally: &mut Tally) -> Case {
        let latency = self.latency(answer);
        if let (Answer::Lost(_), Some(waited)) = (answer, latency) {
            tally.count(Outcome::Miss);
            return Case::new(prompt, Outcome::Miss, &format!("no answer after {waited:.3?}"));
        }
        let case = answer.case(prompt, tally, |_| match latency {
            Some(latency) if latency <= self.max => (Outcome::Hit, format!("{latency:.3?}")),
            Some(latency) => (Outcome::Miss, format!("{latency:.3?}")),
            None => (Outcome::Unknown, "an empty answer".to_owned()),
        });
        if case.outcome == Outcome::Unknown {
            tally.why_unknown.get_or_insert(Reason::Silent);
        }
        case
    }

    fn evidence(&self, sorted: &[Duration], tally: &Tally) -> Option<Evidence> {
        let n = sorted.len() as u64;
        let at = |rank: u64| Some(sorted.get(usize::try_from(rank).ok()?.checked_sub(1)?)?.as_secs_f64());
        let lower = lower_rank(n, self.quantile, self.confidence).and_then(at);
        let upper = upper_rank(n, self.quantile, self.confidence).and_then(at);
        let (measure, estimate) = (format!("{}-quantile", self.quantile), at(sample_rank(n, self.quantile))?);
        let evidence = Evidence::new(measure, estimate, Unit::Seconds, Method::OrderStatistics)
            .between(lower, upper, self.confidence)
            .against(self.max.as_secs_f64());
        Some(Evidence { n, ..evidence.of(tally) })
    }
}
