//! Guards a promoted release: looks at it until it is known to be good, or known not to be.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use futures::future::join_all;
use tidegate_canary::{
    LONGEST, Release, RouteId, Side, Slot, World,
    metrics::{
        Criterion, Evidence, InvalidCriterion, Judgement, Measurement, Metric, Missing, Statistic, Verdict,
        Window, judge,
    },
};

/// Guards one side of a route, by fixed limits.
///
/// It looks once a window, and judges the windows of the last [`span`](Self::span) afresh each time: a
/// release that was good for hours does not have to be bad for hours before it shows. So the bound on
/// false alarms holds for each span, and over a long watch adds up: of `n` looks at a release that is just
/// within its limits, at most `n·alpha` raise a false one. The default alpha is 0.001; releases well
/// within their limits raise far fewer.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "callers change single fields")]
pub struct Watch {
    /// What is guarded.
    pub side: Side,
    /// What it must show; fixed limits.
    pub criteria: Vec<Criterion>,
    /// The length of a window: how often there is a look.
    pub window: Duration,
    /// How long after the end of a window its observations are complete.
    pub lag: Duration,
    /// How far back a look goes.
    pub span: Duration,
    /// How long a source may take to answer, and how long nothing may be seen before the watch says that it
    /// is blind.
    pub patience: Duration,
}

/// How a watch ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing could be seen for the whole patience. That is not health; look why.
    Blind {
        /// Why nothing was seen in the last window.
        why: Missing,
    },
    /// The release does not keep its limits.
    Failed {
        /// Every criterion's judgement.
        judgements: Vec<Judgement>,
    },
    /// The time was up, and the release had kept its limits.
    Good {
        /// Every criterion's judgement.
        judgements: Vec<Judgement>,
    },
    /// The time was up without evidence enough to call it good or bad.
    Undecided {
        /// Every criterion's judgement.
        judgements: Vec<Judgement>,
    },
}

/// Why a watch cannot be run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWatch {
    /// A criterion does not hold up.
    #[error("criteria[{index}] of the watch is not valid")]
    Criterion {
        /// The place in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidCriterion,
    },
    /// There is nothing to judge by.
    #[error("the watch has no criteria, so nothing would be seen; add one")]
    NoCriteria,
    /// There is only one side.
    #[error("criteria[{index}] compares two sides, but a watch sees one; use a limit")]
    NothingToCompare {
        /// The place in the list, from 0.
        index: usize,
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

type Look = (Window, Vec<Measurement>);

impl Watch {
    /// A watch by the limits of a promoted release: at most 15 % errors, 95 % of requests within 10 s, and
    /// 95 % availability. One look every 30 s, back over 5 min.
    #[must_use]
    pub fn new(route: RouteId, release: Release) -> Self {
        Self {
            side: Side { route, slot: Slot::Stable, release },
            criteria: [
                Criterion::at_most(Metric::errors(), Statistic::Share, 0.15),
                Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 10.0),
                Criterion::at_least(Metric::availability(), Statistic::Share, 0.95),
            ]
            .map(|criterion| criterion.with_alpha(0.001))
            .into(),
            window: Duration::from_secs(30),
            lag: Duration::ZERO,
            span: Duration::from_secs(5 * 60),
            patience: Duration::from_secs(5 * 60),
        }
    }

    /// Looks until `deadline`, or until the release is known to be bad.
    ///
    /// # Errors
    ///
    /// [`InvalidWatch`] before the first look.
    pub async fn run(&self, world: &World, deadline: SystemTime) -> Result<Outcome, InvalidWatch> {
        self.check()?;
        let mut looks: VecDeque<Look> = VecDeque::new();
        let mut seen = world.clock.now();
        let mut start = seen;
        loop {
            let window = Window::first_after(start, self.window).expect("a watch's window has a length");
            world.clock.sleep_until(window.end() + self.lag).await;
            looks.push_back((window, self.look(world, window).await));
            while looks.front().is_some_and(|(old, _)| old.end() + self.span <= window.end()) {
                looks.pop_front();
            }
            let judgements = self.judge(&looks);
            let verdict = Verdict::of(&judgements);
            tracing::info!(route = %self.side.route, release = %self.side.release, ?verdict, "watch");
            if verdict == Verdict::Fail {
                for judgement in judgements.iter().filter(|judgement| judgement.verdict == Verdict::Fail) {
                    tracing::warn!(route = %self.side.route, release = %self.side.release, "watch: {judgement}");
                }
                return Ok(Outcome::Failed { judgements });
            }
            match self.nothing_seen(&looks) {
                None => seen = world.clock.now(),
                Some(why) if world.clock.now() >= seen + self.patience => {
                    tracing::warn!(route = %self.side.route, release = %self.side.release, ?why, "watch: blind");
                    return Ok(Outcome::Blind { why });
                }
                Some(_) => {}
            }
            if world.clock.now() >= deadline {
                return Ok(match verdict {
                    Verdict::Pass => Outcome::Good { judgements },
                    _ => Outcome::Undecided { judgements },
                });
            }
            start = window.end();
        }
    }

    fn check(&self) -> Result<(), InvalidWatch> {
        if self.criteria.is_empty() {
            return Err(InvalidWatch::NoCriteria);
        }
        for (index, criterion) in self.criteria.iter().enumerate() {
            criterion.check().map_err(|source| InvalidWatch::Criterion { index, source })?;
            if criterion.needs_baseline() {
                return Err(InvalidWatch::NothingToCompare { index });
            }
        }
        if self.window < Duration::from_millis(1) || self.window > self.span {
            return Err(InvalidWatch::Window);
        }
        if self.span.max(self.lag).max(self.patience) > LONGEST {
            return Err(InvalidWatch::TooLong);
        }
        Ok(())
    }

    async fn look(&self, world: &World, window: Window) -> Vec<Measurement> {
        // A look must be over before the next is due.
        let patience = self.patience.min(self.window);
        let ask = |criterion: &Criterion| {
            let metric = criterion.metric.clone();
            async move { self.side.observe(&*world.metrics, &metric, window, world.clock, patience).await }
        };
        join_all(self.criteria.iter().map(ask)).await
    }

    fn judge(&self, looks: &VecDeque<Look>) -> Vec<Judgement> {
        let evidence = |place: usize| {
            let mut evidence = Evidence::default();
            for (window, measurements) in looks {
                evidence.add(*window, measurements[place].clone(), None);
            }
            evidence
        };
        self.criteria
            .iter()
            .enumerate()
            .map(|(place, criterion)| judge(criterion, &evidence(place)))
            .collect()
    }

    /// Why the last window showed nothing at all, if it did not.
    fn nothing_seen(&self, looks: &VecDeque<Look>) -> Option<Missing> {
        let (_, measurements) = looks.back()?;
        let mut missing = measurements.iter().map(|measurement| match measurement {
            Measurement::Missing(missing) => Some(missing.clone()),
            _ => None,
        });
        let first = missing.next()??;
        missing.all(|missing| missing.is_some()).then_some(first)
    }
}
