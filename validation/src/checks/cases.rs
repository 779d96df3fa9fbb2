//! Are the questions of a dataset answered well?

mod corrected;
mod feed;
mod merged;
mod outcome;
mod standing;

use std::{
    future::ready,
    ops::{Add, BitOr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use futures::StreamExt as _;
use serde_json::json;
use tidegate_registry::Digest;

pub(super) use self::feed::{Feed, Next};
use self::outcome::{Outcomes, reason};
pub use self::standing::Standing;
use super::{Settings, asking};
use crate::{
    Cost, Error, Event, Finding, Freshness, Gate, Outcome, Reason, Reply, Rule, Run, Sampling, Shortage,
    Subject, Validator,
    asking::{Answer, Asking, Luck, Size},
    canonical::canonical,
    dataset::{Dataset, InvalidDataset, Question, Shard},
    excerpt::excerpt,
    record::{Begin, Past, RecordError, Said, Trial},
    scorer::{JudgeCalibration, ScoreError, Scorer, Weighted, all},
};

/// Most repetitions of a question.
const MOST_REPEATS: u32 = 10_000;

/// Asks every question of a dataset, once or several times, and scores each answer as soon as it comes.
///
/// An answer is as it should be when all [assertions](crate::scorer::Assertion) hold, those of the question and
/// those of the check; or when their weighted mean reaches the question's threshold, if it has one. Questions
/// and answers stream: beside the calls under way, what is held in memory is counts, one set for each cluster, and the
/// first cases that are not as they should be.
///
/// **Repeats are no new questions.** Answers to one question, and to questions of one `cluster`, resemble
/// each other; the share is then held against its floor with the number of independent trials that they are
/// worth, and so it is when questions differ in weight.
///
/// Under [`Rule::Sequential`] the questions are asked in order until the answers decide.
///
/// With a [`Record`](crate::Record) each trial is written down, and a run that was killed goes on from there.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers fill it in with a literal and `..Cases::new(dataset)`"
)]
pub struct Cases {
    /// The check's name in reports.
    pub name: String,
    /// What is asked.
    pub dataset: Dataset,
    /// What every good answer is like, whatever its question says besides.
    pub assertions: Vec<Weighted>,
    /// What else scores every answer.
    pub scorers: Vec<Arc<dyn Scorer>>,
    /// How often the judge errs. With it the share is that of answers that are good and not of those that the judge
    /// finds good; the check's only assertion must then be the rubric that it was measured by.
    pub calibration: Option<Arc<JudgeCalibration>>,
    /// The least kappa between people and the judge, if there is a `calibration`.
    pub kappa_floor: f64,
    /// How often each question is asked.
    pub repeats: u32,
    /// The least share of answers that are as they should be.
    pub floor: f64,
    /// How the share is held against the floor.
    pub rule: Rule,
    /// Confidence of the bounds.
    pub confidence: f64,
    /// How the questions are put.
    pub request: Sampling,
}

impl Cases {
    /// A check of `dataset` with nothing but what its questions say themselves.
    #[must_use]
    pub fn new(dataset: Dataset) -> Self {
        Self {
            name: Self::KIND.to_owned(),
            dataset,
            assertions: Vec::new(),
            scorers: Vec::new(),
            calibration: None,
            kappa_floor: 0.6,
            repeats: 1,
            floor: 0.9,
            rule: Rule::Bound,
            confidence: 0.95,
            request: Sampling::default(),
        }
    }

    /// Reads all questions, those of other shares included, and says of the first whose answers could never be scored why not; blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidDataset`] names the question.
    pub fn fit(&self) -> Result<(), InvalidDataset> {
        self.dataset.each(|question| {
            let nothing =
                question.assertions.is_empty() && self.assertions.is_empty() && self.scorers.is_empty();
            if nothing {
                return Some(
                    "nothing says what a good answer is; give the check or the question an `assert`"
                        .to_owned(),
                );
            }
            let why = self.assertions.iter().find_map(|part| part.assertion.lacking(question))?;
            Some(format!("question `{}`: an assertion of the check {why}", excerpt(&question.id, 100)))
        })
    }

    /// Why its trials are not what [`Rule::Sequential`] asks for, if they are not and that is the rule.
    fn dependent(&self) -> Option<String> {
        let Rule::Sequential { .. } = self.rule else { return None };
        let what = match () {
            () if self.calibration.is_some() => "a judge that is corrected for",
            () if self.dataset.is_clustered() => "questions in clusters",
            () if self.dataset.is_weighted() => "questions of different weights",
            // Of a single question repeats are all the trials there are.
            () if self.repeats > 1 && self.dataset.total() > 1 => "questions that are repeated",
            () => return None,
        };
        Some(format!(
            "of sequential takes independent trials, and {what} make none; write \"bound\" or \"point\""
        ))
    }

    fn gate(&self) -> Gate {
        Gate { floor: self.floor, rule: self.rule, confidence: self.confidence }
    }

