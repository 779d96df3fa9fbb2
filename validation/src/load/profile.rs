//! When requests are due.

use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// When requests are due: stages, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Profile {
    /// How they come.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// How many, and for how long.
    pub stages: Vec<Stage>,
}

/// How requests come at a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// As those of many users who do not know of each other: a Poisson process.
    #[default]
    Poisson,
}

/// A rate for some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Stage {
    /// Requests a second, at its beginning.
    pub rate: f64,
    /// Requests a second at its end, if the rate changes; it does so steadily.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// How long it lasts.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::suite::schema::Span"))]
    pub duration: Duration,
}

/// The times at which the requests of a [`Profile`] are due, from its beginning; ascending.
///
/// A process whose rate changes is one of rate 1 in another time, Λ(t), the number of requests expected until `t`: the
/// `i`-th is due where Λ(t) is `i`, or for [`Arrivals::Poisson`] the sum of `i` exponential waits of mean 1 (E. Çinlar,
/// *Introduction to Stochastic Processes*, 1975, chapter 4.7).
#[derive(Clone, Debug)]
pub struct Schedule {
    arrivals: Arrivals,
    stages: std::vec::IntoIter<Stage>,
    stage: Option<Stage>,
    rng: Rng,
    /// Where the next request is in the time in which the rate is 1.
    next: f64,
    /// Where the stage begins in that time.
    before: f64,
    /// When the stage begins.
    begin: Duration,
    left: u64,
}

/// Most requests a second.
const FASTEST: f64 = 1e6;
/// Most requests of a profile.
const MOST: f64 = 1e9;
/// Longest time of a profile.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl Profile {
    /// One rate, in requests a second, for so long.
    #[must_use]
    pub fn steady(arrivals: Arrivals, rate: f64, duration: Duration) -> Self {
        Self { arrivals, stages: vec![Stage { rate, to: None, duration }] }
    }

    /// When requests are due; `seed` decides where that is left to chance.
    #[must_use]
    pub fn schedule(&self, seed: u64) -> Schedule {
        let mut stages = self.stages.clone().into_iter();
        let stage = stages.next();
        let mut schedule = Schedule {
            arrivals: self.arrivals,
            stages,
            stage,
            rng: Rng::with_seed(seed),
            next: 0.0,
            before: 0.0,
            begin: Duration::ZERO,
            left: self.most(),
        };
        if self.arrivals == Arrivals::Poisson {
            schedule.next = schedule.wait();
        }
        schedule
    }

    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.duration))
    }

    /// How many requests are expected.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.stages.iter().map(Stage::expected).sum()
    }

    /// The most requests that any seed makes due: of a Poisson process, six standard deviations more than expected.
    #[must_use]
    pub fn most(&self) -> u64 {
        let expected = self.expected();
        match self.arrivals {
            Arrivals::Constant => expected.ceil() as u64,
            Arrivals::Poisson => (expected + 6.0 * expected.sqrt() + 6.0) as u64,
        }
    }

    /// What is wrong with it, if anything: the field and what would be right.
    pub(crate) fn flaw(&self) -> Option<(&'static str, String)> {
        if self.stages.is_empty() {
            return Some(("stages", "is empty; write a rate and a duration".to_owned()));
        }
        for stage in &self.stages {
            let rates = [stage.rate, stage.to.unwrap_or(stage.rate)];
            if let Some(rate) = rates.into_iter().find(|rate| !(0.0..=FASTEST).contains(rate)) {
                return Some(("rate", format!("{rate} must be from 0 to {FASTEST} requests a second")));
            }
            if rates == [0.0, 0.0] {
                return Some(("rate", "of 0 sends nothing; write requests a second, such as 10".to_owned()));
            }
            if stage.duration.is_zero() {
                return Some((
                    "duration",
                    "of nothing measures nothing; write a time, such as 5m".to_owned(),
                ));
            }
        }
        if self.duration() > LONGEST {
            return Some(("duration", "of more than a week; divide it".to_owned()));
        }
        (self.expected() > MOST)
            .then(|| ("rate", format!("and duration make more than {MOST} requests; lower one of them")))
    }
}

impl Stage {
    fn expected(&self) -> f64 {
        f64::midpoint(self.rate, self.to.unwrap_or(self.rate)) * self.duration.as_secs_f64()
    }

    /// When so many requests are expected, from its beginning.
    fn time_of(&self, requests: f64) -> Duration {
        let length = self.duration.as_secs_f64();
        let slope = (self.to.unwrap_or(self.rate) - self.rate) / length;
        // The root of `rate·t + slope·t²/2 = requests`, in the form that loses no digits where the slope is small.
        let root = (self.rate * self.rate + 2.0 * slope * requests).max(0.0).sqrt();
        let seconds = if requests > 0.0 { 2.0 * requests / (self.rate + root) } else { 0.0 };
        Duration::try_from_secs_f64(seconds).unwrap_or(self.duration).min(self.duration)
    }
}

