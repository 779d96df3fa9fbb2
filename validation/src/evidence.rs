//! A number behind a verdict, and how well it is known.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Tally;

/// One number behind a verdict, and how well it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Evidence {
    /// What was measured: `replies with the expected answer`.
    pub measure: String,
    /// The number as measured.
    pub estimate: f64,
    /// It lies above this, if that can be said.
    pub lower: Option<f64>,
    /// It lies below this, if that can be said.
    pub upper: Option<f64>,
    /// The chance of so much if there is nothing to find, where that was asked; adjusted if several were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The confidence of each of the two bounds taken alone.
    pub confidence: f64,
    /// The value it is held against.
    pub threshold: f64,
    /// How far beyond the threshold the truth must be for so many trials to show it with a chance of
    /// [`POWER`](Self::POWER), where that can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// How the bounds were found, or the chance.
    pub method: Method,
    /// Trials behind it.
    pub n: u64,
    /// How many independent trials they are worth, where that is fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<u64>,
    /// Trials made without a result.
    pub unknown: u64,
    /// Trials among `n` whose answer was cut off at the limit of its tokens.
    #[serde(default)]
    pub cut_off: u64,
    /// Trials among `n` whose answer was remembered from an earlier run.
    #[serde(default)]
    pub remembered: u64,
    /// What the numbers count.
    pub unit: Unit,
}

/// How the bounds of an [`Evidence`] were found, or its chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// Resampling of cases or of what they belong to (Efron, 1987), and no narrower than Student's law has it.
    Bootstrap,
    /// Everything there is was looked at, so there is nothing to infer.
    Census,
    /// The law of χ² (Pearson, 1900), or shuffling where counts are too few for it.
    ChiSquare,
    /// Exact binomial bounds (Clopper and Pearson, 1934).
    ClopperPearson,
    /// The greatest distance of two distribution functions (Kolmogorov, 1933; Smirnov, 1939).
    KolmogorovSmirnov,
    /// Clopper and Pearson's bounds with the number of independent trials that the clusters of trials are
    /// worth (Korn and Graubard, 1998).
    KornGraubard,
    /// Bounds of a rate that was counted by somebody who errs at rates that were measured (Lang and Reiczigel, 2014).
    LangReiczigel,
    /// The exact chance of cases in which one of two versions is better (McNemar, 1947); bounds as of
    /// [`Tango`](Self::Tango).
    McNemar,
    /// Order statistics of the sample, whatever its distribution; where its values depend on each other, those of as
    /// many as they are worth (Woodruff, 1952).
    OrderStatistics,
    /// Shuffling which values are whose.
    Permutation,
    /// A score test of two shares (Miettinen and Nurminen, 1985).
    Score,
    /// A sequential test, which ends when the trials decide (Wald, 1945). What it stops at is no fair estimate, so it
    /// has no bounds.
    Sequential,
    /// A score test of two shares of the same cases (Tango, 1998).
    Tango,
    /// Student's law for means of which each varies in its own way (Welch, 1947).
    Welch,
}

/// What the numbers of an [`Evidence`] count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unit {
    /// A number of its own kind.
    Plain,
    /// Seconds.
    Seconds,
    /// A share, from 0 to 1.
    Share,
}

impl Evidence {
    /// The chance with which a difference that is [`detectable`](Self::detectable) shows.
    pub const POWER: f64 = 0.8;

    /// A number that was measured in this way, of no trials yet and held against 0.
    pub fn new(measure: impl Into<String>, estimate: f64, unit: Unit, method: Method) -> Self {
        Self {
            measure: measure.into(),
            estimate,
            lower: None,
            upper: None,
            p: None,
            confidence: 1.0,
            threshold: 0.0,
            detectable: None,
            method,
            n: 0,
            effective: None,
            unknown: 0,
            cut_off: 0,
            remembered: 0,
            unit,
        }
    }

    /// A share of everything there is: `hits` of `n`, all of which should be hits.
    pub(crate) fn census(measure: impl Into<String>, hits: u64, n: u64, unknown: u64) -> Self {
        let share = if n == 0 { 0.0 } else { hits as f64 / n as f64 };
        let whole = Self::new(measure, share, Unit::Share, Method::Census);
        Self { n, unknown, threshold: 1.0, ..whole.between(Some(share), Some(share), 1.0) }
    }

    /// This number, above `lower` and below `upper`, each with this confidence.
    #[must_use]
    pub const fn between(mut self, lower: Option<f64>, upper: Option<f64>, confidence: f64) -> Self {
        (self.lower, self.upper, self.confidence) = (lower, upper, confidence);
        self
    }

    /// This number, held against `threshold`.
    #[must_use]
    pub const fn against(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// This number, of these trials.
    #[must_use]
    pub const fn of(mut self, tally: &Tally) -> Self {
        self.n = tally.hits.saturating_add(tally.misses);
        (self.unknown, self.cut_off, self.remembered) = (tally.unknown, tally.cut_off, tally.remembered);
        self
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Seconds => " s",
            Unit::Plain | Unit::Share => "",
        };
        write!(f, "{} {:.3}{unit}", self.measure, self.estimate)?;
        if self.method != Method::Census {
            let percent = self.confidence * 100.0;
            match (self.lower, self.upper) {
                (Some(lower), Some(upper)) => {
                    write!(f, " ({lower:.3} to {upper:.3}, each at {percent:.0} %)")?
                }
                (Some(lower), None) => write!(f, " (above {lower:.3} at {percent:.0} %)")?,
                (None, Some(upper)) => write!(f, " (below {upper:.3} at {percent:.0} %)")?,
                (None, None) => {}
            }
        }
        match self.p {
            Some(p) if p < 0.001 => f.write_str(", p < 0.001")?,
            Some(p) => write!(f, ", p = {p:.3}")?,
            None => {}
        }
        write!(f, ", n = {}", self.n)?;
        if let Some(effective) = self.effective {
            write!(f, ", worth {effective} independent ones")?;
        }
        if self.unknown > 0 {
            write!(f, ", {} without a result", self.unknown)?;
        }
        if self.cut_off > 0 {
            write!(f, ", {} cut off", self.cut_off)?;
        }
        if self.remembered > 0 {
            write!(f, ", {} remembered", self.remembered)?;
        }
        if let Some(detectable) = self.detectable {
            write!(f, ", a distance of {detectable:.3}{unit} from {} would show", self.threshold)?;
        }
        Ok(())
    }
}
