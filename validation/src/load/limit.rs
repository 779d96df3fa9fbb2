//! What must hold of the times of requests.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// What is timed of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Quantity {
    /// From when it was due to the end of its answer.
    #[default]
    Latency,
    /// From when it was due to the first part of the answer that says something, is thought, or calls a tool: TTFT.
    Ttft,
    /// From one part of an answer to the next, ITL. A part may hold several tokens.
    Itl,
    /// What a token takes after the first part, TPOT: the rest of the answer's time by the rest of its tokens, as the
    /// server counts them.
    Tpot,
}

/// The longest that a quantile may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Limit {
    /// What is timed.
    #[serde(default)]
    pub of: Quantity,
    /// Which quantile, between 0 and 1.
    pub quantile: f64,
    /// The longest that it may be.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub max: Duration,
}

impl Limit {
    /// The longest that this quantile of the latency may be.
    #[must_use]
    pub const fn latency(quantile: f64, max: Duration) -> Self {
        Self { of: Quantity::Latency, quantile, max }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        if !(self.quantile > 0.0 && self.quantile < 1.0) {
            return Some(("limits", format!("have the quantile {}; write one such as 0.95", self.quantile)));
        }
        self.max.is_zero().then(|| ("limits", "have the longest time 0, which nothing keeps".to_owned()))
    }
}

impl Quantity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Latency, Self::Ttft, Self::Itl, Self::Tpot];

    /// `latency`, `ttft`, `itl` or `tpot`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Ttft => "ttft",
            Self::Itl => "itl",
            Self::Tpot => "tpot",
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Latency => "latency as scheduled",
            Self::Ttft => "time to the first token",
            Self::Itl => "time between parts",
            Self::Tpot => "time per output token",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-quantile of the {} is at most {:?}", self.quantile, self.of, self.max)
    }
}
