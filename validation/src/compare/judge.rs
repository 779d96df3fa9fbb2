//! Which of two answers a judge prefers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Cost, Reply, Run,
    dataset::Question,
    scorer::{Assertion, AtLeast, Preferred, ScoreError, Scorer as _},
};

/// A judge that says which of two answers is the better one, asked in both orders: what it says in one order alone is a
/// tie, for judges favour what they read first. Takes the judge of the [`Run`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Preferring {
    /// What makes one answer better than another, in words.
    pub rubric: String,
    /// How often the judge is asked in both orders; the majority decides. Odd.
    #[serde(default = "one")]
    pub votes: u32,
}

/// Whose answer a judge prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "of two answers one is better or neither")]
pub enum Winner {
    /// The candidate's.
    Candidate,
    /// The baseline's.
    Baseline,
    /// Neither.
    Tie,
}

impl Preferring {
    /// Whose answer to `question` the judge of `run` prefers, and why in a few words.
    ///
    /// # Errors
    ///
    /// [`ScoreError`] if the judge gave no verdict, or cannot be asked. It is then no tie: it is not known.
    pub async fn between(
        &self,
        question: &Question,
        candidate: &Reply,
        baseline: &Reply,
        run: &Run,
    ) -> Result<(Winner, String), ScoreError> {
        let said = |reply: &Reply| Reply::text(reply.said().unwrap_or_default());
        let assertion = self.assertion(&said(baseline).text);
        let score = assertion.score(question, &said(candidate), run).await?;
        let winner = match score.value {
            1.0 => Winner::Candidate,
            0.0 => Winner::Baseline,
            _ => Winner::Tie,
        };
        Ok((winner, score.why))
    }

    pub(crate) fn cost(&self) -> Cost {
        self.assertion("").cost()
    }

    /// What is wrong with it, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        self.assertion("another answer").flaw()
    }

    /// Why it cannot be asked in `run`, if it cannot.
    pub(crate) fn missing(&self, run: &Run) -> Option<ScoreError> {
        self.assertion("").needs().missing(run)
    }

    fn assertion(&self, other: &str) -> Assertion {
        Assertion::Preferred(Preferred {
            rubric: self.rubric.clone(),
            value: other.into(),
            at_least: AtLeast::Equal,
            votes: self.votes,
        })
    }
}

impl Winner {
    /// What the pair is worth to the candidate; to the baseline it is worth the rest to 1.
    pub(crate) const fn value(self) -> f64 {
        match self {
            Self::Candidate => 1.0,
            Self::Tie => 0.5,
            Self::Baseline => 0.0,
        }
    }
}

impl fmt::Display for Winner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Candidate => "candidate",
            Self::Baseline => "baseline",
            Self::Tie => "tie",
        })
    }
}

const fn one() -> u32 {
    1
}
