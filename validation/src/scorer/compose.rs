//! Several assertions as one.
//!
//! A part that cannot be scored does not spoil what the others decide: if the result is the same however
//! that part would have come out, it stands; otherwise it is unknown.

use serde::{Deserialize, Serialize};

use super::{Assertion, Score, ScoreError, Scorer, Weighted, threshold_flaw};
use crate::{Reply, Run, dataset::Question};

/// All of several assertions hold; or their weighted mean reaches a threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct All {
    /// The assertions.
    pub of: Vec<Weighted>,
    /// The least weighted mean of their scores. Without it each must hold by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

/// One of several assertions holds. The score is the best one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Any {
    /// The assertions.
    pub of: Vec<Weighted>,
}

/// An assertion does not hold. Its score is turned round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Not {
    /// The assertion.
    pub of: Box<Assertion>,
}

impl All {
    pub(super) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        let parts = self.of.iter().map(|part| (part.weight, &part.assertion as &dyn Scorer));
        all(parts, self.threshold, question, reply, run).await
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        list_flaw(&self.of).or_else(|| self.threshold.and_then(threshold_flaw))
    }
}

impl Any {
    pub(super) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        let mut best: Option<Score> = None;
        let mut failed = None;
        for part in &self.of {
            match Box::pin(part.assertion.judge(question, reply, run)).await {
                Ok(score) if score.passed => return Ok(score),
                Ok(score) => {
                    if best.as_ref().is_none_or(|best| best.value < score.value) {
                        best = Some(score);
                    }
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (failed, best) {
            (None, Some(best)) => Ok(best),
            (Some(error), _) => Err(error),
            (None, None) => Err(ScoreError::unscorable("`any` of no assertion")),
        }
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        list_flaw(&self.of)
    }
}

impl Not {
    pub(super) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        let score = Box::pin(self.of.judge(question, reply, run)).await?;
        let why = format!("not wanted: {}", score.why);
        Ok(Score { value: 1.0 - score.value, passed: !score.passed, why })
    }
}

/// What several scorers say together: each must hold or, if there is a `threshold`, their weighted mean reach it.
pub(crate) async fn all<'a>(
    parts: impl Iterator<Item = (f64, &'a dyn Scorer)> + Send,
    threshold: Option<f64>,
    question: &Question,
    reply: &Reply,
    run: &Run,
) -> Result<Score, ScoreError> {
    let (mut known, mut known_weight, mut weight) = (0.0, 0.0, 0.0);
    let mut why = Vec::new();
    let mut held = true;
    let mut failed = None;
    for (part, scorer) in parts {
        weight += part;
        match scorer.score(question, reply, run).await {
            Ok(score) => {
                known += part * score.value;
                known_weight += part;
                held &= score.passed;
                why.push((score.passed, score.why));
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    let (worst, best) = (known / weight, (known + weight - known_weight) / weight);
    let passed = match (threshold, &failed) {
        (Some(threshold), _) if worst >= threshold => true,
        (Some(threshold), _) if best < threshold => false,
        (None, None) if weight > 0.0 => held,
        (None, Some(_)) if !held => false,
        _ => {
            return Err(
                failed.unwrap_or_else(|| ScoreError::unscorable("nothing says what a good answer is"))
            );
        }
    };
    // What speaks for the result comes first.
    why.sort_by_key(|(held, _)| *held != passed);
    let speaking = why.iter().filter(|(held, _)| *held == passed).count().max(1);
    let shown = if passed { 1 } else { speaking };
    let why: Vec<_> = why.into_iter().take(shown).map(|(_, why)| why).collect();
    Ok(Score { value: known / known_weight.max(f64::MIN_POSITIVE), passed, why: why.join("; ") })
}

fn list_flaw(of: &[Weighted]) -> Option<(&'static str, String)> {
    of.is_empty().then(|| ("of", "is empty; name at least one assertion".to_owned()))
}
