//! What a rollout is to do: a plan, checked once.

mod calendar;
mod check;
mod gate;
mod strategy;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_metrics::Criterion;
use tidegate_registry::Channel;

use self::check::is_required;
pub use self::{
    calendar::Calendar,
    check::{InvalidPlan, LONGEST},
    gate::Gate,
};
use crate::{Exception, Key, Release, RouteId, Slot, Traffic, Weight};

/// A plan that was checked: each step shows more to the candidate than the one before, it ends with all traffic
/// on it or with a comparison, and nothing is promoted that no criterion has passed, unless the plan says why.
///
/// As text it is its [`PlanSpec`]; one that does not hold up is refused when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanSpec", into = "PlanSpec")]
pub struct Plan(PlanSpec);

/// A plan as it is written down. Start from a strategy ([`canary`](Self::canary),
/// [`blue_green`](Self::blue_green), [`ab_test`](Self::ab_test), [`shadow`](Self::shadow),
/// [`all_at_once`](Self::all_at_once)), change what is different, and [`build`](Self::build) it. All of them are
/// steps of the same kind, so they can be mixed: a canary may begin with a shadow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Whether a second copy of stable gets as much traffic as the candidate, to compare like with like: caches
    /// as cold, connections as new, and as many requests.
    #[serde(default, skip_serializing_if = "is_default")]
    pub baseline: bool,
    /// Requests that go to one side whatever the weights say.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
    /// What names a user, if users are to stay on their side.
    #[serde(default)]
    pub sticky: Option<Key>,
    /// What happens when a step has reached the horizon and is still undecided.
    #[serde(default)]
    pub at_horizon: AtHorizon,
    /// What happens when somebody else has changed the traffic.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_drift: OnDrift,
    /// What comes after the last step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub finish: Finish,
    /// Why the candidate may be promoted without having passed anything. Only for emergencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproven: Option<String>,
    /// When nothing new begins: no rollout and no step. What has begun goes on being watched, and always may
    /// return.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Calendar>,
    /// The durations.
    #[serde(default)]
    pub timing: Timing,
}

/// One step of a plan: how much traffic, and what it takes to go on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author writes it as a literal")]
pub struct Step {
    /// The candidate's share.
    pub weight: Weight,
    /// The share of stable's requests that the candidate gets copies of; only where its own share is none.
    #[serde(default, skip_serializing_if = "Weight::is_none")]
    pub mirror: Weight,
    /// It lasts at least this long. At 100 % that is how long the version before goes on running, ready to take
    /// everything back at once.
    #[serde(default, with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub soak: Duration,
    /// It lasts until the candidate has answered this many requests of the step.
    #[serde(default)]
    pub min_trials: u64,
    /// What the criteria must say.
    #[serde(default)]
    pub require: Require,
    /// What has to open before the next step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
}

/// What the criteria must say for a step to end well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// What happens when somebody else has changed the traffic, or the router has forgotten it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnDrift {
    /// All traffic returns to stable, and the rollout is over.
    Abort,
    /// Nothing is touched until a person resumes; then what the plan says is put in force again.
    Pause,
    /// What the plan says is put in force again at once.
    #[default]
    Reassert,
}

/// What comes after the last step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finish {
    /// All traffic returns to stable, and what was found is reported.
    Compare,
    /// The candidate becomes the version in service.
    #[default]
    Promote,
}

/// The durations of a plan. The defaults look every 30 s, give a step 15 min, and watch stable for a minute after
/// traffic has returned to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "a plan's author changes single fields")]
pub struct Timing {
    /// How long promotion is watched before the version counts as a last known good.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub bake: Duration,
    /// How long requests in flight may take to end before their side is removed.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub drain: Duration,
    /// How long a step may stay undecided, if it does not soak longer.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub horizon: Duration,
    /// How long after the end of a window its observations are complete: a scrape interval, or nothing.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub lag: Duration,
    /// How long a side may take to become ready, and a router to obey.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub patience: Duration,
    /// How long stable is watched by the criteria of the bake after traffic has returned to it; nothing to trust
    /// that it is well.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub verify: Duration,
    /// How long a ready candidate runs before traffic, to fill its caches.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub warm_up: Duration,
    /// The length of a window: how often there is a look.
    #[serde(with = "humantime_serde")]
    #[cfg_attr(feature = "schema", schemars(with = "tidegate_metrics::schema::Span"))]
    pub window: Duration,
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

    /// Whether stable is watched after traffic has returned to it.
    #[must_use]
    pub(crate) fn verifies(&self) -> bool {
        self.0.timing.verify > Duration::ZERO && self.0.bake_criteria.iter().any(is_required)
    }

    /// The share of traffic that the candidate must be able to carry in step `step`.
    #[must_use]
    pub(crate) fn share(&self, step: usize) -> Weight {
        let Step { weight, mirror, .. } = self.0.steps[step];
        weight.max(mirror)
    }

    /// Whether requests of step `step` say something of the candidate, and something is asked of them. Those that
    /// reach it by exception alone speak against it, but it does not wait for them.
    #[must_use]
    pub(crate) fn observes(&self, step: usize) -> bool {
        let previews = self.0.exceptions.iter().any(|exception| exception.to == Slot::Candidate);
        (self.share(step) > Weight::NONE || previews) && !self.0.criteria.is_empty()
    }

    /// The traffic of step `step`.
    #[must_use]
    pub(crate) fn traffic(&self, step: usize) -> Traffic {
        let Step { weight, mirror, .. } = self.0.steps[step];
        let traffic = Traffic::split(weight).with_mirror(mirror);
        let compared = if self.0.baseline { traffic.clone().with_baseline(weight) } else { None };
        compared
            .unwrap_or(traffic)
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
            verify: Duration::from_secs(60),
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

/// What came later is not written where it says nothing, so that plans are written as before.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
