//! From trials to a verdict: the rule that a share must reach a floor.

mod sequence;

use serde::{Deserialize, Serialize};

pub use self::sequence::Sequence;
use crate::{
    Evidence, Method, Outcome, Proportion, Reason, Unit, Verdict,
    statistics::{Course, Sprt, detectable_rate},
    trials_needed,
};

/// How a share is held against its floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Rule {
    /// The trials are a sample, and the rate behind them must be proven: it passes once the lower
    /// bound reaches the floor, fails once the upper bound is below it, and is inconclusive between.
    #[default]
    Bound,
    /// The trials are all there is to ask: their own share is compared, and nothing is claimed about
    /// what was not asked.
    Point,
    /// The trials are a sample and taken one after another, until they decide by Wald's sequential test
    /// ([`Sprt`]): it passes where they speak for a rate of `good` or better, and fails where they speak for one at the
    /// floor or below. A good version takes about half the trials that a bound does.
    ///
    /// A rate at the floor passes with a chance of about one minus the gate's confidence, one of `good` fails with a
    /// chance of about `beta`. That holds for independent trials alone, in an order that says nothing about
    /// them: shuffle questions that are sorted.
    ///
    /// In a file: `rule = { sequential = { good = 0.95, beta = 0.05, most = 500 } }`.
    Sequential {
        /// A rate that should pass, above the floor.
        good: f64,
        /// The chance that it fails, below ½; 0.05 unless a file says otherwise.
        #[serde(default = "beta")]
        beta: f64,
        /// The most trials, after which it is inconclusive; 1 000 unless a file says otherwise.
        #[serde(default = "most")]
        most: u64,
    },
}

/// A floor that a share must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Gate {
    /// The least share, from 0 to 1.
    pub floor: f64,
    /// How it is held against it.
    pub rule: Rule,
    /// Confidence of each bound under [`Rule::Bound`], between 0 and 1; under [`Rule::Sequential`] one minus the chance
    /// that a rate at the floor passes, above ½.
    pub confidence: f64,
}

/// Trials, counted by their outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Trials as they should be.
    pub hits: u64,
    /// Trials not as they should be.
    pub misses: u64,
    /// Trials without a result.
    pub unknown: u64,
    /// Why the first of them has none.
    pub why_unknown: Option<Reason>,
    /// Trials with a result whose answer was cut off at the limit of its tokens.
    pub cut_off: u64,
    /// Trials with a result whose answer was remembered from an earlier run.
    pub remembered: u64,
}

impl Gate {
    /// Judges `tally`. Trials without a result count as neither: the verdict is one that holds
    /// however they would have come out, or inconclusive.
    ///
    /// A tally does not know the order of its trials: under [`Rule::Sequential`] they are judged by where the test
    /// stands after all of them. What stops asking is a [`Sequence`].
    #[must_use]
    pub fn judge(&self, measure: &str, tally: &Tally) -> (Verdict, Option<Evidence>) {
        let n = tally.hits + tally.misses + tally.unknown;
        let at_worst = Proportion::new(tally.hits, n).and_then(|p| self.decide(p));
        let at_best = Proportion::new(tally.hits + tally.unknown, n).and_then(|p| self.decide(p));
        self.concluded(measure, tally, at_worst, at_best)
    }

    /// The verdict of what is decided [at worst and at best](Self::settle), and the numbers behind it.
    fn concluded(
        &self,
        measure: &str,
        tally: &Tally,
        at_worst: Option<bool>,
        at_best: Option<bool>,
    ) -> (Verdict, Option<Evidence>) {
        let verdict = Self::settle(at_worst, at_best, || self.reason(tally));
        let answered = Proportion::new(tally.hits, tally.hits + tally.misses);
        (verdict, answered.map(|share| self.evidence(measure, share, tally)))
    }

    /// The verdict that holds however trials without a result would have come out: what is decided should all of them
    /// be misses, and should they be hits.
    pub(crate) fn settle(
        at_worst: Option<bool>,
        at_best: Option<bool>,
        reason: impl FnOnce() -> Reason,
    ) -> Verdict {
        match (at_worst, at_best) {
            (Some(true), _) => Verdict::Pass,
            (_, Some(false)) => Verdict::Fail,
            _ => Verdict::Inconclusive(reason()),
        }
    }

    /// Whether a share between these bounds reaches the floor, if that can be said.
    pub(crate) fn decide_between(&self, share: f64, lower: f64, upper: f64) -> Option<bool> {
        match self.rule {
            Rule::Point => Some(share >= self.floor),
            _ if lower >= self.floor => Some(true),
            _ if upper < self.floor => Some(false),
            _ => None,
        }
    }

    /// How far above the floor a rate must be for `n` trials to prove it with a chance of [`Evidence::POWER`]; `None`
    /// if no rate is proven by so few, or if nothing is to be proven.
    pub(crate) fn detectable(&self, n: u64) -> Option<f64> {
        let bound = self.rule == Rule::Bound && self.floor > 0.0;
        let rate = bound.then(|| detectable_rate(n, self.floor, self.confidence, Evidence::POWER))??;
        Some(rate - self.floor)
    }

