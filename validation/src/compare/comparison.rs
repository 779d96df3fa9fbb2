//! From pairs to a verdict.

use serde::{Deserialize, Serialize};

use super::{CompareError, Completion, Pairs};
use crate::{
    Evidence, Method, Reason, Unit, Verdict,
    statistics::{Bootstrap, Cluster, ClusteredMean, Paired, detectable_mean, detectable_paired_share},
};

/// What is to be shown of a candidate beside its baseline.
///
/// Where each pair stands for itself and is won, lost or neither, the bounds are those of Tango's score test, and
/// whether the candidate is better is McNemar's exact test. Otherwise clusters are drawn again and again, and the bounds
/// are those of that bootstrap and of Student's law, whichever are wider; of more than [`MOST_RESAMPLED`] clusters those
/// of Student's law alone. Neither knows of a kind of cluster that was not seen, so the bounds also allow for as many of
/// those as may have been missed by chance. Fewer than [`FEWEST`] clusters of repeats or scores do not decide.
///
/// Pairs that lack a value count as neither: the verdict is one that holds at their worst and at their best.
///
/// [`MOST_RESAMPLED`]: Self::MOST_RESAMPLED
/// [`FEWEST`]: Self::FEWEST
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Comparison {
    /// What is to be shown.
    pub goal: Goal,
    /// By how much the candidate may be worse under [`Goal::NotWorse`], above 0: as a difference of shares or of mean
    /// scores.
    pub margin: f64,
    /// Confidence of each bound, above ½.
    pub confidence: f64,
    /// How often clusters are drawn again, where they are.
    pub resamples: u32,
    /// Where chance begins.
    pub seed: u64,
}

/// What is to be shown of a candidate beside its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(clippy::exhaustive_enums, reason = "that it is worse is no goal")]
pub enum Goal {
    /// It is better: passes once that is shown, fails once it is shown to be worse.
    Better,
    /// It is not worse by more than a margin: passes once the lower bound is above minus the margin, fails once the
    /// upper bound is below.
    #[default]
    NotWorse,
}

/// A difference, its bounds, and what they say.
pub(super) struct Seen {
    pub(super) estimate: f64,
    pub(super) bounds: Option<(f64, f64)>,
    pub(super) p: Option<f64>,
    pub(super) method: Method,
    pub(super) reached: Option<bool>,
    pub(super) detectable: Option<f64>,
}

impl Default for Comparison {
    fn default() -> Self {
        Self { goal: Goal::NotWorse, margin: 0.05, confidence: 0.95, resamples: 10_000, seed: 0 }
    }
}

impl Comparison {
    /// The fewest clusters of repeats or scores that decide: of fewer neither resampling nor Student's law makes bounds
    /// that hold as often as they say.
    pub const FEWEST: u64 = 20;
    /// The most clusters that are drawn again and again; with more, Student's law says the same and sooner.
    pub const MOST_RESAMPLED: u64 = 100_000;

