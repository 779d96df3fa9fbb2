//! A number behind a verdict, and how well it is known.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// The confidence of each of the two bounds taken alone.
    pub confidence: f64,
    /// The value it is held against.
    pub threshold: f64,
    /// How the bounds were found.
    pub method: Method,
    /// Trials behind it.
    pub n: u64,
    /// Trials made without a result.
    pub unknown: u64,
    /// Trials among `n` whose answer was cut off at the limit of its tokens.
    #[serde(default)]
    pub cut_off: u64,
    /// What the numbers count.
    pub unit: Unit,
}

/// How the bounds of an [`Evidence`] were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// Everything there is was looked at, so there is nothing to infer.
    Census,
    /// Exact binomial bounds (Clopper and Pearson, 1934).
    ClopperPearson,
    /// Order statistics of the sample, whatever its distribution.
    OrderStatistics,
}

/// What the numbers of an [`Evidence`] count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A share, from 0 to 1.
    Share,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Seconds => " s",
            Unit::Share => "",
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
        write!(f, ", n = {}", self.n)?;
        if self.unknown > 0 {
            write!(f, ", {} without a result", self.unknown)?;
        }
        if self.cut_off > 0 {
            write!(f, ", {} cut off", self.cut_off)?;
        }
        Ok(())
    }
}
