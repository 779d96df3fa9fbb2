//! Is the candidate better than its baseline, or not worse, when both are asked the same questions?

mod gathered;
mod preference;
mod turns;

use std::{ops::BitOr, sync::Arc};

use async_trait::async_trait;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tidegate_registry::Digest;

pub use self::preference::Preference;
use self::{
    gathered::{Gathered, Valued},
    turns::Turns,
};
use super::{
    Settings, asking,
    cases::{Cases, Feed, Made},
};
use crate::{
    AgentId, Cost, Error, Finding, Outcome, Reason, Run, Sampling, Subject, Validator, Verdict,
    asking::{Asking, Luck},
    compare::{Comparison, Goal, Measure},
    dataset::{Dataset, InvalidDataset},
    record::Past,
    scorer::{Scorer, Weighted},
};

/// Asks the candidate and its baseline every question of a dataset, once or several times, scores both answers alike, and
/// compares them [in pairs](crate::compare).
///
/// It takes a [`Subject`] with an agent and a [baseline](Subject::with_baseline), and twice the calls of a check of kind
/// `cases`. Of a [`Record`](crate::Record) it makes the trials of two checks: its own, and one that is called after the
/// baseline. How fast answers come is not compared. Where one side gives no answer, or there is too little left for it, the
/// other is not asked either: it would be paid for and compared with nothing.
///
/// ```toml
/// [[checks]]
/// kind = "compare"
/// dataset = "capitals.jsonl"
/// assert = [{ kind = "contains" }]
/// goal = "not-worse"              # or "better"
/// margin = 0.03                   # by how much its share of right answers may be less
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers fill it in with a literal and `..Compare::new(dataset)`"
)]
pub struct Compare {
    /// The check's name in reports.
    pub name: String,
    /// What is asked. Its questions must count alike; those of one cluster are compared as one.
    pub dataset: Dataset,
    /// What every good answer is like, whatever its question says besides.
    pub assertions: Vec<Weighted>,
    /// What else scores every answer.
    pub scorers: Vec<Arc<dyn Scorer>>,
    /// How often each question is asked.
    pub repeats: u32,
    /// What is compared of each answer.
    pub measure: Measure,
    /// What is to be shown.
    pub goal: Goal,
    /// By how much the candidate may be worse under [`Goal::NotWorse`].
    pub margin: f64,
    /// Confidence of each bound, above ½.
    pub confidence: f64,
    /// How often cases are drawn again, where their scores or repeats ask for it.
    pub resamples: u32,
    /// How the questions are put.
    pub request: Sampling,
}

impl Compare {
    /// A check of `dataset` with nothing but what its questions say themselves: the candidate is right not less often
    /// by more than 0.05.
    #[must_use]
    pub fn new(dataset: Dataset) -> Self {
        let Comparison { goal, margin, confidence, resamples, .. } = Comparison::default();
        Self {
            name: Self::KIND.to_owned(),
            dataset,
            assertions: Vec::new(),
            scorers: Vec::new(),
            repeats: 1,
            measure: Measure::Outcome,
            goal,
            margin,
            confidence,
            resamples,
            request: Sampling::default(),
        }
    }

    /// Reads all questions and says of the first whose answers could never be scored why not; blocking.
    ///
    /// # Errors
    ///
    /// [`InvalidDataset`] names the question.
    pub fn fit(&self) -> Result<(), InvalidDataset> {
        self.side(self.name.clone()).fit()
    }

    /// Whatever decides what is asked, how answers are scored and what is made of the scores, but for the dataset.
    pub(super) fn identity(&self) -> Value {
        let Self { measure, goal, margin, confidence, resamples, .. } = self;
        json!([self.side(String::new()).settings(), measure, goal, margin, confidence, resamples])
    }

    /// The same questions as a check of one side.
    fn side(&self, name: String) -> Cases {
        Cases {
            name,
            assertions: self.assertions.clone(),
            scorers: self.scorers.clone(),
            repeats: self.repeats,
            request: self.request.clone(),
            ..Cases::new(self.dataset.clone())
        }
    }

    fn comparison(&self, run: &Run) -> Comparison {
        Comparison {
            goal: self.goal,
            margin: self.margin,
            confidence: self.confidence,
            resamples: self.resamples,
            seed: run.seed.into(),
        }
    }

