//! The rollout: a pure machine. No clock, no I/O, no chance; the [driver](crate::Driver) does what it owes.

mod asked;
mod duty;
mod event;
mod hearing;
mod judging;
mod next;
mod outline;
mod pause;
mod state;

use std::{collections::BTreeSet, time::SystemTime};

use tidegate_metrics::{Criterion, Evidence, Judgement, Verdict, statistics::Split};

use self::hearing::Hearing;
pub(crate) use self::outline::Outline;
pub use self::{
    duty::Duty,
    event::{Event, Request, Sample},
    pause::Pause,
    state::{Cause, State},
};
use crate::{Gate, Plan};

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
    trial: Hearing,
    /// What was seen of stable after traffic had returned to it.
    recovery: Hearing,
    bake: Hearing,
    /// Whether the router keeps to the weights of the step.
    split: Split,
    /// The freezes that are on, by their places in the plan's list.
    freezes: BTreeSet<usize>,
    /// Those of them that somebody has said do not count.
    overridden: BTreeSet<usize>,
    /// The plan to go on with once traffic is back.
    next: Option<Box<Plan>>,
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
            trial: Hearing::new(&plan.criteria),
            recovery: Hearing::new(&plan.bake_criteria),
            bake: Hearing::new(&plan.bake_criteria),
            split: Split::new(),
            freezes: BTreeSet::new(),
            overridden: BTreeSet::new(),
            next: None,
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
        self.happen(event, at)?;
        if !self.state.is_before_promotion() {
            // Nothing holds up what has to be brought to its end.
            self.pauses.clear();
        }
        Ok(())
    }

    /// Whether [`apply`](Self::apply) would take the event in.
    ///
    /// # Errors
    ///
    /// [`IllegalEvent`] when it would not.
    pub fn check(&self, event: &Event, at: SystemTime) -> Result<(), IllegalEvent> {
        // Whether an event is possible does not depend on the evidence, which is all that is large.
        let mut bare = Self {
            state: self.state.clone(),
            pauses: self.pauses.clone(),
            freezes: self.freezes.clone(),
            overridden: self.overridden.clone(),
            next: self.next.clone(),
            ..Self::new(self.plan.clone())
        };
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
        self.pauses.iter().any(|pause| pause.is_for_a_person())
            || self.closed_gates().any(|(_, gate)| *gate == Gate::Approval)
    }

    /// The gates that it stands before and that are still closed, by their places in the step's list.
    pub fn closed_gates(&self) -> impl Iterator<Item = (usize, &Gate)> {
        let (gates, open) = match &self.state {
            State::Gate { step, open, .. } => (&*self.plan.steps[*step].gates, Some(open)),
            _ => (&[][..], None),
        };
        gates.iter().enumerate().filter(move |(place, _)| open.is_some_and(|open| !open.contains(place)))
    }

    /// The freezes that it knows to be on, by their places in the plan's list, overridden or not.
    #[must_use]
    pub const fn freezes(&self) -> &BTreeSet<usize> {
        &self.freezes
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

    /// Whether `plan` is what it follows, or will once traffic is back.
    pub(crate) fn follows(&self, plan: &Plan) -> bool {
        self.plan == *plan || self.next.as_deref() == Some(plan)
    }

    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Why it does not go on, although it could. Retreat is never paused, and observation only where there is
    /// nothing worth observing.
    #[must_use]
    pub const fn pauses(&self) -> &BTreeSet<Pause> {
        &self.pauses
    }

    /// What has been observed of the candidate, one for each criterion of the plan.
    #[must_use]
    pub fn evidence(&self) -> &[Evidence] {
        self.trial.evidence()
    }

    /// What has been observed of stable after traffic had returned to it, one for each criterion of the bake.
    #[must_use]
    pub fn recovery_evidence(&self) -> &[Evidence] {
        self.recovery.evidence()
    }

    /// What has been observed of the promoted version in its bake, one for each criterion of the bake.
    #[must_use]
    pub fn bake_evidence(&self) -> &[Evidence] {
        self.bake.evidence()
    }

    /// What the evidence says, one for each criterion of the plan; of the bake, once that has begun.
    #[must_use]
    pub fn judgements(&self) -> Vec<Judgement> {
        let (hearing, criteria) = self.hearing();
        hearing.judgements(criteria)
    }

    /// What all of it says together.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.hearing().0.verdict()
    }

    fn hearing(&self) -> (&Hearing, &[Criterion]) {
        let baking = self.state.is_bake() || !self.bake.is_empty();
        if baking { (&self.bake, &self.plan.bake_criteria) } else { (&self.trial, &self.plan.criteria) }
    }
}
