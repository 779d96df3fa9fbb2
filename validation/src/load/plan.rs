//! The terms of a load.

use std::{num::NonZeroUsize, time::Duration};

use super::{Abort, Limit, Profile, Schedule, Stage};

/// The terms of a load.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// When requests are due.
    pub profile: Profile,
    /// How long requests come before that at its first rate, and are not measured; 10 s at first.
    pub warmup: Duration,
    /// How many may be under way at once; 1024 at first. What is due while so many are is dropped.
    pub in_flight: NonZeroUsize,
    /// What is counted of each request as good or not; nothing at first.
    pub limits: Vec<Limit>,
    /// When to stop before the end.
    pub abort: Abort,
    /// Decides when requests are due, where that is left to chance.
    pub seed: u64,
}

impl Plan {
    /// Most requests under way at once unless said otherwise.
    pub const IN_FLIGHT: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not 0");
    /// How long a load warms up unless said otherwise.
    pub const WARMUP: Duration = Duration::from_secs(10);

    /// This profile on the terms said at the fields.
    #[must_use]
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            profile,
            warmup: Self::WARMUP,
            in_flight: Self::IN_FLIGHT,
            limits: Vec::new(),
            abort: Abort::default(),
            seed,
        }
    }

    /// This plan, warming up for so long.
    #[must_use]
    pub const fn warmup(mut self, warmup: Duration) -> Self {
        self.warmup = warmup;
        self
    }

    /// This plan, with at most so many requests under way.
    #[must_use]
    pub const fn in_flight(mut self, requests: NonZeroUsize) -> Self {
        self.in_flight = requests;
        self
    }

    /// This plan, with these limits.
    #[must_use]
    pub fn limits(mut self, limits: impl IntoIterator<Item = Limit>) -> Self {
        self.limits.extend(limits);
        self
    }

    /// This plan, stopping early by these rules.
    #[must_use]
    pub const fn abort(mut self, abort: Abort) -> Self {
        self.abort = abort;
        self
    }

    /// The profile with its warm-up.
    fn whole(&self) -> Profile {
        let mut whole = self.profile.clone();
        let rate = whole.stages.first().map_or(0.0, |first| first.rate);
        if !self.warmup.is_zero() && rate > 0.0 {
            whole.stages.insert(0, Stage { rate, to: None, duration: self.warmup });
        }
        whole
    }

    /// When requests are due, those of the warm-up first.
    pub(super) fn schedule(&self) -> Schedule {
        self.whole().schedule(self.seed)
    }

    /// How long requests are not measured: not at all where the profile begins with none.
    #[must_use]
    pub fn unmeasured(&self) -> Duration {
        self.whole().duration().saturating_sub(self.profile.duration())
    }

    /// The most requests that are sent.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.whole().most()
    }
}