    /// What is wrong with it, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        bounds_flaw(self.goal, self.margin, 1.0, self.confidence).or_else(|| {
            let wrong = !(1..=Bootstrap::MOST).contains(&self.resamples);
            wrong.then(|| ("resamples", format!("{} must be from 1 to {}", self.resamples, Bootstrap::MOST)))
        })
    }

    /// Whether its settings make sense.
    ///
    /// # Errors
    ///
    /// [`CompareError::Misconfigured`] says which does not, and what would be right.
    pub fn sound(&self) -> Result<(), CompareError> {
        match self.flaw() {
            Some((field, why)) => Err(CompareError::Misconfigured { field, why }),
            None => Ok(()),
        }
    }

    /// Judges `pairs`; the evidence is of the difference, the candidate's `measure` less the baseline's. Without a pair
    /// that has both values there is none.
    ///
    /// Settings that make no sense decide nothing: margins that are not above 0 and at most 1, a confidence that is not
    /// above ½ and below 1, no resamples.
    #[must_use]
    pub fn judge(&self, measure: &str, pairs: &Pairs) -> (Verdict, Option<Evidence>) {
        let known = self.seen(pairs, Completion::Known);
        let decided = match (&known, pairs.unknown()) {
            _ if self.flaw().is_some() => None,
            (Some(known), 0) => known.reached,
            _ => {
                let reached = |completion| self.seen(pairs, completion)?.reached;
                // Each alone would do if a value more never spoke against a candidate. Of scores that is not certain.
                reached(Completion::Worst).filter(|worst| reached(Completion::Best) == Some(*worst))
            }
        };
        let verdict = match decided {
            Some(true) => Verdict::Pass,
            Some(false) => Verdict::Fail,
            None => Verdict::Inconclusive(self.reason(pairs, known.as_ref())),
        };
        let n = pairs.len() - pairs.unknown();
        let evidence = known.map(|seen| Evidence {
            measure: format!("{measure}, candidate less baseline"),
            estimate: seen.estimate,
            lower: seen.bounds.map(|(lower, _)| lower),
            upper: seen.bounds.map(|(_, upper)| upper),
            p: seen.p,
            confidence: self.confidence,
            threshold: self.goal.threshold(self.margin),
            detectable: seen.detectable,
            method: seen.method,
            n,
            effective: None,
            unknown: pairs.unknown(),
            cut_off: pairs.cut_off,
            remembered: pairs.remembered,
            unit: Unit::Plain,
        });
        (verdict, evidence)
    }

    fn seen(&self, pairs: &Pairs, completion: Completion) -> Option<Seen> {
        match pairs.paired(completion) {
            Some(paired) => Some(self.counted(paired)),
            None => self.resampled(pairs.sums(completion).filter(|sum| sum.count > 0)),
        }
    }

    fn counted(&self, paired: Paired) -> Seen {
        let bounds = paired.tango(2.0 * self.confidence - 1.0);
        let alpha = 1.0 - self.confidence;
        let (reached, p, method) = match self.goal {
            Goal::Better => {
                let (better, worse) = (paired.mcnemar_better(), paired.mcnemar_worse());
                let reached = if better <= alpha { Some(true) } else { (worse <= alpha).then_some(false) };
                (reached, better, Method::McNemar)
            }
            Goal::NotWorse => {
                (self.goal.reached(bounds, self.margin), paired.p_not_worse(self.margin), Method::Tango)
            }
        };
        let detectable = self.detectable(paired.n(), paired.discordance());
        Seen { estimate: paired.difference(), bounds, p: Some(p), method, reached, detectable }
    }

    fn resampled(&self, clusters: impl Iterator<Item = Cluster> + Clone) -> Option<Seen> {
        let level = 2.0 * self.confidence - 1.0;
        let (count, sum, n) = clusters
            .clone()
            .fold((0_u64, 0.0, 0_u64), |(count, sum, n), one| (count + 1, sum + one.sum, n + one.count));
        if count == 0 {
            return None;
        }
        let estimate = sum / n as f64;
        let mean = ClusteredMean::new(clusters.clone());
        let (mut lower, mut upper) = unseen(estimate, count, self.confidence);
        // Where all clusters are the same there is nothing else to measure chance by.
        if let Some(student) = mean.as_ref().and_then(|mean| mean.interval(level)) {
            (lower, upper) = (lower.min(student.0), upper.max(student.1));
            if count <= Self::MOST_RESAMPLED {
                let drawn = Bootstrap { resamples: self.resamples, seed: self.seed }.mean(clusters);
                let drawn = drawn.and_then(|drawn| drawn.bca(level).or_else(|| drawn.percentile(level)));
                let drawn = drawn.unwrap_or(student);
                (lower, upper) = (lower.min(drawn.0), upper.max(drawn.1));
            }
        }
        let bounds = Some((lower.max(-1.0), upper.min(1.0)));
        let reached = self.goal.reached(bounds, self.margin).filter(|_| count >= Self::FEWEST);
        let deviation = mean.map(|mean| mean.standard_error * (count as f64).sqrt());
        let detectable =
            deviation.and_then(|spread| detectable_mean(count, spread, self.confidence, Evidence::POWER));
        Some(Seen { estimate, bounds, p: None, method: Method::Bootstrap, reached, detectable })
    }

    /// The difference that `n` pairs show with a chance of [`Evidence::POWER`] if as many of them are unlike as seen, or
    /// at least those that make the difference.
    fn detectable(&self, n: u64, discordance: f64) -> Option<f64> {
        let among = |unlike: f64| detectable_paired_share(n, unlike, self.confidence, Evidence::POWER);
        let (mut low, mut high) = (discordance, n as f64 / (n as f64 + 1.0));
        if let Some(shown) = among(discordance) {
            return Some(shown);
        }
        among(high)?;
        for _ in 0..50 {
            let middle = low.midpoint(high);
            if among(middle).is_some() { high = middle } else { low = middle }
        }
        among(high)
    }

    fn reason(&self, pairs: &Pairs, known: Option<&Seen>) -> Reason {
        if let Some(why) = pairs.why_unknown() {
            return why.clone();
        }
        let Some(seen) = known else { return Reason::NothingChecked };
        let have = pairs.clusters();
        let distance = (seen.estimate - self.goal.threshold(self.margin)).abs();
        let paired = pairs.paired(Completion::Known);
        if paired.is_none() && have < Self::FEWEST {
            return Reason::TooAlike { have, need: Some(Self::FEWEST) };
        }
        let spread = seen.detectable.map_or(0.0, |detectable| detectable * (have as f64).sqrt());
        let enough = |n: u64| match paired {
            Some(paired) => self.detectable(n, paired.discordance()).is_some_and(|shown| shown <= distance),
            // The multiplier of Student's law hardly changes from here on.
            None => {
                let unseen = Some(unseen(seen.estimate, n, self.confidence));
                spread / (n as f64).sqrt() <= distance && self.goal.reached(unseen, self.margin).is_some()
            }
        };
        Reason::TooAlike { have, need: fewest(have + 1, enough) }
    }
}

