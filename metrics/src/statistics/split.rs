//! Whether a router sends the share of requests that it was told to (sample ratio mismatch).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bernoulli::log_evidence;
use crate::judge::{Passed, Tape};

/// The weight of the prior, in requests. Of those from 3 to 1 000 that were simulated, ten found routers that send
/// nothing, half or five times the weight almost as fast as the best for each, and so it did slight deviations.
const CONCENTRATION: f64 = 10.0;

/// The natural logarithm of the evidence that a router does not send candidate and baseline their requests by
/// `weight`, the candidate's share from 0 to 1: of `E = B(a + N_c, b + N_b) / (B(a, b)·wᴺᶜ·(1 − w)ᴺᵇ)` with
/// `a = 10w` and `b = 10(1 − w)`, over all requests since the weight was set.
///
/// If the router is honest and decides on each request by itself, `E` ever comes to 100 with a chance of at most
/// 1 %, however often one looks. The prior is one around the weight: a uniform one would expect a half, and find a
/// router that sends nothing in place of 10 % later.
///
/// A single request against a weight of 0 or 1 is infinite evidence. `NaN` for a weight that is not from 0 to 1.
///
/// M. Lindon, A. Malek, *Anytime-valid inference for multinomial count data*, Advances in Neural Information
/// Processing Systems 35, 2022.
///
/// ```
/// # use tidegate_metrics::statistics::split_log_e;
/// assert!(split_log_e(0.1, 104, 896) < 0.0);
/// assert!(split_log_e(0.1, 150, 850) > 100_f64.ln());
/// ```
#[must_use]
pub fn split_log_e(weight: f64, candidate: u64, baseline: u64) -> f64 {
    if !(0.0..=1.0).contains(&weight) {
        return f64::NAN;
    }
    if weight == 0.0 || weight == 1.0 {
        let against = if weight == 0.0 { candidate } else { baseline };
        return if against > 0 { f64::INFINITY } else { 0.0 };
    }
    log_evidence(weight, CONCENTRATION, candidate, baseline)
}

/// Watches whether a router sends the share of requests that it was told to, stage by stage: a stage lasts as long
/// as the weight stays.
///
/// It says [`Mismatch`] where the [evidence](split_log_e) is 100 or more **and** the share of the stage is off by
/// more than one percentage point and more than a fifth of the weight, or less than half of the weight. The share
/// keeps a deviation that nobody minds from being reported once there are millions of requests. The answer is that of
/// this moment, and may be taken back. Each stage has a chance of 1 % at most to ever accuse an honest router.
///
/// It supposes that the router decides on each request. Where it decides on connections, and each carries many
/// requests, the share of requests is off by more than chance would have it, and that is what is reported: with
/// 50 requests to a connection, at 10 % and a thousand requests between looks, almost every honest router is
/// accused at some early look, and almost none after 200. To judge such a router by its decisions count connections
/// or sessions instead of requests.
///
/// ```
/// # use tidegate_metrics::statistics::Split;
/// let mut split = Split::new();
/// assert!(split.take(0.1, 11, 89).is_none());
/// // From now on a fourth, but the router did not hear of it.
/// assert!(split.take(0.25, 12, 88).is_none());
/// let mismatch = split.take(0.25, 18, 182).unwrap();
/// assert_eq!((mismatch.share, mismatch.weight), (0.1, 0.25));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Split {
    weight: f64,
    candidate: u64,
    baseline: u64,
}

impl Split {
    /// No requests so far.
    #[must_use]
    pub const fn new() -> Self {
        Self { weight: 0.0, candidate: 0, baseline: 0 }
    }

    /// Takes the requests that each side got since the last ones were taken, while `weight` (from 0 to 1) was the
    /// candidate's share, and says what [`mismatch`](Self::mismatch) does. With another weight than before a stage
    /// begins, and those of earlier stages are forgotten.
    pub fn take(&mut self, weight: f64, candidate: u64, baseline: u64) -> Option<Mismatch> {
        if weight != self.weight {
            *self = Self { weight, ..Self::new() };
        }
        self.candidate = self.candidate.saturating_add(candidate);
        self.baseline = self.baseline.saturating_add(baseline);
        self.mismatch()
    }

    /// Whether what the stage's requests show is another share than its weight. Never with a weight that is not from
    /// 0 to 1.
    #[must_use]
    pub fn mismatch(&self) -> Option<Mismatch> {
        let Self { weight, candidate, baseline } = *self;
        let share = candidate as f64 / (candidate as f64 + baseline as f64);
        let off = (share - weight).abs();
        // Below 2 % a point is most of the weight, and would excuse a router that sends next to nothing.
        let is_off = off > (0.2 * weight).max(0.01) || share < weight / 2.0;
        if !is_off {
            return None;
        }
        let log_e = self.log_e();
        (log_e >= 100_f64.ln()).then_some(Mismatch { share, weight, log_e })
    }

    /// The natural logarithm of the stage's [evidence](split_log_e); 0 before the first request.
    #[must_use]
    pub fn log_e(&self) -> f64 {
        split_log_e(self.weight, self.candidate, self.baseline)
    }

    pub(crate) fn state(&mut self, tape: &mut Tape<'_>) -> Passed {
        tape.float(&mut self.weight)?;
        tape.count(&mut self.candidate)?;
        tape.count(&mut self.baseline)
    }
}

/// A router sends another share than its weight; found by [`Split`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The candidate's share of the requests, from 0 to 1.
    pub share: f64,
    /// What it ought to be.
    pub weight: f64,
    /// The natural logarithm of the evidence against an honest router; infinite where the weight is 0 or 1.
    pub log_e: f64,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [share, weight] = [self.share, self.weight].map(|share| 100.0 * share);
        write!(
            f,
            "the candidate gets {share:.2} % of the requests and not {weight:.2} % (log-evidence {:.1}); see \
             whether the router took the weight, and whether it decides on connections rather than requests",
            self.log_e
        )
    }
}
