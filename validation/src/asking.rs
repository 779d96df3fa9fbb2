//! Asking the agent many questions and keeping apart what was answered, what was not, and what was
//! not asked any more.

mod sizes;

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

pub(crate) use self::sizes::Size;
use self::sizes::Sizes;
use crate::{
    AgentError, Case, Error, Event, Freshness, Message, Outcome, Reason, Reply, Request, ResponseFormat,
    Role, Run, Shortage, Subject, Tally, Tool, ToolChoice, Unanswered,
};

/// After so many failures of the agent in a row, and so long after the first of them, it is not asked on: a dead
/// server would cost each remaining question its whole timeout.
const GIVE_UP_AFTER: u32 = 5;
/// As long as a server may take to start again.
const GIVE_UP_AFTER_TIME: Duration = Duration::from_secs(30);
/// How long each question waits after so many failures: those that fail at once would all be lost in the meantime.
const PAUSE: Duration = Duration::from_secs(1);

/// How questions are put, the same for all questions of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Sampling {
    /// The system message; none by default.
    pub system: Option<String>,
    /// Sampling temperature; 0 by default. `None`, in a file `"default"`, leaves it to the model: some
    /// take no other.
    #[serde(with = "temperature")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Temperature"))]
    pub temperature: Option<f64>,
    /// Only the likeliest tokens that together have this probability are sampled, above 0 and at most 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Most tokens of an answer; 256 by default.
    pub max_tokens: u32,
    /// Texts that end an answer when they appear in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The tools that the model may call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether it may call them, or must.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// The form that an answer must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_format: Option<ResponseFormat>,
    /// How many alternatives are wanted beside each token of an answer, with their probabilities; 0 for the tokens of
    /// the answer alone, none for no probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u8>,
}

/// Most texts that end an answer, as OpenAI has it.
const MOST_STOPS: usize = 4;
/// Most tools that a model may call, as OpenAI has it.
const MOST_TOOLS: usize = 128;
/// Most alternatives beside each token, as OpenAI has it.
const MOST_LOGPROBS: u8 = 20;

/// What became of one question.
#[derive(Debug)]
pub(crate) enum Answer {
    Given(Reply),
    Lost(AgentError),
    /// Not asked any more: there was too little left for it, or no use in it.
    NotAsked(Option<Shortage>),
}

/// How it goes with an agent that is being asked.
#[derive(Debug, Default)]
pub(crate) struct Luck {
    /// Failures since the agent last showed that it is there.
    streak: Mutex<Streak>,
    /// Whether a call failed as every other will. An answer to a call that was already under way
    /// changes nothing about that.
    hopeless: AtomicBool,
    /// What was lacking when an answer was to be scored, and is lacking for others.
    unscored: OnceLock<Shortage>,
    /// How large the answers were that were to be scored.
    sizes: Mutex<Sizes>,
}

/// Failures of an agent in a row.
#[derive(Debug, Default)]
struct Streak {
    failures: u32,
    since: Option<Instant>,
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
    /// Asks `prompts` over and over until there are `times` answers, one question at a time: an answer
    /// computed in a batch with others can differ from, and takes longer than, one computed alone. For the
    /// same reason none is remembered.
    pub(crate) async fn in_turn(&self, prompts: &[String], times: usize) -> Result<Vec<Answer>, Error> {
        let rounds = prompts.iter().cycle().take(times).enumerate();
        let luck = Luck::default();
        let mut answers = Vec::with_capacity(times);
        for (i, prompt) in rounds {
            answers.push(self.one(prompt, (i / prompts.len()) as u32, &luck).await);
        }
        if answers.iter().any(|answer| matches!(answer, Answer::Given(_))) || answers.is_empty() {
            return Ok(answers);
        }
        let check = self.check.to_owned();
        let last = answers.iter().rposition(|answer| matches!(answer, Answer::Lost(_)));
        if let Some(Answer::Lost(source)) = last.map(|at| answers.swap_remove(at)) {
            return Err(Error::Agent { check, source });
        }
        let shortage = answers.into_iter().find_map(|answer| match answer {
            Answer::NotAsked(shortage) => shortage,
            _ => None,
        });
        Err(Error::OutOfBudget { check, shortage: shortage.unwrap_or(Shortage::Time) })
    }

    async fn one(&self, prompt: &str, trial: u32, luck: &Luck) -> Answer {
        let request = self.sampling.request(vec![Message::new(Role::User, prompt)], self.run.seed);
        let answer = self.put(&request, trial, Freshness::New, luck).await;
        self.run.note_spent(self.check);
        answer
    }

    /// Puts one request, unless `luck` has run out.
    pub(crate) async fn put(
        &self,
        request: &Request,
        trial: u32,
        freshness: Freshness,
        luck: &Luck,
    ) -> Answer {
        let Some(agent) = self.subject.agent else { return Answer::NotAsked(None) };
        if !luck.is_out() && luck.is_bad() {
            sleep(PAUSE.min(self.run.left())).await;
        }
        if luck.is_out() {
            return Answer::NotAsked(None);
        }
        let answer = match self.run.ask(agent, request, trial, freshness).await {
            Ok(reply) => Ok(reply),
            Err(Unanswered::Lost(error)) => Err(error),
            Err(Unanswered::Short(shortage)) => return Answer::NotAsked(Some(shortage)),
        };
        self.run.tell(Event::Called { check: self.check, spent: self.run.spent() });
        luck.count(&answer);
        answer.map_or_else(Answer::Lost, Answer::Given)
    }
}

