//! A rollout as this API shows it.

use std::time::SystemTime;

use schemars::JsonSchema;
use serde::Serialize;
use tidegate::canary::{Event, Release, Rollout, RolloutId, RouteId, State, Weight};

use crate::command::Command;

/// A rollout: where it is, why, and what can be asked of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Rollout")]
pub(crate) struct View {
    /// What whoever started it called it.
    #[schemars(with = "String")]
    pub(crate) id: RolloutId,
    /// Who started it.
    pub(crate) by: String,
    /// The route whose traffic it moves.
    pub(crate) route: RouteId,
    /// What was in service when it began.
    pub(crate) stable: Release,
    /// What is to be.
    pub(crate) candidate: Release,
    /// Where it is, for programs.
    pub(crate) status: Status,
    /// Where it is and why, for people.
    pub(crate) said: String,
    /// The step, from 1, while it is in one.
    pub(crate) step: Option<usize>,
    /// How many steps its plan has.
    pub(crate) steps: usize,
    /// The candidate's share of requests in this step.
    pub(crate) weight: Option<Weight>,
    /// What the evidence says so far, a sentence for each criterion.
    pub(crate) judgements: Vec<String>,
    /// Why it does not go on by itself.
    pub(crate) waits_for: Vec<String>,
    /// The commands that make sense now.
    pub(crate) possible: Vec<&'static str>,
    /// When something happened last, as RFC 3339 has it.
    pub(crate) at: String,
    /// Why this service does not drive it now, although it is not over.
    pub(crate) trouble: Option<String>,
}

/// Where a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// It goes on.
    Running,
    /// It waits for something that passes.
    Paused,
    /// It waits for a person.
    Waiting,
    /// Over: promoted, baked and settled.
    Promoted,
    /// Over: both sides are compared, which was all that was wanted.
    Compared,
    /// Over: all traffic is on stable.
    RolledBack,
    /// Over: somebody else took the route.
    Seized,
    /// Over: promoted, but the bake went badly.
    Unsettled,
    /// Over, and a person has to do something.
    Stuck,
}

impl View {
    pub(crate) fn of(id: &RolloutId, by: &str, rollout: &Rollout, at: SystemTime) -> Self {
        let (plan, state) = (rollout.plan(), rollout.state());
        let step = match state {
            State::Shift { step, .. } | State::Analyse { step, .. } | State::Gate { step, .. } => Some(*step),
            _ => None,
        };
        let possible = Command::all(plan.candidate.digest).into_iter().filter_map(|command| {
            let name = command.name();
            rollout.check(&Event::Ask(command.request("")), at).is_ok().then_some(name)
        });
        let pauses = rollout.pauses().iter().map(ToString::to_string);
        let gates = rollout.closed_gates().map(|(_, gate)| gate.to_string());
        Self {
            id: id.clone(),
            by: by.to_owned(),
            route: plan.route.clone(),
            stable: plan.stable.clone(),
            candidate: plan.candidate.clone(),
            status: Status::of(rollout),
            said: format!("the rollout is {state}"),
            step: step.map(|step| step + 1),
            steps: plan.steps.len(),
            weight: step.map(|step| plan.steps[step].weight),
            judgements: rollout.judgements().iter().map(ToString::to_string).collect(),
            waits_for: pauses.chain(gates).collect(),
            possible: possible.collect(),
            at: humantime::format_rfc3339_millis(at).to_string(),
            trouble: None,
        }
    }
}

impl Status {
    pub(crate) const fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Paused | Self::Waiting)
    }

    fn of(rollout: &Rollout) -> Self {
        match rollout.state() {
            State::Compared { .. } => Self::Compared,
            State::Promoted => Self::Promoted,
            State::RolledBack { .. } => Self::RolledBack,
            State::Seized { .. } => Self::Seized,
            State::Stuck { .. } => Self::Stuck,
            State::Unsettled { .. } => Self::Unsettled,
            _ if rollout.awaits_person() => Self::Waiting,
            _ if !rollout.pauses().is_empty() => Self::Paused,
            _ => Self::Running,
        }
    }
}
