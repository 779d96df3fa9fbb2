//! Answers judged by another model.

mod calibration;
mod preferred;
mod prompt;
mod rubric;

use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use self::{
    calibration::{JudgeCalibration, Labelled, Unfit},
    preferred::{AtLeast, Preferred},
    rubric::Rubric,
};
use super::{ScoreError, json::block};
use crate::{Agent, AgentId, Freshness, Request, Run, Unanswered, excerpt::excerpt};

/// Most votes of a judge about one answer.
const MOST_VOTES: u32 = 15;

/// A model that judges what another answered; given to a [`Run`] with [`Run::judge`].
///
/// It is asked at temperature 0 for JSON of a schema. What it judges comes from outside and may tell it
/// what to think: it stands between delimiters that nobody could have known when the answer was written. A reply that
/// is no verdict makes the score unknown, and is never held against the answer.
///
/// A judge errs. [`JudgeCalibration`] says how often, and corrects for it.
#[derive(Clone, Debug)]
pub struct Judge {
    agent: Arc<dyn Agent>,
    max_tokens: u32,
}

impl Judge {
    /// Tokens that it may use for a verdict with its reasons, unless it is told otherwise.
    pub const MAX_TOKENS: u32 = 1_024;

    /// A judge that may use [`MAX_TOKENS`](Self::MAX_TOKENS) for a verdict with its reasons.
    pub fn new(agent: impl Agent) -> Self {
        Self { agent: Arc::new(agent), max_tokens: Self::MAX_TOKENS }
    }

    /// This judge, with at most so many tokens for a verdict with its reasons.
    #[must_use]
    pub const fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = tokens;
        self
    }

    /// Tokens that it may use for a verdict.
    pub(crate) const fn longest_verdict(&self) -> u32 {
        self.max_tokens
    }

    /// Who judges.
    #[must_use]
    pub fn fingerprint(&self) -> AgentId {
        self.agent.fingerprint()
    }

    /// The verdict on `request`, as vote number `vote`; `Err` also if the reply is none.
    async fn verdict<T: DeserializeOwned>(
        &self,
        request: Request,
        vote: u32,
        run: &Run,
    ) -> Result<T, ScoreError> {
        let request = request.temperature(0.0).max_tokens(self.max_tokens).seed(run.seed.wrapping_add(vote));
        let asked = run.ask(self.agent.as_ref(), &request, vote, Freshness::Any).await;
        let reply = asked.map_err(|unanswered| match unanswered {
            Unanswered::Lost(error) => ScoreError::Agent(error),
            Unanswered::Short(shortage) => ScoreError::Short(shortage),
        })?;
        // Servers that know no schemas let models put their JSON into a block of Markdown.
        let text = reply.text.trim();
        let parsed = serde_json::from_str(text).or_else(|error| {
            let block = block(text).ok_or(error)?;
            serde_json::from_str(block)
        });
        parsed.map_err(|error| {
            let said = excerpt(text, 100);
            ScoreError::unscorable(format!("the judge gave no verdict ({error}): {said}"))
        })
    }
}

/// The judge of `run`.
fn judge(run: &Run) -> Result<&Judge, ScoreError> {
    run.judge.as_ref().ok_or(ScoreError::NO_JUDGE)
}

/// The flaw of a number of votes, if it has one.
fn votes_flaw(votes: u32) -> Option<(&'static str, String)> {
    let wrong = votes > MOST_VOTES || votes.is_multiple_of(2);
    wrong.then(|| ("votes", format!("{votes} must be odd and at most {MOST_VOTES}")))
}

const fn one() -> u32 {
    1
}
