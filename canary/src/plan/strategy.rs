//! The strategies: plans to start from.

use std::time::Duration;

use tidegate_metrics::{Criterion, Metric, Statistic};
use tidegate_registry::Channel;

use super::{AtHorizon, Finish, Gate, OnDrift, PlanSpec, Require, Step, Timing};
use crate::{Key, Release, RouteId, Weight};

const FIVE_MINUTES: Duration = Duration::from_secs(5 * 60);

impl PlanSpec {
    /// A canary: 10 %, 25 %, 50 %, then all, judged by comparing errors and by the limits that a canary
    /// must keep (5 % errors, 95 % of requests within 5 s); baked under the limits of a promoted release
    /// (15 % errors, 95 % within 10 s).
    #[must_use]
    pub fn canary(route: RouteId, stable: Release, candidate: Release) -> Self {
        let step = |weight, require| Step {
            weight,
            soak: FIVE_MINUTES,
            min_trials: 100,
            require,
            ..Step::default()
        };
        Self {
            route,
            channel: Channel::production(),
            stable,
            candidate,
            steps: vec![
                step(percent(10), Require::NoFailure),
                step(percent(25), Require::NoFailure),
                step(percent(50), Require::Pass),
                step(Weight::FULL, Require::NoFailure),
            ],
            criteria: vec![
                Criterion::compare(Metric::errors()),
                Criterion::at_most(Metric::errors(), Statistic::Share, 0.05),
                Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 5.0),
            ],
            bake_criteria: vec![
                Criterion::at_most(Metric::errors(), Statistic::Share, 0.15),
                Criterion::at_most(Metric::latency(), Statistic::Quantile(0.95), 10.0),
            ],
            baseline: false,
            exceptions: Vec::new(),
            sticky: None,
            at_horizon: AtHorizon::Hold,
            on_drift: OnDrift::Reassert,
            finish: Finish::Promote,
            unproven: None,
            freeze: Vec::new(),
            timing: Timing::default(),
        }
    }

    /// Blue-green: the candidate runs beside stable without traffic until somebody approves, then gets
    /// everything at once and is judged by the limits of [`canary`](Self::canary), while stable still runs.
    ///
    /// An [exception](Self::exceptions) gives people a way to look at it before the switch; further gates of the
    /// first step, such as [`Gate::Check`], look at it by themselves. The `soak` of the last step is how long the
    /// version before goes on running after the switch.
    #[must_use]
    pub fn blue_green(route: RouteId, stable: Release, candidate: Release) -> Self {
        let mut spec = Self::canary(route, stable, candidate);
        let preview = Step { gates: vec![Gate::Approval], ..Step::default() };
        let switched = Step {
            weight: Weight::FULL,
            soak: FIVE_MINUTES,
            min_trials: 100,
            require: Require::Pass,
            ..Step::default()
        };
        spec.steps = vec![preview, switched];
        spec.criteria.retain(|criterion| !criterion.needs_baseline());
        spec
    }

    /// An A/B test: half of the users, told apart by `user`, stay on the candidate for at least an hour, beside
    /// users who stay on stable. It ends with a comparison, not a promotion, whichever side is better.
    ///
    /// Users may be chosen by an [exception](Self::exceptions) instead, with a weight of none: then whoever sends
    /// the header or cookie is compared with everybody else. Who they are is part of what is compared.
    #[must_use]
    pub fn ab_test(route: RouteId, stable: Release, candidate: Release, user: Key) -> Self {
        let mut spec = Self::canary(route, stable, candidate);
        spec.steps = vec![Step {
            weight: percent(50),
            soak: Duration::from_secs(3600),
            min_trials: 1_000,
            require: Require::Pass,
            ..Step::default()
        }];
        spec.sticky = Some(user);
        spec.finish = Finish::Compare;
        spec.timing.horizon = Duration::from_secs(24 * 3600);
        spec
    }

    /// A shadow: the candidate gets copies of a tenth of the requests for an hour. Nobody sees its answers; they
    /// are compared with stable's. It ends with a comparison. What requests do to others, they do twice.
    #[must_use]
    pub fn shadow(route: RouteId, stable: Release, candidate: Release) -> Self {
        let mut spec = Self::canary(route, stable, candidate);
        spec.steps = vec![Step {
            mirror: percent(10),
            soak: Duration::from_secs(3600),
            min_trials: 100,
            require: Require::Pass,
            ..Step::default()
        }];
        spec.finish = Finish::Compare;
        spec.timing.horizon = Duration::from_secs(2 * 3600);
        spec
    }

    /// Everything at once, proving nothing: for emergencies, with the reason. The candidate has to be ready, keeps
    /// the version before running for a minute, and is baked as ever.
    #[must_use]
    pub fn all_at_once(
        route: RouteId,
        stable: Release,
        candidate: Release,
        reason: impl Into<String>,
    ) -> Self {
        let mut spec = Self::canary(route, stable, candidate);
        spec.steps = vec![Step { weight: Weight::FULL, soak: Duration::from_secs(60), ..Step::default() }];
        spec.criteria = Vec::new();
        spec.unproven = Some(reason.into());
        spec
    }
}

fn percent(percent: u16) -> Weight {
    Weight::percent(percent).expect("at most 100 is written here")
}
