//! Does a judge prefer the candidate's answers to those of its baseline?

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use serde_json::{Value, json};
use tidegate_registry::Digest;

use super::{
    super::{
        Settings, asking,
        cases::{Cases, Feed, Made},
    },
    Gathered, Turns, Valued, beside, no_baseline, weight_flaw,
};
use crate::{
    AgentId, Cost, Error, Event, Evidence, Finding, Freshness, Outcome, Reason, Reply, Run, Sampling,
    Subject, Unit, Validator,
    asking::{Answer, Asking, Luck, Size},
    compare::{Comparison, Goal, Preferring, Winner},
    dataset::{Dataset, Question},
    excerpt::excerpt,
    record::{Past, Said, Trial},
    scorer::{Judge, ScoreError},
};

/// Asks the candidate and its baseline every question of a dataset, has the judge of the [`Run`] say which answer is the
/// better one, and holds the share of wins, ties counted by half, against a half.
///
/// The judge reads each pair in both orders, and what it says in one of them alone is a tie. Answers to one question,
/// and to questions of one `cluster`, are compared as one.
///
/// ```toml
/// [[checks]]
/// kind = "preference"
/// dataset = "tickets.jsonl"
/// prefer = { rubric = "helps the customer more", votes = 3 }
/// goal = "better"
/// ```
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers fill it in with a literal and `..Preference::new(dataset, preferring)`"
)]
pub struct Preference {
    /// The check's name in reports.
    pub name: String,
    /// What is asked. Its questions must count alike.
    pub dataset: Dataset,
    /// What makes one answer better than another.
    pub prefer: Preferring,
    /// How often each question is asked.
    pub repeats: u32,
    /// What is to be shown.
    pub goal: Goal,
    /// By how much more often the candidate may lose than win under [`Goal::NotWorse`], as a share of all.
    pub margin: f64,
    /// Confidence of each bound, above ½.
    pub confidence: f64,
    /// How often cases are drawn again, where they are repeated or clustered.
    pub resamples: u32,
    /// How the questions are put.
    pub request: Sampling,
}

