//! How far a release is: what its journal says, folded. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate::registry::{Digest, Seq};

/// A line of the journal. Its fields are for ever; more may come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(with = "humantime_serde")]
    pub(crate) at: SystemTime,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// A program began to drive the release, for the first time or after another one.
    Open(Opened),
    /// A stage began. What follows may be nothing: then it was interrupted.
    Began { stage: String },
    /// A stage came to a result.
    Ended { stage: String, outcome: Outcome },
    /// A stage came to none: it waits for somebody, or what it takes was not there.
    Left { stage: String, why: String, waits: bool },
}

/// Who drives it, and what of it is done again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) by: String,
    /// Of the description.
    pub(crate) description: Digest,
    /// What was built from, such as a commit, if that was said.
    pub(crate) revision: Option<String>,
    /// What counts as not done, whatever it came to.
    pub(crate) again: Vec<String>,
    /// What has passed, and is not done again: whoever reads from here on knows.
    pub(crate) passed: Vec<String>,
}

/// What a stage came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// A sentence.
    pub(crate) said: String,
    /// What else there is to say, a line each, and not many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<String>,
    /// What machines are told, in the attestation too.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) facts: Map<String, Value>,
    /// What it left in the directory of outputs, by what it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) files: BTreeMap<String, String>,
}

/// A stage passes, fails, or the evidence does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Undecided,
}

/// How a stage stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum State {
    /// It has not begun, or is to be done again.
    #[default]
    Waiting,
    /// It began, and there is no word of its end: it is under way, or was interrupted.
    Begun,
    /// It came to no result.
    Left {
        why: String,
        waits: bool,
    },
    Ended(Outcome),
}

/// A stage, over all its attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Course {
    pub(crate) state: State,
    /// How often it began.
    pub(crate) attempts: u32,
    /// How often it came to a result.
    pub(crate) results: u32,
    pub(crate) began: Option<SystemTime>,
    pub(crate) ended: Option<SystemTime>,
}

/// How far a release is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) opened: Option<Opened>,
    /// The record by which it was opened last.
    pub(crate) since: Option<Seq>,
    courses: BTreeMap<String, Course>,
    /// When the first and the last line were written.
    pub(crate) first: Option<SystemTime>,
    pub(crate) last: Option<SystemTime>,
}

static UNTOUCHED: Course =
    Course { state: State::Waiting, attempts: 0, results: 0, began: None, ended: None };

impl Progress {
    /// What the next line of the journal, record `seq`, makes of it.
    pub(crate) fn apply(&mut self, seq: Seq, entry: &Entry) {
        let at = entry.at;
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        match &entry.event {
            Event::Open(opened) => {
                for (name, course) in &mut self.courses {
                    // Whoever drove it before does so no more. What did not pass is tried again.
                    if opened.again.contains(name) || !course.state.has_passed() {
                        course.state = State::Waiting;
                    }
                }
                (self.opened, self.since) = (Some(opened.clone()), Some(seq));
            }
            Event::Began { stage } => {
                let course = self.courses.entry(stage.clone()).or_default();
                course.attempts += 1;
                (course.state, course.began, course.ended) = (State::Begun, Some(at), None);
            }
            Event::Ended { stage, outcome } => {
                self.end(stage, at, State::Ended(outcome.clone()));
                self.courses.entry(stage.clone()).or_default().results += 1;
            }
            Event::Left { stage, why, waits } => {
                self.end(stage, at, State::Left { why: why.clone(), waits: *waits });
            }
        }
    }

    fn end(&mut self, stage: &str, at: SystemTime, state: State) {
        let course = self.courses.entry(stage.to_owned()).or_default();
        (course.state, course.ended) = (state, Some(at));
    }

    pub(crate) fn course(&self, stage: &str) -> &Course {
        self.courses.get(stage).unwrap_or(&UNTOUCHED)
    }

    pub(crate) fn state(&self, stage: &str) -> &State {
        &self.course(stage).state
    }

    /// What a stage passed with, and when.
    pub(crate) fn ended(&self, stage: &str) -> Option<(&Outcome, SystemTime)> {
        let course = self.course(stage);
        match &course.state {
            State::Ended(outcome) => Some((outcome, course.ended?)),
            _ => None,
        }
    }
}

impl State {
    pub(crate) const fn has_passed(&self) -> bool {
        matches!(self, Self::Ended(Outcome { verdict: Verdict::Passed, .. }))
    }

    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "begun",
            Self::Left { waits: true, .. } => "waits",
            Self::Left { .. } => "left",
            Self::Ended(outcome) => outcome.verdict.word(),
        }
    }
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Undecided => "undecided",
        }
    }
}

impl Course {
    /// How long the last attempt took.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.ended?.duration_since(self.began?).ok()
    }
}

impl Outcome {
    pub(crate) fn new(verdict: Verdict, said: impl Into<String>) -> Self {
        Self { verdict, said: said.into(), lines: Vec::new(), facts: Map::new(), files: BTreeMap::new() }
    }

    pub(crate) fn passed(said: impl Into<String>) -> Self {
        Self::new(Verdict::Passed, said)
    }

    pub(crate) fn failed(said: impl Into<String>) -> Self {
        Self::new(Verdict::Failed, said)
    }

    pub(crate) fn with_lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        /// Journals are read whole.
        const MOST: usize = 40;
        self.lines = lines.into_iter().take(MOST).collect();
        self
    }

    pub(crate) fn with_fact(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn with_file(mut self, what: &str, name: impl Into<String>) -> Self {
        self.files.insert(what.to_owned(), name.into());
        self
    }
}
