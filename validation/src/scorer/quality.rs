//! Is the answer good prose about what was asked?

use serde::{Deserialize, Serialize};

use super::{
    Assertion, Score, ScoreError,
    coherence::{coherence, sentences},
    similar::{embedded, near},
    threshold_flaw,
    topics::{missing, topics_flaw},
};
use crate::{Reply, Run, dataset::Question, excerpt::excerpt};

/// 0.4 relevance + 0.3 coverage + 0.3 coherence, as weights of a mean that may be set.
///
/// * **Relevance**: the cosine between the embeddings of question and answer; below 0 counts as 0.
/// * **Coverage**: the share of `topics` that the answer mentions, in words or by a sentence whose embedding
///   is near that of the topic.
/// * **Coherence**: the mean cosine of adjacent sentences × (1 − the share of repeated trigrams).
///
/// Each part can be scored by another assertion instead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Quality {
    /// What the answer should speak of; alternatives of one topic are separated by `|`.
    pub topics: Vec<String>,
    /// The cosine from which on a sentence speaks of a topic; by words alone if it is 1.
    pub near: f64,
    /// How well the answer fits the question.
    pub relevance: Part,
    /// How much of the topics it covers.
    pub coverage: Part,
    /// How well it hangs together.
    pub coherence: Part,
    /// The least quality.
    pub threshold: f64,
}

/// One part of a [`Quality`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Part {
    /// How much it counts beside the others; not at all at 0.
    pub weight: f64,
    /// What scores it, if not the part's own measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<Assertion>>,
}

impl Default for Quality {
    fn default() -> Self {
        let part = |weight| Part { weight, by: None };
        Self {
            topics: Vec::new(),
            near: 0.6,
            relevance: part(0.4),
            coverage: part(0.3),
            coherence: part(0.3),
            threshold: 0.7,
        }
    }
}

impl Quality {
    pub(super) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        if reply.text.trim().is_empty() {
            return Ok(Score::whether(false, "an empty answer"));
        }
        let mut mean = 0.0;
        let mut why = Vec::new();
        for (name, part) in self.parts() {
            if part.weight == 0.0 {
                continue;
            }
            let value = match &part.by {
                Some(assertion) => Box::pin(assertion.judge(question, reply, run)).await?.value,
                None => self.own(name, question, reply, run).await?,
            };
            mean += part.weight * value;
            why.push(format!("{name} {value:.2}"));
        }
        let quality = mean / self.weights();
        let why = format!("quality {quality:.2} ({}): {}", why.join(", "), excerpt(&reply.text, 200));
        Ok(Score::at_least(self.threshold, quality, why))
    }

    /// What a part measures by itself.
    async fn own(
        &self,
        part: &str,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<f64, ScoreError> {
        match part {
            "relevance" => {
                let vectors = embedded(&[question.prompt(), &reply.text], run).await?;
                near(&vectors[0], &vectors[1])
            }
            "coverage" => self.covered(&reply.text, run).await,
            _ => coherence(&reply.text, run).await,
        }
    }

    async fn covered(&self, answer: &str, run: &Run) -> Result<f64, ScoreError> {
        let open: Vec<&str> = missing(&self.topics, answer).collect();
        let mut lacking = open.len();
        if self.near < 1.0 && lacking > 0 {
            let sentences = sentences(answer)?;
            let alternatives = || open.iter().flat_map(|topic| topic.split('|')).map(str::trim);
            let texts: Vec<&str> = sentences.iter().copied().chain(alternatives()).collect();
            let vectors = embedded(&texts, run).await?;
            let (sentences, alternatives) = vectors.split_at(sentences.len());
            let mut alternatives = alternatives.iter();
            for topic in &open {
                let mut best = 0.0_f64;
                for words in alternatives.by_ref().take(topic.split('|').count()) {
                    for sentence in sentences {
                        best = best.max(near(words, sentence)?);
                    }
                }
                lacking -= usize::from(best >= self.near);
            }
        }
        Ok(1.0 - lacking as f64 / self.topics.len().max(1) as f64)
    }

    fn parts(&self) -> [(&'static str, &Part); 3] {
        [("relevance", &self.relevance), ("coverage", &self.coverage), ("coherence", &self.coherence)]
    }

    /// What scores parts in their stead.
    pub(super) fn assertions(&self) -> impl Iterator<Item = &Assertion> {
        self.parts().into_iter().filter_map(|(_, part)| part.by.as_deref())
    }

    /// How many parts may be measured by embeddings, each of them by one call.
    pub(super) fn embeddings(&self) -> u64 {
        let own = |part: &Part| part.weight > 0.0 && part.by.is_none();
        let embed = [own(&self.relevance), own(&self.coherence), own(&self.coverage) && self.near < 1.0];
        embed.into_iter().map(u64::from).sum()
    }

    fn weights(&self) -> f64 {
        self.parts().iter().map(|(_, part)| part.weight).sum()
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        let heavy = |part: &Part| part.weight >= 0.0 && part.weight.is_finite();
        if let Some((name, part)) = self.parts().into_iter().find(|(_, part)| !heavy(part)) {
            return Some((name, format!("has the weight {}; write a number from 0", part.weight)));
        }
        if self.weights() <= 0.0 {
            return Some((
                "relevance",
                "has no weight, nor have the other parts; give one of them some".to_owned(),
            ));
        }
        if !(self.near > 0.0 && self.near <= 1.0) {
            return Some(("near", format!("{} must be above 0 and at most 1", self.near)));
        }
        let own = self.coverage.by.is_none() && self.coverage.weight > 0.0;
        let topics = if own { topics_flaw(&self.topics) } else { None };
        topics.or_else(|| threshold_flaw(self.threshold))
    }
}