impl Preference {
    /// A check that the candidate loses not more often than it wins, by more than 0.1 of all.
    #[must_use]
    pub fn new(dataset: Dataset, prefer: Preferring) -> Self {
        let Comparison { goal, confidence, resamples, .. } = Comparison::default();
        Self {
            name: Self::KIND.to_owned(),
            dataset,
            prefer,
            repeats: 1,
            goal,
            margin: 0.1,
            confidence,
            resamples,
            request: Sampling::default(),
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

    /// Whatever decides what is asked, how answers are compared and what is made of that, but for the dataset.
    pub(in crate::checks) fn identity(&self) -> Value {
        let Self { prefer, goal, margin, confidence, resamples, .. } = self;
        json!([self.side().settings(), prefer, goal, margin, confidence, resamples])
    }

    /// The same questions as a check of one side, which scores nothing.
    fn side(&self) -> Cases {
        Cases {
            name: self.name.clone(),
            repeats: self.repeats,
            request: self.request.clone(),
            ..Cases::new(self.dataset.clone())
        }
    }

    /// The digest of whatever decides what is asked, of whom beside the candidate, and how answers are compared.
    fn settings(&self, cases: &Cases, baseline: &AgentId, run: &Run) -> Digest {
        let judge = run.judge.as_ref().map(Judge::fingerprint);
        let own = json!([cases.settings(), self.prefer, judge]);
        beside(&Digest::of(own.to_string()), baseline)
    }

    /// Asks both and has the answers judged, unless the record knows already.
    async fn pair(
        &self,
        [new, old]: [(&Asking<'_>, &Luck); 2],
        turns: &Turns,
        question: &Question,
        trial: u32,
    ) -> Result<[Option<Made>; 2], Error> {
        let run = new.0.run;
        let record = run.recording();
        if let Some(past) = record.and_then(|record| record.past(&self.name, &question.id, trial)) {
            run.tell(Event::Recalled { check: &self.name, calls: 2 + self.prefer.cost().calls });
            return Ok([past.clone(), past.clone()].map(Made::Known).map(Some));
        }
        // Answers that nobody can compare are not asked for.
        if let Some(shortage) = new.1.unscored() {
            return Ok(
                [shortage.clone(), shortage.clone()].map(|lacking| Some(Made::NotAsked(Some(lacking))))
            );
        }
        let request = self.request.request(question.asked(), run.seed);
        let is_given_up = |answer: &Answer| !matches!(answer, Answer::Given(_));
        let candidate = async { Ok(new.0.put(&request, trial, Freshness::Any, new.1).await) };
        let baseline = async { Ok(old.0.put(&request, trial, Freshness::Any, old.1).await) };
        let [candidate, baseline] = turns.both(candidate, baseline, is_given_up).await?;
        let (past, size) = match (&candidate, &baseline) {
            (Some(Answer::Given(candidate)), Some(Answer::Given(baseline))) => {
                let size = |reply| Size::of(reply, self.request.max_tokens, run);
                let size = size(candidate).with(size(baseline));
                new.1.note_size(size);
                (self.judged(question, candidate, baseline, run).await, size)
            }
            // Nothing is known of the pair, and a run that goes on asks both again.
            _ => {
                run.note_spent(&self.name);
                return Ok([candidate, baseline].map(|answer| answer.and_then(unanswered)));
            }
        };
        if let Some(Reason::Budget(shortage)) = &past.reason {
            new.1.leave_unscored(shortage, size);
        }
        if let (Some(record), Some(Answer::Given(reply))) = (record, &candidate) {
            let line = Trial {
                check: self.name.clone(),
                case: question.id.clone(),
                trial,
                cluster: question.cluster.clone(),
                weight: None,
                past: past.clone(),
                reply: Some(Said::new(reply, record.keep())),
                spent: run.gone(),
            };
            let check = self.name.clone();
            record.add(&line).await.map_err(|source| Error::Record { check, source })?;
        }
        Ok([past.clone(), past].map(Made::Known).map(Some))
    }

    async fn judged(&self, question: &Question, candidate: &Reply, baseline: &Reply, run: &Run) -> Past {
        if let Some(unsaid) = Past::unsaid(candidate).or_else(|| Past::unsaid(baseline)) {
            return unsaid;
        }
        match self.prefer.between(question, candidate, baseline, run).await {
            Ok((winner, why)) => Past {
                outcome: if winner == Winner::Baseline { Outcome::Miss } else { Outcome::Hit },
                score: Some(winner.value()),
                why: excerpt(&why, crate::Case::SHOWN),
                reason: None,
                lost: false,
                unanswered: false,
                cut_off: candidate.is_cut_off() || baseline.is_cut_off(),
                remembered: candidate.remembered && baseline.remembered,
            },
            Err(ScoreError::Short(shortage)) => {
                let why = ScoreError::Short(shortage.clone()).to_string();
                Past::lost(Reason::Budget(shortage), &why)
            }
            Err(error) if error.is_of_the_instruments() => {
                Past::lost(Reason::infra(&error), &error.to_string())
            }
            Err(error) => Past::unknown(Reason::infra(&error), &error.to_string()),
        }
    }
}

/// What became of a side of a pair that is not known; of one that answered, only the other says why.
fn unanswered(answer: Answer) -> Option<Made> {
    match answer {
        Answer::Given(_) => None,
        Answer::Lost(error) => Some(Made::Lost(Past::unanswered(&error), error)),
        Answer::NotAsked(shortage) => Some(Made::NotAsked(shortage)),
    }
}

impl Settings for Preference {
    const KIND: &str = "preference";

    fn flaw(&self) -> Option<(&'static str, String)> {
        let comparison = self.comparison(&Run::new(0));
        let prefer = self.prefer.flaw().map(|(field, why)| ("prefer", format!("`{field}` {why}")));
        prefer
            .or_else(|| weight_flaw(&self.dataset))
            .or_else(|| comparison.flaw())
            .or_else(|| self.side().flaw())
    }
}

#[async_trait]
impl Validator for Preference {
    fn name(&self) -> &str {
        &self.name
    }

    fn estimate<'a>(&self, _: &Subject<'a>) -> Cost {
        let trials = self.dataset.len().saturating_mul(u64::from(self.repeats));
        Cost::calls(trials, self.request.max_tokens).times(2) + self.prefer.cost().times(trials)
    }

    async fn validate<'a>(&self, subject: &Subject<'a>, run: &Run) -> Result<Finding, Error> {
        let asking = asking(self, &self.request, subject, run)?;
        let Some(baseline) = subject.baseline else {
            return Ok(no_baseline(&self.name, self.goal, self.margin));
        };
        if let Some(missing) = self.prefer.missing(run) {
            let why = missing.to_string();
            return Err(Error::Misconfigured { check: self.name.clone(), field: "prefer", why });
        }
        let old = Subject { agent: Some(baseline), ..*subject };
        let asking_old = Asking { subject: &old, ..asking };
        let cases = self.side();
        cases.begin(run, self.settings(&cases, &baseline.fingerprint(), run))?;
        let (luck, luck_old, turns) = (Luck::default(), Luck::default(), Turns::default());
        let mut gathered = Gathered::default();
        let made = |next| {
            let sides = [(&asking, &luck), (&asking_old, &luck_old)];
            let (cases, turns) = (&cases, &turns);
            async move {
                let (question, trial) = cases.read(next)?;
                let made = self.pair(sides, turns, &question, trial).await?;
                Ok::<(Arc<Question>, [Option<Made>; 2]), Error>((question, made))
            }
        };
        let trials = Feed::new(self.dataset.clone()).trials(self.repeats);
        let mut made = trials.map(made).buffered(run.concurrency.get());
        while let Some(made) = made.next().await {
            let (question, [new, old]) = made?;
            let (new, old) = (gathered.candidate.told(new), gathered.baseline.told(old));
            let value = new.score.filter(|_| new.outcome != Outcome::Unknown);
            gathered.add(
                &question,
                Valued {
                    candidate: value,
                    baseline: value.map(|value| 1.0 - value),
                    why_unknown: [&new, &old].into_iter().find_map(|past| past.reason.clone()),
                    lost: (new.outcome == Outcome::Miss).then(|| new.why.clone()),
                    // What is known of both is one verdict.
                    answers: [(new.cut_off, new.remembered), (false, false)],
                },
            );
        }
        drop(made);
        cases.synced(run).await?;
        let comparison = self.comparison(run);
        let mut finding = gathered.finding(&self.name, "wins", &comparison, &baseline.fingerprint())?;
        finding.evidence.iter_mut().for_each(as_share);
        Ok(finding)
    }
}

/// Wins less losses as the share of wins with ties by half.
fn as_share(evidence: &mut Evidence) {
    let share = |difference: f64| f64::midpoint(1.0, difference);
    evidence.measure = "answers that the judge prefers to the baseline's, ties by half".to_owned();
    evidence.estimate = share(evidence.estimate);
    evidence.lower = evidence.lower.map(share);
    evidence.upper = evidence.upper.map(share);
    evidence.threshold = share(evidence.threshold);
    evidence.detectable = evidence.detectable.map(|detectable| detectable / 2.0);
    evidence.unit = Unit::Share;
}
