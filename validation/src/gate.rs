//! From trials to a verdict: the rule that a share must reach a floor.

use serde::{Deserialize, Serialize};

use crate::{Evidence, Method, Outcome, Proportion, Reason, Unit, Verdict, trials_needed};

/// How a share is held against its floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Rule {
    /// The trials are a sample, and the rate behind them must be proven: it passes once the lower
    /// bound reaches the floor, fails once the upper bound is below it, and is inconclusive between.
    #[default]
    Bound,
    /// The trials are all there is to ask: their own share is compared, and nothing is claimed about
    /// what was not asked.
    Point,
}

/// A floor that a share must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal")]
pub struct Gate {
    /// The least share, from 0 to 1.
    pub floor: f64,
    /// How it is held against it.
    pub rule: Rule,
    /// Confidence of each bound under [`Rule::Bound`], between 0 and 1.
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
}

impl Gate {
    /// Judges `tally`. Trials without a result count as neither: the verdict is one that holds
    /// however they would have come out, or inconclusive.
    #[must_use]
    pub fn judge(&self, measure: &str, tally: &Tally) -> (Verdict, Option<Evidence>) {
        let answered = Proportion::new(tally.hits, tally.hits + tally.misses);
        let n = tally.hits + tally.misses + tally.unknown;
        let at_worst = Proportion::new(tally.hits, n).and_then(|p| self.decide(p));
        let at_best = Proportion::new(tally.hits + tally.unknown, n).and_then(|p| self.decide(p));
        let verdict = match (at_worst, at_best) {
            (Some(true), _) => Verdict::Pass,
            (_, Some(false)) => Verdict::Fail,
            _ => Verdict::Inconclusive(self.reason(tally)),
        };
        (verdict, answered.map(|share| self.evidence(measure, share, tally)))
    }

    /// What is wrong with the settings, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        let right = match self.rule {
            _ if !(0.0..=1.0).contains(&self.floor) => "must be from 0 to 1",
            Rule::Bound if self.floor >= 1.0 => {
                "of 1 cannot be proven by any number of trials; say rule = \"point\" or a lower floor"
            }
            _ => return confidence_flaw(self.confidence),
        };
        Some(("floor", format!("{} {right}", self.floor)))
    }

    fn decide(&self, share: Proportion) -> Option<bool> {
        match self.rule {
            Rule::Bound if share.is_above(self.floor, self.confidence) => Some(true),
            Rule::Bound if share.is_below(self.floor, self.confidence) => Some(false),
            Rule::Bound => None,
            Rule::Point => Some(share.share() >= self.floor),
        }
    }

    fn reason(&self, tally: &Tally) -> Reason {
        if let Some(why) = &tally.why_unknown {
            return why.clone();
        }
        match trials_needed(self.floor, self.confidence, tally.misses) {
            Some(need) if tally.hits + tally.misses > 0 => {
                Reason::TooFew { have: tally.hits + tally.misses, need }
            }
            _ => Reason::NothingChecked,
        }
    }

    fn evidence(&self, measure: &str, share: Proportion, tally: &Tally) -> Evidence {
        Evidence {
            measure: measure.to_owned(),
            estimate: share.share(),
            lower: Some(share.lower(self.confidence)),
            upper: Some(share.upper(self.confidence)),
            confidence: self.confidence,
            threshold: self.floor,
            method: Method::ClopperPearson,
            n: share.trials(),
            unknown: tally.unknown,
            cut_off: tally.cut_off,
            unit: Unit::Share,
        }
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

pub(crate) fn confidence_flaw(confidence: f64) -> Option<(&'static str, String)> {
    let wrong = !(confidence > 0.0 && confidence < 1.0);
    wrong.then(|| ("confidence", format!("{confidence} must be above 0 and below 1, such as 0.95")))
}
