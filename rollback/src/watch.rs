//! What a promoted release is guarded by.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_canary::{
    LONGEST, Release, Rollout, RouteId, Side, Slot,
    metrics::{Criterion, InvalidCriterion, Measurement, Metric, Statistic},
};
use tidegate_registry::Channel;

use crate::{Brakes, Recovery, Target};

/// How a promoted release is guarded: what it must show, and what is done when it does not.
///
/// There is one look a window, and the windows of the last [`span`](Self::span) are judged afresh each time, the
/// newest of them also without those before: a release that was good for hours does not have to be bad for hours
/// before it shows. So the bound on false alarms holds for each look by each criterion, and over a long watch adds up:
/// of `n` looks at a release that is just within a limit, at most `n·alpha` raise a false one. The default alpha is
/// 0.001; in 2 000 simulated looks at a release that was exactly at a limit there was no alarm, and neither was there in
/// a simulated day of one that was well within its limits. Minimum samples, k of n readings and burn rates are rules of
/// the criteria.
///
/// By the default limit of 15 % errors, a fault after an hour of health is noticed in so many windows, in the median of
/// 20 simulated hours and in nine of ten of them:
///
/// | errors | 100 requests a window | 1 000 requests a window |
/// |--:|--:|--:|
/// | 20 % | 12 (35) | 2 (3) |
/// | 30 % | 2 (3) | 1 (1) |
/// | 50 % | 1 (1) | 1 (1) |
/// | 100 % | 1 (1) | 1 (1) |
///
/// Failures that come in bursts are more of the same to it: a look may take one for a fault, and
/// [`confirm`](Self::confirm) is for those that pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "callers change single fields")]
pub struct Watch {
    /// The route.
    pub route: RouteId,
    /// What is in service there, in the stable slot.
    pub release: Release,
    /// The channel in which it was promoted.
    #[serde(default = "Channel::production")]
    pub channel: Channel,
    /// What it must show.
    pub criteria: Vec<Criterion>,
    /// For each criterion that compares, what the version before has shown, in windows of the same length, oldest
    /// first; see [`with_reference`](Self::with_reference).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<Vec<Measurement>>,
    /// The gatekeepers that are asked at each look: a [`Shut`](tidegate_canary::Answer::Shut) is an alarm. The
    /// `step` of their question is 0, its `judgements` are those of the look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// The length of a window: how often there is a look.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How long after the end of a window its observations are complete.
    #[serde(with = "humantime_serde", default)]
    pub lag: Duration,
    /// How far back a look goes.
    #[serde(with = "humantime_serde")]
    pub span: Duration,
    /// In how many of how many looks it has to fail for an alarm. Of several each has to fail by its own window, so that
    /// one burst does not count for as often as it is seen: choose a window that can.
    #[serde(default)]
    pub confirm: Confirm,
    /// How long it may see nothing before [`on_blind`](Self::on_blind) is done.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// What is done then.
    #[serde(default)]
    pub on_blind: OnBlind,
    /// How long it is guarded. A release that is good at the end is settled: a last known good.
    #[serde(with = "humantime_serde")]
    pub lasts: Duration,
    /// Where to go back to.
    #[serde(default)]
    pub target: Target,
    /// When the bytes of where it would go back to are read.
    #[serde(default)]
    pub verify: Verification,
    /// What keeps it from going back and forth.
    #[serde(default)]
    pub brakes: Brakes,
    /// How long requests in flight may take to end, on the way back, before their side is removed.
    #[serde(with = "humantime_serde", default = "thirty_seconds")]
    pub drain: Duration,
    /// How long the target may take to become ready on the way back, and a router to obey.
    #[serde(with = "humantime_serde", default = "five_minutes")]
    pub ready_within: Duration,
    /// Whether the content of what is left goes into quarantine.
    #[serde(default = "yes")]
    pub quarantine: bool,
    /// What shows that going back has helped; nothing to trust that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// In how many of how many looks a release has to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a ratio")]
pub struct Confirm {
    /// So many.
    pub looks: u16,
    /// Of the last so many.
    pub of: u16,
}

impl Default for Confirm {
    /// One of one: the criteria's own chances are enough.
    fn default() -> Self {
        Self { looks: 1, of: 1 }
    }
}

/// What is done when nothing has been seen for the patience of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnBlind {
    /// Nothing: it goes on looking, and says that it is blind.
    #[default]
    Hold,
    /// It is an alarm.
    RollBack,
}

/// When every byte of the version that a watch would go back to is read and compared with its manifest. One that is damaged
/// is passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verification {
    /// While nothing is decided: once when the watch begins, and then once a day. Gigabytes take minutes to read, and
    /// while users suffer that is too long; what was read before is known when it is needed, and costs no time then.
    #[default]
    Ahead,
    /// As [`Ahead`](Self::Ahead), and once more before it goes. That takes as long as reading does, but no longer than the
    /// patience of the watch: what cannot be read by then is taken for good.
    Before,
    /// Never by the watch. Whoever makes the version run verifies what it loads.
    Never,
}

