//! Does the answer mean what the target means?

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError, Texts, threshold_flaw};
use crate::{AgentError, Embedding, Reply, Run, Unanswered, dataset::Question, excerpt::excerpt};

/// The cosine between the embeddings of answer and target, the best over the targets; below 0 counts as 0.
///
/// Cosines of different embedders do not compare: find the threshold with the one that is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Similar {
    /// What is expected, any of them.
    pub value: Texts,
    /// The least cosine.
    pub threshold: f64,
}

impl Default for Similar {
    fn default() -> Self {
        Self { value: Texts::default(), threshold: 0.75 }
    }
}

impl Similar {
    pub(super) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        if reply.text.trim().is_empty() {
            return Ok(Score::whether(false, "an empty answer"));
        }
        let targets = self.value.or_targets(question)?;
        let texts: Vec<_> = [&reply.text].into_iter().chain(targets).map(String::as_str).collect();
        let vectors = embedded(&texts, run).await?;
        let mut best = 0.0_f64;
        for target in &vectors[1..] {
            best = best.max(near(&vectors[0], target)?);
        }
        let why = format!("cosine {best:.3}: {}", excerpt(&reply.text, 200));
        Ok(Score::at_least(self.threshold, best, why))
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        self.value.flaw().or_else(|| threshold_flaw(self.threshold))
    }
}

/// The vectors of `texts` by the embedder of the run, one for each.
pub(crate) async fn embedded(texts: &[&str], run: &Run) -> Result<Vec<Embedding>, ScoreError> {
    let embedder = run.embedder.as_deref().ok_or(ScoreError::NO_EMBEDDER)?;
    let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
    let vectors = run.embed(embedder, &texts).await.map_err(|unanswered| match unanswered {
        Unanswered::Lost(error) => ScoreError::Embedder(error),
        Unanswered::Short(shortage) => ScoreError::Short(shortage),
    })?;
    if vectors.len() != texts.len() {
        let why = format!("gave {} vectors for {} texts", vectors.len(), texts.len());
        return Err(ScoreError::Embedder(AgentError::Malformed { agent: embedder.fingerprint(), why }));
    }
    Ok(vectors)
}

/// The cosine of two vectors as a share: what points apart is not near at all.
pub(super) fn near(a: &Embedding, b: &Embedding) -> Result<f64, ScoreError> {
    let cosine = a
        .cosine(b)
        .ok_or_else(|| ScoreError::unscorable("the embedder gave vectors of different lengths"))?;
    Ok(cosine.max(0.0))
}