impl Schedule {
    fn wait(&mut self) -> f64 {
        // 1 − u is never 0.
        -(1.0 - self.rng.f64()).ln()
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let at = loop {
            let stage = self.stage?;
            let expected = stage.expected();
            if self.next - self.before < expected {
                break self.begin.saturating_add(stage.time_of(self.next - self.before));
            }
            self.before += expected;
            self.begin = self.begin.saturating_add(stage.duration);
            self.stage = self.stages.next();
        };
        self.next += match self.arrivals {
            Arrivals::Constant => 1.0,
            Arrivals::Poisson => self.wait(),
        };
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::sample_rank;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn stage(rate: f64, to: Option<f64>, seconds: u64) -> Stage {
        Stage { rate, to, duration: Duration::from_secs(seconds) }
    }

    #[test]
    fn constant_arrivals_are_at_equal_distances() {
        let profile = Profile::steady(Arrivals::Constant, 4.0, Duration::from_secs(2));
        let due: Vec<_> = profile.schedule(1).collect();
        assert_eq!(due, [0, 250, 500, 750, 1000, 1250, 1500, 1750].map(ms));
        assert_eq!(profile.most(), 8);
    }

    #[test]
    fn steps_follow_each_other_and_ramps_are_steady() {
        let stages = vec![stage(1.0, None, 2), stage(0.0, Some(4.0), 2), stage(2.0, None, 1)];
        let due: Vec<_> =
            Profile { arrivals: Arrivals::Constant, stages }.schedule(1).map(|at| at.as_secs_f64()).collect();
        // Within the ramp t² requests are expected after t seconds.
        let wanted = [0.0, 1.0, 2.0, 3.0, 2.0 + 2.0_f64.sqrt(), 2.0 + 3.0_f64.sqrt(), 4.0, 4.5];
        assert_eq!(due.len(), wanted.len());
        assert!(due.iter().zip(wanted).all(|(due, wanted)| (due - wanted).abs() < 1e-8), "{due:?}");
    }

    /// Waits are exponential: their mean, and the share that is longer than it, are 1 and 1/e.
    #[test]
    fn poisson_arrivals_have_exponential_waits() {
        let profile = Profile::steady(Arrivals::Poisson, 100.0, Duration::from_secs(400));
        let due: Vec<_> = profile.schedule(7).map(|at| at.as_secs_f64() * 100.0).collect();
        let waits: Vec<_> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let n = waits.len() as f64;
        let mean = waits.iter().sum::<f64>() / n;
        let longer = waits.iter().filter(|&&wait| wait > 1.0).count() as f64 / n;
        // Four standard errors of 40 000.
        assert!((mean - 1.0).abs() < 0.02 && (longer - (-1.0_f64).exp()).abs() < 0.01, "{mean} {longer}");
        assert_eq!(due, profile.schedule(7).map(|at| at.as_secs_f64() * 100.0).collect::<Vec<_>>());
        assert!(due != profile.schedule(8).map(|at| at.as_secs_f64() * 100.0).collect::<Vec<_>>());
    }

    #[test]
    fn a_ramp_of_poisson_arrivals_has_its_median_where_half_are_expected() {
        let profile = Profile { arrivals: Arrivals::Poisson, stages: vec![stage(0.0, Some(400.0), 100)] };
        let due: Vec<_> = profile.schedule(7).collect();
        let middle = due[sample_rank(due.len() as u64, 0.5) as usize - 1].as_secs_f64();
        assert!((middle - 100.0 / 2.0_f64.sqrt()).abs() < 1.0, "{middle}");
    }

    proptest! {
        #[test]
        fn due_times_ascend_within_the_profile(
            parts in prop::collection::vec((0.0..50.0, prop::option::of(0.0..50.0), 1..20_u64), 1..5),
            poisson in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let stages = parts.into_iter().map(|(rate, to, seconds)| stage(rate, to, seconds)).collect();
            let profile = Profile { arrivals, stages };
            let due: Vec<_> = profile.schedule(seed).collect();
            prop_assert!(due.is_sorted() && due.len() as u64 <= profile.most());
            prop_assert!(due.last().is_none_or(|last| *last <= profile.duration()));
            if !poisson {
                prop_assert!((due.len() as f64 - profile.expected()).abs() <= 1.0);
            }
        }
    }
}
