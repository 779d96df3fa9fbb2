//! When to stop a load before its end.

use std::{collections::VecDeque, fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// When to stop a load before its end: nobody needs five minutes of a server that is down.
///
/// What is looked at are the last 100 requests that ended, those of the warm-up included, and none before there are so
/// many; for `p99` those under way count, too, once they take longer: a server that stands still ends none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers fill it in with a literal and `..Default::default()`")]
pub struct Abort {
    /// If more than this share of them failed, from 0 to 1; one half by default.
    pub errors: Option<f64>,
    /// If more than one in a hundred took longer than this, from when it was due; no matter how long by default.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::suite::schema::Span>"))]
    pub p99: Option<Duration>,
}

/// Which rule stopped a load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Stop {
    /// Too many requests failed.
    Errors {
        /// How many of the last ones.
        failed: u64,
        /// How many those are.
        of: u64,
        /// The share that may.
        allowed: f64,
    },
    /// Too many requests were too slow.
    Slow {
        /// How many of the last ones, and of those under way.
        slow: u64,
        /// How many those are.
        of: u64,
        /// The longest that 99 % of them may take.
        #[serde(with = "humantime_serde")]
        allowed: Duration,
    },
}

/// The last requests that ended.
#[derive(Debug)]
pub(super) struct Brake {
    rules: Abort,
    last: VecDeque<Ended>,
    failed: u64,
    slow: u64,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    failed: bool,
    slow: bool,
}

impl Abort {
    /// How many requests are looked at.
    pub const WINDOW: usize = 100;

    /// No matter what.
    pub const NEVER: Self = Self { errors: None, p99: None };

    /// What is wrong with it, if anything.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        let wrong = self.errors.filter(|share| !(0.0..=1.0).contains(share))?;
        Some(("abort", format!("at a share of errors of {wrong} is never; write one from 0 to 1")))
    }
}

impl Default for Abort {
    fn default() -> Self {
        Self { errors: Some(0.5), p99: None }
    }
}

impl Brake {
    pub(super) fn new(rules: Abort) -> Self {
        Self { rules, last: VecDeque::with_capacity(Abort::WINDOW), failed: 0, slow: 0 }
    }

    /// Takes a request that ended after `took`.
    pub(super) fn take(&mut self, failed: bool, took: Duration) {
        if self.last.len() == Abort::WINDOW
            && let Some(oldest) = self.last.pop_front()
        {
            self.failed -= u64::from(oldest.failed);
            self.slow -= u64::from(oldest.slow);
        }
        let slow = self.rules.p99.is_some_and(|longest| took > longest);
        self.failed += u64::from(failed);
        self.slow += u64::from(slow);
        self.last.push_back(Ended { failed, slow });
    }

    /// What a request under way may take before it is slow.
    pub(super) const fn longest(&self) -> Option<Duration> {
        self.rules.p99
    }

    /// Whether to stop, while `overdue` requests under way have taken longer than [`longest`](Self::longest).
    pub(super) fn stop(&self, overdue: u64) -> Option<Stop> {
        let (window, of) = (Abort::WINDOW as u64, self.last.len() as u64);
        if let Some(allowed) = self.rules.errors
            && of == window
            && self.failed as f64 > allowed * of as f64
        {
            return Some(Stop::Errors { failed: self.failed, of, allowed });
        }
        let allowed = self.rules.p99?;
        let (slow, of) = (self.slow + overdue, of + overdue);
        (of >= window && slow * 100 > of).then_some(Stop::Slow { slow, of, allowed })
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors { failed, of, allowed } => write!(
                f,
                "stopped early: {failed} of the last {of} requests failed, and a share of {allowed} may"
            ),
            Self::Slow { slow, of, allowed } => write!(
                f,
                "stopped early: {slow} of the last {of} requests took longer than {allowed:?}, and one in a hundred may"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_stops_once_too_many_of_the_last_failed() {
        let mut brake = Brake::new(Abort::default());
        for failed in [vec![false; 400], vec![true; 50]].concat() {
            brake.take(failed, SECOND);
            assert_eq!(brake.stop(0), None);
        }
        brake.take(true, SECOND);
        assert_eq!(brake.stop(0), Some(Stop::Errors { failed: 51, of: 100, allowed: 0.5 }));
    }

    #[test]
    fn few_requests_stop_nothing() {
        let mut brake = Brake::new(Abort { p99: Some(SECOND), ..Abort::default() });
        for _ in 0..99 {
            brake.take(true, 2 * SECOND);
            assert_eq!(brake.stop(0), None);
        }
    }

    #[test]
    fn a_server_that_stands_still_is_seen_by_what_is_under_way() {
        let mut brake = Brake::new(Abort { errors: None, p99: Some(SECOND) });
        for _ in 0..100 {
            brake.take(false, SECOND / 2);
        }
        assert_eq!(brake.stop(1), None);
        assert_eq!(brake.stop(2), Some(Stop::Slow { slow: 2, of: 102, allowed: SECOND }));
    }
}
