//! The state that a rollout is in, as a span and as metrics.

use std::time::SystemTime;

use tidegate_metrics::Verdict;
use tracing::{Span, field};

use super::count;
use crate::{Entry, Event, Record, Rollout, Slot, State};

/// A state of a rollout, for as long as it is in it.
pub(crate) struct Stage {
    state: &'static str,
    step: Option<usize>,
    since: SystemTime,
    pub(crate) span: Span,
}

impl Stage {
    /// The state in which a driver finds a rollout.
    pub(crate) fn find(rollout: &Rollout, at: SystemTime) -> Self {
        // What ended before it on the route, in this program, is not the latest any more.
        count::cleared(&rollout.plan().route);
        Self::enter(rollout, since(rollout.state()).unwrap_or(at))
    }

    fn enter(rollout: &Rollout, since: SystemTime) -> Self {
        let (route, state) = (&rollout.plan().route, rollout.state());
        let span = tracing::info_span!(
            "tidegate.rollout.step",
            tidegate.route = %route,
            tidegate.state = state.name(),
            tidegate.step = field::Empty,
            tidegate.event = field::Empty,
            tidegate.verdict = field::Empty
        );
        let step = step(state);
        if let Some(step) = step {
            span.record("tidegate.step", step + 1);
        }
        count::entered(route, state.name());
        if let Some(share) = candidates_share(rollout) {
            count::weighed(route, share);
        }
        Self { state: state.name(), step, since, span }
    }

    /// Takes in what was journaled, and what the rollout is after it.
    pub(crate) fn take(&mut self, entry: &Entry, rollout: &Rollout) {
        let Record::Happen(event) = &entry.record else { return };
        let (route, state) = (&rollout.plan().route, rollout.state());
        self.span.record("tidegate.event", event.name());
        let judges = ["analyse", "gate", "bake"].contains(&self.state);
        if matches!(event, Event::Observed { .. }) && judges && (count::COUNTS || !self.span.is_disabled()) {
            let verdict = word(rollout.verdict());
            self.span.record("tidegate.verdict", verdict);
            count::judged(route, verdict);
        }
        if (self.state, self.step) == (state.name(), step(state)) {
            return;
        }
        count::left(route, self.state, entry.at.duration_since(self.since).unwrap_or_default());
        if state.is_end() {
            count::ended(route, state.name());
            // A driver tells this in the span of the whole rollout.
            Span::current().record("tidegate.end", state.name());
        }
        *self = Self::enter(rollout, entry.at);
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Pass => "pass",
    }
}

const fn step(state: &State) -> Option<usize> {
    match state {
        State::Analyse { step, .. } | State::Gate { step, .. } | State::Shift { step, .. } => Some(*step),
        _ => None,
    }
}

/// Since when it is in `state`, where the state says so.
const fn since(state: &State) -> Option<SystemTime> {
    match state {
        State::Analyse { since, .. }
        | State::Bake { since, .. }
        | State::Drain { since, .. }
        | State::Ebb { since, .. }
        | State::Provision { since }
        | State::Record { since }
        | State::Renew { since }
        | State::Restore { since, .. }
        | State::Retire { since, .. }
        | State::Retreat { since, .. }
        | State::Return { since }
        | State::Rush { since }
        | State::Settle { since, .. }
        | State::Shift { since, .. }
        | State::Verify { since, .. }
        | State::Warm { since }
        | State::Withdraw { since, .. } => Some(*since),
        _ => None,
    }
}

/// The share of traffic that the candidate's slot has, from 0 to 1, where nothing is being moved.
fn candidates_share(rollout: &Rollout) -> Option<f64> {
    match rollout.state() {
        State::Analyse { step, .. } | State::Gate { step, .. } => {
            let weight = rollout.plan().traffic(*step).weight(Slot::Candidate);
            Some(f64::from(weight.as_basis_points()) / 10_000.0)
        }
        State::Renew { .. } => Some(1.0),
        State::Preflight
        | State::Provision { .. }
        | State::Warm { .. }
        | State::Record { .. }
        | State::Verify { .. }
        | State::Ebb { .. } => Some(0.0),
        _ => None,
    }
}
