//! From single trials to a finding, with nothing kept of them but counts and the first that missed.

use std::{collections::HashMap, error::Error as StdError};

use super::{Cases, Made};
use crate::{
    AgentError, Case, Error, Evidence, Finding, Gate, Method, Outcome, Reason, Reply, Sequence, Shortage,
    Tally, Unit, Verdict,
    asking::not_asked,
    dataset::{Question, short},
    record::Past,
    statistics::{WeightedShare, trials_needed},
};

/// Most cases of a finding.
const MOST_SHOWN: usize = 100;

/// What the trials of one cluster add up to, in weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cluster {
    hits: f64,
    misses: f64,
    unknown: f64,
}

/// What became of all trials so far.
#[derive(Debug)]
pub(super) struct Outcomes {
    tally: Tally,
    /// Trials so far, whatever became of them.
    made: u64,
    /// Why the first that was not asked was not.
    unasked: Option<Reason>,
    /// By the beginning of the cluster's digest; none where each trial is a cluster of its own.
    clusters: Option<HashMap<[u8; 16], Cluster>>,
    /// Where the sequential test stands, if there is one.
    sequence: Option<Sequence>,
    shown: Vec<Case>,
    /// Trials that were answered, and the last reason why one was not.
    answered: u64,
    lost: Option<AgentError>,
    /// The same of trials of which there is only a record.
    unanswered: Option<Reason>,
    short: Option<Shortage>,
}

impl Outcomes {
    pub(super) fn new(check: &Cases) -> Self {
        let dataset = &check.dataset;
        let sequence = check.gate().sequence();
        let plain = check.repeats == 1 && !dataset.is_clustered() && !dataset.is_weighted();
        Self {
            clusters: (!plain && sequence.is_none()).then(HashMap::new),
            sequence,
            tally: Tally::default(),
            made: 0,
            unasked: None,
            shown: Vec::new(),
            answered: 0,
            lost: None,
            unanswered: None,
            short: None,
        }
    }

    pub(super) fn add(&mut self, question: &Question, made: Made) {
        let past = match made {
            Made::Known(past) if past.unanswered => {
                self.unanswered = past.reason.clone();
                past
            }
            Made::Known(past) => {
                self.answered += 1;
                past
            }
            Made::NotAsked(shortage) => {
                let reason = not_asked(shortage.as_ref());
                self.unasked.get_or_insert_with(|| reason.clone());
                self.short = shortage.or_else(|| self.short.take());
                Past::lost(reason, "not asked")
            }
            Made::Lost(past, error) => {
                self.lost = Some(error);
                past
            }
        };
        self.count(question, past);
    }

    fn count(&mut self, question: &Question, past: Past) {
        self.made += 1;
        match past.reason {
            Some(reason) if past.outcome == Outcome::Unknown => self.tally.unknown(reason),
            _ => self.tally.count(past.outcome),
        }
        if let Some(sequence) = &mut self.sequence {
            sequence.push(past.outcome);
        }
        self.tally.cut_off += u64::from(past.cut_off);
        self.tally.remembered += u64::from(past.remembered);
        if let Some(clusters) = &mut self.clusters {
            let name = question.cluster.as_deref().unwrap_or(&question.id);
            let cluster = clusters.entry(short(name)).or_default();
            *match past.outcome {
                Outcome::Hit => &mut cluster.hits,
                Outcome::Miss => &mut cluster.misses,
                Outcome::Unknown => &mut cluster.unknown,
            } += question.weight;
        }
        if past.outcome != Outcome::Hit && self.shown.len() < MOST_SHOWN {
            self.shown.push(Case::new(question.prompt(), past.outcome, &past.why));
        }
    }

    /// How many trials there are.
    pub(super) const fn made(&self) -> u64 {
        self.made
    }

    /// Why the first that was not asked was not.
    pub(super) const fn unasked(&self) -> Option<&Reason> {
        self.unasked.as_ref()
    }

