//! The rollout: a pure machine. No clock, no I/O, no chance; the [driver](crate::Driver) does what it owes.

mod duty;
mod event;
mod next;
mod state;

use std::{collections::BTreeSet, time::SystemTime};

use tidegate_metrics::{Evidence, Judgement, Verdict, judge};

pub use self::{
    duty::Duty,
    event::{Event, Request, Sample},
    state::{Cause, Pause, State},
};
use crate::Plan;

/// A rollout: its plan, where it is, and what has been observed.
///
/// `apply` is the only way to change it and a function of its arguments, so replaying the events of a
/// journal gives the same rollout, evidence included, to the last bit. [`duty`](Self::duty) depends on
/// the rollout alone, so a driver that starts after a crash owes exactly what the one before it owed.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    plan: Plan,
    state: State,
    pauses: BTreeSet<Pause>,
    evidence: Vec<Evidence>,
    bake_evidence: Vec<Evidence>,
    promoted: bool,
}

/// An event that makes no sense in the state that a rollout is in. It changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{event}` is not possible while the rollout is {state}; {remedy}")]
pub struct IllegalEvent {
    event: &'static str,
    state: String,
    remedy: &'static str,
}

impl Rollout {
    /// A rollout that has not begun.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            state: State::Preflight,
            pauses: BTreeSet::new(),
            evidence: vec![Evidence::default(); plan.criteria.len()],
            bake_evidence: vec![Evidence::default(); plan.bake_criteria.len()],
            promoted: false,
            plan,
        }
    }

    /// Takes in what happened or was asked, at `at`.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] when it is not possible now; the rollout is then unchanged.
    pub fn apply(&mut self, event: &Event, at: SystemTime) -> Result<(), IllegalEvent> {
        self.happen(event, at)
    }

    /// Whether [`apply`](Self::apply) would take the event in.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] when it would not.
    pub fn check(&self, event: &Event, at: SystemTime) -> Result<(), IllegalEvent> {
        // Whether an event is possible does not depend on the evidence, which is all that is large.
        let mut bare =
            Self { state: self.state.clone(), pauses: self.pauses.clone(), ..Self::new(self.plan.clone()) };
        bare.happen(event, at)
    }

    /// Whether the channel has been told of the promotion.
    #[must_use]
    pub fn promotion_is_recorded(&self) -> bool {
        self.promoted
    }

    /// Whether nothing but a person makes it go on.
    #[must_use]
    pub fn awaits_person(&self) -> bool {
        matches!(self.state, State::Gate { .. }) || !self.pauses.is_empty()
    }

    /// What is owed now.
    #[must_use]
    pub fn duty(&self) -> Duty {
        duty::of(self)
    }

    /// What it follows.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Why it does not go on, although it could. Observation and retreat are never paused.
    #[must_use]
    pub const fn pauses(&self) -> &BTreeSet<Pause> {
        &self.pauses
    }

    /// What has been observed of the candidate, one for each criterion of the plan.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// What has been observed of the promoted version in its bake, one for each criterion of the bake.
    #[must_use]
    pub fn bake_evidence(&self) -> &[Evidence] {
        &self.bake_evidence
    }

    /// What the evidence says, one for each criterion of the plan; of the bake, once that has begun.
    #[must_use]
    pub fn judgements(&self) -> Vec<Judgement> {
        let (criteria, evidence) = if self.is_baking() {
            (&self.plan.bake_criteria, &self.bake_evidence)
        } else {
            (&self.plan.criteria, &self.evidence)
        };
        criteria.iter().zip(evidence).map(|(criterion, evidence)| judge(criterion, evidence)).collect()
    }

    /// What all of it says together.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::of(&self.judgements())
    }

    /// Whether the bake has begun, wherever the rollout went from there.
    fn is_baking(&self) -> bool {
        self.state.is_bake() || self.bake_evidence.iter().any(|evidence| !evidence.is_empty())
    }

    /// The most requests that any criterion has seen of the candidate.
    fn trials(&self) -> u64 {
        self.evidence.iter().map(Evidence::trials).max().unwrap_or(0)
    }
}
