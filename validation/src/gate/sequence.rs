//! Trials taken one after another, until they decide.

use super::{Gate, Tally};
use crate::{
    Evidence, Outcome, Verdict,
    statistics::{Course, Sprt},
};

/// Where the test of [`Rule::Sequential`](crate::Rule::Sequential) stands, trial by trial.
///
/// A trial without a result is taken for a miss where it is about to pass, and for a hit where it is about to fail:
/// there are two tests, and the verdict is one that holds however those trials would have come out.
///
/// ```
/// use tidegate_validation::{Gate, Outcome, Rule, Tally, Verdict};
///
/// let rule = Rule::Sequential { good: 0.95, beta: 0.05, most: 100 };
/// let gate = Gate { floor: 0.8, rule, confidence: 0.95 };
/// let (mut sequence, mut tally) = (gate.sequence().unwrap(), Tally::default());
/// while !sequence.is_over() {
///     tally.count(Outcome::Hit); // ask, in earnest
///     sequence.push(Outcome::Hit);
/// }
/// assert_eq!((sequence.judge("right answers", &tally).0, tally.hits), (Verdict::Pass, 18));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sequence {
    gate: Gate,
    at_worst: Sprt,
    at_best: Sprt,
}

impl Gate {
    /// The sequence of no trial yet; `None` unless the rule is [`Rule::Sequential`](crate::Rule::Sequential) and its
    /// numbers make sense.
    #[must_use]
    pub fn sequence(&self) -> Option<Sequence> {
        self.test().map(|test| Sequence { gate: *self, at_worst: test, at_best: test })
    }
}

impl Sequence {
    /// Takes one more trial, in the order in which they were begun. Once it is [over](Self::is_over) trials change
    /// nothing.
    pub fn push(&mut self, outcome: Outcome) {
        if !self.is_over() {
            self.at_worst.push(outcome == Outcome::Hit);
            self.at_best.push(outcome != Outcome::Miss);
        }
    }

    /// Whether there is no use in a further trial.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let ended = |test: &Sprt| test.course() != Course::Open;
        self.reached().is_some() || ended(&self.at_worst) && ended(&self.at_best)
    }

    /// What the trials decide; `tally` is the same trials, counted.
    #[must_use]
    pub fn judge(&self, measure: &str, tally: &Tally) -> (Verdict, Option<Evidence>) {
        self.gate.concluded(measure, tally, self.reached(), self.reached())
    }

    fn reached(&self) -> Option<bool> {
        match (self.at_worst.course(), self.at_best.course()) {
            (Course::Accepted, _) => Some(true),
            (_, Course::Rejected) => Some(false),
            _ => None,
        }
    }
}