    /// Whether no further trial can change the verdict.
    pub(super) fn decide(&self) -> bool {
        self.sequence.is_some_and(|sequence| sequence.is_over())
    }

    /// What they show of `check`.
    pub(super) fn finding(mut self, check: &Cases) -> Result<Finding, Error> {
        if self.answered == 0 {
            let check = check.name.clone();
            match (self.lost.take(), self.unanswered.take(), self.short.take()) {
                (Some(source), ..) => return Err(Error::Agent { check, source }),
                (None, Some(why), _) => return Ok(Finding::unanswered(&check, &why)),
                (None, None, Some(shortage)) => return Err(Error::OutOfBudget { check, shortage }),
                (None, None, None) => {}
            }
        }
        let (verdict, evidence) = self.judged(check);
        let claim = match check.repeats {
            1 => format!("at least {} of answers are as they should be", check.floor),
            times => {
                format!("asked {times} times each, at least {} of answers are as they should be", check.floor)
            }
        };
        Ok(Finding::new(&check.name, verdict, claim).with_evidence(evidence).with_cases(self.shown))
    }

    /// What they say so far, and on what evidence; what decides is the last.
    pub(super) fn judged(&self, check: &Cases) -> (Verdict, Vec<Evidence>) {
        let measure = match check.calibration {
            Some(_) => "answers that the judge finds as they should be",
            None => "answers as they should be",
        };
        let (mut verdict, evidence) = match (&self.clusters, &self.sequence) {
            (Some(clusters), _) => clustered(check, measure, clusters, &self.tally),
            (None, Some(sequence)) => sequence.judge(measure, &self.tally),
            (None, None) => check.gate().judge(measure, &self.tally),
        };
        let mut all = Vec::from_iter(evidence);
        if let Some(calibration) = check.calibration.as_deref() {
            let evidence;
            (verdict, evidence) = check.corrected(calibration, &self.shares(check), &self.tally);
            all.extend(evidence);
        }
        (verdict, all)
    }
}

/// Hits of independent trials: those with a result, and all, should those without be hits or misses.
pub(super) struct Shares {
    pub(super) known: Option<WeightedShare>,
    pub(super) worst: Option<WeightedShare>,
    pub(super) best: Option<WeightedShare>,
    /// Why they do not decide, if they do not.
    pub(super) reason: Reason,
}

/// The clusters of a run, in an order of their own, so that sums are the same to the last bit each time.
struct Clusters<'a> {
    sorted: Vec<&'a Cluster>,
    tally: &'a Tally,
    confidence: f64,
}

impl Clusters<'_> {
    fn new<'a>(check: &Cases, clusters: &'a HashMap<[u8; 16], Cluster>, tally: &'a Tally) -> Clusters<'a> {
        let mut sorted: Vec<_> = clusters.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| **name);
        let sorted = sorted.into_iter().map(|(_, cluster)| cluster).collect();
        Clusters { sorted, tally, confidence: check.confidence }
    }

    /// The share of trials with a result.
    fn known(&self) -> Option<WeightedShare> {
        let of = self.sorted.iter().map(|cluster| (cluster.hits, cluster.hits + cluster.misses));
        WeightedShare::of(of, self.tally.hits + self.tally.misses, self.confidence)
    }

    /// The share of all trials, should those without a result be hits, or misses.
    fn should_unknown_be(&self, hits: bool) -> Option<WeightedShare> {
        let of = self.sorted.iter().map(|cluster| {
            let unknown = if hits { cluster.unknown } else { 0.0 };
            (cluster.hits + unknown, cluster.hits + cluster.misses + cluster.unknown)
        });
        WeightedShare::of(of, self.tally.hits + self.tally.misses + self.tally.unknown, self.confidence)
    }
}

