//! How much of the target's wording does the answer keep, in its order?

use serde::{Deserialize, Serialize};

use super::{
    Score, ScoreError, Texts, threshold_flaw,
    tokens::{bounded, f1, words},
};
use crate::{Reply, dataset::Question, excerpt::excerpt};

/// ROUGE-L: the F-measure of the longest common subsequence of words, the best over the targets.
///
/// Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004),
/// <https://aclanthology.org/W04-1013/>; as the Python package rouge-score computes `rougeL` without a
/// stemmer, but that words are letters and digits of any script and not of ASCII alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct RougeL {
    /// What is expected, any of them.
    pub value: Texts,
    /// The least F-measure.
    pub threshold: f64,
}

impl Default for RougeL {
    fn default() -> Self {
        Self { value: Texts::default(), threshold: 0.5 }
    }
}

impl RougeL {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let said = words(&reply.text);
        let mut best = 0.0_f64;
        for target in self.value.or_targets(question)? {
            best = best.max(rouge_l(&words(target), &said)?);
        }
        let why = format!("ROUGE-L {best:.3}: {}", excerpt(&reply.text, 200));
        Ok(Score::at_least(self.threshold, best, why))
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        self.value.flaw().or_else(|| threshold_flaw(self.threshold))
    }
}

fn rouge_l(target: &[String], said: &[String]) -> Result<f64, ScoreError> {
    bounded(target.len(), said.len())?;
    Ok(f1(common_subsequence(target, said), said.len(), target.len()))
}

/// The length of the longest common subsequence, with two rows of the usual table.
fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut above = vec![0; b.len() + 1];
    for x in a {
        let mut row = vec![0; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            row[j + 1] = if x == y { above[j] + 1 } else { row[j].max(above[j + 1]) };
        }
        above = row;
    }
    above[b.len()]
}
