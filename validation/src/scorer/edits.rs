//! How many letters is the answer off?

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError, Texts, threshold_flaw, tokens::bounded};
use crate::{Reply, dataset::Question, excerpt::excerpt};

/// Similarity by edits: 1 − distance ⁄ length of the longer text, in characters, the best over the
/// targets; the distance is Levenshtein's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Levenshtein {
    /// What is expected, any of them.
    pub value: Texts,
    /// The least similarity.
    pub threshold: f64,
    /// The most edits, where that is said instead; the similarity does not decide then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most_edits: Option<u32>,
}

impl Default for Levenshtein {
    fn default() -> Self {
        Self { value: Texts::default(), threshold: 0.8, most_edits: None }
    }
}

impl Levenshtein {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let said = reply.text.trim();
        let length = said.chars().count();
        let (mut best, mut fewest) = (0.0_f64, usize::MAX);
        for target in self.value.or_targets(question)? {
            let target = target.trim();
            let target_length = target.chars().count();
            bounded(length, target_length)?;
            let edits = strsim::levenshtein(said, target);
            fewest = fewest.min(edits);
            best = best.max(1.0 - edits as f64 / length.max(target_length).max(1) as f64);
        }
        let why = format!("similar {best:.3}, {fewest} edits: {}", excerpt(said, 200));
        let mut score = Score::at_least(self.threshold, best, why);
        if let Some(most) = self.most_edits {
            score.passed = fewest <= most as usize;
        }
        Ok(score)
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        self.value.flaw().or_else(|| threshold_flaw(self.threshold))
    }
}