/// Why a watch cannot be kept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWatch {
    /// Nobody could be asked.
    #[error("alarms of the watch: nobody keeps `{name}`, only {known:?}; correct the name, or have it kept")]
    Alarm {
        /// The name.
        name: String,
        /// Whom there is to ask.
        known: Vec<String>,
    },
    /// The looks to confirm by do not fit together.
    #[error("confirm is {looks} of {of} looks; write 1 ≤ looks ≤ of ≤ 1000")]
    Confirm {
        /// So many.
        looks: u16,
        /// Of so many.
        of: u16,
    },
    /// A criterion does not hold up.
    #[error("criteria[{index}] of the watch is not valid")]
    Criterion {
        /// The place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidCriterion,
    },
    /// There is nothing to judge by.
    #[error("the watch has neither criteria nor alarms, so nothing would be seen; add one")]
    NothingToSee,
    /// What shows that going back has helped is not well put.
    #[error(transparent)]
    Recovery(#[from] crate::InvalidRecovery),
    /// There is nothing to compare with.
    #[error(
        "criteria[{index}] compares, but reference[{index}] has fewer windows than a span; record the version before, or use a limit"
    )]
    Reference {
        /// The place in the list, from 0.
        index: usize,
    },
    /// Too much would have to be kept.
    #[error(
        "a span of the watch has {windows} windows, and 10000 are looked at at most; write a longer window"
    )]
    TooMany {
        /// So many windows.
        windows: u128,
    },
    /// A duration is longer than a year.
    #[error("a duration of the watch is longer than a year; write for example 5m")]
    TooLong,
    /// The window does not fit.
    #[error(
        "the window of the watch is shorter than 1ms or longer than its span; write for example 30s and 5m"
    )]
    Window,
}

impl Watch {
    /// A watch by the limits of a promoted release: at most 15 % errors, 95 % of requests within 10 s, and
    /// 95 % availability. One look every 30 s, back over 5 min, for a day; it goes back to the last known good, and
    /// has to be seen to have helped by the same limits.
    #[must_use]
    pub fn new(route: RouteId, release: Release) -> Self {
        let criteria: Vec<_> = [
            Criterion::at_most(Metric::errors(), Statistic::Share, 0.15),
            Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 10.0),
            Criterion::at_least(Metric::availability(), Statistic::Share, 0.95),
        ]
        .map(|criterion| criterion.with_alpha(0.001))
        .into();
        Self {
            route,
            release,
            channel: Channel::production(),
            recovery: Some(Recovery::new(criteria.clone())),
            criteria,
            reference: Vec::new(),
            alarms: Vec::new(),
            window: Duration::from_secs(30),
            lag: Duration::ZERO,
            span: Duration::from_secs(5 * 60),
            confirm: Confirm::default(),
            patience: Duration::from_secs(5 * 60),
            on_blind: OnBlind::Hold,
            lasts: Duration::from_secs(24 * 3600),
            target: Target::LastGood,
            verify: Verification::Ahead,
            brakes: Brakes::default(),
            drain: thirty_seconds(),
            ready_within: five_minutes(),
            quarantine: true,
        }
    }

    /// Compares with what the version before has shown while `rollout` replaced it: in each window of the rollout what
    /// stable, or its copy for comparison, has done. Criteria whose metric the rollout did not compare get nothing, and a
    /// rollout of another candidate gives nothing.
    ///
    /// Then was another time than now: what differs between the hours of a day is no fault of the version. Tolerate
    /// as much (`odds ratio`) as the hours of a good day differ.
    #[must_use]
    pub fn with_reference(mut self, rollout: &Rollout) -> Self {
        let recorded = |criterion: &Criterion| {
            if rollout.plan().candidate != self.release {
                return Vec::new();
            }
            let same = |of: &&Criterion| criterion.needs_baseline() && of.metric == criterion.metric;
            let sides = rollout.plan().criteria.iter().zip(rollout.evidence());
            let found = sides.filter(|(of, _)| of.needs_baseline()).find(|(of, _)| same(of));
            found.map_or_else(Vec::new, |(_, evidence)| {
                let baselines = evidence.windows().filter_map(|(_, pair)| pair.baseline.clone());
                baselines.filter(|baseline| baseline.observed().is_some()).collect()
            })
        };
        self.reference = self.criteria.iter().map(recorded).collect();
        self
    }

    /// Whether the watch can be kept.
    ///
    /// # Errors
    ///
    /// [`InvalidWatch`] says why not.
    pub fn check(&self) -> Result<(), InvalidWatch> {
        if self.criteria.is_empty() && self.alarms.is_empty() {
            return Err(InvalidWatch::NothingToSee);
        }
        if self.window < Duration::from_millis(1) || self.window > self.span {
            return Err(InvalidWatch::Window);
        }
        let longest = self.span.max(self.lag).max(self.patience).max(self.lasts).max(self.drain);
        if longest.max(self.ready_within) > LONGEST {
            return Err(InvalidWatch::TooLong);
        }
        let Confirm { looks, of } = self.confirm;
        if looks == 0 || looks > of || of > 1_000 {
            return Err(InvalidWatch::Confirm { looks, of });
        }
        let windows = self.span.as_nanos().div_ceil(self.window.as_nanos());
        if windows > 10_000 {
            return Err(InvalidWatch::TooMany { windows });
        }
        for (index, criterion) in self.criteria.iter().enumerate() {
            criterion.check().map_err(|source| InvalidWatch::Criterion { index, source })?;
            let recorded = self.reference.get(index).map_or(0, Vec::len) as u128;
            if criterion.needs_baseline() && recorded < windows {
                return Err(InvalidWatch::Reference { index });
            }
        }
        self.recovery.as_ref().map_or(Ok(()), Recovery::check)?;
        Ok(())
    }

    /// What is looked at.
    pub(crate) fn side(&self) -> Side {
        Side { route: self.route.clone(), slot: Slot::Stable, release: self.release.clone() }
    }
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

const fn five_minutes() -> Duration {
    Duration::from_secs(5 * 60)
}

const fn yes() -> bool {
    true
}
