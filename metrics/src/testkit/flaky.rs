//! A source that fails on purpose.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;

use crate::{Error, Measurement, Metric, MetricsSource, Missing, Selector, Window};

/// A source in front of another that fails some calls, by a schedule that its seed fixes.
///
/// The fate of a call depends on the seed and on how many calls came before it, on nothing else.
#[derive(Debug)]
pub struct Flaky<S> {
    inner: S,
    seed: u64,
    unavailable: f64,
    missing: f64,
    calls: AtomicU64,
}

impl<S> Flaky<S> {
    /// Never fails yet.
    pub const fn new(inner: S, seed: u64) -> Self {
        Self { inner, seed, unavailable: 0.0, missing: 0.0, calls: AtomicU64::new(0) }
    }

    /// This share of calls, in \[0, 1\], fails with [`Error::Unavailable`] and never reaches the source
    /// behind.
    #[must_use]
    pub const fn with_unavailable(mut self, share: f64) -> Self {
        self.unavailable = share;
        self
    }

    /// This share of calls, in \[0, 1\], is answered with [`Missing::NoData`].
    #[must_use]
    pub const fn with_missing(mut self, share: f64) -> Self {
        self.missing = share;
        self
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl<S: MetricsSource> MetricsSource for Flaky<S> {
    async fn observe(
        &self,
        metric: &Metric,
        selector: &Selector,
        window: Window,
    ) -> Result<Measurement, Error> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let fate = fastrand::Rng::with_seed(self.seed ^ call.wrapping_mul(0x9e37_79b9_7f4a_7c15)).f64();
        if fate < self.unavailable {
            return Err(Error::Unavailable {
                source_name: self.to_string(),
                metric: metric.to_string(),
                source: format!("call {call} fails by schedule").into(),
            });
        }
        if fate < self.unavailable + self.missing {
            return Ok(Missing::NoData.into());
        }
        self.inner.observe(metric, selector, window).await
    }
}

impl<S: fmt::Display> fmt::Display for Flaky<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flaky {}", self.inner)
    }
}
