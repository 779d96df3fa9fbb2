//! How many words does the answer share with the target?

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError, Texts, threshold_flaw, tokens::f1};
use crate::{Reply, dataset::Question, excerpt::excerpt};

/// F1 over words, whatever their order, the best over the targets: the measure of SQuAD.
///
/// Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (2016),
/// <https://arxiv.org/abs/1606.05250>, with the normalisation of its evaluation script: lower case,
/// without ASCII punctuation and the articles a, an, the.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct TokenF1 {
    /// What is expected, any of them.
    pub value: Texts,
    /// The least F1.
    pub threshold: f64,
}

impl Default for TokenF1 {
    fn default() -> Self {
        Self { value: Texts::default(), threshold: 0.5 }
    }
}

impl TokenF1 {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let said = squad(&reply.text);
        let targets = self.value.or_targets(question)?;
        let best = targets.iter().map(|target| overlap(&squad(target), &said)).fold(0.0, f64::max);
        let why = format!("F1 {best:.3}: {}", excerpt(&reply.text, 200));
        Ok(Score::at_least(self.threshold, best, why))
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        self.value.flaw().or_else(|| threshold_flaw(self.threshold))
    }
}

fn squad(text: &str) -> Vec<String> {
    let bare: String = text.to_lowercase().chars().filter(|c| !c.is_ascii_punctuation()).collect();
    bare.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the")).map(str::to_owned).collect()
}

fn overlap(target: &[String], said: &[String]) -> f64 {
    let mut left = HashMap::<&str, usize>::new();
    for word in target {
        *left.entry(word).or_default() += 1;
    }
    let common = said.iter().filter(|word| {
        let count = left.get_mut(word.as_str()).filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    });
    // To a question without an answer, none is the right one.
    if target.is_empty() && said.is_empty() { 1.0 } else { f1(common.count(), said.len(), target.len()) }
}