    /// The digest of whatever decides what is asked and how answers are scored, but for which share is asked and by
    /// which instruments it is scored.
    pub(crate) fn settings(&self) -> Digest {
        let settings = json!({
            "dataset": self.dataset.digest(),
            "format": self.dataset.format(),
            "assertions": self.assertions,
            "scorers": format!("{:?}", self.scorers),
            "repeats": self.repeats,
            "request": self.request,
            "calibration": self.calibration.as_deref(),
            // Scorers may change with the crate.
            "crate": env!("CARGO_PKG_VERSION"),
        });
        Digest::of(canonical(&settings))
    }

    async fn made(
        &self,
        asking: &Asking<'_>,
        luck: &Luck,
        next: Next,
    ) -> Result<(Arc<Question>, Made), Error> {
        let (question, trial) = self.read(next)?;
        let made = self.trial(asking, luck, &question, trial).await?;
        Ok((question, made))
    }

    /// Asks and scores once, unless the record knows already.
    pub(super) async fn trial(
        &self,
        asking: &Asking<'_>,
        luck: &Luck,
        question: &Question,
        trial: u32,
    ) -> Result<Made, Error> {
        let record = asking.run.recording();
        if let Some(known) = self.recalled(asking.run, question, trial) {
            return Ok(known);
        }
        if let Some(shortage) = luck.unscored().filter(|_| self.scoring(question).calls > 0) {
            return Ok(Made::NotAsked(Some(shortage.clone())));
        }
        let request = self.request.request(question.asked(), asking.run.seed);
        let answer = asking.put(&request, trial, self.freshness(question), luck).await;
        let (past, reply) = match &answer {
            Answer::Given(reply) => {
                let size = (self.scoring(question).calls > 0)
                    .then(|| Size::of(reply, self.request.max_tokens, asking.run));
                size.iter().for_each(|size| luck.note_size(*size));
                let past = self.score(question, reply, asking.run).await;
                if let (Some(Reason::Budget(shortage)), Some(size)) = (&past.reason, size) {
                    luck.leave_unscored(shortage, size);
                }
                (past, Some(reply))
            }
            Answer::Lost(error) => (Past::unanswered(error), None),
            Answer::NotAsked(shortage) => return Ok(Made::NotAsked(shortage.clone())),
        };
        if let Some(record) = record {
            let reply = reply.map(|reply| Said::new(reply, record.keep()));
            let line = Trial {
                check: self.name.clone(),
                case: question.id.clone(),
                trial,
                cluster: question.cluster.clone(),
                weight: (question.weight != 1.0).then_some(question.weight),
                past: past.clone(),
                reply,
                spent: asking.run.gone(),
            };
            record.add(&line).await.map_err(|source| self.unrecorded(source))?;
        }
        Ok(match answer {
            Answer::Lost(error) => Made::Lost(past, error),
            _ => Made::Known(past),
        })
    }

    /// What the record knows of a trial.
    pub(super) fn recalled(&self, run: &Run, question: &Question, trial: u32) -> Option<Made> {
        let past = run.recording()?.past(&self.name, &question.id, trial)?;
        let calls = 1 + self.scoring(question).calls;
        run.tell(Event::Recalled { check: &self.name, calls });
        Some(Made::Known(past.clone()))
    }

    async fn score(&self, question: &Question, reply: &Reply, run: &Run) -> Past {
        if let Some(unsaid) = Past::unsaid(reply) {
            return unsaid;
        }
        let own = question.assertions.iter().chain(&self.assertions);
        let own = own.map(|part| (part.weight, &part.assertion as &dyn Scorer));
        let parts = own.chain(self.scorers.iter().map(|scorer| (1.0, scorer.as_ref())));
        match all(parts, question.threshold, question, reply, run).await {
            Ok(score) => Past {
                outcome: if score.passed { Outcome::Hit } else { Outcome::Miss },
                score: Some(score.value),
                why: excerpt(&score.why, crate::Case::SHOWN),
                reason: None,
                lost: false,
                unanswered: false,
                cut_off: reply.is_cut_off(),
                remembered: reply.remembered,
            },
            Err(ScoreError::Short(shortage)) => {
                let why = ScoreError::Short(shortage.clone()).to_string();
                Past::lost(Reason::Budget(shortage), &why)
            }
            Err(error) if error.is_of_the_instruments() => Past::lost(reason(&error), &error.to_string()),
            Err(error) => Past::unknown(reason(&error), &error.to_string()),
        }
    }

    /// The most that scoring an answer to `question` may cost.
    fn scoring(&self, question: &Question) -> Cost {
        let assertions = question.assertions.iter().chain(&self.assertions);
        let costs = assertions.map(|part| part.assertion.cost());
        costs.chain(self.scorers.iter().map(|scorer| scorer.cost())).fold(Cost::default(), Add::add)
    }

    /// Whether an answer to `question` may be one that was given before.
    fn freshness(&self, question: &Question) -> Freshness {
        let mut assertions = question.assertions.iter().chain(&self.assertions);
        match assertions.any(|part| part.assertion.needs().fresh) {
            true => Freshness::New,
            false => Freshness::Any,
        }
    }

