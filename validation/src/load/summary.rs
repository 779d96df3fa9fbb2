//! What came of a load, as data.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Counts, Distribution, Measured, Quantity, Stop};
use crate::Shortage;

/// What came of a load, as data. Times are in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// Requests that were due, a second.
    pub asked_per_second: f64,
    /// Requests that were sent, a second.
    pub achieved_per_second: f64,
    /// Requests that were answered within every limit, a second.
    pub goodput_per_second: f64,
    /// Tokens answered, a second, where the server counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_second: Option<f64>,
    /// Requests, by what became of them.
    pub counts: Counts,
    /// Failures by their kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, u64>,
    /// How long requests were due that were measured.
    pub seconds: f64,
    /// How long requests were sent before.
    pub warmup_seconds: f64,
    /// From when a request was due to the end of its answer.
    pub latency: Spread,
    /// From when a request was sent to the end of its answer.
    pub service_latency: Spread,
    /// From when a request was due to when it was sent.
    pub dispatch_delay: Spread,
    /// From when a request was due to the first part of its answer.
    pub ttft: Spread,
    /// From one part of an answer to the next.
    pub itl: Spread,
    /// What a token took after the first part.
    pub tpot: Spread,
    /// How far a quantile may be off, as a share of it, for being counted in classes.
    pub precision: f64,
    /// Confidence of each bound of a quantile.
    pub confidence: f64,
    /// Which rule stopped it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stop>,
    /// What there was too little of to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<Shortage>,
    /// Why nothing can be concluded, if the generator was too late or sent too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flaw: Option<String>,
}

/// Times in seconds: how many, and their quantiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spread {
    /// How many.
    pub n: u64,
    /// Their mean.
    pub mean: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
    /// Quantiles, ascending.
    pub quantiles: Vec<Quantile>,
}

/// A quantile in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quantile {
    /// Which one, between 0 and 1.
    pub quantile: f64,
    /// The sample's own.
    pub value: f64,
    /// It lies above this, if that can be said.
    pub lower: Option<f64>,
    /// It lies below this, if that can be said.
    pub upper: Option<f64>,
}

impl Summary {
    /// The times of a quantity.
    #[must_use]
    pub const fn of(&self, quantity: Quantity) -> &Spread {
        match quantity {
            Quantity::Latency => &self.latency,
            Quantity::Ttft => &self.ttft,
            Quantity::Itl => &self.itl,
            Quantity::Tpot => &self.tpot,
        }
    }
}

impl Spread {
    /// The quantiles of a spread.
    pub const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];

    /// The times of `distribution`, with bounds of this confidence each.
    #[must_use]
    pub fn of(distribution: &Distribution, confidence: f64) -> Self {
        let seconds = |time: Option<Duration>| time.as_ref().map(Duration::as_secs_f64);
        let quantiles = Self::QUANTILES.into_iter().filter_map(|quantile| {
            Some(Quantile {
                quantile,
                value: seconds(distribution.quantile(quantile))?,
                lower: seconds(distribution.lower(quantile, confidence)),
                upper: seconds(distribution.upper(quantile, confidence)),
            })
        });
        Self {
            n: distribution.len(),
            mean: seconds(distribution.mean()),
            max: seconds(distribution.max()),
            quantiles: quantiles.collect(),
        }
    }

    /// One of its quantiles.
    #[must_use]
    pub fn at(&self, quantile: f64) -> Option<Quantile> {
        self.quantiles.iter().copied().find(|found| found.quantile == quantile)
    }
}

impl Measured {
    /// All of it as data, with bounds of this confidence each.
    #[must_use]
    pub fn summary(&self, confidence: f64) -> Summary {
        let spread = |distribution| Spread::of(distribution, confidence);
        Summary {
            asked_per_second: self.asked(),
            achieved_per_second: self.achieved(),
            goodput_per_second: self.goodput(),
            output_tokens_per_second: self.tokens_per_second(),
            counts: self.counts,
            failures: self.failures.clone(),
            seconds: self.span.as_secs_f64(),
            warmup_seconds: self.warmup.as_secs_f64(),
            latency: spread(&self.scheduled_latency),
            service_latency: spread(&self.service_latency),
            dispatch_delay: spread(&self.dispatch_delay),
            ttft: spread(&self.ttft),
            itl: spread(&self.itl),
            tpot: spread(&self.tpot),
            precision: Distribution::PRECISION,
            confidence,
            stopped: self.stopped.clone(),
            short: self.short.clone(),
            flaw: self.flaw(),
        }
    }
}