    fn value(&self, past: &Past) -> Option<f64> {
        match (past.outcome, self.measure) {
            (Outcome::Unknown, _) => None,
            (outcome, Measure::Outcome) => Some(if outcome == Outcome::Hit { 1.0 } else { 0.0 }),
            (_, Measure::Score) => past.score,
        }
    }
}

impl Settings for Compare {
    const KIND: &str = "compare";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let comparison = self.comparison(&Run::new(0));
        weight_flaw(&self.dataset).or_else(|| comparison.flaw()).or_else(|| self.side(String::new()).flaw())
    }
}

#[async_trait]
impl Validator for Compare {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, subject: &Subject<'a>) -> Cost {
        self.side(String::new()).estimate(subject).times(2)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let asking = asking(self, &self.request, subject, run)?;
        let Some(baseline) = subject.baseline else {
            return Ok(no_baseline(&self.name, self.goal, self.margin));
        };
        let old = Subject { agent: Some(baseline), ..*subject };
        let asking_old = Asking { subject: &old, ..asking };
        let [new_cases, old_cases] =
            [self.name.clone(), baseline_name(&self.name)].map(|name| self.side(name));
        let needs = self.assertions.iter().map(|part| part.assertion.needs());
        if let Some(missing) = needs.fold(self.dataset.needs(), BitOr::bitor).missing(run) {
            let why = missing.to_string();
            return Err(Error::Misconfigured { check: self.name.clone(), field: "assert", why });
        }
        new_cases.begin(run, new_cases.settings())?;
        // A record goes on only beside the baseline that it was begun with.
        old_cases.begin(run, beside(&old_cases.settings(), &baseline.fingerprint()))?;
        let (luck, luck_old, turns) = (Luck::default(), Luck::default(), Turns::default());
        let mut gathered = Gathered::default();
        let made = |next| {
            let (asking, asking_old, luck, luck_old) = (&asking, &asking_old, &luck, &luck_old);
            let (new_cases, old_cases, turns) = (&new_cases, &old_cases, &turns);
            async move {
                let (question, trial) = new_cases.read(next)?;
                let new = new_cases.trial(asking, luck, &question, trial);
                let old = old_cases.trial(asking_old, luck_old, &question, trial);
                let [new, old] = turns.both(new, old, Made::is_given_up).await?;
                // What is on record costs nothing.
                let new = new.or_else(|| new_cases.recalled(run, &question, trial));
                let old = old.or_else(|| old_cases.recalled(run, &question, trial));
                Ok::<_, Error>((question, new, old))
            }
        };
        let trials = Feed::new(self.dataset.clone()).trials(self.repeats);
        let mut made = trials.map(made).buffered(run.concurrency.get());
        while let Some(made) = made.next().await {
            let (question, new, old) = made?;
            let (new, old) = (gathered.candidate.told(new), gathered.baseline.told(old));
            let lost = (new.outcome == Outcome::Miss && old.outcome == Outcome::Hit).then(|| new.why.clone());
            let why_unknown = [&new, &old].into_iter().find_map(|past| past.reason.clone());
            gathered.add(
                &question,
                Valued {
                    candidate: self.value(&new),
                    baseline: self.value(&old),
                    why_unknown,
                    lost,
                    answers: [&new, &old].map(|past| (past.cut_off, past.remembered)),
                },
            );
        }
        drop(made);
        new_cases.synced(run).await?;
        let what = match self.measure {
            Measure::Outcome => "answers as they should be",
            Measure::Score => "scores of answers",
        };
        gathered.finding(&self.name, what, &self.comparison(run), &baseline.fingerprint())
    }
}

/// What a check without a baseline finds.
fn no_baseline(check: &str, goal: Goal, margin: f64) -> Finding {
    Finding::new(check, Verdict::Inconclusive(Reason::NoBaseline), goal.claim(margin))
}

/// What a record calls the trials of the baseline of a check.
fn baseline_name(check: &str) -> String {
    format!("{check} (baseline)")
}

/// The digest of settings, of a comparison with `baseline`.
fn beside(settings: &Digest, baseline: &AgentId) -> Digest {
    Digest::of(json!([settings, baseline]).to_string())
}

/// The flaw of a dataset whose questions do not count alike.
fn weight_flaw(dataset: &Dataset) -> Option<(&'static str, String)> {
    let why = "has questions of different weights, and pairs count alike; take the weights out";
    dataset.is_weighted().then(|| ("dataset", why.to_owned()))
}
