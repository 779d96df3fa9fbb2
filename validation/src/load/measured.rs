//! What came of a load.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Distribution, Limit, Quantity, Stop, blocks::ByTime};
use crate::{AgentError, Shortage, Tally};

/// What came of a load, without its warm-up.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Measured {
    /// How many requests, by what became of them.
    pub counts: Counts,
    /// Whether any was answered, those of the warm-up included.
    pub reached: bool,
    /// From when a request was due to the end of its answer, of those that were answered.
    pub scheduled_latency: Distribution,
    /// From when a request was sent to the end of its answer, of those that were answered.
    pub service_latency: Distribution,
    /// From when a request was due to when it was sent, of all that were sent.
    pub dispatch_delay: Distribution,
    /// From when a request was due to the first part of its answer.
    pub ttft: Distribution,
    /// From one part of an answer to the next.
    pub itl: Distribution,
    /// What a token took after the first part; one time an answer.
    pub tpot: Distribution,
    /// Tokens of questions, where the server counts them.
    pub input_tokens: u64,
    /// Tokens of answers, thinking included, where the server counts them.
    pub output_tokens: u64,
    /// Failures by their kind; many kinds are put together.
    pub failures: BTreeMap<String, u64>,
    /// How long requests were due that were measured.
    pub span: Duration,
    /// How long it took to send them.
    pub sending: Duration,
    /// How long requests were sent before, and not measured.
    pub warmup: Duration,
    /// Each limit, and how many times kept it.
    pub limits: Vec<(Limit, Tally)>,
    /// The same, and requests that were answered, by when they were due.
    pub(super) trials: ByTime,
    /// Which rule stopped it before its end.
    pub stopped: Option<Stop>,
    /// What the budget had too little of to go on.
    pub short: Option<Shortage>,
    /// The first failure that is [hopeless](AgentError::is_hopeless), which stopped the load, or else the last of all.
    pub failure: Option<AgentError>,
}

/// Requests, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Counts {
    /// Those that were due: the sum of the next four.
    pub due: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that were sent and failed.
    pub failed: u64,
    /// Those that were not sent because too many were under way.
    pub dropped: u64,
    /// Those whose end was not waited for or that the budget did not suffice for.
    pub unfinished: u64,
    /// Those among the answered that are known to have kept every limit: goodput.
    pub good: u64,
    /// Attempts that agents made again by themselves; the requests that took one are among the failed.
    pub retries: u64,
    /// Those among the answered that came as a whole, without a time to their first part.
    pub whole: u64,
    /// Those among the answered whose tokens nobody counted.
    pub uncounted: u64,
    /// Those of the warm-up, which are none of the above.
    pub warmup: u64,
}

impl Measured {
    /// The least share of the rate asked for that must have been sent.
    pub const LEAST_RATE: f64 = 0.95;
    /// The dispatch delay that is always all right.
    const DELAY: Duration = Duration::from_millis(10);
    /// The share of the latency that the dispatch delay may be.
    const DELAY_SHARE: f64 = 0.05;

    /// Requests that were due, a second.
    #[must_use]
    pub fn asked(&self) -> f64 {
        rate(self.counts.due, self.span)
    }

    /// Requests that were sent, a second.
    #[must_use]
    pub fn achieved(&self) -> f64 {
        let sent = self.dispatch_delay.len();
        rate(sent, self.span.max(self.sending))
    }

    /// Requests that were answered within every limit, a second.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        rate(self.counts.good, self.span)
    }

    /// Tokens answered a second; `None` if nobody counted them.
    #[must_use]
    pub fn tokens_per_second(&self) -> Option<f64> {
        (self.output_tokens > 0).then(|| rate(self.output_tokens, self.span.max(self.sending)))
    }

    /// The times of a quantity.
    #[must_use]
    pub const fn of(&self, quantity: Quantity) -> &Distribution {
        match quantity {
            Quantity::Latency => &self.scheduled_latency,
            Quantity::Ttft => &self.ttft,
            Quantity::Itl => &self.itl,
            Quantity::Tpot => &self.tpot,
        }
    }

    /// Why the generator itself was too late for anything to be concluded, if it was: at the `quantile` of interest, it
    /// sent requests later than 10 ms and than a twentieth of their latency.
    #[must_use]
    pub fn late(&self, quantile: f64) -> Option<String> {
        let delay = self.dispatch_delay.quantile(quantile)?;
        let latency = self.scheduled_latency.quantile(quantile).unwrap_or_default();
        (delay > Self::DELAY.max(latency.mul_f64(Self::DELAY_SHARE))).then(|| {
            format!(
                "the generator could not keep up: {quantile} of requests were sent up to {delay:.1?} late; lower the rate, \
                 or run it where more processor time is free"
            )
        })
    }

    /// Why less was sent than asked for, if it was less than [`LEAST_RATE`](Self::LEAST_RATE) of it.
    #[must_use]
    pub fn shortfall(&self) -> Option<String> {
        let (asked, achieved, counts) = (self.asked(), self.achieved(), self.counts);
        (achieved < asked * Self::LEAST_RATE).then(|| {
            let why = match counts {
                Counts { dropped: 0, unfinished: 0, .. } => {
                    "the generator could not send more; lower the rate".to_owned()
                }
                Counts { dropped: 0, unfinished, .. } => format!("{unfinished} requests were not sent"),
                Counts { dropped, .. } => format!(
                    "{dropped} requests were dropped, as too many were under way; lower the rate, or allow more in flight"
                ),
            };
            format!("{achieved:.1} of {asked:.1} requests a second were sent: {why}")
        })
    }

    /// The failure that ended it before its time.
    pub(super) fn hopeless(&self) -> Option<&AgentError> {
        self.failure.as_ref().filter(|error| error.is_hopeless())
    }

    /// Why nothing can be concluded for the model, if so: the first of [`late`](Self::late) at the 99th percentile,
    /// [`shortfall`](Self::shortfall), and a failure that every other request would have had as well.
    #[must_use]
    pub fn flaw(&self) -> Option<String> {
        let ended = || self.hopeless().map(|error| format!("it ended before its time: {error}"));
        self.late(0.99).or_else(|| self.shortfall()).or_else(ended)
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}
