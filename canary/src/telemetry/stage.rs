//! The state that a rollout is in, as a span and as metrics.

use std::time::SystemTime;

use tidegate_metrics::Verdict;
use tracing::{Span, field};

use super::count;
use crate::{Entry, Event, Record, Rollout, Slot, State};

/// The state of a rollout, for as long as a driver runs it.
pub(crate) struct Stage {
    gauges: count::Gauges,
    state: &'static str,
    step: Option<usize>,
    since: SystemTime,
    is_end: bool,
    pub(crate) span: Span,
}

impl Stage {
    /// The state in which a driver finds a rollout.
    pub(crate) fn find(rollout: &Rollout, at: SystemTime) -> Self {
        let gauges = count::Gauges::begin(&rollout.plan().route);
        show(&gauges, rollout);
        let state = rollout.state();
        Self {
            gauges,
            state: state.name(),
            step: state.step(),
            since: state.since().unwrap_or(at),
            is_end: state.is_end(),
            span: span(rollout),
        }
    }

    /// Takes in what was journaled, and what the rollout is after it.
    pub(crate) fn take(&mut self, entry: &Entry, rollout: &Rollout) {
        let Record::Happen(event) = &entry.record else { return };
        self.span.record("tidegate.event", event.name());
        let judges = ["analyse", "gate", "bake"].contains(&self.state);
        if matches!(event, Event::Observed { .. }) && judges && (count::COUNTS || !self.span.is_disabled()) {
            let verdict = word(rollout.verdict());
            self.span.record("tidegate.verdict", verdict);
            count::judged(&rollout.plan().route, verdict);
        }
        self.follow(rollout, entry.at);
    }

    /// Takes in that somebody else has taken the route, at `at`. Who seizes it ends the rollout by that.
    pub(crate) fn overtaken(&mut self, rollout: &Rollout, at: SystemTime) {
        if matches!(rollout.state(), State::Seized { .. }) {
            self.follow(rollout, at);
            // What traffic it has is for whoever has the route now.
            self.gauges.weigh(0.0);
        }
    }

    /// Tells of the state that the rollout is in since `at`, if it is another.
    fn follow(&mut self, rollout: &Rollout, at: SystemTime) {
        let (route, state) = (&rollout.plan().route, rollout.state());
        if (self.state, self.step) == (state.name(), state.step()) {
            return;
        }
        count::left(route, self.state, at.duration_since(self.since).unwrap_or_default());
        if state.is_end() {
            count::ended(route, state.name());
            // A driver tells this in the span of the whole rollout.
            Span::current().record("tidegate.end", state.name());
        }
        show(&self.gauges, rollout);
        self.state = state.name();
        self.step = state.step();
        self.since = at;
        self.is_end = state.is_end();
        self.span = span(rollout);
    }
}

impl Drop for Stage {
    /// A driver that stops short of the end does not know any more how the rollout does.
    fn drop(&mut self) {
        if !self.is_end {
            self.gauges.abandon();
        }
    }
}

/// Tells the gauges the state that the rollout is in.
fn show(gauges: &count::Gauges, rollout: &Rollout) {
    gauges.enter(rollout.state().name());
    if let Some(share) = candidates_share(rollout) {
        gauges.weigh(share);
    }
}

/// Of the state that the rollout is in.
fn span(rollout: &Rollout) -> Span {
    let state = rollout.state();
    let span = tracing::info_span!(
        "tidegate.rollout.step",
        tidegate.route = %rollout.plan().route,
        tidegate.state = state.name(),
        tidegate.step = field::Empty,
        tidegate.event = field::Empty,
        tidegate.verdict = field::Empty
    );
    if let Some(step) = state.step() {
        span.record("tidegate.step", step + 1);
    }
    span
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Pass => "pass",
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