    /// Notes in the record, if there is one, that the check begins with these settings.
    pub(super) fn begin(&self, run: &Run, settings: Digest) -> Result<(), Error> {
        let Some(record) = run.recording() else { return Ok(()) };
        record.begin(&Begin::new(&self.name, settings, run)).map_err(|source| self.unrecorded(source))
    }

    /// Has the disk take what was recorded.
    pub(super) async fn synced(&self, run: &Run) -> Result<(), Error> {
        match run.recording() {
            Some(record) => record.sync().await.map_err(|source| self.unrecorded(source)),
            None => Ok(()),
        }
    }

    /// A question and which time it is asked, if they could be read.
    pub(super) fn read(&self, next: Next) -> Result<(Arc<Question>, u32), Error> {
        next.map_err(|source| Error::Dataset { check: self.name.clone(), source: Box::new(source) })
    }

    fn unrecorded(&self, source: RecordError) -> Error {
        Error::Record { check: self.name.clone(), source }
    }
}

/// What became of a trial.
#[derive(Debug)]
pub(super) enum Made {
    Known(Past),
    /// The agent gave no answer, for this reason.
    Lost(Past, crate::AgentError),
    /// The agent was not asked: there was too little left for it, or no use in it.
    NotAsked(Option<Shortage>),
}

impl Made {
    /// Whether nothing is known of the answer, and asking for another to compare it with is in vain.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Known(past) => past.lost || past.unanswered,
            Self::Lost(..) | Self::NotAsked(_) => true,
        }
    }
}

impl Settings for Cases {
    const KIND: &str = "cases";

    fn flaw(&self) -> Option<(&'static str, String)> {
        if !(1..=MOST_REPEATS).contains(&self.repeats) {
            return Some(("repeats", format!("{} must be from 1 to {MOST_REPEATS}", self.repeats)));
        }
        if !(0.0..=1.0).contains(&self.kappa_floor) {
            return Some(("kappa_floor", format!("{} must be from 0 to 1", self.kappa_floor)));
        }
        let calibration = self.calibration.as_deref();
        let uncorrectable = calibration.and_then(|calibration| self.uncorrectable(calibration));
        let calibration = uncorrectable.map(|why| ("calibration", why));
        calibration
            .or_else(|| self.gate().flaw())
            .or_else(|| self.dependent().map(|why| ("rule", why)))
            .or_else(|| self.request.flaw())
    }
}

#[async_trait]
impl Validator for Cases {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        let all = self.dataset.len().saturating_mul(u64::from(self.repeats));
        let trials = match self.rule {
            Rule::Sequential { most, .. } if self.dataset.shard() == Shard::ALL => all.min(most),
            _ => all,
        };
        let assertions = self.assertions.iter().map(|part| part.assertion.cost());
        let scorers = assertions.chain(self.scorers.iter().map(|scorer| scorer.cost()));
        let each = scorers.fold(Cost::default(), Add::add);
        Cost::calls(trials, self.request.max_tokens)
            + each.times(trials)
            + self.dataset.scoring().times(u64::from(self.repeats))
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let asking = asking(self, &self.request, subject, run)?;
        // Nothing is asked whose answer nobody could score.
        let assertions = self.assertions.iter().map(|part| part.assertion.needs());
        if let Some(missing) = assertions.fold(self.dataset.needs(), BitOr::bitor).missing(run) {
            let why = missing.to_string();
            return Err(Error::Misconfigured { check: self.name.clone(), field: "assert", why });
        }
        if let Some(why) = self.miscalibrated(run) {
            return Err(Error::Misconfigured { check: self.name.clone(), field: "calibration", why });
        }
        self.begin(run, self.settings())?;
        let luck = Luck::default();
        let mut outcomes = Outcomes::new(self);
        // Trials count in the order of the questions and not of the answers. Those that are under way when the earlier
        // ones have decided are let finish, for they are paid for, and change nothing.
        let decided = AtomicBool::new(false);
        let is_whole = self.dataset.shard() == Shard::ALL;
        let most = match self.rule {
            Rule::Sequential { most, .. } if is_whole => usize::try_from(most).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let trials = Feed::new(self.dataset.clone()).trials(self.repeats).take(most);
        let trials = trials.take_while(|_| ready(!decided.load(Ordering::Relaxed)));
        let mut made = trials.map(|next| self.made(&asking, &luck, next)).buffered(run.concurrency.get());
        while let Some(made) = made.next().await {
            if decided.load(Ordering::Relaxed) {
                continue;
            }
            let (question, made) = made?;
            outcomes.add(&question, made);
            run.tell(Event::Counted(Standing::new(self, &outcomes)));
            // What other shares have asked before is not known here.
            decided.store(is_whole && outcomes.decide(), Ordering::Relaxed);
        }
        drop(made);
        if let Some(record) = run.recording() {
            record.end(&self.name, outcomes.unasked()).map_err(|source| self.unrecorded(source))?;
        }
        self.synced(run).await?;
        outcomes.finding(self)
    }
}
