//! What two versions made of the same cases.

use std::collections::BTreeMap;

use crate::{
    Reason,
    dataset::short,
    statistics::{Cluster, Paired},
};

/// What two versions made of the same cases: the differences of their values, added up by cluster.
///
/// A value is 1 for a right answer and 0 for a wrong one, or a score between. It holds about 100 bytes for each cluster
/// and nothing of single pairs; the order in which they are pushed changes nothing beyond the last bits of sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// By the beginning of the digest of their names, so that sums have an order of their own.
    clusters: BTreeMap<[u8; 16], Sums>,
    pairs: u64,
    unknown: u64,
    why_unknown: Option<Reason>,
    /// Of the answers to pairs that lack no value.
    pub(super) cut_off: u64,
    pub(super) remembered: u64,
    /// Whether some difference is no whole number.
    fractional: bool,
    counts: [Counts; 3],
}

/// How pairs that lack a value are taken to have come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Completion {
    /// They are left out.
    Known,
    /// As badly for the candidate as can be.
    Worst,
    /// As well for it as can be.
    Best,
}

/// The pairs of one cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    known: Cluster,
    worst: f64,
    best: f64,
    pairs: u64,
}

/// Pairs in which one side is better by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    n: u64,
    gained: u64,
    lost: u64,
}

impl Pairs {
    /// Takes the values of one more pair, each from 0 to 1, or none if it is not known. What is out of this range is
    /// not known either. `cluster` is what the case is evidence about: its own name, or that of the document that
    /// several are from.
    pub fn push(&mut self, cluster: &str, candidate: Option<f64>, baseline: Option<f64>) {
        self.add(short(cluster), candidate, baseline, None);
    }

    /// Takes a pair of which one side, at least, is not known for this reason.
    pub fn push_unknown(
        &mut self,
        cluster: &str,
        candidate: Option<f64>,
        baseline: Option<f64>,
        why: Reason,
    ) {
        self.add(short(cluster), candidate, baseline, Some(why));
    }

    pub(super) fn add(
        &mut self,
        cluster: [u8; 16],
        candidate: Option<f64>,
        baseline: Option<f64>,
        why_unknown: Option<Reason>,
    ) {
        let sound = |value: Option<f64>| value.filter(|value| (0.0..=1.0).contains(value));
        let (candidate, baseline) = (sound(candidate), sound(baseline));
        let sums = self.clusters.entry(cluster).or_default();
        self.pairs += 1;
        sums.pairs += 1;
        let worst = candidate.unwrap_or(0.0) - baseline.unwrap_or(1.0);
        let best = candidate.unwrap_or(1.0) - baseline.unwrap_or(0.0);
        sums.worst += worst;
        sums.best += best;
        self.fractional |= [worst, best].iter().any(|difference| difference.fract() != 0.0);
        let [known_counts, worst_counts, best_counts] = &mut self.counts;
        worst_counts.count(worst);
        best_counts.count(best);
        if let (Some(candidate), Some(baseline)) = (candidate, baseline) {
            sums.known.push(candidate - baseline);
            known_counts.count(candidate - baseline);
        } else {
            self.unknown += 1;
            self.why_unknown = self.why_unknown.take().or(why_unknown);
        }
    }

    /// Counts an answer that was cut off at the limit of its tokens, or remembered from an earlier run.
    pub(crate) fn note(&mut self, cut_off: bool, remembered: bool) {
        self.cut_off += u64::from(cut_off);
        self.remembered += u64::from(remembered);
    }

    /// Pairs.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.pairs
    }

    /// Whether there is no pair.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    /// Pairs that lack a value.
    #[must_use]
    pub const fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Why the first of them does.
    pub(crate) const fn why_unknown(&self) -> Option<&Reason> {
        self.why_unknown.as_ref()
    }

    /// What the pairs are evidence about: cases, or what they belong to.
    #[must_use]
    pub fn clusters(&self) -> u64 {
        self.clusters.len() as u64
    }

    /// The candidate's mean value less the baseline's in each cluster, of pairs that lack none.
    pub fn differences(&self) -> impl Iterator<Item = f64> {
        self.sums(Completion::Known).filter(|sum| sum.count > 0).map(|sum| sum.sum / sum.count as f64)
    }

    /// The differences of each cluster.
    pub(crate) fn sums(&self, completion: Completion) -> impl Iterator<Item = Cluster> + Clone {
        self.clusters.values().map(move |sums| match completion {
            Completion::Known => sums.known,
            Completion::Worst => Cluster { sum: sums.worst, count: sums.pairs },
            Completion::Best => Cluster { sum: sums.best, count: sums.pairs },
        })
    }

    /// The pairs counted, if each is a cluster of its own and in each one side is better by one or neither is better.
    pub(crate) fn paired(&self, completion: Completion) -> Option<Paired> {
        let Counts { n, gained, lost } = self.counts[completion as usize];
        let independent = self.clusters() == self.pairs && !self.fractional;
        independent.then(|| Paired::new(n, gained, lost))?
    }
}

impl Counts {
    fn count(&mut self, difference: f64) {
        self.n += 1;
        self.gained += u64::from(difference == 1.0);
        self.lost += u64::from(difference == -1.0);
    }
}