impl Outcomes {
    fn shares(&self, check: &Cases) -> Shares {
        let Tally { hits, misses, unknown, .. } = self.tally;
        match &self.clusters {
            None => Shares {
                known: WeightedShare::plain(hits, hits + misses),
                worst: WeightedShare::plain(hits, hits + misses + unknown),
                best: WeightedShare::plain(hits + unknown, hits + misses + unknown),
                reason: undecided(check, &self.tally, None),
            },
            Some(clusters) => {
                let clusters = Clusters::new(check, clusters, &self.tally);
                Shares {
                    known: clusters.known(),
                    worst: clusters.should_unknown_be(false),
                    best: clusters.should_unknown_be(true),
                    reason: undecided(check, &self.tally, clusters.known()),
                }
            }
        }
    }
}

/// As [`Gate::judge`](crate::Gate::judge), over clusters and weights.
fn clustered(
    check: &Cases,
    measure: &str,
    clusters: &HashMap<[u8; 16], Cluster>,
    tally: &Tally,
) -> (Verdict, Option<Evidence>) {
    let (clusters, gate) = (Clusters::new(check, clusters, tally), check.gate());
    let bounds = |share: WeightedShare| (share.lower(gate.confidence), share.upper(gate.confidence));
    let decide = |share: WeightedShare| {
        let (lower, upper) = bounds(share);
        gate.decide_between(share.share, lower, upper)
    };
    let [worst, best] = [false, true].map(|hits| clusters.should_unknown_be(hits).and_then(decide));
    let known = clusters.known();
    let verdict = Gate::settle(worst, best, || undecided(check, tally, known));
    let evidence = known.map(|share| {
        let (lower, upper) = bounds(share);
        let evidence = Evidence::new(measure, share.share, Unit::Share, Method::KornGraubard)
            .between(Some(lower), Some(upper), gate.confidence)
            .against(gate.floor)
            .of(tally);
        Evidence { detectable: gate.detectable(share.effective as u64), ..evidence }
    });
    (verdict, evidence)
}

fn undecided(check: &Cases, tally: &Tally, share: Option<WeightedShare>) -> Reason {
    if let Some(why) = &tally.why_unknown {
        return why.clone();
    }
    let trials = tally.hits + tally.misses;
    let (have, share) = match share {
        Some(share) => (share.effective, share.share),
        None => (trials as f64, tally.hits as f64 / trials.max(1) as f64),
    };
    let misses = ((1.0 - share) * have).ceil() as u64;
    match trials_needed(check.floor, check.confidence, misses) {
        Some(need) if trials > 0 => Reason::TooFew { have: have as u64, need },
        _ => Reason::NothingChecked,
    }
}

/// An error as the reason why a trial has no result.
pub(super) fn reason(error: &(dyn StdError + 'static)) -> Reason {
    Reason::infra(error)
}

impl Past {
    /// A trial without a result, for a reason that lies in the answer.
    pub(in crate::checks) fn unknown(reason: Reason, why: &str) -> Self {
        Self {
            outcome: Outcome::Unknown,
            score: None,
            why: crate::excerpt::excerpt(why, Case::SHOWN),
            reason: Some(reason),
            lost: false,
            unanswered: false,
            cut_off: false,
            remembered: false,
        }
    }

    /// A trial to which the agent gave no answer. One that it will never answer is not asked again.
    pub(in crate::checks) fn unanswered(error: &AgentError) -> Self {
        let unknown = Self::unknown(reason(error), &error.to_string());
        Self { lost: !error.is_final(), unanswered: true, ..unknown }
    }

    /// A trial without a result, for a reason that says nothing about the answer.
    pub(in crate::checks) fn lost(reason: Reason, why: &str) -> Self {
        Self { lost: true, ..Self::unknown(reason, why) }
    }

    /// What becomes of a reply that was cut off before it said anything.
    pub(in crate::checks) fn unsaid(reply: &Reply) -> Option<Self> {
        let cut = reply.said().is_none() && reply.is_cut_off();
        cut.then(|| Self::unknown(Reason::CutOff, "cut off before it said anything"))
    }
}
