//! Asking the agent many questions and keeping apart what was answered, what was not, and what was
//! not asked any more.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
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
    /// Sampling temperature; 0 by default. `None`, in a file `"default"`, leaves it to the model: some
    /// take no other.
    #[serde(with = "temperature")]
    pub temperature: Option<f64>,
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

/// How it goes with an agent that is being asked.
#[derive(Debug, Default)]
struct Luck {
    /// Calls without an answer since the last one with an answer.
    failures: AtomicU32,
    /// Whether a call failed as every other will. An answer to a call that was already under way
    /// changes nothing about that.
    hopeless: AtomicBool,
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
        let luck = Luck::default();
        let calls: Vec<_> =
            questions.into_iter().map(|(prompt, trial)| self.one(prompt, trial, &luck)).collect();
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

    async fn one(&self, prompt: &str, trial: u32, luck: &Luck) -> Answer {
        let Some(agent) = self.subject.agent else { return Answer::NotAsked };
        let Some(call) = self.run.call(trial) else { return Answer::NotAsked };
        if luck.is_out() {
            return Answer::NotAsked;
        }
        let answer = agent.respond(&self.sampling.request(prompt, self.run.seed), &call).await;
        self.run.tell(Event::Called { check: self.check });
        luck.count(&answer);
        answer.map_or_else(Answer::Lost, Answer::Given)
    }
}

impl Luck {
    fn is_out(&self) -> bool {
        self.hopeless.load(Ordering::Relaxed) || self.failures.load(Ordering::Relaxed) >= GIVE_UP_AFTER
    }

    fn count(&self, answer: &Result<Reply, AgentError>) {
        match answer {
            Ok(_) => self.failures.store(0, Ordering::Relaxed),
            Err(error) if error.is_hopeless() => self.hopeless.store(true, Ordering::Relaxed),
            Err(_) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Sampling {
    fn request(&self, prompt: &str, seed: u32) -> Request {
        let mut request = Request::user(prompt).max_tokens(self.max_tokens).seed(seed);
        request.temperature = self.temperature;
        match &self.system {
            Some(system) => request.system(system),
            None => request,
        }
    }

    /// What is wrong with the settings, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        if let Some(temperature) = self.temperature.filter(|heat| !(0.0..=10.0).contains(heat)) {
            return Some(("request.temperature", format!("{temperature} must be from 0 to 10")));
        }
        (self.max_tokens == 0).then(|| ("request.max_tokens", "must be at least 1".to_owned()))
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self { system: None, temperature: Some(0.0), max_tokens: 256 }
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
            Self::Given(reply) if reply.said().is_none() && reply.is_cut_off() => {
                tally.unknown(Reason::CutOff);
                return Case::new(input, Outcome::Unknown, "cut off before it said anything");
            }
            Self::Given(reply) => {
                let judged = judge(reply);
                tally.cut_off += u64::from(reply.is_cut_off() && judged.0 != Outcome::Unknown);
                judged
            }
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

/// A temperature in a file: a number, or `"default"`.
mod temperature {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use serde_json::Value;

    const DEFAULT: &str = "default";

    pub(super) fn serialize<S: Serializer>(heat: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match heat {
            Some(heat) => serializer.serialize_f64(*heat),
            None => serializer.serialize_str(DEFAULT),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        match value.as_f64() {
            None if value == DEFAULT => Ok(None),
            None => Err(D::Error::custom("write a number from 0, or \"default\" to leave it to the model")),
            heat => Ok(heat),
        }
    }
}
