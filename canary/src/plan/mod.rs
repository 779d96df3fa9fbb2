//! What a rollout is to do: a plan, checked once.

mod check;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_metrics::{Criterion, Metric, Statistic};
use tidegate_registry::Channel;

use self::check::is_required;
pub use self::check::{InvalidPlan, LONGEST};
use crate::{Exception, Key, Release, RouteId, Traffic, Weight};

/// A plan that was checked: it ends with all traffic on the candidate, each step shows more to it than
/// the one before, and nothing is promoted that no criterion has passed.
///
/// As text it is its [`PlanSpec`]; one that does not hold up is refused when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanSpec", into = "PlanSpec")]
pub struct Plan(PlanSpec);

/// A plan as it is written down. Start from [`PlanSpec::canary`] or [`PlanSpec::blue_green`], change what
/// is different, and [`build`](Self::build) it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author changes single fields")]
pub struct PlanSpec {
    /// The route whose traffic moves.
    pub route: RouteId,
    /// The channel that records the promotion.
    #[serde(default = "Channel::production")]
    pub channel: Channel,
    /// What is in service.
    pub stable: Release,
    /// What is to be.
    pub candidate: Release,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What the candidate must show while it is judged.
    pub criteria: Vec<Criterion>,
    /// What the promoted version must show while it bakes; fixed limits only.
    #[serde(default)]
    pub bake_criteria: Vec<Criterion>,
    /// Requests that go to one side whatever the weights say.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
    /// What names a user, if users are to stay on their side.
    #[serde(default)]
    pub sticky: Option<Key>,
    /// What happens when a step has reached the horizon and is still undecided.
    #[serde(default)]
    pub at_horizon: AtHorizon,
    /// The durations.
    #[serde(default)]
    pub timing: Timing,
}

/// One step of a plan: how much traffic, and what it takes to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Step {
    /// The candidate's share.
    pub weight: Weight,
    /// It lasts at least this long.
    #[serde(default, with = "humantime_serde")]
    pub soak: Duration,
    /// It lasts until the candidate has answered this many requests of the step.
    #[serde(default)]
    pub min_trials: u64,
    /// What the criteria must say.
    #[serde(default)]
    pub require: Require,
    /// Whether a person has to approve before the next step.
    #[serde(default)]
    pub gate: bool,
}

/// What the criteria must say for a step to end well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Require {
    /// That nothing speaks against the candidate. Enough for early steps, whose traffic is too thin to prove more.
    #[default]
    NoFailure,
    /// That the evidence is for the candidate.
    Pass,
}

/// What happens when a step has reached the horizon undecided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AtHorizon {
    /// The rollout waits for a person.
    #[default]
    Hold,
    /// The next step begins, unproven.
    Promote,
    /// Traffic returns to stable; the version is not held against its makers.
    Rollback,
}

/// The durations of a plan. The defaults look every 30 s and give a step 15 min.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author changes single fields")]
pub struct Timing {
    /// How long promotion is watched before the version counts as a last known good.
    #[serde(with = "humantime_serde")]
    pub bake: Duration,
    /// How long requests in flight may take to end before their side is removed.
    #[serde(with = "humantime_serde")]
    pub drain: Duration,
    /// How long a step may stay undecided.
    #[serde(with = "humantime_serde")]
    pub horizon: Duration,
    /// How long after the end of a window its observations are complete: a scrape interval, or nothing.
    #[serde(with = "humantime_serde")]
    pub lag: Duration,
    /// How long a side may take to become ready, and a router to obey.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// How long a ready candidate runs before traffic, to fill its caches.
    #[serde(with = "humantime_serde")]
    pub warm_up: Duration,
    /// The length of a window: how often there is a look.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
}

impl PlanSpec {
    /// A canary: 10 %, 25 %, 50 %, then all, judged by comparing errors and by the limits that a canary
    /// must keep (5 % errors, 95 % of requests within 5 s); baked under the limits of a promoted release
    /// (15 % errors, 95 % within 10 s).
    #[must_use]
    pub fn canary(route: RouteId, stable: Release, candidate: Release) -> Self {
        let step = |percent, require| Step {
            weight: Weight::percent(percent).expect("at most 100 is written here"),
            soak: Duration::from_secs(5 * 60),
            min_trials: 100,
            require,
            gate: false,
        };
        Self {
            route,
            channel: Channel::production(),
            stable,
            candidate,
            steps: vec![
                step(10, Require::NoFailure),
                step(25, Require::NoFailure),
                step(50, Require::Pass),
                step(100, Require::NoFailure),
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
            exceptions: Vec::new(),
            sticky: None,
            at_horizon: AtHorizon::Hold,
            timing: Timing::default(),
        }
    }

    /// Blue-green: the candidate runs beside stable without traffic until somebody approves, then gets
    /// everything at once and is judged by the limits of [`canary`](Self::canary), while stable still runs.
    #[must_use]
    pub fn blue_green(route: RouteId, stable: Release, candidate: Release) -> Self {
        let mut spec = Self::canary(route, stable, candidate);
        let preview = Step {
            weight: Weight::NONE,
            soak: Duration::ZERO,
            min_trials: 0,
            require: Require::NoFailure,
            gate: true,
        };
        let switched = Step { weight: Weight::FULL, require: Require::Pass, gate: false, ..spec.steps[0] };
        spec.steps = vec![preview, switched];
        spec.criteria.retain(|criterion| !criterion.needs_baseline());
        spec
    }
}

impl Plan {
    /// The plan as it is written down.
    #[must_use]
    pub const fn spec(&self) -> &PlanSpec {
        &self.0
    }

    /// Whether the promoted version is watched before it is settled.
    #[must_use]
    pub(crate) fn bakes(&self) -> bool {
        self.0.bake_criteria.iter().any(is_required)
    }

    /// The share of traffic that the candidate must be able to carry in step `step`.
    #[must_use]
    pub(crate) fn share(&self, step: usize) -> Weight {
        self.0.steps[step].weight
    }

    /// The traffic of step `step`.
    #[must_use]
    pub(crate) fn traffic(&self, step: usize) -> Traffic {
        Traffic::split(self.0.steps[step].weight)
            .with_exceptions(self.0.exceptions.iter().cloned())
            .with_sticky(self.0.sticky.clone())
    }
}

impl std::ops::Deref for Plan {
    type Target = PlanSpec;

    fn deref(&self) -> &PlanSpec {
        &self.0
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            bake: Duration::from_secs(5 * 60),
            drain: Duration::from_secs(30),
            horizon: Duration::from_secs(15 * 60),
            lag: Duration::ZERO,
            patience: Duration::from_secs(5 * 60),
            warm_up: Duration::ZERO,
            window: Duration::from_secs(30),
        }
    }
}

impl TryFrom<PlanSpec> for Plan {
    type Error = InvalidPlan;

    fn try_from(spec: PlanSpec) -> Result<Self, InvalidPlan> {
        spec.build()
    }
}

impl From<Plan> for PlanSpec {
    fn from(plan: Plan) -> Self {
        plan.0
    }
}