impl Luck {
    /// Whether there is no use in asking on.
    fn is_out(&self) -> bool {
        let streak = self.streak();
        let long = streak.since.is_some_and(|since| since.elapsed() >= GIVE_UP_AFTER_TIME);
        self.hopeless.load(Ordering::Relaxed) || streak.failures >= GIVE_UP_AFTER && long
    }

    /// Whether the agent seems to be away.
    fn is_bad(&self) -> bool {
        self.streak().failures >= GIVE_UP_AFTER
    }

    /// A refusal is the misfortune of its question alone, and shows that the agent is there.
    fn count(&self, answer: &Result<Reply, AgentError>) {
        match answer {
            Err(error) if error.is_hopeless() => self.hopeless.store(true, Ordering::Relaxed),
            Ok(_) | Err(AgentError::Refused { .. }) => *self.streak() = Streak::default(),
            Err(error) if error.is_of_the_agent() => {
                let mut streak = self.streak();
                streak.failures = streak.failures.saturating_add(1);
                streak.since.get_or_insert_with(Instant::now);
            }
            Err(_) => {}
        }
    }

    fn streak(&self) -> MutexGuard<'_, Streak> {
        self.streak.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an answer that is to be scored.
    pub(crate) fn note_size(&self, size: Size) {
        self.sizes().push(size);
    }

    /// Notes that an answer of this size, which was noted, could not be scored: too little was left for it. That says
    /// something of others only if those need as much: time and calls are lacking for all, tokens and money for answers
    /// that are as large.
    pub(crate) fn leave_unscored(&self, shortage: &Shortage, size: Size) {
        let own = matches!(shortage, Shortage::Money { .. } | Shortage::Tokens { .. });
        if !own || self.sizes().is_ordinary(size) {
            let _ = self.unscored.set(shortage.clone());
        }
    }

    fn sizes(&self) -> MutexGuard<'_, Sizes> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was lacking when an answer was to be scored and is lacking for others, too: nothing is ever put back.
    pub(crate) fn unscored(&self) -> Option<&Shortage> {
        self.unscored.get()
    }
}

impl Sampling {
    /// The request for an answer to `messages`, which come under the system message unless they have their own.
    pub(crate) fn request(&self, messages: Vec<Message>, seed: u32) -> Request {
        let own = messages.first().is_some_and(|message| message.role == Role::System);
        let request = Request {
            messages,
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            response_format: self.response_format.clone(),
            stop: self.stop.clone(),
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: Some(self.max_tokens),
            seed: Some(seed),
            top_logprobs: self.top_logprobs,
        };
        match &self.system {
            Some(system) if !own => request.system(system),
            _ => request,
        }
    }

    /// What is wrong with the settings, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        if let Some(temperature) = self.temperature.filter(|heat| !(0.0..=10.0).contains(heat)) {
            return Some(("request.temperature", format!("{temperature} must be from 0 to 10")));
        }
        if let Some(top_p) = self.top_p.filter(|top_p| !(*top_p > 0.0 && *top_p <= 1.0)) {
            return Some(("request.top_p", format!("{top_p} must be above 0 and at most 1")));
        }
        if self.stop.len() > MOST_STOPS || self.stop.iter().any(String::is_empty) {
            return Some(("request.stop", format!("must be at most {MOST_STOPS} texts, none of them empty")));
        }
        if self.tools.len() > MOST_TOOLS {
            return Some(("request.tools", format!("has more than {MOST_TOOLS}, which no provider takes")));
        }
        if self.tool_choice.is_some() && self.tools.is_empty() {
            return Some((
                "request.tool_choice",
                "is about tools, and there are none; add `tools`".to_owned(),
            ));
        }
        if self.top_logprobs.is_some_and(|top| top > MOST_LOGPROBS) {
            return Some(("request.top_logprobs", format!("must be from 0 to {MOST_LOGPROBS}")));
        }
        (self.max_tokens == 0).then(|| ("request.max_tokens", "must be at least 1".to_owned()))
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            system: None,
            temperature: Some(0.0),
            top_p: None,
            max_tokens: 256,
            stop: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            response_format: None,
            top_logprobs: None,
        }
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
                let counts = judged.0 != Outcome::Unknown;
                tally.cut_off += u64::from(counts && reply.is_cut_off());
                tally.remembered += u64::from(counts && reply.remembered);
                judged
            }
            Self::Lost(error) => {
                tally.unknown(Reason::infra(error));
                return Case::new(input, Outcome::Unknown, &error.to_string());
            }
            Self::NotAsked(shortage) => {
                tally.unknown(not_asked(shortage.as_ref()));
                return Case::new(input, Outcome::Unknown, "not asked");
            }
        };
        tally.count(outcome);
        Case::new(input, outcome, &detail)
    }
}

/// Why a question was not asked.
pub(crate) fn not_asked(shortage: Option<&Shortage>) -> Reason {
    match shortage {
        Some(shortage) => Reason::Budget(shortage.clone()),
        None => {
            Reason::Infra { what: "not every question was asked: the agent stopped answering".to_owned() }
        }
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
