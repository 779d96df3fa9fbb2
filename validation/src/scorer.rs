//! What an answer is worth: one number, whether that is enough, and why.
//!
//! An [`Assertion`] is a scorer as data, as datasets and suite files hold it. Whatever else can say what
//! an answer is worth implements [`Scorer`].
//!
//! ```
//! use tidegate_validation::{Reply, Run, dataset::Question, scorer::{Assertion, Scorer as _}};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let assertion: Assertion = serde_json::from_str(r#"{ "kind": "number", "relative": 0.01 }"#)?;
//! let question = Question::new("light", "How far does light get in a second?").with_target("299792458");
//! let score = assertion.score(&question, &Reply::text("About 300,000,000 m."), &Run::new(7)).await?;
//! assert!(score.passed, "{}", score.why);
//! # Ok(())
//! # }
//! ```

mod assertion;
mod choice;
mod coherence;
mod compose;
mod edits;
mod json;
mod judge;
mod limits;
mod needs;
mod number;
mod overlap;
mod pattern;
mod quality;
mod rouge;
mod secret;
mod similar;
mod texts;
mod tokens;
mod topics;
mod trajectory;
mod words;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

pub use self::{
    assertion::{Assertion, Weighted},
    choice::Choice,
    compose::{All, Any, Not},
    edits::Levenshtein,
    json::{Json, Schema},
    judge::{AtLeast, Judge, JudgeCalibration, Labelled, Preferred, Rubric, Unfit},
    limits::{CostLimit, LatencyLimit},
    number::{Number, Which},
    overlap::TokenF1,
    pattern::{Matches, Pattern},
    quality::{Part, Quality},
    rouge::RougeL,
    secret::KeepsSecret,
    similar::Similar,
    texts::Texts,
    topics::Coverage,
    trajectory::{Arguments, Expected, Order, ToolCallF1, ToolCalls, ToolLimits},
    words::{Contains, Exact, Normalised, Required, StartsWith},
};
pub(crate) use self::{compose::all, needs::Needs, similar::embedded, topics::missing};
use crate::{AgentError, Cost, Reply, Run, Shortage, dataset::Question};

/// Says what an answer is worth.
///
/// # Contract
///
/// * **No score is no miss.** `Err` means that the scorer could not tell, because a judge did not answer
///   or a target is missing; it is counted as unknown. An answer that is wrong is `Ok`.
/// * **Same answer, same score**, as far as the scorer can help it: nothing is kept between calls,
///   which may be made at the same time.
/// * **No more than it says.** `score` makes at most the calls that `cost` says, each of them through
///   [`Run::ask`].
/// * **Bounded.** An answer is as long as whoever gave it wanted; time and memory are not.
#[cfg_attr(feature = "testkit", mockall::automock)]
#[async_trait]
pub trait Scorer: fmt::Debug + Send + Sync + 'static {
    /// The most that one score may cost, of calls beside the one that is scored.
    fn cost(&self) -> Cost;

    /// What `reply` is worth as an answer to `question`.
    async fn score(&self, question: &Question, reply: &Reply, run: &Run) -> Result<Score, ScoreError>;
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// From 0, nothing, to 1, everything.
    pub value: f64,
    /// Whether it is enough.
    pub passed: bool,
    /// What it is made of, in a few words.
    pub why: String,
}

/// Why it is not known what an answer is worth.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// The judge or the classifier did not answer. What to do is in the source.
    #[error("the judge or the classifier gave no answer")]
    Agent(#[source] AgentError),
    /// The embeddings could not be had. What to do is in the source.
    #[error("the embedder gave no vectors")]
    Embedder(#[source] AgentError),
    /// The run lacks something that the scorer works with. Give it one.
    #[error("scoring takes {what}; give the run one with `{with}`")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// How to give it.
        with: &'static str,
    },
    /// The run has too little left to ask a judge. Allow more of what the message names.
    #[error("the answer was not scored: {0}")]
    Short(Shortage),
    /// The answer or the question does not let itself be scored. Mend what the message names.
    #[error("it cannot be scored: {why}")]
    Unscorable {
        /// Why not, and what would be right.
        why: String,
    },
}

impl Score {
    /// A score of `value`, moved into the range from 0 to 1, that passes from `threshold` on.
    pub fn at_least(threshold: f64, value: f64, why: impl Into<String>) -> Self {
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        Self { value, passed: value >= threshold, why: why.into() }
    }

    /// Everything, or nothing.
    pub fn whether(passed: bool, why: impl Into<String>) -> Self {
        Self { value: if passed { 1.0 } else { 0.0 }, passed, why: why.into() }
    }
}

impl ScoreError {
    pub(crate) const NO_CLASSIFIER: Self = Self::Missing { what: "a classifier", with: "Run::classifier" };
    pub(crate) const NO_EMBEDDER: Self = Self::Missing { what: "an embedder", with: "Run::embedder" };
    pub(crate) const NO_JUDGE: Self = Self::Missing { what: "a judge", with: "Run::judge" };

    /// Whether it says nothing about the answer: the same answer may be scored another time.
    pub(crate) const fn is_of_the_instruments(&self) -> bool {
        match self {
            Self::Unscorable { .. } => false,
            Self::Agent(error) | Self::Embedder(error) => !error.is_final(),
            _ => true,
        }
    }

    pub(crate) fn unscorable(why: impl Into<String>) -> Self {
        Self::Unscorable { why: why.into() }
    }
}

#[async_trait]
impl<T: Scorer + ?Sized> Scorer for Arc<T> {
    fn cost(&self) -> Cost {
        (**self).cost()
    }

    async fn score(&self, question: &Question, reply: &Reply, run: &Run) -> Result<Score, ScoreError> {
        (**self).score(question, reply, run).await
    }
}

/// The flaw of a threshold, if it has one.
fn threshold_flaw(threshold: f64) -> Option<(&'static str, String)> {
    let wrong = !(threshold > 0.0 && threshold <= 1.0);
    wrong.then(|| ("threshold", format!("{threshold} must be above 0 and at most 1")))
}
