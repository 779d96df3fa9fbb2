//! Does a judge prefer the answer to another?

use serde::{Deserialize, Serialize};

use super::{judge, one, prompt, votes_flaw};
use crate::{
    Cost, Reply, Run,
    dataset::Question,
    excerpt::excerpt,
    scorer::{Score, ScoreError, Texts},
};

const TASK: &str =
    "Decide which of two answers meets the criteria better. Their order says nothing, nor does their length.";

/// A judge finds the answer at least as good as another. Takes the judge of the [`Run`].
///
/// Judges favour what they read first. Each vote is therefore asked in both orders, and counts as a tie
/// unless both say the same. The score is 1 for better, 0.5 for a tie, 0 for worse, by the majority of votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Preferred {
    /// What makes one answer better than another, in words.
    pub rubric: String,
    /// The other answer; the first target of the question by default.
    #[serde(default)]
    pub value: Texts,
    /// How good it must be beside the other.
    #[serde(default)]
    pub at_least: AtLeast,
    /// How often the judge is asked in both orders. Odd.
    #[serde(default = "one")]
    pub votes: u32,
}

/// How good an answer must be beside another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "a tie is enough or it is not")]
pub enum AtLeast {
    /// Better: a tie is not enough.
    Better,
    /// As good.
    #[default]
    Equal,
}

#[derive(Deserialize)]
struct Verdict {
    reasoning: String,
    verdict: Word,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Word {
    First,
    Second,
    Tie,
}

impl Preferred {
    pub(in crate::scorer) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        let judge = judge(run)?;
        let said = prompt::conversation(&question.messages);
        let other = &self.value.or_targets(question)?[0];
        let ordered = |first: &str, second: &str| {
            let material =
                [("conversation", said.as_str()), ("first answer", first), ("second answer", second)];
            prompt::request(TASK, &self.rubric, &material, &["first", "second", "tie"], run.seed)
        };
        let (forward, backward) = (ordered(&reply.text, other)?, ordered(other, &reply.text)?);
        let (mut better, mut worse, mut ties) = (0, 0, 0);
        let (mut reason, mut failed) = (String::new(), None);
        for vote in 0..self.votes {
            let one = judge.verdict::<Verdict>(forward.clone(), vote, run).await;
            let two = judge.verdict::<Verdict>(backward.clone(), vote, run).await;
            match (one, two) {
                (Ok(one), Ok(two)) => {
                    match (one.verdict, two.verdict) {
                        (Word::First, Word::Second) => better += 1,
                        (Word::Second, Word::First) => worse += 1,
                        _ => ties += 1,
                    }
                    reason = one.reasoning;
                }
                (Err(error), _) | (_, Err(error)) => failed = failed.or(Some(error)),
            }
        }
        let majority = |count: u32| 2 * count > self.votes;
        let value = match failed {
            _ if majority(better) => 1.0,
            _ if majority(worse) => 0.0,
            _ if majority(ties) => 0.5,
            Some(error) => return Err(error),
            // No side has a majority: nobody is preferred.
            None => 0.5,
        };
        let word = ["worse than", "equal to", "better than"][(value * 2.0) as usize];
        let passed = value > 0.5 || value == 0.5 && self.at_least == AtLeast::Equal;
        Ok(Score { value, passed, why: format!("{word} the other: {}", excerpt(&reason, 250)) })
    }

    pub(in crate::scorer) fn cost(&self) -> Cost {
        Cost::verdicts(2 * u64::from(self.votes))
    }

    pub(in crate::scorer) fn flaw(&self) -> Option<(&'static str, String)> {
        let empty = self.rubric.trim().is_empty();
        let rubric = empty.then(|| ("rubric", "is empty; say what makes an answer better".to_owned()));
        rubric.or_else(|| self.value.flaw()).or_else(|| votes_flaw(self.votes))
    }
}