impl Goal {
    /// What the difference is held against.
    pub(super) fn threshold(self, margin: f64) -> f64 {
        match self {
            Self::Better => 0.0,
            Self::NotWorse => -margin,
        }
    }

    /// Whether bounds of the difference reach it, or show that it is not reached.
    pub(super) fn reached(self, bounds: Option<(f64, f64)>, margin: f64) -> Option<bool> {
        let threshold = self.threshold(margin);
        match bounds? {
            (lower, _) if lower > threshold => Some(true),
            (_, upper) if upper < threshold => Some(false),
            _ => None,
        }
    }

    /// It in words, of whatever is measured.
    #[must_use]
    pub fn claim(self, margin: f64) -> String {
        match self {
            Self::Better => "the candidate is better than the baseline".to_owned(),
            Self::NotWorse => format!("the candidate is not worse than the baseline by more than {margin}"),
        }
    }
}

/// The flaw of what bounds are held against, if it has one.
pub(super) fn bounds_flaw(
    goal: Goal,
    margin: f64,
    most: f64,
    confidence: f64,
) -> Option<(&'static str, String)> {
    if goal == Goal::NotWorse && !(margin > 0.0 && margin <= most) {
        let why = format!(
            "{margin} must be above 0 and at most {most}; to show that it is better say goal = \"better\""
        );
        return Some(("margin", why));
    }
    let wrong = !(confidence > 0.5 && confidence < 1.0);
    wrong.then(|| ("confidence", format!("{confidence} must be above 0.5 and below 1, such as 0.95")))
}

/// Bounds of a mean difference if each cluster that was not seen differed as far as values can. They are all there is to
/// say of clusters that are all the same, and nothing that resamples what was seen knows of others.
fn unseen(difference: f64, count: u64, confidence: f64) -> (f64, f64) {
    let others = unseen_share(count, confidence);
    (difference - others * (1.0 + difference), difference + others * (1.0 - difference))
}

/// The share of a kind of which none is among `count`, at most, with this confidence: `1 − (1 − confidence)^(1/count)`.
pub(super) fn unseen_share(count: u64, confidence: f64) -> f64 {
    1.0 - (1.0 - confidence).powf(1.0 / count as f64)
}

/// The least number from `from` on that is enough, if any below 2⁴⁰ is; more is never less.
pub(super) fn fewest(from: u64, enough: impl Fn(u64) -> bool) -> Option<u64> {
    const MOST: u64 = 1 << 40;
    let mut high = from;
    while !enough(high) {
        high = high.checked_mul(2).filter(|&n| n < MOST)?;
    }
    let mut low = from - 1;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}
