//! Questions that stand in a check itself, each of them asked once.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tidegate_registry::Digest;

use crate::{
    AgentError, Case, Error, Event, Freshness, Message, Outcome, Reason, Reply, Role, Shortage, Tally,
    asking::{Answer, Asking, Luck, not_asked},
    canonical::canonical,
    excerpt::excerpt,
    record::{Begin, Past, Recording, Said, Trial},
};

/// What a reply is worth.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) outcome: Outcome,
    /// Why, or what was answered instead.
    pub(super) detail: String,
    /// Why it has no result, if it has none.
    pub(super) reason: Option<Reason>,
}

/// A question of a list.
#[derive(Clone, Copy, Debug)]
struct Listed<'p> {
    /// Where in the list it stands.
    at: usize,
    prompt: &'p str,
    /// A prompt that stands there twice is a repetition, and has an answer of its own.
    trial: u32,
}

/// What became of a question.
enum Made {
    Known(Past),
    Lost(Past, AgentError),
    NotAsked(Option<Shortage>),
}

/// Counts and cases of a list, or of a part of it.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) tally: Tally,
    pub(super) cases: Vec<Case>,
    /// Answers without a count of tokens.
    uncounted: u64,
}

impl Judged {
    pub(super) const fn new(outcome: Outcome, detail: String) -> Self {
        Self { outcome, detail, reason: None }
    }
}

impl Counted {
    /// The trials, and why they do not decide, if they do not.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        if self.uncounted > 0 {
            tally.why_unknown.get_or_insert(Reason::Uncounted { replies: self.uncounted });
        }
        tally
    }

    fn add(&mut self, prompt: &str, past: Past) {
        match past.reason {
            Some(Reason::Uncounted { replies }) => {
                self.uncounted += replies;
                self.tally.count(past.outcome);
            }
            Some(reason) if past.outcome == Outcome::Unknown => self.tally.unknown(reason),
            _ => self.tally.count(past.outcome),
        }
        self.tally.cut_off += u64::from(past.cut_off);
        self.tally.remembered += u64::from(past.remembered);
        self.cases.push(Case::new(prompt, past.outcome, &past.why));
    }
}

impl Asking<'_> {
    /// Asks each prompt once, several at once, and judges each answer as soon as it comes, so that none is held.
    /// `part` says, by its place in the list, in which of `N` parts a question is counted. `settings` is whatever
    /// decides what is asked and how it is judged: what a record of the same holds is not asked again.
    pub(super) async fn list<const N: usize>(
        &self,
        prompts: &[&str],
        settings: Value,
        part: impl Fn(usize) -> usize + Send + Sync,
        judge: impl Fn(usize, &Reply) -> Judged + Send + Sync,
    ) -> Result<[Counted; N], Error> {
        if let Some(record) = self.run.recording() {
            let settings = json!([settings, self.sampling, env!("CARGO_PKG_VERSION")]);
            let begin = Begin {
                begin: self.check.to_owned(),
                settings: Digest::of(canonical(&settings)),
                classifier: None,
                embedder: None,
                judge: None,
            };
            record.begin(&begin).map_err(|source| self.unrecorded(source))?;
        }
        let mut times = HashMap::<&str, u32>::new();
        let numbered: Vec<_> = (prompts.iter().enumerate())
            .map(|(at, &prompt)| {
                let trial = times.entry(prompt).or_default();
                *trial += 1;
                Listed { at, prompt, trial: *trial - 1 }
            })
            .collect();
        let (luck, judge) = (Luck::default(), &judge);
        let made = stream::iter(0..numbered.len()).map(|at| self.listed(numbered[at], &luck, judge));
        let mut made = made.buffered(self.run.concurrency.get());
        let mut parts = std::array::from_fn(|_| Counted::default());
        let (mut answered, mut lost, mut short) = (false, None, None);
        let mut listed = numbered.iter();
        while let (Some(made), Some(Listed { at, prompt, .. })) = (made.next().await, listed.next()) {
            let past = match made? {
                Made::Known(past) => {
                    answered = true;
                    past
                }
                Made::Lost(past, error) => {
                    lost = Some(error);
                    past
                }
                Made::NotAsked(shortage) => {
                    let past = Past::lost(not_asked(shortage.as_ref()), "not asked");
                    short = shortage.or(short);
                    past
                }
            };
            parts[part(*at)].add(prompt, past);
        }
        drop(made);
        if let Some(record) = self.run.recording() {
            record.sync().await.map_err(|source| self.unrecorded(source))?;
        }
        let check = || self.check.to_owned();
        match (answered, lost, short) {
            (false, Some(source), _) => Err(Error::Agent { check: check(), source }),
            (false, None, Some(shortage)) => Err(Error::OutOfBudget { check: check(), shortage }),
            _ => Ok(parts),
        }
    }

    /// Asks and judges once, unless the record knows already.
    async fn listed(
        &self,
        Listed { at, prompt, trial }: Listed<'_>,
        luck: &Luck,
        judge: &(impl Fn(usize, &Reply) -> Judged + Send + Sync),
    ) -> Result<Made, Error> {
        let record = self.run.recording();
        if let Some(past) = record.and_then(|record| record.past(self.check, prompt, trial)) {
            self.run.tell(Event::Recalled { check: self.check, calls: 1 });
            return Ok(Made::Known(past.clone()));
        }
        let request = self.sampling.request(vec![Message::new(Role::User, prompt)], self.run.seed);
        let answer = self.put(&request, trial, Freshness::Any, luck).await;
        let (past, reply) = match &answer {
            Answer::Given(reply) => (judged(reply, |reply| judge(at, reply)), Some(reply)),
            Answer::Lost(error) => (Past::unanswered(error), None),
            Answer::NotAsked(shortage) => return Ok(Made::NotAsked(shortage.clone())),
        };
        if let Some(record) = record {
            self.write(record, prompt, trial, &past, reply).await?;
        }
        Ok(match answer {
            Answer::Lost(error) => Made::Lost(past, error),
            _ => Made::Known(past),
        })
    }

    async fn write(
        &self,
        record: &Recording,
        prompt: &str,
        trial: u32,
        past: &Past,
        reply: Option<&Reply>,
    ) -> Result<(), Error> {
        let line = Trial {
            check: self.check.to_owned(),
            case: prompt.to_owned(),
            trial,
            cluster: None,
            weight: None,
            past: past.clone(),
            reply: reply.map(|reply| Said::new(reply, record.keep())),
            spent: self.run.gone(),
        };
        record.add(&line).await.map_err(|source| self.unrecorded(source))
    }

    fn unrecorded(&self, source: crate::RecordError) -> Error {
        Error::Record { check: self.check.to_owned(), source }
    }
}

/// What becomes of a reply that `judge` judges, unless it was cut off before it said anything.
fn judged(reply: &Reply, judge: impl FnOnce(&Reply) -> Judged) -> Past {
    if let Some(unsaid) = Past::unsaid(reply) {
        return unsaid;
    }
    let Judged { outcome, detail, reason } = judge(reply);
    let counts = outcome != Outcome::Unknown;
    Past {
        outcome,
        score: None,
        why: excerpt(&detail, Case::SHOWN),
        reason,
        lost: false,
        unanswered: false,
        cut_off: counts && reply.is_cut_off(),
        remembered: counts && reply.remembered,
    }
}
