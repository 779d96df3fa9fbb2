//! Does the answer speak of what it should speak of?

use serde::{Deserialize, Serialize};

use super::{Score, threshold_flaw};
use crate::{Reply, excerpt::excerpt, fold::mentions};

/// The share of topics that the answer mentions.
///
/// A topic is mentioned when it stands in the answer as words of its own, in the singular or with a
/// plural `s` or `es`, whatever the case and the accents; `car|automobile` is mentioned by either.
/// In scripts without spaces between words it may stand anywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Coverage {
    /// What the answer must mention; alternatives of one topic are separated by `|`.
    pub topics: Vec<String>,
    /// The least share of the topics.
    #[serde(default = "most")]
    pub threshold: f64,
}

impl Coverage {
    pub(super) fn score(&self, reply: &Reply) -> Score {
        let missing: Vec<_> = missing(&self.topics, &reply.text).collect();
        let share = 1.0 - missing.len() as f64 / self.topics.len().max(1) as f64;
        let why = match missing.as_slice() {
            [] => "covers every topic".to_owned(),
            missing => {
                format!("covers {share:.2}, not {}: {}", missing.join(", "), excerpt(&reply.text, 200))
            }
        };
        Score::at_least(self.threshold, share, why)
    }

    pub(super) fn flaw(&self) -> Option<(&'static str, String)> {
        topics_flaw(&self.topics).or_else(|| threshold_flaw(self.threshold))
    }
}

/// The flaw of a list of topics, if it has one.
pub(super) fn topics_flaw(topics: &[String]) -> Option<(&'static str, String)> {
    let empty = topics.is_empty()
        || topics.iter().flat_map(|topic| topic.split('|')).any(|topic| topic.trim().is_empty());
    empty.then(|| ("topics", "has no topic, or an empty one; name what to look for".to_owned()))
}

/// Those of `topics` that `answer` does not mention.
pub(crate) fn missing<'a>(topics: &'a [String], answer: &'a str) -> impl Iterator<Item = &'a str> {
    let absent = |topic: &&str| !topic.split('|').any(|word| mentions(answer, word.trim()));
    topics.iter().map(String::as_str).filter(absent)
}

const fn most() -> f64 {
    0.7
}
