//! Does a judge find that the answer meets the criteria?

use serde::{Deserialize, Serialize};

use super::{judge, one, prompt, votes_flaw};
use crate::{
    Cost, Reply, Run,
    dataset::Question,
    excerpt::excerpt,
    scorer::{Score, ScoreError},
};

const TASK: &str = "Decide whether the answer meets the criteria, all of them. If there is a reference, it is a good answer.";

/// A judge finds that the answer meets a rubric. Takes the judge of the [`Run`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Rubric {
    /// What a good answer is like, in words. The targets of the question are shown as references.
    pub rubric: String,
    /// How often the judge is asked; the majority decides, and the score is the share that found it good. Odd.
    #[serde(default = "one")]
    pub votes: u32,
}

#[derive(Deserialize)]
struct Verdict {
    reasoning: String,
    verdict: Word,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Word {
    Fail,
    Pass,
}

impl Rubric {
    /// A rubric with one vote.
    pub fn new(rubric: impl Into<String>) -> Self {
        Self { rubric: rubric.into(), votes: 1 }
    }

    pub(in crate::scorer) async fn score(
        &self,
        question: &Question,
        reply: &Reply,
        run: &Run,
    ) -> Result<Score, ScoreError> {
        let judge = judge(run)?;
        let said = prompt::conversation(&question.messages);
        let mut material = vec![("conversation", said.as_str()), ("answer", &reply.text)];
        material.extend(question.targets.iter().map(|target| ("reference", target.as_str())));
        let request = prompt::request(TASK, &self.rubric, &material, &["pass", "fail"], run.seed)?;
        let (mut passes, mut fails) = (0, 0);
        let (mut reasons, mut failed) = ([None, None], None);
        for vote in 0..self.votes {
            match judge.verdict::<Verdict>(request.clone(), vote, run).await {
                Ok(Verdict { reasoning, verdict }) => {
                    let passed = verdict == Word::Pass;
                    *(if passed { &mut passes } else { &mut fails }) += 1;
                    reasons[usize::from(passed)].get_or_insert(reasoning);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // Votes that are missing decide nothing: it is as the rest says however they would have come out.
        let passed = match failed {
            _ if 2 * passes > self.votes => true,
            _ if 2 * fails > self.votes => false,
            Some(error) => return Err(error),
            None => return Err(ScoreError::unscorable("the judge was not asked")),
        };
        let value = f64::from(passes) / f64::from(passes + fails);
        let [against, for_it] = reasons;
        let reason = if passed { for_it } else { against }.unwrap_or_default();
        let votes =
            if self.votes > 1 { format!("{passes} of {} votes: ", self.votes) } else { String::new() };
        Ok(Score { value, passed, why: format!("{votes}{}", excerpt(&reason, 250)) })
    }

    pub(in crate::scorer) fn cost(&self) -> Cost {
        Cost::verdicts(u64::from(self.votes))
    }

    pub(in crate::scorer) fn flaw(&self) -> Option<(&'static str, String)> {
        let empty = self.rubric.trim().is_empty();
        empty
            .then(|| ("rubric", "is empty; say what a good answer is like".to_owned()))
            .or_else(|| votes_flaw(self.votes))
    }
}