    /// The test of [`Rule::Sequential`], if that is the rule and its numbers make sense.
    fn test(&self) -> Option<Sprt> {
        match self.rule {
            Rule::Sequential { good, beta, most } => {
                Sprt::new(self.floor, good, 1.0 - self.confidence, beta, most)
            }
            Rule::Bound | Rule::Point => None,
        }
    }

    /// What is wrong with the settings, if anything: the field and what would be right. To be asked before
    /// [`judge`](Self::judge), which gives no verdict on such settings.
    #[must_use]
    pub fn flaw(&self) -> Option<(&'static str, String)> {
        let right = match self.rule {
            _ if !(0.0..=1.0).contains(&self.floor) => "must be from 0 to 1",
            Rule::Sequential { good, beta, most } => return self.sequential_flaw(good, beta, most),
            Rule::Bound if self.floor >= 1.0 => {
                "of 1 cannot be proven by any number of trials; say rule = \"point\" or a lower floor"
            }
            _ => return confidence_flaw(self.confidence),
        };
        Some(("floor", format!("{} {right}", self.floor)))
    }

    fn sequential_flaw(&self, good: f64, beta: f64, most: u64) -> Option<(&'static str, String)> {
        if !(self.confidence > 0.5 && self.confidence < 1.0) {
            let why = format!("{} must be above 0.5 and below 1, such as 0.95", self.confidence);
            return Some(("confidence", why));
        }
        let right = match () {
            () if self.floor <= 0.0 => {
                return Some(("floor", "must be above 0 for trials to tell".to_owned()));
            }
            () if !(good > self.floor && good < 1.0) => {
                format!("good = {good} must be above the floor and below 1, such as 0.99")
            }
            () if !(beta > 0.0 && beta < 0.5) => format!("beta = {beta} must be above 0 and below 0.5"),
            () if !(1..=Sprt::MOST).contains(&most) => {
                format!("most = {most} must be from 1 to {}", Sprt::MOST)
            }
            () => return None,
        };
        Some(("rule", right))
    }

    fn decide(&self, share: Proportion) -> Option<bool> {
        match self.rule {
            Rule::Bound if share.is_above(self.floor, self.confidence) => Some(true),
            Rule::Bound if share.is_below(self.floor, self.confidence) => Some(false),
            Rule::Bound => None,
            Rule::Point => Some(share.share() >= self.floor),
            Rule::Sequential { .. } => {
                match self.test()?.after(share.hits(), share.trials() - share.hits()) {
                    Course::Accepted => Some(true),
                    Course::Rejected => Some(false),
                    Course::Open | Course::Truncated => None,
                }
            }
        }
    }

    fn reason(&self, tally: &Tally) -> Reason {
        if let Some(why) = &tally.why_unknown {
            return why.clone();
        }
        let have = tally.hits + tally.misses;
        let need = match self.rule {
            Rule::Sequential { most, .. } if have >= most => return Reason::Truncated { most },
            Rule::Sequential { .. } => {
                self.test().map(|test| have + test.hits_to_pass(tally.hits, tally.misses))
            }
            Rule::Bound | Rule::Point => trials_needed(self.floor, self.confidence, tally.misses),
        };
        match need {
            Some(need) if have > 0 => Reason::TooFew { have, need },
            _ => Reason::NothingChecked,
        }
    }

    fn evidence(&self, measure: &str, share: Proportion, tally: &Tally) -> Evidence {
        let bounds = match self.rule {
            Rule::Sequential { .. } => (None, None),
            _ => (Some(share.lower(self.confidence)), Some(share.upper(self.confidence))),
        };
        let sequential = bounds == (None, None);
        let method = if sequential { Method::Sequential } else { Method::ClopperPearson };
        let evidence = Evidence::new(measure, share.share(), Unit::Share, method)
            .between(bounds.0, bounds.1, self.confidence)
            .against(self.floor)
            .of(tally);
        Evidence { detectable: self.detectable(share.trials()), ..evidence }
    }
}

impl Tally {
    /// Counts one more trial.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Hit => self.hits += 1,
            Outcome::Miss => self.misses += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }

    /// Counts one more trial, which has no result for this reason.
    pub fn unknown(&mut self, why: Reason) {
        self.unknown += 1;
        self.why_unknown.get_or_insert(why);
    }
}

const fn beta() -> f64 {
    0.05
}

const fn most() -> u64 {
    1_000
}

pub(crate) fn confidence_flaw(confidence: f64) -> Option<(&'static str, String)> {
    let wrong = !(confidence > 0.0 && confidence < 1.0);
    wrong.then(|| ("confidence", format!("{confidence} must be above 0 and below 1, such as 0.95")))
}
