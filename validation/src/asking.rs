//! Asking the agent many questions and keeping apart what was answered, what was not, and what was
//! not asked any more.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicU32, Ordering},
};

use futures::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::{AgentError, Case, Error, Event, Outcome, Reason, Reply, Request, Run, Subject, Tally};

/// After so many calls in a row without an answer, an agent is not asked on: a dead server would
/// cost each remaining question its whole timeout.
const GIVE_UP_AFTER: u32 = 3;

/// How questions are put, the same for all questions of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Sampling {
    /// The system message; none by default.
    pub system: Option<String>,
    /// Sampling temperature; 0 by default.
    pub temperature: f64,
    /// Most tokens of an answer; 256 by default.
    pub max_tokens: u32,
}

/// What became of one question.
#[derive(Debug)]
pub(crate) enum Answer {
    Given(Reply),
    Lost(AgentError),
    NotAsked,
}

/// Questions under one name, on the terms of one run.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) check: &'a str,
    pub(crate) subject: &'a Subject<'a>,
    pub(crate) run: &'a Run,
    pub(crate) sampling: &'a Sampling,
}

impl Asking<'_> {
    /// Asks each prompt once, several at once, and returns the answers in the order of the prompts.
    pub(crate) async fn all(&self, prompts: &[&str]) -> Result<Vec<Answer>, Error> {
        let once = prompts.iter().map(|&prompt| (prompt, 0)).collect();
        self.ask(once, self.run.concurrency).await
    }

    /// Asks `prompts` over and over until there are `times` answers, one question at a time: an answer
    /// computed in a batch with others can differ from, and takes longer than, one computed alone.
    pub(crate) async fn in_turn(&self, prompts: &[String], times: usize) -> Result<Vec<Answer>, Error> {
        let rounds = prompts.iter().cycle().take(times).enumerate();
        let numbered = rounds.map(|(i, prompt)| (prompt.as_str(), (i / prompts.len()) as u32));
        self.ask(numbered.collect(), NonZeroUsize::MIN).await
    }

    async fn ask(&self, questions: Vec<(&str, u32)>, at_once: NonZeroUsize) -> Result<Vec<Answer>, Error> {
        let failures = AtomicU32::new(0);
        let calls: Vec<_> =
            questions.into_iter().map(|(prompt, trial)| self.one(prompt, trial, &failures)).collect();
        let mut answers: Vec<Answer> = stream::iter(calls).buffered(at_once.get()).collect().await;
        if answers.iter().any(|answer| matches!(answer, Answer::Given(_))) || answers.is_empty() {
            return Ok(answers);
        }
        let check = self.check.to_owned();
        let last = answers.iter().rposition(|answer| matches!(answer, Answer::Lost(_)));
        Err(match last.map(|at| answers.swap_remove(at)) {
            Some(Answer::Lost(source)) => Error::Agent { check, source },
            _ => Error::OutOfTime { check },
        })
    }

    async fn one(&self, prompt: &str, trial: u32, failures: &AtomicU32) -> Answer {
        let Some(agent) = self.subject.agent else { return Answer::NotAsked };
        let Some(call) = self.run.call(trial) else { return Answer::NotAsked };
        if failures.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
            return Answer::NotAsked;
        }
        let answer = agent.respond(&self.sampling.request(prompt, self.run.seed), &call).await;
        self.run.tell(Event::Called { check: self.check });
        match answer {
            Ok(reply) => {
                failures.store(0, Ordering::Relaxed);
                Answer::Given(reply)
            }
            Err(error) => {
                let weight = if error.is_hopeless() { GIVE_UP_AFTER } else { 1 };
                failures.fetch_add(weight, Ordering::Relaxed);
                Answer::Lost(error)
            }
        }
    }
}

impl Sampling {
    fn request(&self, prompt: &str, seed: u32) -> Request {
        let request =
            Request::user(prompt).temperature(self.temperature).max_tokens(self.max_tokens).seed(seed);
        match &self.system {
            Some(system) => request.system(system),
            None => request,
        }
    }

    /// What is wrong with the settings, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        if !(0.0..=10.0).contains(&self.temperature) {
            return Some(("request.temperature", format!("{} must be from 0 to 10", self.temperature)));
        }
        (self.max_tokens == 0).then(|| ("request.max_tokens", "must be at least 1".to_owned()))
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self { system: None, temperature: 0.0, max_tokens: 256 }
    }
}

impl Answer {
    /// Counts this answer and makes a case of it; `judge` says what a reply is worth, and why.
    pub(crate) fn case(
        &self,
        input: &str,
        tally: &mut Tally,
        judge: impl FnOnce(&Reply) -> (Outcome, String),
    ) -> Case {
        let (outcome, detail) = match self {
            Self::Given(reply) => judge(reply),
            Self::Lost(error) => {
                tally.unknown(Reason::infra(error));
                return Case::new(input, Outcome::Unknown, &error.to_string());
            }
            Self::NotAsked => {
                let what = "not every question was asked: the agent stopped answering or the time was over";
                tally.unknown(Reason::Infra { what: what.to_owned() });
                return Case::new(input, Outcome::Unknown, "not asked");
            }
        };
        tally.count(outcome);
        Case::new(input, outcome, &detail)
    }
}
