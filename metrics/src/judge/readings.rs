//! Readings of a gauge against a bound: k of the last n windows, a heuristic.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    Bound, Seen, Standing, Tally, Test,
    criterion::Problems,
    decided,
    judgement::{Effect, Measure},
    tape::{Passed, Tape},
    too_few,
};
use crate::{Measurement, Missing, Observation, Pair, Verdict, Window};

/// Readings of a gauge: the length of a queue, a percentile that a server has computed, the fill of a cache.
///
/// Fails once [`breaches`](Self::breaches) of the last [`of`](field@Self::of) windows broke the bound, passes while
/// fewer did and there were that many. A heuristic: readings follow each other, so that no chance of error can
/// be promised. Where there are counts or a histogram, judge those.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Readings {
    /// Where a window's reading must lie.
    pub bound: Bound,
    /// So many windows beyond it are a failure; default 3.
    #[serde(default = "three")]
    pub breaches: u32,
    /// Out of so many; default 5.
    #[serde(default = "five")]
    pub of: u32,
    /// What is a window's reading where it has several; default the mean.
    #[serde(default)]
    pub reading: Reading,
}

/// What is the reading of a window that has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Reading {
    /// The newest.
    Last,
    /// Their mean.
    #[default]
    Mean,
    /// The one that comes closest to breaking the bound, or breaks it furthest.
    Worst,
}

impl Readings {
    /// The bound, broken in 3 of 5 windows.
    #[must_use]
    pub const fn new(bound: Bound) -> Self {
        Self { bound, breaches: three(), of: five(), reading: Reading::Mean }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let Self { bound, breaches, of, .. } = *self;
        problems
            .unless(bound.value().is_finite(), format!("bound is {}, not a finite number", bound.value()));
        problems.unless(
            breaches > 0 && breaches <= of && of <= 10_000,
            format!("breaches is {breaches} of {of}; take at least 1, at most of, and of at most 10000"),
        );
    }

    pub(super) fn test(self) -> Box<dyn Test> {
        Box::new(Reader { readings: self, last: VecDeque::new(), shown: None, failed: false })
    }

    fn of(&self, values: &[f64]) -> Option<f64> {
        let greatest = values.iter().copied().reduce(f64::max);
        let least = values.iter().copied().reduce(f64::min);
        match (self.reading, self.bound) {
            (Reading::Last, _) => values.last().copied(),
            (Reading::Mean, _) => {
                let count = values.len() as f64;
                (!values.is_empty()).then(|| values.iter().map(|value| value / count).sum())
            }
            (Reading::Worst, Bound::AtMost(_)) => greatest,
            (Reading::Worst, Bound::AtLeast(_)) => least,
        }
    }
}

const fn three() -> u32 {
    3
}

const fn five() -> u32 {
    5
}

#[derive(Clone, Debug)]
struct Reader {
    readings: Readings,
    /// Whether the bound was broken, in the last windows that had a reading.
    last: VecDeque<bool>,
    shown: Option<f64>,
    failed: bool,
}

impl Reader {
    fn breaches(&self) -> u32 {
        self.last.iter().map(|broken| u32::from(*broken)).sum()
    }

    fn read(&mut self, broken: bool) -> Seen {
        self.last.push_back(broken);
        if self.last.len() > self.readings.of as usize {
            self.last.pop_front();
        }
        self.failed |= self.breaches() >= self.readings.breaches;
        Seen::Counted
    }
}

impl Test for Reader {
    fn take(&mut self, _: Window, pair: &Pair) -> Seen {
        let observation = match &pair.candidate {
            Measurement::Missing(Missing::Infinite { negative }) => {
                let broken = *negative == matches!(self.readings.bound, Bound::AtLeast(_));
                return if broken {
                    self.read(true)
                } else {
                    Seen::Missing("a value without bound".to_owned())
                };
            }
            Measurement::Missing(missing) => return Seen::Missing(missing.to_string()),
            Measurement::Observed(observation) => observation.overall(),
        };
        let reading = match &*observation {
            Observation::Values(values) => self.readings.of(values),
            Observation::Total { sum, count } if *count > 0 => Some(sum / *count as f64),
            Observation::Proportion { hits, trials } if *trials > 0 => Some(*hits as f64 / *trials as f64),
            _ => None,
        };
        let Some(reading) = reading else {
            return Seen::Unusable(format!("readings are values, totals or proportions, not {observation}"));
        };
        self.shown = Some(reading);
        self.read(match self.readings.bound {
            Bound::AtMost(most) => reading > most,
            Bound::AtLeast(least) => reading < least,
        })
    }

    fn verdict(&self) -> Verdict {
        decided(self.failed, self.last.len() as u64 >= u64::from(self.readings.of))
    }

    fn standing(&self) -> Standing {
        let Readings { breaches, of, .. } = self.readings;
        let have = self.last.len() as u64;
        let verdict = self.verdict();
        let reason = match verdict {
            Verdict::Inconclusive => too_few(have, of.into()),
            Verdict::Fail | Verdict::Pass => format!(
                "{} of the last {have} readings broke the bound, {breaches} of {of} are too many; no error bound stands behind it",
                self.breaches()
            ),
        };
        Standing {
            verdict,
            reason: Some(reason),
            candidate: Tally { hits: self.breaches().into(), trials: have },
            effect: Some(Effect { measure: Measure::Mean, estimate: self.shown, lower: None, upper: None }),
            ..Standing::none()
        }
    }

    fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        let mut last = Vec::from(std::mem::take(&mut self.last));
        tape.list(&mut last, || false, Tape::flag)?;
        if last.len() > self.readings.of as usize {
            return None;
        }
        self.last = last.into();
        tape.option(&mut self.shown, || 0.0, Tape::float)?;
        tape.flag(&mut self.failed)
    }
}
